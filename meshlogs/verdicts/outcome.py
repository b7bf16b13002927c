"""What became of each pod start, from its errors and its window."""

import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY, VALIDATION
from meshlogs.specs import MESH_CONTAINERS
from meshlogs.timelines import Known, gated
from meshlogs.verdicts import init_order
from meshlogs.verdicts.lessons import Lessons, lessons_of

# Why a start is undetermined; of a harmed or exposed one, what made its window.
REASONS = {
    "pod_unnamed": "the log names no pod: call its file POD.log, or write it with kubectl logs --prefix",
    "mesh_unknown": "nothing in the export says whether the pod has a proxy",
    "app_not_started": "no sign that the application ever ran: nothing could race",
    "image_pull": "the application never ran, an image could not be pulled: nothing could race",
    "sandbox_failed": "the application never ran, the pod's network could not be made: nothing could race",
    "cni_not_ready": "the application never ran, the CNI plug-in had not set the redirection up: nothing could race",
    "start_not_in_export": "the pod started before the export begins or after it ends, or its start is not in it",
    "no_proxy_evidence": "nothing in the export dates the proxy's readiness",
    "overlap": "the application's start and the proxy's readiness overlap within what the export can tell",
    "no_app_logs": "the application ran before its proxy was ready, and its logs of that time are not in the export",
    "undetermined_errors": "its refused connections are undetermined",
    "errors_undated": "its logs hold refused connections without any time: whether its proxy was the cause is open",
    "suspected_only": "its only failures do not state their cause",
    "proxy_image_pull": "the proxy's image was still being pulled while the application ran",
    "hold_failed": "the hook that should hold the application failed or timed out",
    "init_silent": "Vault's agent is behind the redirection, has not ended, and nothing it wrote is in the export",
    "init_running": "an init container has not ended; whether it hangs or is slow the export does not tell",
    "ambient": "a pod of the ambient mesh: its node's ztunnel carries its traffic",
}
# A program that starts writes its first line within this time.
FIRST_LINE = pd.Timedelta(5 * times.SECOND, "ns")
_NOT_STARTED = ("app_not_started", "image_pull", "sandbox_failed", "cni_not_ready", "init_running")
_NO_RACE = (*_NOT_STARTED, "start_not_in_export")
# A pull that takes longer than this is worth telling.
_SLOW_PULL = np.timedelta64(5 * times.SECOND, "ns")


def conclude(
    starts: pd.DataFrame,
    errors: pd.DataFrame,
    placed: pd.DataFrame,
    pods: pd.DataFrame | None = None,
    known: Known | None = None,
) -> pd.DataFrame:
    """The starts with `refused`, `outcome`, `reason` and `at_risk` filled in (`schema.STARTS`).

    At risk is every meshed start whose application started within the export, whatever protected it. Without
    `pods` an init container that hangs without a word is not found. `known` is what `timelines.reconstruct` was given,
    if it was.
    """
    pods = schema.empty(schema.PODS) if pods is None else pods
    signs = signs_of(starts, known or Known(placed, pods), pods, lessons_of(placed, pods))
    return concluded(starts, signs, errors)


def signs_of(starts: pd.DataFrame, known: Known, pods: pd.DataFrame, lessons: Lessons) -> pd.DataFrame:
    """What decides the outcome of each start besides its errors and its window: one row each, in their order.

    `waiting`: an init container has not ended; `hangs`: it is one that waits in vain, and says nothing; `why_not`: why
    the application did not start; `app_ran`; `begun`: the start itself is in the export; `gated`; `undated`: lines
    that report a refused connection without any time; `logs_reach_back`; `window_made_by`. `lessons` are those of the
    whole fleet.
    """
    starts = starts.set_index("start_id", drop=False).rename_axis(None)
    waiting = init_order.running(starts, known, pods)
    hangs = waiting["silent"].astype(bool) & (waiting["behind"] == "yes") & waiting["agent"].astype(bool)
    hangs &= waiting["all_redirected"].astype(bool)
    signs = {
        "waiting": starts.index.isin(waiting.index),
        "hangs": starts.index.isin(hangs.index[hangs]),
        "why_not": _why_not_started(starts, known),
        "app_ran": _app_ran(starts, known),
        "begun": known.births["seen"].reindex(starts.index) & ~_outside(starts, lessons),
        "gated": gated(starts, known),
        "undated": _undated(starts, known),
        "logs_reach_back": _logs_reach_back(starts, known, lessons),
        "window_made_by": _what_made_the_window(starts, known),
    }
    return pd.DataFrame(signs, index=starts.index).reset_index(drop=True)


def concluded(starts: pd.DataFrame, signs: pd.DataFrame, errors: pd.DataFrame) -> pd.DataFrame:
    """What `conclude` gives, from what `signs_of` says of these starts."""
    errors = joins.coded(errors[["start_id", "time", "verdict", "suspected"]], ["start_id"])
    starts = starts.set_index("start_id", drop=False).rename_axis(None)
    signs = signs.set_axis(starts.index)
    index = starts.index
    place, suspected = joins.standing(errors["start_id"], index), errors["suspected"].to_numpy(bool)
    raced, stalled, open_question = (
        (errors["verdict"] == verdict).to_numpy(bool) for verdict in ("startup_race", "init_race", "undetermined")
    )

    def has(marks: np.ndarray) -> np.ndarray:
        """Whether any of the marked errors is of each start."""
        return np.bincount(place[marks] + 1, minlength=len(index) + 1)[1:] > 0

    starts["refused"] = pd.array(np.bincount(place + 1, minlength=len(index) + 1)[1:], dtype="Int64")
    starts["refused_undated"] = signs["undated"].astype("Int64")
    starts["errors_first"] = joins.earliest_of(errors["time"], place, len(index)).array
    harmed = has(raced)
    meshed = starts["meshed"]
    started = starts["app_started_upper"].notna()
    why_not = signs["why_not"]
    seen = (
        starts["proxy_started_upper"].notna()
        | starts["proxy_ready_upper"].notna()
        | starts["proxy_ready_lower"].notna()
    )
    lower, upper = starts["window_lower_s"], starts["window_upper_s"]
    silent = lower.gt(0) & starts["has_app_logs"].astype(bool) & signs["logs_reach_back"]
    choices = [
        (starts["pod"].isna(), "undetermined", "pod_unnamed"),
        (meshed.eq(False), "not_meshed", None),
        (meshed.isna(), "undetermined", "mesh_unknown"),
        (harmed & has(raced & ~suspected), "harmed", None),
        (harmed, "harmed", "suspected_only"),
        (has(stalled) & ~signs["app_ran"], "init_stalled", None),
        (signs["hangs"] & ~started & (why_not == "app_not_started"), "init_stalled", "init_silent"),
        (~started & signs["waiting"], "undetermined", "init_running"),
        (~started, "undetermined", "app_not_started"),
        (~signs["begun"], "undetermined", "start_not_in_export"),
        (signs["gated"], "safe", None),
        (upper.eq(0), "safe", None),
        (~seen, "undetermined", "no_proxy_evidence"),
        (has(open_question), "undetermined", "undetermined_errors"),
        (lower.gt(0) & signs["undated"].gt(0), "undetermined", "errors_undated"),
        (silent, "exposed", None),
        (lower.gt(0), "undetermined", "no_app_logs"),
    ]
    masks = [
        np.asarray(mask.fillna(False) if isinstance(mask, pd.Series) else mask, dtype=bool) for mask, *_ in choices
    ]
    starts["outcome"] = np.select(masks, [outcome for _, outcome, _ in choices], "undetermined")
    reasons = np.select(masks, [reason or "" for *_, reason in choices], "overlap")
    reason = pd.Series(reasons, index=index, dtype=object).replace("", None)
    unstarted = reason.isin(["app_not_started", "init_running"]) & (why_not != "app_not_started")
    reason = reason.mask(unstarted, why_not)
    unprotected = starts["outcome"].isin(["harmed", "exposed"]) & reason.isna()
    reason = reason.mask(unprotected, signs["window_made_by"])
    starts["reason"] = reason.mask((starts["outcome"] == "not_meshed") & starts["ambient"].astype(bool), "ambient")
    no_race = starts["outcome"].isin(["init_stalled", "not_meshed"]) | starts["reason"].isin(_NO_RACE)
    starts["at_risk"] = starts["meshed"].eq(True).fillna(False) & ~no_race
    return schema.conform(starts.reset_index(drop=True), schema.STARTS, "starts")


def _undated(starts: pd.DataFrame, known: Known) -> np.ndarray:
    start = known.of("refused_undated")["start_id"]
    return joins.counted(start, np.ones(len(start), dtype=bool)).reindex(starts.index).to_numpy(int)


def _why_not_started(starts: pd.DataFrame, known: Known) -> pd.Series:
    def told(rows):
        return joins.among(starts.index, rows["start_id"])

    checks = known.of("container_died", "container_backoff")
    checks = checks[joins.is_one(checks["container"], [VALIDATION])]
    failed = checks[~joins.texts_of(checks["value"]).fillna("").str.endswith(" 0")]
    choices = {
        "cni_not_ready": told(known.of("redirection_missing")) | told(failed),
        "sandbox_failed": told(known.of("sandbox_failed")),
        "image_pull": told(known.of("pull_failed")),
    }
    return pd.Series(np.select(list(choices.values()), list(choices), "app_not_started"), starts.index, dtype=object)


def _what_made_the_window(starts: pd.DataFrame, known: Known) -> pd.Series:
    began, done, failed = (_of_proxy(known.of(kind)) for kind in ("pulling", "pulled", "pull_failed"))
    ended = times.stamps(joins.latest(done["time_lower"], done["start_id"]))
    slow = ended - times.stamps(joins.earliest(began["time_upper"], began["start_id"])) > _SLOW_PULL
    slow = pd.Series(slow, done["start_id"].dtype.categories).reindex(starts.index, fill_value=False)
    failed = joins.among(starts.index, failed["start_id"])
    held = joins.among(starts.index, known.of("hold_failed")["start_id"])
    words = np.select([held, failed | slow], ["hold_failed", "proxy_image_pull"], "")
    return pd.Series(words, starts.index, dtype=object).replace("", None)


def _of_proxy(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[joins.is_one(rows["container"], [PROXY])]


def _outside(starts: pd.DataFrame, lessons: Lessons) -> pd.Series:
    """Whether the application started before all log entries and events of its cluster, or after them.

    A list of pods holds many such: of their start there is nothing but what their status tells. For want of any of its
    cluster, or of the cluster's name, those of all clusters count.
    """
    cluster, seen = starts["cluster"].fillna(""), lessons.clusters.drop(index="", errors="ignore")
    whole = lessons.clusters["first_seen"].min(), lessons.clusters["last_seen"].max()
    first, last = (
        schema.lookup(cluster, seen[name]).fillna(end)
        for name, end in zip(("first_seen", "last_seen"), whole, strict=True)
    )
    return (starts["app_started_upper"] < first) | (starts["app_started_lower"] > last)


def _logs_reach_back(starts: pd.DataFrame, known: Known, lessons: Lessons) -> pd.Series:
    """Whether logs of a start's application, as exported, reach back to when it could have been refused.

    Those of its namespace began before; or its own before its proxy was open, or are without times: taken whole.
    """
    sites = ["cluster", "namespace"]
    begun = starts[sites].fillna("").merge(lessons.namespaces, on=sites, how="left", validate="many_to_one")
    logged = known.of("app_logged")
    own = logged[~joins.is_one(logged["container"], [*MESH_CONTAINERS])]
    first = joins.earliest(own["time_lower"], own["start_id"]).reindex(starts.index)
    before = begun["first_logged"].set_axis(starts.index) <= starts["app_started_upper"] + FIRST_LINE
    undated = joins.among(starts.index, own["start_id"][own["time_lower"].isna()])
    return before | (first <= starts["proxy_ready_upper"]) | undated


def _app_ran(starts: pd.DataFrame, known: Known) -> np.ndarray:
    start, container = known.facts["start_id"], known.facts["container"]
    ran = joins.is_one(known.facts["kind"], ["container_started", "app_logged", "container_died"])
    # Codes of the same texts: of each row's container, and of the application's of its start.
    app = container.dtype.categories.get_indexer(starts["app_container"])
    of_start = app[joins.standing(start, starts.index)]
    return joins.among(starts.index, start[ran & (of_start >= 0) & (of_start == container.array.codes)])
