"""Compact text of a log viewer, as troubleshooting guides print it: one letter, a time, whose, the message."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from meshlogs import times
from meshlogs.formats.k8s_events import container_of
from meshlogs.formats.tables import Shard, Tables, moment, whole_second

TITLE = "Compact text of a log viewer, as troubleshooting guides print it"
LOSES = "the pod of an event, namespace and cluster"
EXAMPLE = """W 2020-03-31T10:41:17Z spec.containers{istio-proxy} Readiness probe failed: HTTP probe failed with \
statuscode: 503  spec.containers{istio-proxy}
E 2020-03-31T10:41:15.552128897Z web web-67d56cdd-g7fvb dial tcp 10.0.0.9:6379: connect: connection refused \
web web-67d56cdd-g7fvb
"""

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

# The kubelet's and scheduler's texts -> the reason of their event. (kubernetes pkg/kubelet/events)
REASONS = (
    ("Created", r"Created container|Container created$"),
    ("Started", r"Started container|Container started$"),
    ("Pulled", r"Container image .* already present on machine|Successfully pulled image"),
    ("Pulling", r"[Pp]ulling image"),
    ("Unhealthy", r"(?:Readiness|Liveness|Startup) probe (?:failed|errored)"),
    (
        "Killing",
        r"Killing (?:container|with docker id)|Stopping container|FailedPostStartHook$"
        r"|Container \S+ (?:failed (?:liveness|startup) probe|definition changed)",
    ),
    ("BackOff", r"Back-off (?:restarting|pulling)"),
    ("FailedPostStartHook", r"PostStartHook failed|Exec lifecycle hook .*PostStart"),
    ("Failed", r"Failed to pull image|Error: (?:ErrImagePull|ImagePullBackOff|ErrImageNeverPull)"),
    ("Scheduled", r"Successfully assigned "),
    ("FailedScheduling", r"\d+/\d+ nodes are available"),
)
_REASONS = tuple((reason, re.compile(pattern)) for reason, pattern in REASONS)

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z"
_START = re.compile(rf"\s*([DINWECAM*])\s+({_TIME})(?:\s+(.*))?", re.DOTALL)
_EVENT = re.compile(r"(spec\.(?:c|initC|ephemeralC)ontainers\{[^{}]*\})(?:\s+(.*))?", re.DOTALL)
_LOG = re.compile(r"([a-z0-9][a-z0-9.-]*)\s+([a-z0-9][a-z0-9.-]*)\s+(.*)", re.DOTALL)
_SNIFF = re.compile(
    rb"^[ \t]*[DINWECAM*][ \t]+\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z(?:[ \t]|\r?$)", re.MULTILINE
)


def sniff(head: bytes, _name: str) -> bool:
    """Whether any of these first lines is a record of this form."""
    return b"\x00" not in head and bool(_SNIFF.search(head))


def read(file: BinaryIO, source: str) -> Shard:
    """Events and log entries of one file; lines that belong to no record are rejects.

    An event names no pod: it is taken to be of the one pod that the file's log lines name, if it is one.
    """
    tables = Tables(source)
    events, pods = [], set()
    for line, text in _records(tables, file):
        letter, written, rest = _START.fullmatch(text).groups()
        event, log = _EVENT.fullmatch(rest or ""), _LOG.fullmatch(rest or "")
        if moment(written) is None:
            tables.reject(line, "timestamp is not a time", text)
        elif event:
            events.append(_event_row(letter, written, event[1], event[2] or "") | {"line": line})
        elif log:
            tables.entry(_entry(line, letter, written, *log.groups()))
            pods.add(log[2])
        else:
            tables.reject(line, "neither container and pod nor a field path follow the time", text)
    pod = pods.pop() if len(pods) == 1 else None
    for row in events:
        tables.event(row | {"pod": pod})
    return tables.shard("compact")


def _records(tables: Tables, file: BinaryIO) -> Iterator[tuple[int, str]]:
    """(line, text) of each record with its wrapped lines joined; other lines become rejects.

    A record goes on until the next record, a blank line, or until it ends with whose it is, as it began.
    """
    start, parts = 0, []
    for number, data in enumerate(file, 1):
        text = data.decode("utf-8", "replace").strip()
        begins = _START.fullmatch(text)
        if parts and (begins or not text or _is_closed(" ".join(parts))):
            yield start, " ".join(parts)
            parts = []
        if begins or parts:
            if begins:
                start = number
                tables.records += 1
            parts.append(text)
        elif text:
            tables.records += 1
            tables.reject(number, "not a line of this form", text)
    if parts:
        yield start, " ".join(parts)


def _is_closed(text: str) -> bool:
    rest = _START.fullmatch(text)[3] or ""
    words = rest.split()
    if _EVENT.fullmatch(rest):
        return len(words) > 1 and words[-1] == words[0]
    return len(words) > 3 and words[-2:] == words[:2]


def _event_row(letter: str, written: str, path: str, message: str) -> dict:
    message = message.removesuffix(path).strip()
    container, container_kind = container_of(path)
    lower, upper = whole_second(written)
    if moment(written) != lower:
        lower = upper = moment(written)
    return {
        "time_lower": lower,
        "time_upper": upper,
        "time_source": "entry",
        "reason": next((reason for reason, pattern in _REASONS if pattern.match(message)), None),
        "type": "Warning" if letter in "WECAM" else "Normal",
        "message": message,
        "kind": "Pod",
        "container": container,
        "container_kind": container_kind,
        "component": "kubelet",
    }


def _entry(line: int, letter: str, written: str, container: str, pod: str, message: str) -> tuple:
    message = re.sub(rf"\s+{re.escape(container)}\s+{re.escape(pod)}$", "", message)
    row = {
        "time": moment(written),
        "time_granularity": times.granularity(written),
        "severity": SEVERITIES[letter],
        "resource_type": "k8s_container",
        "pod": pod,
        "container": container,
        "message": message,
        "line": line,
    }
    return tuple(row.get(name) for name in Tables.ENTRY)
