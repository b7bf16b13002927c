"""Verdicts: why each connection was refused, and what became of each pod start.

A rule is a module that claims errors for its verdict, proven or likely, with a reason. `judge` asks
each rule in the order of `RULES`; a proven claim goes before a likely one, an earlier rule before a
later. What no rule claims is undetermined, with the reason `situation.unexplained` gives.
"""

import pandas as pd

from meshlogs import schema
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


def judge(placed: pd.DataFrame, starts: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """One row per refused connection (`schema.ERRORS`) with verdict, certainty and reason."""
    errors = situation.situate(placed, starts, pods)
    claims = {rule.VERDICT: rule.claims(errors) for rule in RULES}
    errors = _decide(errors, claims)
    bypassing = situation.learned_bypass(errors)
    if bypassing.any():
        errors = errors.assign(bypass=errors["bypass"] | bypassing)
        errors = _decide(errors, {rule.VERDICT: rule.claims(errors) for rule in RULES})
    errors = errors.assign(destination_host=errors["host"].fillna(errors["ip"]), destination_ip=errors["ip"])
    errors = errors.rename(columns={"value": "signature", "port": "destination_port"})
    errors = errors.assign(
        time=errors["time_upper"], attempt_lower=errors["time_lower"], attempt_upper=errors["time_upper"]
    )
    return schema.conform(errors.sort_values(_ORDER, kind="stable"), schema.ERRORS, "errors")


_ORDER = ["time", "start_id", "container", "insert_id", "message"]


def _decide(errors: pd.DataFrame, claims: dict[str, pd.DataFrame]) -> pd.DataFrame:
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
    return errors.assign(verdict=verdict, certainty=certainty, reason=reason)


__all__ = ["REASONS", "RULES", "conclude", "judge"]
