"""What became of each pod start, from its errors and its window."""

import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.timelines import gated, start_in_export

# Why a start is undetermined.
REASONS = {
    "mesh_unknown": "nothing in the export says whether the pod has a proxy",
    "app_not_started": "no sign that the application ever ran (image pull, scheduling, init): nothing could race",
    "start_not_in_export": "the pod started before the export begins, or its start is not in it",
    "no_proxy_evidence": "nothing in the export dates the proxy's readiness",
    "overlap": "the application's start and the proxy's readiness overlap within what the export can tell",
    "no_app_logs": "the application ran before its proxy was ready, and its logs of that time are not in the export",
    "undetermined_errors": "its refused connections are undetermined",
    "suspected_only": "its only failures do not state their cause",
}
# A program that starts writes its first line within this time.
FIRST_LINE = pd.Timedelta(5 * times.SECOND, "ns")
_NO_RACE = ("app_not_started", "start_not_in_export")


def conclude(starts: pd.DataFrame, errors: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    """The starts with `refused`, `outcome`, `reason` and `at_risk` filled in (`schema.STARTS`).

    At risk is every meshed start whose application started within the export, whatever protected it.
    """
    starts = starts.set_index("start_id", drop=False).rename_axis(None)
    count = errors.groupby("start_id").size()
    raced = errors[errors["verdict"] == "startup_race"]
    stated = raced[~raced["suspected"].astype(bool)]
    stalled = errors[errors["verdict"] == "init_race"]
    open_question = errors[errors["verdict"] == "undetermined"]
    starts["refused"] = count.reindex(starts.index).fillna(0).astype("Int64")
    starts["errors_first"] = errors.groupby("start_id")["time"].min().reindex(starts.index)
    index = starts.index
    harmed = index.isin(raced["start_id"])
    meshed = starts["meshed"]
    started = starts["app_started_upper"].notna()
    seen = (
        starts["proxy_started_upper"].notna()
        | starts["proxy_ready_upper"].notna()
        | starts["proxy_ready_lower"].notna()
    )
    begun = start_in_export(starts, placed)
    lower, upper = starts["window_lower_s"], starts["window_upper_s"]
    choices = [
        (meshed.eq(False), "not_meshed", None),
        (meshed.isna(), "undetermined", "mesh_unknown"),
        (harmed & index.isin(stated["start_id"]), "harmed", None),
        (harmed, "harmed", "suspected_only"),
        (index.isin(stalled["start_id"]) & ~_app_ran(starts, placed), "init_stalled", None),
        (~started, "undetermined", "app_not_started"),
        (~begun, "undetermined", "start_not_in_export"),
        (gated(starts, placed), "safe", None),
        (upper.eq(0), "safe", None),
        (~seen, "undetermined", "no_proxy_evidence"),
        (index.isin(open_question["start_id"]), "undetermined", "undetermined_errors"),
        (lower.gt(0) & starts["has_app_logs"].astype(bool) & _logs_reach_back(starts, placed), "exposed", None),
        (lower.gt(0), "undetermined", "no_app_logs"),
    ]
    masks = [
        np.asarray(mask.fillna(False) if isinstance(mask, pd.Series) else mask, dtype=bool) for mask, *_ in choices
    ]
    starts["outcome"] = np.select(masks, [outcome for _, outcome, _ in choices], "undetermined")
    reasons = np.select(masks, [reason or "" for *_, reason in choices], "overlap")
    starts["reason"] = pd.Series(reasons, index=index, dtype=object).replace("", None)
    no_race = starts["outcome"].isin(["init_stalled", "not_meshed"]) | starts["reason"].isin(_NO_RACE)
    starts["at_risk"] = starts["meshed"].eq(True).fillna(False) & ~no_race
    return schema.conform(starts.reset_index(drop=True), schema.STARTS, "starts")


def _logs_reach_back(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    """Whether the logs of a start's cluster, as exported, begin before its application could have been refused."""
    logged = placed[placed["kind"] == "app_logged"]
    first = logged["time_lower"].groupby(logged["cluster"].fillna("")).min()
    begun = schema.lookup(starts["cluster"].fillna(""), first)
    return begun <= starts["app_started_upper"] + FIRST_LINE


def _app_ran(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    ran = placed[placed["kind"].isin(["container_started", "app_logged", "container_died"])]
    app = schema.lookup(ran["start_id"], starts["app_container"])
    return starts["start_id"].isin(ran.loc[ran["container"] == app, "start_id"])
