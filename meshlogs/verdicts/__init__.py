"""Verdicts: why each connection was refused, and what became of each pod start.

A rule is a module that claims errors for its verdict, proven or likely, with a reason. `judge` asks
each rule in the order of `RULES`; a proven claim goes before a likely one, an earlier rule before a
later. What no rule claims is undetermined, with the reason `situation.unexplained` gives.

A large fleet is judged some pods at a time: `draft` and `signs_of` look at a part, `decide` and `concluded` at what
all parts came to; `judge` and `conclude` are both steps at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.timelines import Known
from meshlogs.verdicts import (
    init_race,
    lessons,
    local,
    no_sidecar,
    proxy_outage,
    shutdown_race,
    situation,
    startup_race,
    upstream,
)
from meshlogs.verdicts.outcome import conclude, concluded, signs_of

RULES = (no_sidecar, local, init_race, upstream, shutdown_race, startup_race, proxy_outage)

# Why an error stays undetermined, or why a verdict is only likely.
REASONS = {
    "pod_unnamed": "the log names no pod: call its file POD.log, or write it with kubectl logs --prefix",
    "container_unnamed": "the log names no container: that it is not an init container's is assumed",
    "mesh_unknown": "nothing in the export says whether the pod has a proxy",
    "no_proxy_evidence": "nothing in the export dates the proxy of this pod",
    "start_not_in_export": "the pod's start is not in the export, so its proxy may never or long since have been ready",
    "first_start_assumed": "nothing dates the pod itself: that this is its proxy's first start is assumed",
    "contradiction": "refused, redirected, and the proxy was up: an unseen proxy death, wrong rules or a late report",
    "destination_unstated": "the text names no destination, so it is unknown whether it was redirected",
    "destination_unresolved": "the text names a host, the pod excludes address ranges: was it redirected?",
    "port_unstated": "the text names no port, the pod excludes ports: unknown whether it was redirected",
    "metadata_server": "the metadata server: often excluded from the mesh, and slow on new pods by itself",
    "redirection_assumed": "no pod spec shows the rules: that the destination was redirected is the mesh's default",
    "overlap": "between the last proof that the proxy was closed and the first that it was open",
    "reported_late": "the program reports a failure some time after it; the time of the connect is an interval",
    "death_not_seen": "the proxy's restart is in the export, its end is not",
    "ready_not_seen": "the proxy lived long enough to have been ready; no sign of it is in the export",
    "stop_not_seen": "the pod was being stopped; when its proxy left is not in the export",
    "never_ready": "the proxy is nowhere seen ready in this export",
    "suspected": "the text says that connecting failed, not why",
    "ambient": "a pod of the ambient mesh: no proxy of its own, its node's ztunnel carries its traffic",
    "other_mesh": "the pod has the proxy of another mesh, which may have refused it",
    "no_pod_spec": "no pod spec in the export",
}


class Draft(NamedTuple):
    """Failures before other pods have told what they know of the same destinations: what `decide` takes.

    `errors`: `schema.ERRORS` without the verdict, coded, with `target` (destination and port) and `situation`, the
    number of a row of `situations`, in which all that a verdict depends on stands once.
    """

    errors: pd.DataFrame
    situations: pd.DataFrame


def judge(placed: pd.DataFrame, starts: pd.DataFrame, pods: pd.DataFrame, known: Known | None = None) -> pd.DataFrame:
    """One row per refused connection (`schema.ERRORS`) with verdict, certainty and reason.

    `known` is what `timelines.reconstruct` was given, if it was.
    """
    told = lessons.lessons_of(placed, pods)
    judged = decide([draft(placed, starts, known or Known(placed, pods), told)], told)
    return schema.conform(judged, schema.ERRORS, "errors")


def draft(placed: pd.DataFrame, starts: pd.DataFrame, known: Known, told: lessons.Lessons) -> Draft:
    """The failures among some of a fleet's placed evidence; `told` are the lessons of all of it."""
    errors = situation.situate(placed, starts, known, told)
    situations, which = joins.questions(errors, _SITUATION)
    # Few rows: their words need no categories.
    coded = [name for name in situations if joins.is_coded(situations[name])]
    situations = situations.assign(**{name: situations[name].astype(object) for name in coded})
    narrow = errors[["row", *_OF_FAILURE]].assign(situation=which.astype("int32"))
    del errors  # it is wide
    return Draft(_table(narrow, placed), situations)


_OF_FAILURE = ["destination", "ip", "target", "workload", "suspected"]


def _table(errors: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    """The failures with what their rows of evidence say."""
    told = placed.take(errors["row"]).rename(columns={"time_lower": "attempt_lower", "time_upper": "attempt_upper"})
    errors = errors.set_axis(told.index)
    table = told.assign(
        time=told["attempt_upper"],
        signature=told["value"],
        destination_host=errors["destination"],
        destination_ip=errors["ip"],
        destination_port=told["port"],
        suspected=errors["suspected"].astype("boolean"),
        **{name: errors[name] for name in ("workload", "target", "situation")},
    )
    return table[[*_UNDECIDED, "target", "situation"]].reset_index(drop=True)


# What a verdict says; all that it depends on; what may be learned of other failures to the same destination.
_VERDICT = ("verdict", "certainty", "reason")
_UNDECIDED = [name for name in schema.ERRORS.names if name not in _VERDICT]
_DEPENDS_ON = {name for rule in RULES for name in rule.NEEDS} | {*situation.UNEXPLAINED, "suspected"}
_SITUATION = sorted(
    (_DEPENDS_ON - {"assumption_holds", "carried"})
    | {"guessed", "clear", "settled", "excludes", "alone", "has_proxy_logs", "later_unexplained"}
)


def decide(drafts: Sequence[Draft], told: lessons.Lessons) -> pd.DataFrame:
    """The errors by time with verdict, certainty and reason, coded, from the drafts of a fleet and its lessons.

    Each different situation is judged once. The drafts' errors are emptied, so that all is never there twice.
    """
    errors, situations = _together(drafts)
    holds = lessons.assumption_holds(errors, situations, told)
    nothing = np.zeros(len(errors), dtype=bool)
    verdict = _judged(errors, situations, holds, nothing, nothing)
    bypassing, carried = lessons.learned(errors, situations, verdict["verdict"])
    if bypassing.any() or carried.any():
        verdict = _judged(errors, situations, holds, bypassing, carried)
    errors = errors.drop(columns=["target", "situation"]).assign(**verdict)
    order = joins.ordered(errors, ["time", "start_id", "container", "insert_id", "message"], cheap=3)
    return joins.reordered(errors, order)[schema.ERRORS.names]


def _together(drafts: Sequence[Draft]) -> Draft:
    if len(drafts) == 1:
        return drafts[0]
    before = np.cumsum([0, *(len(one.situations) for one in drafts[:-1])])
    for one, first in zip(drafts, before, strict=True):
        one.errors["situation"] += first
    errors = joins.stacked([one.errors for one in drafts], emptied=True)
    return Draft(errors, pd.concat([one.situations for one in drafts], ignore_index=True))


def _judged(
    errors: pd.DataFrame, situations: pd.DataFrame, holds: np.ndarray, bypassing: np.ndarray, carried: np.ndarray
) -> dict[str, pd.Categorical]:
    """Verdict, certainty and reason of each error, by its situation and what was learned."""
    cases = {"situation": errors["situation"], "holds": holds, "bypassing": bypassing, "carried": carried}
    cases = pd.DataFrame(cases)
    cases, which = joins.questions(cases, list(cases))
    rows = situations.take(cases["situation"]).reset_index(drop=True)
    rows = rows.assign(bypass=rows["bypass"] | cases["bypassing"], carried=cases["carried"])
    rows = rows.assign(assumption_holds=cases["holds"])
    claimed = _claimed(rows)
    return {name: pd.Categorical(claimed[name]).take(which) for name in _VERDICT}


def _claimed(errors: pd.DataFrame) -> pd.DataFrame:
    claims = {rule.VERDICT: rule.claims(errors) for rule in RULES}
    verdict = pd.Series("undetermined", index=errors.index, dtype=object)
    certainty = pd.Series(None, index=errors.index, dtype=object)
    reason = situation.unexplained(errors)
    for wanted in ("proven", "likely"):
        for name, claim in claims.items():
            taken = (verdict == "undetermined") & (claim["certainty"] == wanted)
            verdict[taken], certainty[taken], reason[taken] = name, wanted, claim["reason"][taken]
    # A text that does not state the cause proves nothing.
    weak = errors["suspected"] & (certainty == "proven")
    certainty[weak], reason[weak] = "likely", "suspected"
    return pd.DataFrame({"verdict": verdict, "certainty": certainty, "reason": reason})


__all__ = ["REASONS", "RULES", "Draft", "conclude", "concluded", "decide", "draft", "judge", "signs_of"]
