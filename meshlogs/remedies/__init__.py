"""What to change: for each workload which remedy applies, which is blocked and why, and the patch.

A remedy is a module with `REMEDY`, `TREATS` (the verdicts it removes), `WHEN`, `TRAPS` (with their sources),
`CHECK`, `SOURCES`, and `advise(workload) -> Advice` (None where it does not matter). Nothing is ever applied.
"""

import pandas as pd

from meshlogs import schema
from meshlogs.progress import progress
from meshlogs.remedies import (
    agent_init_first,
    drain,
    exclude_outbound,
    exclude_ports,
    hold_application,
    native_sidecar,
    proxy_resources,
    retry_backoff,
    wait_for_proxy,
)
from meshlogs.remedies.advice import Advice
from meshlogs.remedies.workloads import KINDS, Workload, workloads

REMEDIES = (
    hold_application,
    native_sidecar,
    wait_for_proxy,
    agent_init_first,
    exclude_outbound,
    exclude_ports,
    proxy_resources,
    drain,
    retry_backoff,
)


def advise(
    starts: pd.DataFrame, errors: pd.DataFrame, pods: pd.DataFrame, evidence: pd.DataFrame | None = None
) -> pd.DataFrame:
    """One row per workload with a harm, and remedy that treats it (`schema.REMEDIES`), those that apply first.

    `evidence` is the placed evidence; without it, failed hooks, ends of proxies and stops are unknown.
    """
    rows, found = [], workloads(starts, errors, pods, evidence)
    with progress(len(found), "finding remedies", unit="workloads") as done:
        for workload in found:
            for remedy in REMEDIES:
                treated = [verdict for verdict in remedy.TREATS if workload.harmed_starts[verdict]]
                advice = remedy.advise(workload) if treated else None
                if advice:
                    rows.append(_row(workload, remedy, treated, advice))
            done(1)
    table = schema.conform(rows, schema.REMEDIES, "remedies")
    blocked = table.assign(blocked=table["blocked_by"].notna())
    keys = ["namespace", "workload", "cluster", "blocked"]
    return blocked.sort_values(keys, kind="stable", ignore_index=True).drop(columns="blocked")


def _row(workload: Workload, remedy, treated: list[str], advice: Advice) -> dict:
    return {
        "workload": workload.name,
        "namespace": workload.namespace,
        "cluster": workload.cluster,
        "remedy": remedy.REMEDY,
        "applies": not advice.blocked,
        "why": advice.why,
        "blocked_by": advice.blocked,
        "expected_effect": advice.effect_text or advice.effect.text(),
        "treats": ", ".join(treated),
        "traps": "; ".join(advice.traps) or None,
        "check": remedy.CHECK,
        "cites": ", ".join(remedy.SOURCES),
        **advice.effect.columns(),
        **advice.files,
    }


__all__ = ["KINDS", "REMEDIES", "Advice", "advise"]
