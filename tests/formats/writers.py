"""Log entries written in every form that exports have, each by a small writer: entries and a path in, a file out.

The writers follow what the tools' own code and documents say, and share nothing with the readers.
"""

import base64
import csv
import gzip
import io
import json
import re
import tarfile
import zipfile
from decimal import Decimal

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from meshlogs import times


def lines(entries):
    return "".join(json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n" for row in entries).encode()


def ndjson(entries, path):
    path.write_bytes(lines(entries))


def array(entries, path):
    path.write_text(json.dumps(entries[::-1], indent=2))


def pages(entries, path):
    half = len(entries) // 2
    path.write_text(
        json.dumps({"entries": entries[:half], "nextPageToken": "x"}, indent=1)
        + "\n"
        + json.dumps({"nextPageToken": "y"})
        + "\n"
        + json.dumps({"entries": entries[half:]}, indent=1)
    )


class Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 takes for a number, as gcloud's writer does."""


def scalar(dumper, text):
    style = "'" if re.fullmatch(r"[-+]?\d+[eE]\d+", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, scalar)


def yaml_documents(entries, path):
    text = yaml.dump_all(entries, Dumper=Dumper, sort_keys=True, allow_unicode=True, width=1000, explicit_start=True)
    path.write_text(text)


def gz(entries, path):
    path.write_bytes(gzip.compress(lines(entries)))


def zst(entries, path):
    with pa.CompressedOutputStream(str(path), "zstd") as file:
        file.write(lines(entries))


def zipped(entries, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("export/downloaded-logs.json", json.dumps(entries))


def tarred(entries, path):
    with tarfile.open(path, "w:gz") as archive:
        data = lines(entries)
        info = tarfile.TarInfo("export/stdout/2026/03/02/09:00:00_09:59:59_S0.json")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))


# gcloud


def at(entry, path):
    for key in path.split("."):
        entry = entry.get(key) if isinstance(entry, dict) else None
    return entry


def gcloud_cell(value, separator, quoted=True):
    def field(text):
        bad = ('"', ";", separator, "\n")
        if quoted and text and (any(sign in text for sign in bad) or text != text.strip()):
            return '"' + text.replace('"', '""') + '"'
        return text

    if value is None:
        return ""
    if isinstance(value, dict):
        return ";".join(field(f"{key}={item}") for key, item in sorted(value.items()))
    return field(str(value))


def headings(paths):
    """gcloud's: the last part in snake case, on a clash with the one before it."""
    taken, found = set(), []
    for path in paths:
        label = ""
        for part in reversed(path.split(".")):
            part = re.sub(r"((?<=[a-z0-9])[A-Z]+|(?!^)[A-Z](?=[a-z]))", r"_\1", part).upper()
            label = f"{part}_{label}" if label else part
            if label not in taken:
                taken.add(label)
                break
        found.append(label)
    return found


PLACE = [f"resource.labels.{name}_name" for name in ("cluster", "namespace", "pod", "container")]
WHOLE = ["timestamp", "receiveTimestamp", "insertId", "logName", "severity", "resource", "labels", "textPayload",
         "jsonPayload", "protoPayload"]  # fmt: skip
PARTS = ["severity", "insertId", "timestamp", "receiveTimestamp", "logName", "resource.type",
         "resource.labels.project_id", "resource.labels.location", *PLACE, "textPayload", "jsonPayload",
         "protoPayload", "labels"]  # fmt: skip
LEAVES = ["timestamp", *PLACE, "textPayload", "jsonPayload.message", "jsonPayload.msg", "jsonPayload.log",
          "jsonPayload.error", "jsonPayload.reason", "jsonPayload.involvedObject.fieldPath",
          "jsonPayload.involvedObject.uid", "jsonPayload.metadata.name", "jsonPayload.source.host"]  # fmt: skip


def gcloud_csv(paths):
    def write(entries, path):
        rows = [[name.lower() for name in headings(paths)]]
        rows += [[gcloud_cell(at(entry, item), ",") for item in paths] for entry in entries]
        path.write_text("".join(",".join(row) + "\n" for row in rows))

    return write


def gcloud_json_csv(entries, path):
    """With `.format("json")` objects, as scripts write them."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(WHOLE)
        for entry in entries:
            cells = (entry.get(name) for name in WHOLE)
            writer.writerow(json.dumps(cell) if isinstance(cell, dict) else cell for cell in cells)


TEXTS = ["timestamp", *PLACE[1:], "textPayload", "jsonPayload.message"]


def gcloud_value(entries, path):
    rows = ([gcloud_cell(at(entry, item), "\t", quoted=False) for item in TEXTS] for entry in entries)
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def gcloud_table(entries, path):
    rows = [headings(LEAVES), *([str(at(entry, item) or "") for item in LEAVES] for entry in entries)]
    # A message comes last, so that its lines do not break the columns.
    order = [*(number for number, item in enumerate(LEAVES) if item != "textPayload"), LEAVES.index("textPayload")]
    rows = [[row[number] for number in order] for row in rows]
    widths = [max(len(row[number]) for row in rows) for number in range(len(order) - 1)] + [0]
    path.write_text(
        "".join("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)) + "\n" for row in rows)
    )


# Logs Explorer


def flat(value, path=""):
    if isinstance(value, dict) and value:
        for key, item in value.items():
            part = key if re.fullmatch(r"\w+", key) else f'"{key}"'
            yield from flat(item, f"{path}.{part}" if path else part)
    else:
        yield path, json.dumps(value) if isinstance(value, list | dict | bool) else str(value)


def guarded(text):
    return "'" + text if re.search(r'[-+=@,"\t\r\n]', text) else text


def explorer_csv(entries, path):
    rows = [dict(flat(entry)) for entry in entries]
    names = sorted({name for row in rows for name in row})
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(guarded, names))
        writer.writerows([guarded(row.get(name, "")) for name in names] for row in rows)


# Pub/Sub


def message(entry, number):
    return {
        "data": base64.b64encode(json.dumps(entry).encode()).decode(),
        "attributes": {"logging.googleapis.com/timestamp": entry["timestamp"]},
        "messageId": str(number),
        "publishTime": entry["receiveTimestamp"],
    }


def pubsub_pull(entries, path):
    found = [{"ackId": f"a{number}", "message": message(entry, number)} for number, entry in enumerate(entries)]
    path.write_text(json.dumps(found, indent=2))


def pubsub_push(entries, path):
    bodies = (
        {"message": message(entry, number), "subscription": "projects/p/subscriptions/s"}
        for number, entry in enumerate(entries)
    )
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))


# Warehouses


def lowered(value):
    """Keys as BigQuery stores those of users; numbers are floats there."""
    if isinstance(value, dict):
        return {re.sub(r"\W", "_", key).lstrip("_").lower(): lowered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [lowered(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def micros(text):
    return times.parse_ns(text) // 1000


def spaced(text):
    """As BigQuery prints a timestamp: microseconds without zeros at the end."""
    value = micros(text)
    stamp = times.text(value // 1_000_000 * times.SECOND)[:19].replace("T", " ")
    part = f"{value % 1_000_000:06d}".rstrip("0")
    return f"{stamp}.{part} UTC" if part else f"{stamp} UTC"


def bigquery_row(entry):
    """A row of a sink's table, its times still microseconds."""
    row = {name: entry.get(name) for name in ("insertId", "logName", "severity", "resource", "textPayload")}
    row |= {name: micros(entry[name]) for name in ("timestamp", "receiveTimestamp")}
    row["labels"] = {re.sub(r"\W", "_", key).lower(): text for key, text in (entry.get("labels") or {}).items()}
    if "jsonPayload" in entry:
        row["jsonPayload"] = lowered(entry["jsonPayload"])
    if "protoPayload" in entry:
        audit = dict(entry["protoPayload"])
        for name in ("request", "response", "metadata"):
            if name in audit:
                audit[f"{name}Json"] = json.dumps(audit.pop(name))
        row["protopayload_auditlog"] = {key.lstrip("@"): item for key, item in audit.items()}
    return row | ({"split": entry["split"]} if "split" in entry else {})


def analytics_row(entry):
    """A row of an `_AllLogs` view, its times still microseconds; payloads and labels are JSON."""
    audit = entry.get("protoPayload")
    if audit:
        snake = {re.sub(r"([A-Z])", r"_\1", key.lstrip("@")).lower(): item for key, item in audit.items()}
        snake |= {name: json.dumps(snake[name]) for name in ("request", "response") if name in snake}
        audit = {"audit_log": snake}
    log_id = entry["logName"].rpartition("/")[2].replace("%2F", "/")
    return {
        "log_name": entry["logName"], "log_id": log_id, "insert_id": entry["insertId"],
        "timestamp": micros(entry["timestamp"]), "receive_timestamp": micros(entry["receiveTimestamp"]),
        "severity": entry.get("severity"), "severity_number": 0, "text_payload": entry.get("textPayload"),
        "json_payload": json.dumps(entry["jsonPayload"]) if "jsonPayload" in entry else None,
        "proto_payload": audit, "labels": json.dumps(entry.get("labels") or {}),
        "resource": {"type": entry["resource"]["type"], "labels": json.dumps(entry["resource"]["labels"])},
        **({"split": entry["split"]} if "split" in entry else {}),
    }  # fmt: skip


TIMES = ("timestamp", "receiveTimestamp", "receive_timestamp")


def printed(row, how):
    return {name: how(value) if name in TIMES else value for name, value in row.items()}


def as_spaced(value):
    return spaced(f"{times.text(value * 1000)}")


def as_seconds(value):
    return float(Decimal(value) / 1_000_000)


def row_lines(shape, how=as_spaced):
    def write(entries, path):
        path.write_text("".join(json.dumps(printed(shape(entry), how)) + "\n" for entry in entries))

    return write


def row_array(shape):
    """What `bq query --format=prettyjson` prints."""

    def write(entries, path):
        rows = [printed(shape(entry), lambda value: as_spaced(value).removesuffix(" UTC")) for entry in entries]
        path.write_text(json.dumps(rows, indent=2))

    return write


def row_csv(shape):
    """What a query with TO_JSON_STRING around records gives as CSV."""

    def write(entries, path):
        rows = [printed(shape(entry), as_spaced) for entry in entries]
        names = sorted({name for row in rows for name in row})
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            for row in rows:
                cells = (row.get(name) for name in names)
                writer.writerow(json.dumps(cell) if isinstance(cell, dict) else cell for cell in cells)

    return write


def merged(tree, value):
    """What a column must hold to take all values: a dictionary, a list of one, or a type's name."""
    if value is None or value == {} or value == []:
        return tree
    if isinstance(value, dict):
        found = dict(tree) if isinstance(tree, dict) else {}
        for key, item in value.items():
            found[key] = merged(found.get(key), item)
        return found if tree is None or isinstance(tree, dict) else "string"
    if isinstance(value, list):
        inner = tree[0] if isinstance(tree, list) else None
        for item in value:
            inner = merged(inner, item)
        return [inner] if tree is None or isinstance(tree, list) else "string"
    name = {bool: "boolean", int: "long", float: "double", str: "string"}[type(value)]
    return name if tree in (None, name) else "string"


def shaped(tree, value):
    if value is None or tree is None:
        return None
    if isinstance(tree, dict) and isinstance(value, dict):
        return {key: shaped(inner, value.get(key)) for key, inner in tree.items()}
    if isinstance(tree, list) and isinstance(value, list):
        return [shaped(tree[0], item) for item in value]
    return value if tree != "string" or isinstance(value, str) else json.dumps(value)


def typed(shape, entries):
    rows = [shape(entry) for entry in entries]
    tree = None
    for row in rows:
        tree = merged(tree, row)
    return tree, [shaped(tree, row) for row in rows]


def row_parquet(shape):
    def write(entries, path):
        _, rows = typed(shape, entries)
        table = pa.Table.from_pylist(rows)
        for name in TIMES:
            index = table.schema.get_field_index(name)
            if index >= 0:
                table = table.set_column(index, name, table.column(name).cast(pa.timestamp("us", "UTC")))
        pq.write_table(table, path, row_group_size=100)

    return write


def avro_type(tree, name):
    if isinstance(tree, dict):
        fields = [{"name": key, "type": avro_type(inner, f"{name}_{key}")} for key, inner in tree.items()]
        return ["null", {"type": "record", "name": name, "fields": fields}]
    if isinstance(tree, list):
        return ["null", {"type": "array", "items": avro_type(tree[0], f"{name}_item")}]
    if name in {f"Root_{item}" for item in TIMES}:
        return ["null", {"type": "long", "logicalType": "timestamp-micros"}]
    return ["null", tree or "string"]


def row_avro(shape, codec="snappy"):
    def write(entries, path):
        tree, rows = typed(shape, entries)
        with path.open("wb") as file:
            fastavro.writer(file, avro_type(tree, "Root")[1], rows, codec=codec)

    return write
