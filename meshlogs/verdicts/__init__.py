"""Verdicts: why each connection was refused, and what became of each pod start.

A rule is a module that claims errors for its verdict, proven or likely, with a reason. `judge` asks
each rule in the order of `RULES`; a proven claim goes before a likely one, an earlier rule before a
later. What no rule claims is undetermined, with the reason `situation.unexplained` gives.
"""

import pandas as pd

from meshlogs import joins, schema
from meshlogs.timelines import Known
from meshlogs.verdicts import (
    init_race,
    local,
    no_sidecar,
    proxy_outage,
    shutdown_race,
    situation,
    startup_race,
    upstream,
)
from meshlogs.verdicts.outcome import conclude

RULES = (no_sidecar, local, init_race, upstream, shutdown_race, startup_race, proxy_outage)

# Why an error stays undetermined, or why a verdict is only likely.
REASONS = {
    "mesh_unknown": "nothing in the export says whether the pod has a proxy",
    "no_proxy_evidence": "nothing in the export dates the proxy of this pod",
    "start_not_in_export": "the pod's start is not in the export, so its proxy may never or long since have been ready",
    "contradiction": "refused, redirected, and the proxy was up: an unseen proxy death, wrong rules or a late report",
    "destination_unstated": "the text names no destination, so it is unknown whether it was redirected",
    "destination_unresolved": "the text names a host, the pod excludes address ranges: was it redirected?",
    "port_unstated": "the text names no port, the pod excludes ports: unknown whether it was redirected",
    "metadata_server": "the metadata server: often excluded from the mesh, and slow on new pods by itself",
    "redirection_assumed": "no pod spec: that the destination was redirected is the mesh's default, not known",
    "overlap": "between the last proof that the proxy was closed and the first that it was open",
    "reported_late": "the program reports a failure some time after it; the time of the connect is an interval",
    "death_not_seen": "the proxy's restart is in the export, its end is not",
    "ready_not_seen": "the proxy lived long enough to have been ready; no sign of it is in the export",
    "stop_not_seen": "the pod was being stopped; when its proxy left is not in the export",
    "never_ready": "the proxy is nowhere seen ready in this export",
    "suspected": "the text says that connecting failed, not why",
    "ambient": "a pod of the ambient mesh: no proxy of its own, its node's ztunnel carries its traffic",
    "no_pod_spec": "no pod spec in the export",
}


def judge(placed: pd.DataFrame, starts: pd.DataFrame, pods: pd.DataFrame, known: Known | None = None) -> pd.DataFrame:
    """One row per refused connection (`schema.ERRORS`) with verdict, certainty and reason.

    `known` is what `timelines.reconstruct` was given, if it was.
    """
    return schema.conform(judged(placed, starts, pods, known), schema.ERRORS, "errors")


def judged(placed: pd.DataFrame, starts: pd.DataFrame, pods: pd.DataFrame, known: Known | None = None) -> pd.DataFrame:
    """What `judge` gives, with the texts that rows share as categories: a quarter of its memory."""
    errors = situation.situate(placed, starts, pods, known)
    errors = errors.assign(**_decide(errors))
    bypassing = situation.learned_bypass(errors)
    if bypassing.any():
        errors = errors.assign(bypass=errors["bypass"] | bypassing)
        errors = errors.assign(**_decide(errors))
    narrow = errors[_JUDGED]
    del errors  # it is wide
    return _table(narrow, placed)


_JUDGED = ["row", "destination", "ip", "workload", "suspected", "verdict", "certainty", "reason"]


def _table(errors: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    """The errors in their order, with what their rows of evidence say besides."""
    keys = ["time_upper", "start_id", "container", "insert_id", "message"]
    order = joins.ordered(placed[keys].take(errors["row"]), keys, cheap=3)
    errors = errors.take(order)
    told = placed.take(errors["row"]).rename(columns={"time_lower": "attempt_lower", "time_upper": "attempt_upper"})
    narrow = errors[_JUDGED[3:]].set_axis(told.index)
    table = told.assign(
        time=told["attempt_upper"],
        signature=told["value"],
        destination_host=errors["destination"].array,
        destination_ip=errors["ip"].array,
        destination_port=told["port"],
        **narrow.assign(suspected=narrow["suspected"].astype("boolean")),
    )
    return table[schema.ERRORS.names].reset_index(drop=True)


# All that a verdict depends on.
_SITUATION = {name for rule in RULES for name in rule.NEEDS} | {*situation.UNEXPLAINED, "suspected"}


def _decide(errors: pd.DataFrame) -> dict[str, pd.Categorical]:
    """Verdict, certainty and reason of each error; each different situation is judged once."""
    columns = sorted(_SITUATION)
    situations, which = joins.questions(errors, columns)
    judged = _claimed(situations.astype({name: object for name in columns if joins.is_coded(situations[name])}))
    return {name: pd.Categorical(judged[name]).take(which) for name in judged}


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


__all__ = ["REASONS", "RULES", "conclude", "judge", "judged"]
