"""How often pod starts raced: counts, shares with what the export leaves open, and window quantiles.

`tally` counts one shard's starts, `merge` adds counts, `finish` divides once. An incidence proportion
is harmed starts ÷ starts at risk. Undetermined starts at risk (`undetermined_at_risk`) count as none (`share_lower`)
and as all (`share_upper`) harmed; the confidence interval (Wilson, 95 %) runs from the lower end for the one to the
upper end for the other.
"""

from collections.abc import Iterable

import pandas as pd

from meshlogs import schema
from meshlogs.censoring import quantile, quantile_bounds, turnbull, wilson

BY = ("namespace", "workload")
# In which the application started, UTC; at the latest, where it is known to an interval (`app_started_upper`).
HOUR = "hour"
_ADDED = [
    "starts",
    "meshed",
    "at_risk",
    "harmed",
    "exposed",
    "safe",
    "init_stalled",
    "undetermined",
    "undetermined_at_risk",
    "errors",
]
_QUANTILES = {"p50": 0.5, "p90": 0.9, "max": 1.0}


def incidence_by(starts: pd.DataFrame, by=BY) -> pd.DataFrame:
    """Incidence of start-up races by these columns of the starts table, worst first.

    Columns: the grouping columns, then those of `schema.incidence`. Shares are proportions, 0 to 1;
    windows are seconds. `hour` is that of the application's start (`app_started_upper`), as 2026-03-02T09:00:00Z.
    Raises ValueError for a column by which starts cannot be grouped.
    """
    by = grouping(by, [*starts.columns, HOUR])
    counts = finish(merge([tally(starts, by)], by), by)
    table = counts.merge(_windows(starts, by), on=by, how="left", validate="one_to_one")
    table = table.sort_values(["harmed", "share_upper", *by], ascending=[False, False, *[True] * len(by)])
    return schema.conform(table.reset_index(drop=True), schema.incidence(by), "incidence")


def grouping(by=BY, columns: Iterable[str] = (*schema.STARTS.names, HOUR)) -> list[str]:
    """These columns to group starts by, each once. Raises ValueError, with those there are, for another one.

    >>> grouping("pod"), grouping(["pod", "node", "pod"])
    (['pod'], ['pod', 'node'])
    """
    by = list(dict.fromkeys([by] if isinstance(by, str) else by))
    known = [name for name in columns if name not in _ADDED]
    unknown = [name for name in by if name not in known]
    if unknown:
        raise ValueError(f"starts cannot be grouped by {unknown[0]!r}; they can by {', '.join(known)}")
    return by


def total(starts: pd.DataFrame) -> dict:
    """Counts, shares and confidence interval of all starts together, without their windows; empty for no start."""
    counts = finish(tally(starts.assign(all="all"), ["all"]), ["all"])
    return counts.iloc[0].to_dict() if len(counts) else {}


def tally(starts: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Counts of these starts by the grouping columns."""
    at_risk, outcome = starts["at_risk"].astype(bool), starts["outcome"]
    counts = pd.DataFrame(
        {
            "starts": 1,
            "meshed": starts["meshed"].eq(True).fillna(False).astype(int),
            "at_risk": at_risk.astype(int),
            **{
                word: (outcome == word).astype(int)
                for word in ("harmed", "exposed", "safe", "init_stalled", "undetermined")
            },
            "undetermined_at_risk": (at_risk & (outcome == "undetermined")).astype(int),
            "errors": starts["refused"].fillna(0).astype(int),
        },
        index=starts.index,
    )
    return counts.groupby(_keys(starts, by), sort=True).sum().reset_index()


def merge(tallies: list[pd.DataFrame], by: list[str]) -> pd.DataFrame:
    """The sum of tallies."""
    together = pd.concat(tallies, ignore_index=True)
    return together.groupby(by, sort=True)[_ADDED].sum().reset_index()


def finish(counts: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Shares and confidence intervals of merged counts."""
    harmed, at_risk = counts["harmed"], counts["at_risk"]
    most = harmed + counts["undetermined_at_risk"]
    total = at_risk.where(at_risk > 0)
    lower = [wilson(int(x), int(n))[0] for x, n in zip(harmed, at_risk, strict=True)]
    upper = [wilson(int(x), int(n))[1] for x, n in zip(most, at_risk, strict=True)]
    return counts.assign(
        share_lower=harmed / total, share_upper=most / total, ci_lower=lower, ci_upper=upper
    ).reset_index(drop=True)[[*by, *_ADDED, "share_lower", "share_upper", "ci_lower", "ci_upper"]]


def _keys(starts: pd.DataFrame, by: list[str]) -> list[pd.Series]:
    return [_key(starts, name).astype("str").fillna("").rename(name) for name in by]


def _key(starts: pd.DataFrame, name: str) -> pd.Series:
    if name == HOUR and HOUR not in starts:
        return starts["app_started_upper"].dt.strftime("%Y-%m-%dT%H:00:00Z")
    return starts[name]


def _windows(starts: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Quantiles of the race windows of each group: an estimate, and the bounds that the windows leave possible.

    The estimate is where Turnbull's distribution may first reach the quantile. It is never outside the bounds: that
    distribution is the average of one part for each start, which lies within the start's own window.
    """
    known = starts[starts["at_risk"].astype(bool) & starts["window_lower_s"].notna()]
    rows = []
    for key, group in known.groupby(_keys(known, by), sort=True):
        lower, upper = group["window_lower_s"].to_numpy(float), group["window_upper_s"].to_numpy(float)
        estimate = turnbull(lower, upper)
        row = dict(zip(by, key, strict=True))
        for name, q in _QUANTILES.items():
            low, high = quantile_bounds(lower, upper, q)
            likely = min(max(quantile(estimate, q)[0], low), high)  # it is between them but for rounding
            row |= {f"window_{name}_s": likely, f"window_{name}_lower_s": low, f"window_{name}_upper_s": high}
        rows.append(row)
    columns = [*by, *[name for name, _ in schema.QUANTILES]]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({**dict.fromkeys(by, "str"), **dict.fromkeys(columns[len(by) :], float)})
