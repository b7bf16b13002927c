"""A log entry as the API sends it (protobuf) -> the line that a Cloud Storage sink writes.

Times go from seconds and nanoseconds to text without rounding. Numbers of a JSON payload are doubles in the API;
whole ones are written as integers. (google.logging.v2.LogEntry, protobuf JSON mapping)
"""

import json


def key_of(entry) -> tuple:
    """What sorts an entry and tells it from others: time, id, log, and resource where the id is missing."""
    stamp = entry.timestamp
    labels = "" if entry.insert_id else json.dumps(sorted(entry.resource.labels.items())) + entry.text_payload
    return stamp.seconds * 1_000_000_000 + stamp.nanos, entry.insert_id, entry.log_name, labels


def as_json(entry) -> str:
    """One line of JSON, with sorted keys."""
    from google.cloud.audit import audit_log_pb2  # an AuditLog is known once this is imported
    from google.protobuf import json_format

    assert audit_log_pb2.AuditLog
    return json.dumps(_fields(json_format, entry), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def _fields(json_format, entry) -> dict:
    try:
        return json_format.MessageToDict(entry)
    except TypeError:  # a payload of a type that is not known here: its bytes are kept, the rest stays readable
        payload = entry.proto_payload
        told = {"@type": payload.type_url, "value": payload.value.hex()}
        rest = type(entry)()
        rest.CopyFrom(entry)
        rest.ClearField("proto_payload")
        return json_format.MessageToDict(rest) | {"protoPayload": told}
