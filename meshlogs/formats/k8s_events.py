"""Kubernetes events: from kubectl, from captured streams, and inside log entries."""

import re

from meshlogs import times

EXAMPLE = '{"kind": "EventList", "items": [{"metadata": {"name": "web-1.16f4…"}, "reason": "Started", …}]}'

# events.k8s.io/v1 -> core/v1. (k8s.io/api: core/v1/types.go, events/v1/types.go)
NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_FIELD_PATH = re.compile(r"spec\.(c|initC|ephemeralC)ontainers\{([^}]*)\}")
_KINDS = {"c": "regular", "initC": "init", "ephemeralC": "ephemeral"}
_HEX = re.compile(r"[0-9a-f]{15,16}")


def is_event(value: dict) -> bool:
    """Whether an object is a core/v1 or events.k8s.io/v1 Event."""
    about = value.get("involvedObject") or value.get("regarding")
    return isinstance(about, dict) and ("reason" in value or value.get("kind") == "Event")


def row(value: dict, where: dict | None = None, entry_time: int = times.NAT) -> dict | None:
    """One row of `schema.EVENTS`; None if no time of the event can be told.

    `where` overrides the identity (of the log entry that carries the event), `entry_time` is that entry's time.
    """
    event = {NAMES.get(key, key): item for key, item in value.items()}
    about, meta = event.get("involvedObject") or {}, event.get("metadata") or {}
    name = _text(meta.get("name"))
    last, first, source = _occurrence(event, name, entry_time)
    if last is None:
        return None
    container, container_kind = container_of(about.get("fieldPath"))
    is_pod = about.get("kind") == "Pod"
    emitter = event.get("source") or {}
    emitter = emitter if isinstance(emitter, dict) else {}
    return {
        "namespace": _text(about.get("namespace") or meta.get("namespace")),
        "pod": _text(about.get("name")) if is_pod else None,
        "pod_uid": _text(about.get("uid")) if is_pod else None,
        **(where or {}),
        "time_lower": last[0],
        "time_upper": last[1],
        "time_source": source,
        "first_lower": first[0],
        "first_upper": first[1],
        "count": _count(event),
        "reason": _text(event.get("reason")),
        "type": _text(event.get("type")),
        "message": _text(event.get("message")),
        "kind": _text(about.get("kind")),
        "container": container,
        "container_kind": container_kind,
        "node": _text(emitter.get("host")) or _text(event.get("reportingInstance")) or None,
        "component": _text(emitter.get("component")) or _text(event.get("reportingComponent")) or None,
        "event_uid": _text(meta.get("uid")),
        "event_name": name,
    }


def container_of(field_path) -> tuple[str | None, str | None]:
    """(container, kind) that an event's field path names.

    >>> container_of("spec.initContainers{istio-init}")
    ('istio-init', 'init')
    """
    match = _FIELD_PATH.fullmatch(field_path) if isinstance(field_path, str) else None
    return (match.group(2), _KINDS[match.group(1)]) if match else (None, None)


Bounds = tuple[int, int]


def _occurrence(event: dict, name: str | None, entry_time: int) -> tuple[Bounds | None, Bounds, str | None]:
    """(last, first, source): the bounds of the last and the first occurrence, and where the last comes from.

    client-go ends an event's name in the hexadecimal nanoseconds of its first occurrence, from the same
    clock reading that it floors into firstTimestamp: exact wherever the two agree. A later event re-uses
    the name, so a name of another second says nothing. (client-go: tools/record/event.go)
    """
    series = event.get("series") if isinstance(event.get("series"), dict) else {}
    last = times.parse_ns(event.get("lastTimestamp"))
    first = times.parse_ns(event.get("firstTimestamp"))
    micro = times.parse_ns(event.get("eventTime"))
    observed = times.parse_ns(series.get("lastObservedTime"))
    named = _named(name)
    exact_first = _agreeing(named, first if first != times.NAT else micro)
    if first == times.NAT:
        first_bounds = (exact_first or micro, exact_first or micro) if micro != times.NAT else (times.NAT, times.NAT)
    else:
        first_bounds = (exact_first, exact_first) if exact_first else times.second_interval(first)
    stamp = last if last != times.NAT else entry_time
    if observed != times.NAT:
        return (observed, observed), first_bounds, "event_time"
    if last == times.NAT and micro != times.NAT:
        return (micro, micro), first_bounds, "event_time"
    if stamp == times.NAT:
        return (first_bounds, first_bounds, "name") if first_bounds[0] != times.NAT else (None, first_bounds, None)
    exact = _agreeing(named, stamp)
    repeated = (_count(event) or 1) > 1 and first != times.NAT and first == last
    if exact and not repeated:
        return (exact, exact), first_bounds if first_bounds[0] != times.NAT else (exact, exact), "name"
    if stamp % times.SECOND:
        return (stamp, stamp), first_bounds, "last_timestamp" if last != times.NAT else "entry"
    return times.second_interval(stamp), first_bounds, "last_timestamp" if last != times.NAT else "entry"


def _named(name: str | None) -> int | None:
    suffix = (name or "").rpartition(".")[2]
    return int(suffix, 16) if _HEX.fullmatch(suffix) else None


def _agreeing(named: int | None, stamp: int) -> int | None:
    same = named is not None and stamp != times.NAT and named // times.SECOND == stamp // times.SECOND
    return named if same else None


def _count(event: dict) -> int | None:
    series = event.get("series") if isinstance(event.get("series"), dict) else {}
    for value in (event.get("count"), series.get("count")):
        if isinstance(value, int | float | str) and str(value).isdigit():
            return int(value)
    return None


def _text(value) -> str | None:
    return value if isinstance(value, str) and value else None
