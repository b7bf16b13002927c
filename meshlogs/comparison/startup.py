"""What a remedy costs: how long a pod takes from being scheduled to its application's start, before and after."""

import numpy as np
import pandas as pd

from meshlogs.censoring import quantile_bounds

RESAMPLES = 999
SEED = 20_260_302
_SECOND = pd.Timedelta(1, "s")


def startup_cost(rows: pd.DataFrame) -> dict:
    """Medians before and after and their change, in seconds, each (at least, at most); None where unknown.

    The bounds are what the times' own intervals leave open. `change_lower` and `change_upper` add, by resampling
    bursts (B. Efron, Ann. Stat. 7 (1979) 1-26), what chance leaves open at 95 %.
    """
    lower = (rows["app_started_lower"] - rows["scheduled_upper"]) / _SECOND
    upper = (rows["app_started_upper"] - rows["scheduled_lower"]) / _SECOND
    took = rows.assign(lower=lower.clip(lower=0), upper=upper.clip(lower=0)).dropna(subset=["lower", "upper"])
    took = took[took["lower"] <= took["upper"]]
    sides = {name: took[took["after"] == flag] for name, flag in (("before", False), ("after", True))}
    medians = {name: _median(side) for name, side in sides.items()}
    answer = {f"median_{name}_{end}": value for name, pair in medians.items() for end, value in zip(
        ("lower", "upper"), pair, strict=True)}  # fmt: skip
    answer["starts"] = {name: len(side) for name, side in sides.items()}
    low, high = _change(sides)
    return answer | {"change_lower": low, "change_upper": high}


def _median(rows: pd.DataFrame) -> tuple[float | None, float | None]:
    if rows.empty:
        return None, None
    return quantile_bounds(rows["lower"], rows["upper"], 0.5)


def _change(sides: dict[str, pd.DataFrame]) -> tuple[float | None, float | None]:
    """The change of the median, with what the intervals and what chance leave open."""
    if any(side.empty for side in sides.values()):
        return None, None
    rng = np.random.default_rng(SEED)
    drawn = {name: _resampled(side, rng) for name, side in sides.items()}
    least = drawn["after"][0] - drawn["before"][1]
    most = drawn["after"][1] - drawn["before"][0]
    return float(np.quantile(least, 0.025)), float(np.quantile(most, 0.975))


def _resampled(rows: pd.DataFrame, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Medians of the lower and of the upper bounds, over draws of bursts with replacement."""
    burst = rows["burst"].astype("category").cat.codes.to_numpy()
    count = burst.max() + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)  # how often each burst is drawn
    return tuple(_weighted_medians(rows[end].to_numpy(float), drawn, burst) for end in ("lower", "upper"))


def _weighted_medians(values: np.ndarray, drawn: np.ndarray, burst: np.ndarray) -> np.ndarray:
    """The median of the values, each as often as its burst was drawn, for each row of `drawn`."""
    order = np.argsort(values, kind="stable")
    medians = np.empty(len(drawn))
    for at, times_drawn in enumerate(drawn):
        below = np.cumsum(times_drawn[burst[order]])
        medians[at] = values[order[np.searchsorted(below, below[-1] / 2)]]
    return medians
