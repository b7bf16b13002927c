"""Starts at risk before and after, and the units that may be taken for independent: rollouts.

Pods of one rollout share image, configuration, nodes and the state of the control plane: they race together or not at
all. A unit is all starts of one workload's revision (a rollout), however far apart they are. Those that followed each
other within a minute (a burst) share less: what a remedy costs in start-up time is resampled by them, no more.
"""

import pandas as pd

from meshlogs import times

STRATUM = ["cluster", "namespace", "workload"]
HARMED = ("harmed", "init_stalled")
BURST = pd.Timedelta(60 * times.SECOND, "ns")


def at_risk(starts: pd.DataFrame) -> pd.DataFrame:
    """The starts that a remedy could have saved: at risk of the start-up race, or stalled in Init.

    Adds `harm` (harmed or stalled) and `open` (undetermined): booleans.
    """
    rows = starts[starts["at_risk"].fillna(False).astype(bool) | (starts["outcome"] == "init_stalled")]
    return rows.assign(harm=rows["outcome"].isin(HARMED), open=rows["outcome"] == "undetermined")


def with_units(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of both sides with `stratum` (the workload), `rollout` and `burst`.

    `rows` have a column `after` (boolean). Where no workload is on both sides, the whole fleet is one stratum.
    """
    names = pd.Series("", index=rows.index)
    for column in STRATUM:
        names = names + rows[column].fillna("").astype(str) + "\x1f"
    both = set(names[rows["after"]]) & set(names[~rows["after"]])
    side = rows["after"].map({False: "before", True: "after"}).astype(str)
    rollout = names + "\x1f" + side + "\x1f" + rows["revision"].fillna("")
    rows = rows.assign(stratum=names if both else "", shared=names.isin(both) if both else True, rollout=rollout)
    return rows.assign(burst=_bursts(rows))


def _bursts(rows: pd.DataFrame) -> pd.Series:
    """The burst of each start: the rollout and the number of the burst in it; undated starts are one."""
    stamp = rows["scheduled_lower"].fillna(rows["app_started_lower"]).fillna(rows["app_started_upper"])
    stamp = stamp.fillna(rows["proxy_started_lower"])
    order = pd.DataFrame({"rollout": rows["rollout"], "at": stamp}).sort_values(["rollout", "at"], kind="stable")
    new = order.groupby("rollout", sort=False)["at"].diff() > BURST
    number = new.groupby(order["rollout"], sort=False).cumsum().astype(int).astype(str)
    number = number.where(order["at"].notna(), "undated")
    return rows["rollout"] + "\x1f" + number.reindex(rows.index)


def tally(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per rollout: `stratum, after, starts, harmed, open`, sorted."""
    counts = rows.assign(starts=1).groupby(["stratum", "after", "rollout"], sort=True)[["starts", "harm", "open"]].sum()
    counts = counts.rename(columns={"harm": "harmed"}).reset_index()
    return counts[["stratum", "after", "starts", "harmed", "open"]].astype({"harmed": int, "open": int})
