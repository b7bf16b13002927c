"""The compact text of log viewers and of Google's guide: one letter, a time, the container, the message.

An event stands as `I TIME spec.containers{NAME} MESSAGE spec.containers{NAME}` and names no pod: it is
taken for the one pod that the file's log lines name, if there is just one. A log line stands as
`E TIME CONTAINER POD MESSAGE CONTAINER POD`. Wrapped lines are joined.
"""

import re
from pathlib import Path

from meshlogs import times
from meshlogs.formats import k8s_events
from meshlogs.formats.documents import load
from meshlogs.formats.shards import Collector, Shard

EXAMPLE = "W 2020-03-31T10:41:17Z spec.containers{istio-proxy} Readiness probe failed: …  spec.containers{istio-proxy}"

SEVERITIES = {
    "D": "DEBUG",
    "I": "INFO",
    "N": "NOTICE",
    "W": "WARNING",
    "E": "ERROR",
    "C": "CRITICAL",
    "A": "ALERT",
    "M": "EMERGENCY",
    "*": "DEFAULT",
}
_START = re.compile(r"^\s*([DINWECAM*])\s+(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)(?:\s+(.*))?$", re.S)
_EVENT = re.compile(r"^(spec\.(?:c|initC|ephemeralC)ontainers\{[^}]+\})\s+(.*?)(?:\s+\1)?$", re.S)
_LOG = re.compile(r"^(\S+)\s+(\S+)\s+(.*?)(?:\s+\1\s+\2)?$", re.S)
# The texts of the kubelet, by the reason of their event.
_REASONS = (
    (r"^(?:Container image .* already present|Successfully pulled image)", "Pulled"),
    (r"^[Pp]ulling image", "Pulling"),
    (r"^(?:Created container|Container created)", "Created"),
    (r"^(?:Started container|Container started)", "Started"),
    (r"^(?:Readiness|Liveness|Startup) probe (?:failed|errored)", "Unhealthy"),
    (r"^(?:Killing container|Stopping container|Container \S+ failed)", "Killing"),
    (r"^Back-off", "BackOff"),
    (r"PostStart", "FailedPostStartHook"),
    (r"^Failed to pull image|^Error: (?:ErrImagePull|ImagePullBackOff)", "Failed"),
)


def sniff(head: bytes, _name: str) -> bool:
    """Whether most of these first lines are in the compact form."""
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:20]
    return any(_START.match(line) for line in lines[:8])


def read(path: Path, source: str) -> Shard:
    """The log entries and events of a file; lines that belong to no record are rejects."""
    data, damage = load(path)
    collector = Collector("compact", source)
    events = []
    for line, text in _records(collector, data.decode("utf-8", "replace")):
        severity, stamp, rest = _START.match(text).groups()
        event, log = _EVENT.match(rest or ""), _LOG.match(rest or "")
        if event:
            events.append((line, _event(severity, stamp, event)))
        elif log:
            collector.add("log_entries", line, _entry(severity, stamp, log))
        else:
            collector.reject(line, "no container and pod behind the time", text)
    pods = {row["pod"] for row in collector.rows("log_entries")}
    for line, event in events:
        collector.add("events", line, event | {"pod": next(iter(pods)) if len(pods) == 1 else None})
    if damage:
        collector.reject(data.count(b"\n") + 1, damage)
    return collector.shard()


def _records(collector: Collector, text: str):
    """(line, text) of each record, its wrapped lines joined by one blank."""
    start, parts = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if _START.match(line):
            if parts:
                yield start, " ".join(parts)
            collector.records += 1
            start, parts = number, [line.strip()]
        elif not line.strip():
            if parts:
                yield start, " ".join(parts)
            parts = []
        elif parts:
            parts.append(line.strip())
        else:
            collector.records += 1
            collector.reject(number, "not a line of the compact form", line)
    if parts:
        yield start, " ".join(parts)


def _event(severity: str, stamp: str, match: re.Match) -> dict:
    container, kind = k8s_events.container_of(match.group(1))
    message = match.group(2).strip()
    lower, upper = _bounds(stamp)
    return {
        "time_lower": lower,
        "time_upper": upper,
        "time_source": "entry",
        "reason": next((reason for pattern, reason in _REASONS if re.search(pattern, message)), None),
        "type": "Warning" if severity == "W" else "Normal",
        "message": message,
        "kind": "Pod",
        "container": container,
        "container_kind": kind,
        "component": "kubelet",
    }


def _entry(severity: str, stamp: str, match: re.Match) -> dict:
    container, pod, message = match.groups()
    return {
        "time": times.parse_ns(stamp),
        "time_granularity": times.granularity(stamp),
        "severity": SEVERITIES[severity],
        "resource_type": "k8s_container",
        "pod": pod,
        "container": container,
        "message": message.strip(),
    }


def _bounds(stamp: str) -> tuple[int, int]:
    ns = times.parse_ns(stamp)
    return (ns, ns) if ns % times.SECOND else times.second_interval(ns)
