"""A log entry as the API sends it (protobuf) -> the line that a Cloud Storage sink writes.

Times go from seconds and nanoseconds to text without rounding. Numbers of a JSON payload are doubles in the API;
whole ones are written as integers. What JSON cannot say is said by a text: "NaN", a payload of an unknown type by its
bytes. (google.logging.v2.LogEntry, protobuf JSON mapping)
"""

import base64
import json
import math


def key_of(entry) -> tuple:
    """What sorts an entry and tells it from others: time, id, log, and all of it where the id is missing."""
    whole = b"" if entry.insert_id else entry.SerializeToString(deterministic=True)
    return entry.timestamp.seconds * 1_000_000_000 + entry.timestamp.nanos, entry.insert_id, entry.log_name, whole


def as_json(entry) -> str:
    """One line of JSON, with sorted keys."""
    from google.protobuf import json_format

    rest = type(entry)()
    rest.CopyFrom(entry)
    payload = entry.WhichOneof("payload")
    if payload in ("json_payload", "proto_payload"):
        rest.ClearField(payload)
    told = json_format.MessageToDict(rest)
    if payload == "json_payload":
        told["jsonPayload"] = _struct(entry.json_payload)
    elif payload == "proto_payload":
        told["protoPayload"] = _any(entry.proto_payload)
    return json.dumps(told, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _struct(struct) -> dict:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value):
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    if kind == "number_value":
        return _number(value.number_value)
    return None if kind in (None, "null_value") else getattr(value, kind)


def _number(number: float):
    """Whole numbers as integers, as long as a double can tell them apart; `NaN` and the infinities as texts."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    return int(number) if number.is_integer() and abs(number) <= 2**63 else number


def _any(payload) -> dict:
    """A payload of a type of its own: an AuditLog field by field, any other by its bytes."""
    from google.cloud.audit.audit_log_pb2 import AuditLog
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    audit = AuditLog()
    try:
        known = payload.Unpack(audit)
    except DecodeError:
        known = False
    if not known:
        return _bytes(payload)
    structs = {}
    for field, value in audit.ListFields():
        if field.message_type is not None and field.message_type.full_name == "google.protobuf.Struct":
            structs[field.json_name] = _struct(value)
    for name in ("request", "response", "metadata", "resource_original_state"):
        audit.ClearField(name)
    told = {"@type": payload.type_url}
    if audit.HasField("service_data"):
        told["serviceData"] = _bytes(audit.service_data)
        audit.ClearField("service_data")
    details = [_bytes(detail) for detail in audit.status.details]
    if details:
        del audit.status.details[:]
    told |= json_format.MessageToDict(audit)
    if details:
        told["status"]["details"] = details
    return told | structs


def _bytes(payload) -> dict:
    return {"@type": payload.type_url, "value": base64.b64encode(payload.value).decode()}
