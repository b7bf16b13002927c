"""Log entries out of a warehouse: a BigQuery sink's tables and Log Analytics views, as JSON, Parquet or Avro.

Rows have a LogEntry's fields under other names (`COLUMNS`, and what BigQuery makes of labels and of keys: `LABELS`,
`EVENT_KEYS`); records may be nested or JSON in a string, and what is absent is null. Times are known to the
microsecond. Rows as CSV are read by `csv_entries`, with the same names.
Sources: cloud.google.com/logging/docs/export/bigquery, .../docs/analyze/query-and-view,
cloud.google.com/bigquery/docs/exporting-data.
"""

import io
import json
import re
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

import msgspec

from meshlogs import schema
from meshlogs.errors import SchemaError
from meshlogs.formats import columns, csv_entries, envelopes, lines, log_entries, pubsub, splitter
from meshlogs.formats.columns import COLUMNS as COLUMNS
from meshlogs.formats.columns import EVENT_KEYS as EVENT_KEYS
from meshlogs.formats.columns import LABELS as LABELS
from meshlogs.formats.shapes import HIDDEN
from meshlogs.formats.tables import Shard, Tables, joined

TITLE = (
    "Rows of a BigQuery sink and of Log Analytics: JSON, Parquet, Avro; Pub/Sub messages that a subscription wrote as "
    "Avro; what `meshlogs convert` wrote"
)
LOSES = "nanoseconds (microseconds are kept), which number of a payload was whole, labels' exact names (BigQuery)"
EXAMPLE = (
    '{"timestamp":"2020-03-31 10:41:15.552128 UTC","insert_id":"1a","log_name":"projects/p/logs/stderr","resource":'
    '{"type":"k8s_container","labels":"{\\"pod_name\\":\\"web-67d56cdd-g7fvb\\",\\"container_name\\":\\"web\\"}"},'
    '"text_payload":"dial tcp 10.0.0.9:6379: connect: connection refused"}\n'
)

PARQUET, AVRO = b"PAR1", b"Obj\x01"
# What `meshlogs convert` writes is read, too.
CONVERTED = {
    "log_entries": schema.LOG_ENTRIES,
    "events": schema.EVENTS,
    "pods": schema.PODS,
    "rejects": schema.REJECTS,
}
ROWS = 2_000  # of a Parquet table at a time
LARGEST = 1 << 28  # bytes of a typed table inside an archive, which must be held to be read

# Names that no LogEntry of the API has.
_RENAMED = re.compile(
    r"(?:log_name|insert_id|text_payload|json_payload|proto_payload|receive_timestamp|protopayload_auditlog"
    r"|jsonpayload_\w+|(?:resource|json_?payload|labels)[._]\w.*)",
    re.IGNORECASE,
)
_KEY = re.compile(rb'[{,]\s*"([\w.]+)"\s*:')
_SPACED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_LOOK = 64  # rows that tell the form
# What fastavro raises for bytes that are no Avro.
_DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    zlib.error,
)


def sniff(head: bytes, _name: str) -> bool:
    """Whether this is Parquet or Avro, or JSON whose first rows have a warehouse's names, times or nested texts."""
    if head.startswith((PARQUET, AVRO)):
        return True
    noise = lines.noise_in(head)
    return noise is not None and any(_is_row(row) for row in _first_rows(head[len(noise) :]))


def wrapping(head: bytes) -> str | None:
    """How these first bytes hold rows: as a "table" in Parquet, as JSON in "rows", one a line, or in a "row_array"."""
    if head.startswith(PARQUET):
        return "table"
    if head.startswith(AVRO):
        return None
    if log_entries.is_document(head):
        return "row_array" if head.lstrip()[:1] == b"[" else None
    return "rows"


def _first_rows(head: bytes) -> Iterator[dict]:
    """The first objects of these bytes, which may be cut off."""
    text = head.decode("utf-8", "replace")
    decoder, at = json.JSONDecoder(strict=False), text.find("{")
    for _ in range(_LOOK):
        if at < 0:
            return
        try:
            value, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            return
        if isinstance(value, dict):
            yield value
        at = text.find("{", end)


def _is_row(row: dict) -> bool:
    paths = ((name, columns.path_of(name)) for name in row)
    # Programs' own JSON lines have keys like `message`, too: only fields of an entry count.
    if not columns.are_log_entries(path for name, path in paths if len(path) == 1 or _RENAMED.fullmatch(name)):
        return False
    if any(_RENAMED.fullmatch(name) for name in row):
        return True
    for name in ("timestamp", "receiveTimestamp"):
        value = row.get(name)
        if isinstance(value, int | float | dict) or (isinstance(value, str) and _is_stored(value)):
            return True
    payload, labels = row.get("jsonPayload"), row.get("labels")
    nested = ("jsonPayload", "protoPayload", "resource", "labels")
    return (
        any(isinstance(row.get(name), str) for name in nested)
        or (isinstance(payload, dict) and "involvedobject" in payload)
        or (isinstance(labels, dict) and any(name.startswith("k8s_pod_") for name in labels))
    )


def _is_stored(text: str) -> bool:
    """Whether a time is written as BigQuery writes one, or as a number."""
    return bool(_SPACED.match(text)) or text.replace(".", "").isdigit()


def read(file: BinaryIO, source: str) -> Shard:
    """The rows of one file as log entries, with the events and pods inside them."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    head = file.peek(4)[:4] if hasattr(file, "peek") else b""
    if head != PARQUET:
        return tables.chunks("warehouse", (_read_avro if head == AVRO else _read_json)(tables, file))
    held = _seekable(tables, file)
    if held is None:
        return iter([tables.shard("warehouse")])
    return _converted(tables, held) or tables.chunks("warehouse", _read_parquet(tables, held))


def add_row(tables: Tables, row: dict, line: int | None, shown: str | bytes) -> None:
    """Add a row: an entry with its events and pods, or a reject with this excerpt."""
    tables.records += 1
    shown = HIDDEN if any("proto" in name.lower() and row[name] for name in row) else shown
    csv_entries.add_cells(tables, ((columns.path_of(name), name, value) for name, value in row.items()), line, shown)


def add_typed(tables: Tables, row: dict, line: int) -> None:
    """Add a row of a typed table, in which what is absent is null."""
    add_row(tables, row, line, ", ".join(name for name in row if row[name] is not None))


# JSON


def _read_json(tables: Tables, file: BinaryIO) -> Iterator[None]:
    head = lines.head_of(file)
    if log_entries.is_document(head):
        head = lines.without_noise(head, partial(_refuse, tables))
        for found in splitter.records_of(head, file):
            if isinstance(found, envelopes.Damage):
                _refuse(tables, found.line, found.reason, found.data)
            else:
                add_text(tables, found.data, found.line)
            yield
        return
    for line, data in enumerate(lines.lines_of(head, file), 1):
        if isinstance(data, lines.Overlong):
            _refuse(tables, line, data.reason, data)
        elif data.strip():
            add_text(tables, data, line)
            yield


def add_text(tables: Tables, data: bytes, line: int) -> None:
    """Add the row that a text is, or a reject."""
    data = data.rstrip(b"\r\n").lstrip(b"\x1e")
    try:
        row = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            row = envelopes.parse(data.decode("utf-8", "replace"))
        except (ValueError, RecursionError) as error:
            deep = isinstance(error, RecursionError)
            _refuse(tables, line, "nested too deeply" if deep else "not JSON", data)
            return
    if isinstance(row, dict):
        add_row(tables, row, line, data)
    else:
        _refuse(tables, line, "not a row: not an object", data)


def _refuse(tables: Tables, line: int | None, reason: str, data: bytes) -> None:
    tables.records += 1
    tables.reject(line, reason, HIDDEN if b"auditlog" in data or b"audit_log" in data else data)


# Parquet


def _converted(tables: Tables, file: BinaryIO) -> Iterator[Shard] | None:
    """The shards of a table that `meshlogs convert` wrote, as it is; None for any other."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(file)
    except (pa.ArrowException, OSError):
        return None
    names = set(table.schema_arrow.names)
    kind = next((kind for kind, layout in CONVERTED.items() if names == set(layout.names)), None)
    return _as_it_is(tables, table, kind) if kind else None


def _as_it_is(tables: Tables, table: Any, kind: str) -> Iterator[Shard]:
    import pyarrow as pa

    empty, rows = tables.shard("warehouse"), 0
    try:
        for batch in table.iter_batches(10 * ROWS):
            found = schema.conform(pa.Table.from_batches([batch]), CONVERTED[kind], kind)
            rows += len(found)
            yield empty._replace(**{kind: found}, records=len(found))
    except (pa.ArrowException, OSError, SchemaError) as error:
        yield empty.with_reject(rows + 1, damage_of(error), "", tables.source)
        return
    if not rows:
        yield empty


def _read_parquet(tables: Tables, held: BinaryIO) -> Iterator[None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    line = 0
    try:
        table = pq.ParquetFile(held)
        if not _are_ours(tables, table.schema_arrow.names):
            return
        for batch in table.iter_batches(ROWS):
            for row in plain(pa.Table.from_batches([batch])).to_pylist():
                line += 1
                add_typed(tables, row, line)
                yield
    except (pa.ArrowException, OSError) as error:
        refuse_damaged(tables, line + 1, error)


def refuse_damaged(tables: Tables, line: int, error: Exception) -> None:
    """Add a reject: from this row on a Parquet file cannot be read."""
    _refuse(tables, line, damage_of(error), b"")


def damage_of(error: Exception) -> str:
    """What to tell of a Parquet file that cannot be read."""
    return f"the Parquet file is damaged: {_first_line(error)}"


def _seekable(tables: Tables, file: BinaryIO) -> BinaryIO | None:
    if file.seekable():
        return file
    data = file.read(LARGEST + 1)
    if len(data) <= LARGEST:
        return io.BytesIO(data)
    _refuse(tables, None, f"a table of more than {LARGEST >> 20} MB inside another file", b"")
    return None


def _are_ours(tables: Tables, names: list[str]) -> bool:
    if columns.are_log_entries(map(columns.path_of, names)):
        return True
    _refuse(tables, None, f"a table, but not of log entries: its columns are {', '.join(names)[:200]}", b"")
    return False


def plain(table: Any) -> Any:
    """The table with times and dates, at any depth, as text: a `datetime` would cut nanoseconds."""
    import pyarrow as pa

    wanted = pa.schema([field.with_type(_text_type(field.type)) for field in table.schema])
    table = table.cast(wanted)
    for name in ("timestamp", "receiveTimestamp", "receive_timestamp"):
        at = table.schema.get_field_index(name)
        if at >= 0 and pa.types.is_string(table.schema.field(at).type):
            # With a T, so that its digits, and not its writer, say how finely it is known.
            import pyarrow.compute as pc

            text = pc.replace_substring(table.column(at), " ", "T", max_replacements=1)
            table = table.set_column(at, name, pc.replace_substring(text, " UTC", "Z"))
    return table


def _text_type(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_text_type(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_text_type(kind.value_type))
    if pa.types.is_map(kind):
        return pa.map_(_text_type(kind.key_type), _text_type(kind.item_type))
    if pa.types.is_dictionary(kind):
        return _text_type(kind.value_type)
    is_text = pa.types.is_temporal(kind) or pa.types.is_decimal(kind) or pa.types.is_large_string(kind)
    return pa.string() if is_text else kind


# Avro


def _read_avro(tables: Tables, file: BinaryIO) -> Iterator[None]:
    try:
        import fastavro
        from cramjam import DecompressionError
        from fastavro.schema import SchemaParseException
    except ModuleNotFoundError:
        _refuse(tables, None, 'Avro needs the extra "avro": pip install "meshlogs[avro]"', b"")
        return
    held = _seekable(tables, file)
    if held is None:
        return
    line = 0
    try:
        blocks = fastavro.block_reader(held)
        layout = _without_types(blocks.writer_schema)
        names = [field["name"] for field in layout.get("fields", ())]
        are_messages = pubsub.MESSAGE <= set(names)
        if not are_messages and not _are_ours(tables, names):
            return
        for block in blocks:
            for _ in range(block.num_records):
                row = fastavro.schemaless_reader(block.bytes_, layout, None)
                line += 1
                if are_messages:
                    pubsub.add_message(tables, row, line)
                    yield
                    continue
                add_typed(tables, row, line)
                yield
    except (*_DAMAGED, DecompressionError, SchemaParseException) as error:
        _refuse(tables, line + 1, f"the Avro file is damaged: {_first_line(error)}", b"")


def _without_types(schema: Any) -> Any:
    """An Avro schema whose times are numbers, not `datetime`."""
    if isinstance(schema, dict):
        return {key: _without_types(value) for key, value in schema.items() if key != "logicalType"}
    return [_without_types(item) for item in schema] if isinstance(schema, list) else schema


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
