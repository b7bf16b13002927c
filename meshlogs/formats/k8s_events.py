"""Kubernetes events: core/v1 and events.k8s.io/v1, from an API dump or inside a log entry.

Times. An event is one row, `time_*` its last occurrence, `first_*` its first. The API floors times to
seconds; client-go ends an event's name in the hexadecimal UnixNano of its first occurrence (kubernetes/
client-go `tools/record/event.go`), which is used where it lies in the second the event itself states.
Log entries lack `count` and `firstTimestamp` (GoogleCloudPlatform/k8s-stackdriver `event-exporter`).
"""

import re

from meshlogs import times
from meshlogs.formats.tables import get, integer, moment, stamp, text_of, whole_second

# events.k8s.io/v1 name -> core/v1 name. (k8s.io/api core/v1, events/v1 types.go)
NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}

FIELD_PATH = re.compile(r"spec\.(containers|initContainers|ephemeralContainers)\{([^{}]*)\}")
KINDS = {"containers": "regular", "initContainers": "init", "ephemeralContainers": "ephemeral"}

_HEX_NAME = re.compile(r".*\.([0-9a-f]{15,16})", re.DOTALL)


def is_event(value) -> bool:
    """Whether a decoded JSON or YAML value is an event, even where its kind was left out."""
    if not isinstance(value, dict) or value.get("kind") not in (None, "Event"):
        return False
    return isinstance(value.get("involvedObject", value.get("regarding")), dict)


def event_row(event: dict, entry_time: str | None = None) -> dict:
    """A row of `schema.EVENTS` (place and origin left out) of an event object.

    `entry_time` is the text of the log entry's timestamp, None for an API dump.
    """
    core = {NAMES.get(key, key): value for key, value in event.items()}
    about = core.get("involvedObject")
    kind = text_of(get(about, "kind"))
    is_pod = kind == "Pod"
    component = text_of(get(core, "source", "component")) or text_of(core.get("reportingComponent"))
    host = text_of(get(core, "source", "host"))
    if host is None and component == "kubelet":
        host = text_of(core.get("reportingInstance"))
    container, container_kind = container_of(get(about, "fieldPath"))
    return event_times(core, entry_time) | {
        "count": max(integer(core.get("count")) or 0, integer(get(core, "series", "count")) or 0) or None,
        "reason": text_of(core.get("reason")),
        "type": text_of(core.get("type")),
        "message": text_of(core.get("message")),
        "kind": kind,
        "container": container,
        "container_kind": container_kind,
        "namespace": text_of(get(about, "namespace")) or text_of(get(core, "metadata", "namespace")),
        "pod": text_of(get(about, "name")) if is_pod else None,
        "pod_uid": text_of(get(about, "uid")) if is_pod else None,
        "node": host,
        "component": component,
        "event_uid": text_of(get(core, "metadata", "uid")),
        "event_name": text_of(get(core, "metadata", "name")),
    }


def container_of(field_path) -> tuple[str | None, str | None]:
    """Container and its kind that a field path names; (None, None) for the pod itself.

    >>> container_of("spec.initContainers{istio-init}")
    ('istio-init', 'init')
    """
    match = FIELD_PATH.fullmatch(field_path) if isinstance(field_path, str) else None
    return (match[2], KINDS[match[1]]) if match else (None, None)


def event_times(core: dict, entry_time: str | None = None) -> dict:
    """`time_lower, time_upper, time_source, first_lower, first_upper` in ns; None where unknown."""
    name = named_time(get(core, "metadata", "name"))
    first = _first(core, name)
    lower, upper, source = _last(core, name, entry_time)
    if source == "name" and first == (None, None):
        first = (lower, upper)  # a name that agrees is the time of the first occurrence
    return {
        "time_lower": lower,
        "time_upper": upper,
        "time_source": source,
        "first_lower": first[0],
        "first_upper": first[1],
    }


def named_time(name) -> int | None:
    """Nanoseconds in the hexadecimal end of an event's name, None if it has none.

    >>> times.text(named_time("kube-dns-56494768b7-544n6.16f48436899e3f4a"))
    '2022-06-01T14:05:32.923764554Z'
    """
    match = _HEX_NAME.fullmatch(name) if isinstance(name, str) else None
    ns = int(match[1], 16) if match else None
    return ns if ns is not None and ns < 2**63 else None


def _first(core: dict, name: int | None) -> tuple[int | None, int | None]:
    lower, upper = whole_second(core.get("firstTimestamp"))
    if lower is None:
        lower = upper = moment(core.get("eventTime"))
    if lower is not None and _within(name, lower - lower % times.SECOND):
        return name, name
    return lower, upper


def _last(core: dict, name: int | None, entry_time: str | None) -> tuple[int | None, int | None, str | None]:
    """Bounds and source of the last occurrence."""
    lower, upper = whole_second(core.get("lastTimestamp"))
    if lower is not None:
        return _stated(core, name, lower, upper)
    observed = moment(get(core, "series", "lastObservedTime"))
    if observed is not None:
        return observed, observed, "event_time"
    entered, entered_upper = whole_second(entry_time)
    exact = moment(core.get("eventTime"))
    for second in (entered, exact):
        if second is not None and _within(name, second - second % times.SECOND):
            return name, name, "name"
    if exact is not None:
        return exact, exact, "event_time"
    lower, upper = whole_second(core.get("firstTimestamp"))
    if lower is not None:
        return (name, name, "name") if _within(name, lower) else (lower, upper, "last_timestamp")
    return _entered(entry_time, entered, entered_upper)


def _stated(core: dict, name: int | None, lower: int, upper: int) -> tuple[int, int, str]:
    """Bounds from `lastTimestamp`; the name may sharpen them."""
    if not _within(name, lower):
        return lower, upper, "last_timestamp"
    if (
        max(integer(core.get("count")) or 1, integer(get(core, "series", "count")) or 1) > 1
    ):  # repeated within one second: the last came after the first
        return name, upper, "last_timestamp"
    return name, name, "name"


def _entered(entry_time: str | None, lower: int | None, upper: int | None):
    """Bounds from the log entry's own time.

    The exporter copies whole seconds from the event; an entry time with a fraction was set when the
    entry was received, and is only an upper bound.
    """
    if lower is None:
        return None, None, None
    exact = stamp(entry_time)
    return (lower, upper, "entry") if exact == lower else (None, exact, "entry")


def _within(name: int | None, second: int) -> bool:
    return name is not None and second <= name < second + times.SECOND
