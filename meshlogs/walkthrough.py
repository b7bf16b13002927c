"""One pod's story in plain text: its start, its window, each refusal, the evidence, the remedy."""

import numpy as np
import pandas as pd

from meshlogs import coverage, times, verdicts
from meshlogs.evidence.refused import FAILURES
from meshlogs.pipeline import Fleet
from meshlogs.remedies.workloads import PLACE
from meshlogs.text import clean
from meshlogs.verdicts import outcome as outcomes

_OUTCOMES = {
    "harmed": "was harmed: connections were refused because its proxy did not yet listen",
    "exposed": "was exposed: the application ran before its proxy was ready, and was not refused",
    "safe": "was safe: the application started only after its proxy was ready",
    "init_stalled": "stalled in Init: an init container cannot get past the redirection",
    "not_meshed": "has no proxy: the mesh has no part in its failures",
    "undetermined": "is undetermined",
}
_CLAIMS = {rule.VERDICT: rule.__doc__.strip().splitlines()[0] for rule in verdicts.RULES}
# What to show of a pod's evidence; ordinary log presence is left out.
_QUIET = ("app_logged", "refused_context", "refused_undated", "proxy_version")


def explain(fleet: Fleet, pod: str, *, limit: int = 40) -> str:
    """The story of every start of a pod, as text for a terminal; control characters are made visible.

    `limit` caps the evidence and error lines of each start. Raises UnknownPodError.
    """
    starts = fleet.start_of(pod)
    return "\n\n".join([*(_story(fleet, start, limit) for _, start in starts.iterrows()), *_unnamed(fleet, starts)])


def _story(fleet: Fleet, start: pd.Series, limit: int) -> str:
    errors = fleet.errors_of([start["start_id"]])
    lines = [
        f"{clean(start['start_id'])}",
        "  " + _identity(start),
        "",
        f"  This start {_OUTCOMES[start['outcome']]}{_because(start['reason'], outcomes.REASONS)}.",
        "",
        *_timeline(start),
        "",
        *_refusals(errors, limit),
        "",
        *_evidence(fleet, start, limit),
        "",
        *_remedy(fleet, start),
        *_settle(fleet, start, errors),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _unnamed(fleet: Fleet, shown: pd.DataFrame) -> list[str]:
    """That other refused connections in the export may be the pod's, too."""
    logs = fleet.starts[(fleet.starts["reason"] == "pod_unnamed") & ~fleet.starts["start_id"].isin(shown["start_id"])]
    if logs.empty:
        return []
    names = clean(", ".join(logs["start_id"].head(5)), 300)
    return [f"Logs that name no pod: {names}. One that is this pod's: give it as a file, not within a folder.\n"]


def _settle(fleet: Fleet, start: pd.Series, errors: pd.DataFrame) -> list[str]:
    """The queries that would decide what is undetermined."""
    rows = coverage.settle(fleet.starts[fleet.starts["start_id"] == start["start_id"]], errors)
    lines = [f"    {clean(row.query, 1_000)}" for row in rows.drop_duplicates("query").itertuples()]
    return ["", "  What would settle it", *lines] if lines else []


def _identity(start: pd.Series) -> str:
    parts = [
        f"workload {clean(start['workload'])} ({clean(start['controller'])})",
        f"injection {start['injection']}",
        f"proxy {clean(start['proxy_version'])}"
        if isinstance(start["proxy_version"], str)
        else "proxy version unknown",
        "held" if start["hold"] is True else "not held" if start["hold"] is False else "hold unknown",
    ]
    sources = ("app_logs", "proxy_logs", "events", "pod_spec")
    absent = [name.replace("_", " ") for name in sources if not start[f"has_{name}"]]
    return ", ".join(parts) + (f"; missing: {', '.join(absent)}" if absent else "")


def _because(reason, words: dict[str, str]) -> str:
    return f", because {words.get(reason, reason)}" if isinstance(reason, str) else ""


def _timeline(start: pd.Series) -> list[str]:
    lines = ["  Timeline (UTC; two times: the earliest and the latest it can have been)"]
    for label, name in (
        ("scheduled", "scheduled"),
        (f"app {clean(start['app_container'])} started", "app_started"),
        ("proxy started", "proxy_started"),
        ("proxy ready", "proxy_ready"),
    ):
        lower, upper = start[f"{name}_lower"], start[f"{name}_upper"]
        lines.append(f"    {label:32} {_interval(lower, upper)}")
    low, high = start["window_lower_s"], start["window_upper_s"]
    if not pd.isna(low):
        most = "no upper bound in this export" if np.isinf(high) else f"at most {high:.3f} s"
        lines.append(f"    {'race window':32} at least {low:.3f} s, {most}")
    return lines


def _interval(lower, upper) -> str:
    if pd.isna(lower) and pd.isna(upper):
        return "not in this export"
    if pd.isna(lower):
        return f"by {times.text(upper.value)}"
    if pd.isna(upper):
        return f"after {times.text(lower.value)}, never seen"
    if lower == upper:
        return times.text(lower.value)
    return f"{times.text(lower.value)} … {times.text(upper.value)}"


def _refusals(errors: pd.DataFrame, limit: int) -> list[str]:
    if errors.empty:
        return ["  No refused connection in this start's logs."]
    lines = [f"  Refused connections: {len(errors)}"]
    for row in errors.head(limit).itertuples():
        where = clean(row.destination_host) if isinstance(row.destination_host, str) else "destination not stated"
        where += f":{row.destination_port}" if not pd.isna(row.destination_port) else ""
        verdict = row.verdict if row.verdict == "undetermined" else f"{row.verdict}, {row.certainty}"
        lines.append(f"    {times.text(row.time.value)}  {clean(row.container)} → {where}")
        lines.append(f"      {verdict}{_because(row.reason, verdicts.REASONS)}")
        lines.append(f"      {clean(row.message, 160)}")
        lines.append(f"      [{clean(row.source)}:{row.line} insertId {clean(row.insert_id)}]")
    if len(errors) > limit:
        lines.append(f"    … and {len(errors) - limit} more")
    for verdict in errors["verdict"].unique():
        if verdict in _CLAIMS:
            lines.append(f"    {verdict}: {_CLAIMS[verdict]}")
    return lines


def _evidence(fleet: Fleet, start: pd.Series, limit: int) -> list[str]:
    rows = fleet.evidence_of([start["start_id"]], without=[*_QUIET, *FAILURES])
    lines = [f"  Evidence: {len(rows)} facts"]
    for row in rows.head(limit).itertuples():
        what = f"{row.kind}{' ' + clean(row.value) if isinstance(row.value, str) and row.value else ''}"
        stamp = _interval(row.time_lower, row.time_upper)
        lines.append(f"    {stamp}  {clean(row.container) if isinstance(row.container, str) else 'pod'}: {what}")
        lines.append(f"      {clean(row.message, 120)}  [{clean(row.source)}:{row.line}]")
    if len(rows) > limit:
        lines.append(f"    … and {len(rows) - limit} more")
    return lines


def _remedy(fleet: Fleet, start: pd.Series) -> list[str]:
    rows = fleet.remedies
    for name in PLACE:
        rows = rows[rows[name].fillna("").eq(start[name] if isinstance(start[name], str) else "")]
    lines = []
    for row in rows.itertuples():
        state = "applies" if row.applies else f"blocked: {clean(row.blocked_by, 300)}"
        lines.append(f"  Remedy {row.remedy}: {state}")
        lines.append(f"    {clean(row.why, 300)}; {clean(row.expected_effect, 300)}")
        traps = row.traps.split("; ") if isinstance(row.traps, str) and not isinstance(row.blocked_by, str) else []
        lines += [f"    # trap: {clean(trap, 300)}" for trap in traps]
        if isinstance(row.patch, str):
            lines += ["", *(f"    {clean(line, 300)}" for line in row.patch.splitlines())]
    return lines
