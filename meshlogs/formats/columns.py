"""Columns of a table of log entries, however they were renamed, as places in a LogEntry.

Names are compared without case, dots and underscores: `textPayload`, `text_payload` and `textpayload` are one.
A dotted name is a path (`resource.labels.pod_name`, `labels."k8s-pod/app"`); a bare one is looked up in `COLUMNS`.

Sources: googlecloudsdk `core/resource/resource_projection_parser.py` (gcloud's headers: the last part of a path
in snake case, on a clash with the part before it), downloads of the Logs Explorer, cloud.google.com/logging/docs/
export/bigquery (renamed and lower-cased columns), .../docs/analyze/query-and-view (`_AllLogs`).
"""

import ast
import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from meshlogs import times
from meshlogs.formats.pod_logs import is_proxy_line
from meshlogs.formats.tables import get, integer, text_of

# Fields of a LogEntry, by their names in the API.
FIELDS = (
    "timestamp", "receiveTimestamp", "insertId", "logName", "severity", "resource", "labels", "textPayload",
    "jsonPayload", "protoPayload", "split", "httpRequest", "operation", "trace", "spanId", "traceSampled",
    "sourceLocation", "errorGroups", "logId", "severityNumber", "receiveLocation", "apphub", "apphubDestination",
    "apphubSource", "metadata",
)  # fmt: skip
RESOURCE_LABELS = (
    "project_id", "location", "zone", "cluster_name", "namespace_name", "namespace_id", "pod_name", "pod_id",
    "container_name", "node_name", "instance_id",
)  # fmt: skip
# Keys that BigQuery lower-cases, as an event, and an audit entry, has them.
EVENT_KEYS = (
    "involvedObject", "fieldPath", "apiVersion", "resourceVersion", "creationTimestamp", "generateName",
    "firstTimestamp", "lastTimestamp", "eventTime", "lastObservedTime", "reportingComponent", "reportingInstance",
    "reportingController", "deprecatedSource", "deprecatedFirstTimestamp", "deprecatedLastTimestamp",
    "deprecatedCount", "managedFields",
)  # fmt: skip
AUDIT_KEYS = (
    "methodName", "resourceName", "serviceName", "authenticationInfo", "principalEmail", "authorizationInfo",
    "requestMetadata", "callerIp", "callerSuppliedUserAgent", "requestJson", "responseJson", "metadataJson",
    "serviceData", "resourceLocation", "numResponseItems",
)  # fmt: skip

# A bare column name -> where its values belong. What is ambiguous (`name`, `type`, `labels`) is told by the value.
COLUMNS = {
    **{name: (name,) for name in FIELDS},
    **{name: ("resource", "labels", name) for name in RESOURCE_LABELS},
    "time": ("timestamp",),
    "log": ("jsonPayload", "log"),
    "resource_type": ("resource", "type"),
    "type": ("type",),
    "name": ("name",),
    "pod": ("resource", "labels", "pod_name"),
    "namespace": ("resource", "labels", "namespace_name"),
    "container": ("resource", "labels", "container_name"),
    "cluster": ("resource", "labels", "cluster_name"),
    "project": ("resource", "labels", "project_id"),
    "resource_labels": ("resource", "labels"),
    "audit_log": ("protoPayload",),
    "protopayload_auditlog": ("protoPayload",),
    **{name: ("jsonPayload", name) for name in ("message", "msg", "error", "err", "text", "reason", "note")},
    "json_payload_type": ("jsonPayload", "type"),
    "metadata_name": ("jsonPayload", "metadata", "name"),
    "metadata_uid": ("jsonPayload", "metadata", "uid"),
    **{
        f"involved_object_{name}": ("jsonPayload", "involvedObject", name)
        for name in ("name", "namespace", "kind", "uid", "field_path")
    },
    "kind": ("jsonPayload", "involvedObject", "kind"),
    "field_path": ("jsonPayload", "involvedObject", "fieldPath"),
    **{
        name: ("jsonPayload", name)
        for name in ("involvedObject", "firstTimestamp", "lastTimestamp", "eventTime", "reportingComponent")
    },
    "component": ("jsonPayload", "source", "component"),
    "host": ("jsonPayload", "source", "host"),
    "method_name": ("protoPayload", "methodName"),
    "resource_name": ("protoPayload", "resourceName"),
    "principal_email": ("protoPayload", "authenticationInfo", "principalEmail"),
}

# What tells a table of log entries from other tables.
PAYLOADS = ("textPayload", "jsonPayload", "protoPayload")
_TELLING = {"receiveTimestamp", "insertId", "logName", "resource", *PAYLOADS}
# Columns that hold an object: as JSON, or as gcloud writes one (`k=v;k=v`).
OBJECTS = {("resource",), ("labels",), ("resource", "labels"), *((name,) for name in PAYLOADS if name != "textPayload")}

# BigQuery turns what a name cannot hold into underscores. (cloud.google.com/logging/docs/export/bigquery)
LABELS = {
    "compute_googleapis_com_resource_name": "compute.googleapis.com/resource_name",
    "logging_gke_io_top_level_controller_name": "logging.gke.io/top_level_controller_name",
    "logging_gke_io_top_level_controller_type": "logging.gke.io/top_level_controller_type",
    "command_gke_io_dryrun": "command.gke.io/dryRun",
    "k8s_pod_pod_template_hash": "k8s-pod/pod-template-hash",
    "k8s_pod_rollouts_pod_template_hash": "k8s-pod/rollouts-pod-template-hash",
    **{
        f"container_googleapis_com_{name}": f"container.googleapis.com/{name}"
        for name in ("namespace_name", "pod_name", "container_name", "cluster_name", "stream")
    },
}

_PART = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')
_PLAIN = re.compile(r"[^a-z0-9]")
_HEX_NAME = re.compile(r".+\.[0-9a-f]{15,16}")
_REASON = re.compile(r"[A-Z][A-Za-z]+")
_WAREHOUSE = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))? ?(?:UTC|\+00(?::?00)?|(?<=000)Z)")
_MICRO = re.compile(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\.(\d{1,6})Z?")
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE]\+?\d+)?", re.ASCII)
# By its size a number is seconds, milliseconds, microseconds or nanoseconds: (least, limit, power of ten that makes it
# nanoseconds). What lies between was before 2001 or will be after 5138, as 9999-12-31, which stands for no time.
_UNITS = ((0, 10**11, 9), (10**12, 10**14, 6), (10**15, 10**17, 3), (10**18, 10**20, 0))
_TIMES = ("timestamp", "receiveTimestamp")
_DEEPEST = 32


def _bare(name: str) -> str:
    return _PLAIN.sub("", name.lower())


_BY_BARE = {_bare(name): path for name, path in COLUMNS.items()}
_FIELD = {_bare(name): name for name in FIELDS} | {"protopayloadauditlog": "protoPayload"}
_EVENT_KEY = {name.lower(): name for name in EVENT_KEYS}
_AUDIT_KEY = {_bare(name): name for name in AUDIT_KEYS}
_RESOURCE_KEY = {name.replace("_", ""): name for name in RESOURCE_LABELS}


@lru_cache(maxsize=4096)
def path_of(name: str) -> tuple[str, ...]:
    """Where in a LogEntry the values of a column belong; () for a name that is not known.

    >>> path_of("resource.labels.pod_name") == path_of("pod_name") == path_of("RESOURCE_LABELS_POD_NAME")
    True
    >>> path_of('labels."k8s-pod/app"'), path_of("json_payload"), path_of("latitude")
    (('labels', 'k8s-pod/app'), ('jsonPayload',), ())
    """
    name = name.strip()
    parts = tuple((quoted or bare).replace('""', '"') for quoted, bare in _PART.findall(name))
    field = _FIELD.get(_bare(parts[0])) if parts else None
    if len(parts) > 1 and parts[0].lower() == "protopayload_auditlog":
        field = "protoPayload"
    if len(parts) > 1:
        return (field, *parts[1:]) if field else ()
    if name.startswith(("k8s-pod/", "compute.googleapis.com/", "container.googleapis.com/", "logging.gke.io/")):
        return ("labels", name)
    found = _BY_BARE.get(_bare(name))
    if found is None and (custom := re.fullmatch(r"(?i)jsonpayload_(?:v\d\w*_)?\w+", name)):
        return ("jsonPayload",) if custom else ()
    if found is None and name.lower().startswith(("resource_labels_", "resource.labels.")):
        label = _RESOURCE_KEY.get(_bare(name)[len("resourcelabels") :])
        return ("resource", "labels", label) if label else ()
    return found or ()


def are_log_entries(paths: Iterable[tuple[str, ...]]) -> bool:
    """Whether columns that belong to these places are those of log entries: a time, and what tells them apart."""
    fields = [path[0] for path in paths if path]
    telling = sum(field in _TELLING for field in fields)
    return telling > 0 and (telling > 1 or "timestamp" in fields)


def entry_of(cells: Iterable[tuple[tuple[str, ...], str, Any]]) -> dict:
    """The LogEntry, as a dictionary, of one row's cells: (path, column's name, value); empty ones are left out.

    A column that is not known becomes a key of the JSON payload. Keys that BigQuery lower-cased are restored
    where something depends on them.
    """
    entry: dict = {}
    for path, name, value in cells:
        if isinstance(value, dict | list | bytes):
            value = filled(value)
        if value is None or value == "":
            continue
        for place, item in _placed(path or ("jsonPayload", name), value):
            _put(entry, place, item)
    return _finished(entry)


def _placed(path: tuple[str, ...], value) -> list[tuple[tuple[str, ...], Any]]:
    """Where a value goes, which for some columns depends on it."""
    if path == ("type",):
        is_event = value in ("Normal", "Warning")
        return [(("jsonPayload", "type") if is_event else ("resource", "type"), value)]
    if path == ("name",):
        is_event = isinstance(value, str) and _HEX_NAME.fullmatch(value)
        return [(("jsonPayload", "metadata" if is_event else "involvedObject", "name"), value)]
    if path in OBJECTS:
        value = parsed(value)
        if path == ("labels",) and isinstance(value, dict) and value.keys() & set(RESOURCE_LABELS):
            path = ("resource", "labels")  # gcloud heads both columns `labels`
        if path == ("jsonPayload",) and not isinstance(value, dict):
            return [(("textPayload",), value if isinstance(value, str) else json.dumps(value))]
    elif path[0] == "protoPayload" and isinstance(value, str):
        value = _leaf(path, value)
    return [(path, value)]


def parsed(value):
    """The object in a text of JSON, or in gcloud's form of one; any other value as it is.

    >>> parsed('{"a": 1}'), parsed("labels={'pod_name': 'web'};type=k8s_container")
    ({'a': 1}, {'labels': {'pod_name': 'web'}, 'type': 'k8s_container'})
    """
    if isinstance(value, list):
        return _pairs(value)
    if not isinstance(value, str):
        return value
    if value.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(value, strict=False)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, dict | list) else value
    return _pairs(value.split(";")) if re.match(r"[\w./@-]+=", value) else value


def _pairs(items: list[str]) -> dict:
    """The object in gcloud's `key=value` items; a value that is an object is written as Python writes it."""
    found: dict[str, Any] = {}
    key = None
    for item in items:
        name, equals, value = item.partition("=")
        if equals and re.fullmatch(r"[\w./@ -]+", name):
            key = name
            found[key] = value
        elif key is not None:
            found[key] += ";" + item
    return {name: _literal(value) for name, value in found.items()}


def _literal(text: str):
    if text[:1] not in ("{", "["):
        return text
    try:
        return json.loads(json.dumps(ast.literal_eval(text), allow_nan=False))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _leaf(path: tuple[str, ...], text: str):
    """A cell of an audit entry flattened to its leaves: lists are JSON, and so are truth values."""
    if {"labels", "annotations"} & set(path[:-1]):  # whose values are texts, though they look like JSON
        return text
    if text[:1] in ("[", "{"):
        return parsed(text)
    return text == "true" if text in ("true", "false") else text


def _put(entry: dict, path: tuple[str, ...], value) -> None:
    """Put a value into its place; what is there already is merged, or stays."""
    at = entry
    for key in path[:-1]:
        inner = at.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        at = inner
    last = path[-1]
    if isinstance(at.get(last), dict) and isinstance(value, dict):
        at[last] = value | at[last]
    else:
        at.setdefault(last, value)


def _finished(entry: dict) -> dict:
    for name in _TIMES:
        if name in entry:
            entry[name] = time_text(entry[name])
    _finish_resource(entry)
    for name in ("jsonPayload", "protoPayload", "labels"):
        value = entry.get(name)
        if isinstance(value, str):
            value = filled(parsed(value))
        if isinstance(value, dict) and value:
            entry[name] = value
        else:
            entry.pop(name, None)
    if "labels" in entry:
        entry["labels"] = {label_name(key): _text(value) for key, value in entry["labels"].items()}
    if "jsonPayload" in entry:
        _finish_event(entry)
    if "protoPayload" in entry:
        entry["protoPayload"] = _audit(entry["protoPayload"])
    log_id = entry.pop("logId", None)
    if isinstance(log_id, str) and "logName" not in entry:
        project = get(entry, "resource", "labels", "project_id") or "-"
        entry["logName"] = f"projects/{project}/logs/{quote(log_id, safe='')}"
    _finish_kind(entry)
    return entry


def _finish_resource(entry: dict) -> None:
    resource = parsed(entry.get("resource"))
    if not isinstance(resource, dict):
        entry.pop("resource", None)
        return
    labels = parsed(resource.get("labels"))
    labels = {key: _text(value) for key, value in labels.items() if value} if isinstance(labels, dict) else {}
    entry["resource"] = {key: value for key, value in resource.items() if value and key != "labels"} | {
        "labels": labels
    }


def _finish_event(entry: dict) -> None:
    """Restore what an event's payload needs: keys in lower case, and what stands only in other columns."""
    payload = entry["jsonPayload"]
    if {"involvedobject", "regarding"} & {key.lower() for key in payload}:
        payload = entry["jsonPayload"] = restored(payload, _EVENT_KEY)
    if "involvedObject" in payload or "regarding" in payload:
        about = payload.get("involvedObject", payload.get("regarding"))
    elif _is_event(entry):
        about = payload["involvedObject"] = {}
    else:
        return
    labels = get(entry, "resource", "labels") or {}
    if isinstance(about, dict) and about.get("kind", "Pod") == "Pod":
        for key, label in (("name", "pod_name"), ("namespace", "namespace_name")):
            if labels.get(label):
                about.setdefault(key, labels[label])
        if about.get("name"):
            about["kind"] = "Pod"
    if "logName" not in entry and "logId" not in entry:
        entry["logName"] = "events"


def _is_event(entry: dict) -> bool:
    """Whether an entry whose object is not told is an event all the same."""
    name = entry.get("logName") or entry.get("logId")
    if isinstance(name, str):
        return name.endswith(("/logs/events", "events")) and "reason" in entry["jsonPayload"]
    reason = text_of(entry["jsonPayload"].get("reason"))
    told = get(entry, "resource", "type") in (None, "k8s_pod", "gke_cluster") and "container_name" not in (
        get(entry, "resource", "labels") or {}
    )
    return bool(told and reason and _REASON.fullmatch(reason) and "textPayload" not in entry)


def _audit(payload: dict) -> dict:
    """An AuditLog by the API's names, whatever the warehouse called its fields."""
    inner = payload.get("audit_log", payload.get("auditLog"))
    payload = inner if isinstance(inner, dict) else payload
    found: dict = {}
    for key, value in payload.items():
        name = _AUDIT_KEY.get(_bare(key), key)
        if name in ("requestJson", "responseJson", "metadataJson"):
            name = name.removesuffix("Json")
        if name in ("request", "response", "metadata"):
            value = parsed(value)
        elif isinstance(value, dict):
            value = {_AUDIT_KEY.get(_bare(inner), inner): item for inner, item in value.items()}
        if value not in (None, ""):
            found.setdefault(name, value)
    return found


def _finish_kind(entry: dict) -> None:
    """The resource's type where the table leaves it out: entries that name a container, or have a pod's text."""
    resource = entry.get("resource")
    if resource is None or resource.get("type"):
        return
    labels = resource["labels"]
    if "container_name" not in labels and is_proxy_line(str(entry.get("textPayload"))):
        labels["container_name"] = "istio-proxy"
    named = labels.get("pod_name") or labels.get("pod_id")
    is_event = "involvedObject" in (entry.get("jsonPayload") or {}) or "regarding" in (entry.get("jsonPayload") or {})
    if labels.get("container_name") or (named and not is_event and "protoPayload" not in entry):
        resource["type"] = "k8s_container"
    elif named and is_event:
        resource["type"] = "k8s_pod"


def label_name(name: str) -> str:
    """A label's own name where BigQuery replaced its dots and slashes.

    >>> label_name("k8s_pod_app"), label_name("compute_googleapis_com_resource_name"), label_name("a/b")
    ('k8s-pod/app', 'compute.googleapis.com/resource_name', 'a/b')
    """
    if "/" in name:
        return name
    found = LABELS.get(name.lower())
    if found:
        return found
    return "k8s-pod/" + name[len("k8s_pod_") :] if name.lower().startswith("k8s_pod_") else name


def restored(value, names: dict[str, str], depth: int = 0):
    """The value with its keys, at any depth, as `names` has them by their lower case."""
    if isinstance(value, dict) and depth < _DEEPEST:
        return {names.get(key.lower(), key): restored(item, names, depth + 1) for key, item in value.items()}
    if isinstance(value, list) and depth < _DEEPEST:
        return [restored(item, names, depth + 1) for item in value]
    return value


def filled(value, depth: int = 0):
    """The value without what is null or an object without anything in it, which a typed column cannot leave out.

    Bytes become text.
    """
    if isinstance(value, dict) and depth < _DEEPEST:
        kept = {key: filled(item, depth + 1) for key, item in value.items()}
        return {key: item for key, item in kept.items() if item is not None and item != {}}
    if isinstance(value, list) and depth < _DEEPEST:
        return [filled(item, depth + 1) for item in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def time_text(value) -> Any:
    """A time as RFC 3339 with the decimals it was known to; what is none stays as it is.

    Numbers are seconds, milliseconds, microseconds or nanoseconds since the epoch, by their size. A warehouse keeps
    microseconds of every time; whole seconds and milliseconds are taken for times that were known no better.

    >>> time_text("2020-03-31 10:41:15.5521 UTC"), time_text("1.585651275552128E9"), time_text(1585651275552128)
    ('2020-03-31T10:41:15.552100Z', '2020-03-31T10:41:15.552128Z', '2020-03-31T10:41:15.552128Z')
    >>> time_text("2020-03-31 10:41:15 UTC"), time_text(1585651275500000)
    ('2020-03-31T10:41:15Z', '2020-03-31T10:41:15.500Z')
    >>> time_text("2020-09-07T14:36:48.03093257Z"), time_text(1585651275), time_text(253402300799999999)
    ('2020-09-07T14:36:48.03093257Z', '2020-03-31T10:41:15Z', '253402300799999999')
    """
    if isinstance(value, dict):  # as client libraries print one
        if "seconds" in value:
            second, nanos = integer(value["seconds"]), integer(value.get("nanos")) or 0
            fits = second is not None and abs(second) < _UNITS[0][1]
            return _since_epoch(second * times.SECOND + nanos, 9) if fits else value
        value = value.get("value")
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        value = repr(value)
    if not isinstance(value, str):
        return value
    value = value.strip()
    found = _WAREHOUSE.fullmatch(value) or _MICRO.fullmatch(value)
    if found:
        return f"{found[1]}T{found[2]}{_decimals((found[3] or '').ljust(6, '0'))}Z"
    return _epoch(value) if _NUMBER.fullmatch(value) else value


def _epoch(text: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    power = next((power for least, limit, power in _UNITS if least <= abs(number) < limit), None)
    if power is None:
        return text
    whole = "." not in text and "e" not in text.lower()
    digits = 9 - power if power < 9 or whole else 6
    return _since_epoch(int(number.scaleb(power)), digits)


def _since_epoch(ns: int, digits: int) -> str:
    """RFC 3339 of nanoseconds since the epoch, of whose decimals so many were known."""
    second, fraction = divmod(ns, times.SECOND)
    stamp = times.text(second * times.SECOND)[:19]
    return f"{stamp}{_decimals(f'{fraction:09d}'[:digits])}Z"


def _decimals(digits: str) -> str:
    """A point and decimals, less the zeros of what was not known: groups of three at the end."""
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}" if digits else ""


def _text(value) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
