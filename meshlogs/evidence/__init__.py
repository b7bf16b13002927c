"""Dated facts about pods, each with the entry, file and line it came from.

`extract` turns the canonical tables of one or many files into rows of `schema.EVIDENCE`. It looks at
one row at a time, so it works on one shard as on all of them; what it cannot know from a single row
(which start, which version) is left to `meshlogs.timelines`.
"""

from __future__ import annotations

from meshlogs import schema
from meshlogs.evidence import connected, lifecycle, presence, proxy, refused
from meshlogs.evidence.refused import grouped
from meshlogs.later import Later

pd = Later("pandas")

KINDS = {
    "scheduled": "the pod was bound to its node",
    "initialized": "all init containers had finished",
    "pulling": "an image pull began",
    "pulled": "an image was there",
    "pull_failed": "an image pull failed",
    "sandbox_failed": "the pod's network or sandbox could not be made",
    "container_created": "a container was created",
    "container_started": "a container was started; value is the restart number where known",
    "container_died": "a container ended; value is its reason",
    "container_backoff": "a container had crashed and waited for its restart",
    "container_killing": "the kubelet stopped a container; value: stop, restart or post_start",
    "pod_stopping": "the pod was being deleted or evicted",
    "hold_failed": "the hook that holds the application failed or timed out",
    "pod_ready": "the pod was Ready, which includes its proxy",
    "probe_failed": "a probe of the proxy failed; value: refused, 503, timeout or other",
    "redirection_missing": "the check of the redirection failed: the CNI plug-in had not set it up",
    "pod_address": "the pod's own address; value is the address",
    "proxy_version": "the proxy stated its version, or its image did",
    "proxy_process": "the proxy's agent or Envoy was starting: outbound was closed",
    "proxy_closed": "outbound connections were not accepted",
    "proxy_not_ready": "the proxy called itself not ready, which does not say whether outbound was open",
    "proxy_open": "outbound connections were accepted",
    "proxy_draining": "the proxy was told to stop",
    "proxy_exited": "Envoy had ended; value: normal, killed or error",
    "app_logged": "a container wrote a log line (first and last of each hour)",
    "connected": "a program reported a connection that was made, and to where",
    "refused": "a program reported a refused connection",
    "suspected": "a program reported a failed connection without the cause",
    "upstream_refused": "the proxy reported that the destination refused it",
    "refused_undated": "a program reported a refused connection in a line without any time",
    "refused_context": "a line that may belong to a reported failure",
}

EXTRACTORS = (refused.extract, refused.undated, connected.from_logs, proxy.from_logs, presence.from_logs)


def extract(log_entries: pd.DataFrame, events: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """All evidence in these canonical tables, as rows of `schema.EVIDENCE`, in no particular order."""
    steps = [(step, log_entries) for step in EXTRACTORS]
    steps += [(lifecycle.from_events, events), (proxy.from_events, events)]
    steps += [(lifecycle.from_pods, pods), (proxy.from_pods, pods)]
    parts = [step(rows) for step, rows in steps if len(rows)]
    parts = [part for part in parts if len(part)]
    return pd.concat(parts, ignore_index=True) if parts else schema.empty(schema.EVIDENCE)


__all__ = ["EXTRACTORS", "KINDS", "extract", "grouped"]
