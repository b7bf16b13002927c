"""Did the remedy take effect, and did it work: two judged exports, before and after.

| verdict | when |
|---|---|
| `worked` | the share of harmed starts fell, p < 5 % |
| `worse` | it rose, p < 5 % |
| `no_effect` | neither, and it is settled at 5 % that less than half of the harm was removed |
| `too_few` | none of these can be said; `more_starts` and `more_units` say what would be needed |

The error rates hold where rollouts (`comparison.units`) are independent; docs/COMPARE.md shows them measured.
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd

from meshlogs import schema
from meshlogs.censoring import wilson
from meshlogs.comparison import deployed, inference, units, words
from meshlogs.comparison.startup import startup_cost
from meshlogs.errors import InputError
from meshlogs.incidence import grouping

BY = ("namespace", "workload")
WORTH = 0.5  # a remedy worth having removes half of the harm


@dataclass(frozen=True)
class Comparison:
    """What `compare` found: `verdict`, a plain `sentence`, `facts` (JSON-like numbers), and tables.

    `groups`: starts and shares before and after by the asked columns; `effect`: how many of the starts before and
    after carried each sign of a remedy; `remarks`: what a reader should know, in sentences.
    """

    verdict: str
    sentence: str
    facts: dict
    groups: pd.DataFrame
    effect: pd.DataFrame
    remarks: tuple[str, ...]

    def as_json(self) -> str:
        """All of it as JSON; numbers that do not exist are null."""
        whole = {"verdict": self.verdict, "sentence": self.sentence, **self.facts}
        whole |= {"effect": _records(self.effect), "groups": _records(self.groups), "remarks": list(self.remarks)}
        return json.dumps(_plain(whole), indent=2, ensure_ascii=False, allow_nan=False)


def compare(before, after, *, by=BY) -> Comparison:
    """Whether a remedy took effect and worked, from the starts before and after it.

    `before` and `after` are fleets (`ml.analyse`), or folders that `meshlogs report --out` wrote. `by` names the
    columns of starts for the table `groups`. Starts that are in both count before only; `facts["in_both"]` counts them.
    Raises InputError for a folder without tables, ValueError for an unknown column.
    """
    old, old_pods = _tables(before)
    new, new_pods = _tables(after)
    by = grouping(by, old.columns)
    twice = _same(new, old)
    new = new[~twice]
    rows = units.with_units(
        pd.concat([units.at_risk(old).assign(after=False), units.at_risk(new).assign(after=True)], ignore_index=True)
    )
    effect = deployed.signs(old, old_pods, new, new_pods)
    took = deployed.took_effect(effect)
    cost = startup_cost(rows)
    facts = judge(rows) | {"took_effect": took, "startup_cost_s": cost, "in_both": int(twice.sum())}
    if len(twice) and twice.all():
        facts["reason"] = "same_starts"
    remarks = words.remarks(rows, facts, effect)
    return Comparison(
        facts["verdict"], words.sentence(facts), {k: v for k, v in facts.items() if k != "verdict"},
        _groups(rows, by), effect, remarks,
    )  # fmt: skip


def judge(rows: pd.DataFrame) -> dict:
    """The verdict, its reason and its numbers."""
    shared = rows[rows["shared"]]
    every = units.tally(shared)
    known = units.tally(shared[~shared["open"]])
    found, around = inference.shares(known), inference.spread(known)
    p, exact = inference.p_value(known) if not np.isnan(found.before) else (float("nan"), True)
    part = inference.removed(found, around)
    effect = inference.design_effect(known, found, around)
    side = {name: _side(shared[shared["after"] == flag], effect) for name, flag in (("before", False), ("after", True))}
    if around and part.part == 1:  # none left: how many there may be, the jackknife cannot tell
        least = 1 - side["after"]["ci_upper"] / found.before
        part = part._replace(lower=min(part.lower, least) if around.before else least)
    enough = inference.ways(known) >= inference.ENOUGH
    verdict, reason = _verdict(side, found, part, p if enough else None, _extremes(every))
    need = _needed(side, found, effect, known) if verdict == "too_few" else {"more_starts": 0, "more_units": 0}
    return {
        "verdict": verdict,
        "reason": reason,
        "alpha": inference.ALPHA,
        "p_value": p,
        "exact": exact,
        "unit": "rollout",
        "units": {name: int((known["after"] == flag).sum()) for name, flag in (("before", False), ("after", True))},
        "design_effect": effect,
        **side,
        "share_before": float(found.before),
        "share_after": float(found.after),
        "removed": float(part.part),
        "removed_lower": float(part.lower),
        "removed_upper": float(part.upper),
        "removed_at_most": float(part.at_most),
        **need,
    }


def _verdict(
    side: dict,
    found: inference.Shares,
    part: inference.Removed,
    p: float | None,
    extremes: tuple[float, float],
) -> tuple[str, str]:
    """(verdict, reason); `p` is None where there are too few rollouts for any p to be small.

    `extremes`: the least and the greatest change that undetermined starts leave possible.
    """
    if not side["before"]["at_risk"] or not side["after"]["at_risk"]:
        return "too_few", "no_starts"
    if np.isnan(found.before):
        return "too_few", "all_undetermined"
    if p is not None and p < inference.ALPHA:
        better = found.after < found.before
        if (better and extremes[1] >= 0) or (not better and extremes[0] <= 0):
            return "too_few", "undetermined"
        return ("worked", "fewer_harmed") if better else ("worse", "more_harmed")
    if not found.before:
        return "too_few", "no_harm_before"
    if p is None:
        return "too_few", "units"
    if part.at_most < WORTH:
        return "no_effect", "less_than_half_removed"
    return "too_few", "units" if np.isnan(part.upper) else "starts"


def _extremes(every: pd.DataFrame) -> tuple[float, float]:
    """The least and the greatest change of the share, as undetermined starts count as harmed on one side only."""
    changes = []
    for harmed_side in (False, True):
        open_too = every["open"].where(every["after"] == harmed_side, 0)
        found = inference.shares(every.assign(harmed=every["harmed"] + open_too))
        changes.append(found.after - found.before)
    return changes[0], changes[1]


def _side(rows: pd.DataFrame, effect: float) -> dict:
    """Counts of one side, its share with undetermined counted none and all, and the interval (Wilson, 95 %).

    The interval takes the starts for as many independent ones as the design effect leaves.
    """
    at_risk, harmed, open_ = len(rows), int(rows["harm"].sum()), int(rows["open"].sum())
    counts = {"at_risk": at_risk, "harmed": harmed, "undetermined": open_}
    if not at_risk:
        return counts | dict.fromkeys(("share_lower", "share_upper", "ci_lower", "ci_upper"), float("nan"))
    least, most = harmed / at_risk, (harmed + open_) / at_risk
    alike = at_risk / effect
    return counts | {
        "share_lower": least,
        "share_upper": most,
        "ci_lower": wilson(least * alike, alike)[0],
        "ci_upper": wilson(most * alike, alike)[1],
    }


def _needed(side: dict, found: inference.Shares, effect: float, known: pd.DataFrame) -> dict:
    """How many more starts and units after would tell a remedy that removes half of the harm."""
    held, more = side["before"]["at_risk"] - side["before"]["undetermined"], 0.0
    if found.before > 0:
        wanted = inference.starts_needed(found.before, found.before * (1 - WORTH), held, effect)
        more = max(wanted - (side["after"]["at_risk"] - side["after"]["undetermined"]), 0.0)
    return {"more_starts": more if np.isfinite(more) else None, "more_units": inference.units_needed(known)}


def _groups(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """One row per group and period, as `ml.plot_compare` draws it: most harmed before first.

    Columns: those of `by`, `group` (their values joined), `period` (before, after), `starts` (at risk), `harmed`,
    `undetermined`, `share_lower`, `share_upper`, `ci_lower`, `ci_upper` (Wilson, 95 %, starts taken for independent).
    """
    keys = rows[by].astype("str").fillna("")
    groups = keys.drop_duplicates().merge(pd.DataFrame({"period": ["before", "after"]}, dtype="str"), how="cross")
    period = rows["after"].map({False: "before", True: "after"}).astype("str")
    counts = keys.assign(period=period, starts=1, harmed=rows["harm"], undetermined=rows["open"])
    names = ["starts", "harmed", "undetermined"]
    counts = counts.groupby([*by, "period"])[names].sum().reset_index()
    table = groups.merge(counts, on=[*by, "period"], how="left", validate="one_to_one")
    table[names] = table[names].fillna(0).astype("int64")
    table.insert(len(by), "group", table[by].agg("/".join, axis=1) if len(table) else "")
    total, most = table["starts"].where(table["starts"] > 0), table["harmed"] + table["undetermined"]
    table["share_lower"], table["share_upper"] = table["harmed"] / total, most / total
    table["ci_lower"] = [wilson(x, n)[0] for x, n in zip(table["harmed"], table["starts"], strict=True)]
    table["ci_upper"] = [wilson(x, n)[1] for x, n in zip(most, table["starts"], strict=True)]
    worst = table.groupby("group")["harmed"].transform("sum")
    order = table.assign(worst=worst, later=table["period"] == "after")
    return order.sort_values(
        ["worst", *by, "later"], ascending=[False, *[True] * len(by), True], ignore_index=True
    ).drop(columns=["worst", "later"])


def _same(new: pd.DataFrame, old: pd.DataFrame) -> pd.Series:
    """Which starts of `new` are also in `old`: by pod uid, else by start_id and time."""
    by_uid = new["pod_uid"].notna() & new["pod_uid"].isin(old["pod_uid"].dropna())
    key = ["start_id", "app_started_upper"]
    pairs = pd.MultiIndex.from_frame(new[key]).isin(pd.MultiIndex.from_frame(old[key]))
    return by_uid | (new["pod_uid"].isna() & pairs)


def _tables(source) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(starts, pods) of a fleet or of a report's folder; pods are empty where there are none."""
    if hasattr(source, "starts"):
        return source.starts, source.pods
    starts = schema.load(source, "starts", schema.STARTS)
    try:
        return starts, schema.load(source, "pods", schema.PODS)
    except InputError:
        return starts, schema.empty(schema.PODS)


def _records(table: pd.DataFrame) -> list[dict]:
    return table.astype(object).to_dict("records")


def _plain(value):
    """The same without NaN and infinity, which JSON does not know, and without numpy's types."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    if isinstance(value, np.bool_ | np.integer):
        return value.item()
    return None if value is pd.NA else value
