"""What a remedy would have saved and cost, from the windows measured: bounds, never a midpoint."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from meshlogs.censoring import quantile_bounds
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
        if not self.errors[1] and self.starts[1]:
            saved = f"would have let {count(*self.starts, 'start')} out of Init"
        elif not self.errors[1]:
            saved = "would have prevented none of its refused connections"
        if None in self.delay_p50 or None in self.delay_p90:
            return saved
        if self.delay_p90 == (0, 0):
            return f"{saved}; it delays nothing"
        later = f"{saved}; the application would have started later by {_seconds(*self.delay_p50)}"
        if self.delay_p50 == self.delay_p90:
            return later
        return f"{later} in the median, by {_seconds(*self.delay_p90)} in nine of ten starts"


def of_gate(
    workload: Workload, *, limit_s: float = np.inf, step_s: float, moves_proxy: bool, also: tuple[str, ...] = ()
) -> Effect:
    """The effect of letting the application start only behind an open proxy.

    `limit_s`: how long the gate holds at most; `step_s`: how far apart it looks, which adds to the delay;
    `moves_proxy`: the proxy starts before the application instead of after it, so that what remains to wait for
    is the proxy's own start-up (at least), and no longer than the whole window (at most); `also`: other verdicts whose
    causes the remedy removes altogether.
    """
    refused, at = workload.refused
    need_low, need_high = _waits(workload.starts, moves_proxy)
    known = at >= 0
    sure = known & (need_high[at] <= limit_s)
    possible = ~known | ~(need_low[at] > limit_s)
    other, harmed, silent = _ended(workload, workload.errors["verdict"].isin(also), stalled="init_race" in also)
    name = np.where(known, workload.starts["start_id"].to_numpy(object)[at], at)
    delayed = workload.ungated & ~np.isnan(need_low) & ~np.isnan(need_high)
    low, high = need_low[delayed], need_high[delayed] + step_s
    delays = low.clip(max=limit_s), high.clip(max=limit_s + step_s)
    return Effect(
        (int(refused[sure].sum()) + other, int(refused[possible].sum()) + other),
        (len({*name[sure], *harmed}), len({*name[possible], *harmed, *silent})),
        _known(quantile_bounds(*delays, 0.5)),
        _known(quantile_bounds(*delays, 0.9)),
    )


def of_verdict(workload: Workload, verdict: str, keep: pd.Series | None = None) -> Effect:
    """The effect of removing the cause of one verdict altogether, without delay.

    `keep`: which of the workload's errors, a boolean column; where it is False the remedy changes nothing.
    """
    mine = workload.errors["verdict"] == verdict
    return of_errors(workload, mine if keep is None else mine & keep, stalled=verdict == "init_race")


def of_errors(workload: Workload, sure: pd.Series, maybe: pd.Series | None = None, *, stalled: bool = False) -> Effect:
    """The effect of preventing these of the workload's errors, and perhaps those, without delay: boolean columns.

    A start counts once, however many errors and verdicts it has. `stalled`: starts that hang in Init though no refused
    connection of theirs is in the export may be let through, too (at most).
    """
    least, harmed, silent = _ended(workload, sure, stalled=stalled)
    most, perhaps, _ = _ended(workload, sure if maybe is None else sure | maybe, stalled=False)
    return Effect((least, most), (len(harmed), len(perhaps | silent)), (0.0, 0.0), (0.0, 0.0))


def _ended(workload: Workload, mine: pd.Series, *, stalled: bool) -> tuple[int, set, set]:
    """How many errors these are, their starts, and those stalled in Init without an error (none unless `stalled`)."""
    starts = workload.starts
    silent = set(starts.loc[starts["outcome"] == "init_stalled", "start_id"]) if stalled else set()
    told = set(workload.errors.loc[workload.errors["verdict"] == "init_race", "start_id"]) if silent else set()
    return int(mine.sum()), set(workload.errors.loc[mine, "start_id"]), silent - told


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
