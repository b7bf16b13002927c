"""What a remedy would have saved and cost, from the windows measured: bounds, never a midpoint."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from meshlogs.censoring import quantile, turnbull
from meshlogs.markup import ends
from meshlogs.remedies.workloads import Workload

UNKNOWN = (None, None)


class Effect(NamedTuple):
    """Refused connections and harmed starts removed, and the application's delay in seconds: (at least, at most).

    A delay of (None, None) is unknown; `at most` is infinite where a proxy was never seen ready.
    """

    errors: tuple[int, int] = (0, 0)
    starts: tuple[int, int] = (0, 0)
    delay_p50: tuple[float | None, float | None] = UNKNOWN
    delay_p90: tuple[float | None, float | None] = UNKNOWN

    def columns(self) -> dict:
        """As columns of `schema.REMEDIES`."""
        pairs = {
            "errors_removed": self.errors,
            "starts_removed": self.starts,
            "delay_p50": self.delay_p50,
            "delay_p90": self.delay_p90,
        }
        row = {}
        for name, (low, high) in pairs.items():
            unit = "_s" if name.startswith("delay") else ""
            row |= {f"{name}_lower{unit}": low, f"{name}_upper{unit}": high}
        return row

    def text(self) -> str:
        """One sentence."""
        saved = f"would have prevented {count(*self.errors, 'refused connection')} in {count(*self.starts, 'start')}"
        if None in self.delay_p50 or None in self.delay_p90:
            return saved
        if self.delay_p90 == (0, 0):
            return f"{saved}; it delays nothing"
        later = f"{saved}; the application would have started later by {_seconds(*self.delay_p50)}"
        if self.delay_p50 == self.delay_p90:
            return later
        return f"{later} in the median, by {_seconds(*self.delay_p90)} in nine of ten starts"


def of_gate(workload: Workload, *, limit_s: float = np.inf, step_s: float, moves_proxy: bool) -> Effect:
    """The effect of letting the application start only behind an open proxy.

    `limit_s`: how long the gate holds at most; `step_s`: how far apart it looks, which adds to the delay;
    `moves_proxy`: the proxy starts before the application instead of after it, so that what remains to wait for
    is the proxy's own start-up (at least), and no longer than the whole window (at most).
    """
    refused, at = workload.refused
    need_low, need_high = _waits(workload.starts, moves_proxy)
    known = at >= 0
    sure = known & (need_high[at] <= limit_s)
    possible = ~known | (need_low[at] < limit_s)
    delayed = workload.ungated & ~np.isnan(need_low) & ~np.isnan(need_high)
    low, high = need_low[delayed], need_high[delayed] + step_s
    estimate = turnbull(low.clip(max=limit_s), high.clip(max=limit_s + step_s))
    return Effect(
        (int(refused[sure].sum()), int(refused[possible].sum())),
        (int(sure.sum()), int(possible.sum())),
        _known(quantile(estimate, 0.5)),
        _known(quantile(estimate, 0.9)),
    )


def of_verdict(workload: Workload, verdict: str, keep: pd.Series | None = None) -> Effect:
    """The effect of removing the cause of one verdict altogether, without delay.

    `keep`: which of the workload's errors, a boolean column; where it is False the remedy changes nothing.
    """
    mine = workload.errors["verdict"] == verdict
    mine = mine if keep is None else mine & keep
    errors, starts = int(mine.sum()), workload.errors.loc[mine, "start_id"].nunique()
    return Effect((errors, errors), (starts, starts), (0.0, 0.0), (0.0, 0.0))


def _waits(starts: pd.DataFrame, moves_proxy: bool) -> tuple[np.ndarray, np.ndarray]:
    """At least and at most how long each start's application must wait for its proxy, in seconds; NaN: unknown."""
    low, high = (starts[f"window_{end}_s"].to_numpy(float) for end in ("lower", "upper"))
    if not moves_proxy:
        return low, high
    own_low = _seconds_between(starts["proxy_started_upper"], starts["proxy_ready_lower"])
    own_high = _seconds_between(starts["proxy_started_lower"], starts["proxy_ready_upper"])
    # Of two, fmax takes the one that is known.
    own_low, own_high = np.fmax(own_low, 0), np.fmax(own_high, high)
    return np.where(np.isnan(low), np.nan, own_low), np.where(np.isnan(high), np.nan, own_high)


def _seconds_between(first: pd.Series, last: pd.Series) -> np.ndarray:
    """From one time to the other, NaN where one of them is unknown."""
    return (last.to_numpy("datetime64[ns]") - first.to_numpy("datetime64[ns]")) / np.timedelta64(1, "s")


def _known(bounds: tuple[float, float]) -> tuple[float | None, float | None]:
    return UNKNOWN if np.isnan(bounds[0]) else bounds


def count(low: int, high: int, noun: str) -> str:
    """The number, or its bounds, with its noun.

    >>> count(1, 1, "start"), count(0, 2, "start")
    ('1 start', '0 to 2 starts')
    """
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} {noun}{'' if high == 1 and low == 1 else 's'}"


def _seconds(low: float, high: float) -> str:
    if np.isinf(high):
        return f"at least {low:.1f} s"
    return f"{ends(f'{low:.1f}', f'{high:.1f}', ' to ')} s"
