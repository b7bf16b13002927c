"""The scan of a warehouse's rows, in lines or in a table, finds what a run that parses every row finds."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import meshlogs as ml
from meshlogs import formats, times
from meshlogs.reading import blocks, parts, scan, table_rows
from tests.formats import writers
from tests.reading.test_scan import CHATTER, DATED, ODD, REFUSED, entry, gathered, same

SHAPES = {"bigquery": writers.bigquery_row, "analytics": writers.analytics_row}
TIMES = {
    "spaced": writers.as_spaced,
    "RFC 3339": lambda value: times.text(value * 1000),
    "seconds": writers.as_seconds,
}


def rows_of(text, shape, how=writers.as_spaced, **style):
    """The entries of a file's lines as rows of JSON; lines that are no entries stay as they are."""
    style = {"separators": (",", ":")} | style
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
            value = {"receiveTimestamp": value["timestamp"]} | value
            line = json.dumps(writers.printed(SHAPES[shape](value), how), **style)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        found.append(line + "\n")
    return "".join(found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ODD)
def test_a_scan_finds_what_parsing_every_row_finds(name, shape, tmp_path):
    (tmp_path / "rows.json").write_text(rows_of(ODD[name], shape), encoding="utf-8", errors="surrogatepass")
    found, whole = gathered(tmp_path), gathered(tmp_path, whole=True)
    assert found.files["form"].tolist() == ["warehouse"]
    same(found, whole)


@pytest.mark.parametrize("how", TIMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_scan_of_a_fleet_is_a_run_over_every_row(shape, how, tmp_path, simulated):
    for path in sorted((simulated(pods=60, seed=4) / "export").rglob("*.json")):
        if path.name != "pods.json":
            place = tmp_path / "rows" / path.parent.name
            place.mkdir(parents=True, exist_ok=True)
            (place / path.name).write_text(rows_of(path.read_text(), shape, TIMES[how]))
    found, whole = gathered(tmp_path / "rows"), gathered(tmp_path / "rows", whole=True)
    assert set(found.files["form"]) == {"warehouse"} and len(found.evidence) > 1_000
    same(found, whole)


@pytest.mark.parametrize(("shape", "indent"), [("bigquery", None), ("analytics", 2)])
@pytest.mark.parametrize("name", [name for name in ODD if "half a letter" not in name])
def test_an_array_of_rows_is_what_reading_each_of_them_finds(name, shape, indent, tmp_path):
    """As `bq query --format=json` prints one, or `--format=prettyjson`."""
    rows = [writers.printed(SHAPES[shape](one), writers.as_spaced) for one in entries_of(ODD[name])]
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=indent))
    assert formats.wrapping(tmp_path / "rows.json") == "row_array"
    same(gathered(tmp_path), gathered(tmp_path, whole=True))
    part = parts.load(ml.read(tmp_path).tasks()[0])
    assert part.lines > part.parsed or name in ("stack traces", "many containers in many hours") or len(rows) < 300


@pytest.mark.parametrize("text", ['[{"a":1}', "[1]", '[{"timestamp":"x"} {"a":1}]'])
def test_an_array_that_is_not_sound_is_read_with_care(text, tmp_path):
    rows = [writers.printed(writers.bigquery_row(one), writers.as_spaced) for one in entries_of(ODD["stack traces"])]
    (tmp_path / "rows.json").write_text(json.dumps(rows, indent=2)[:-2] + ",\n" + text[1:])
    same(gathered(tmp_path), gathered(tmp_path, whole=True))


def test_most_rows_are_not_parsed(tmp_path):
    text = rows_of("".join(json.dumps(one) + "\n" for one in [*CHATTER, entry("x", REFUSED, second=15)]), "bigquery")
    (tmp_path / "rows.json").write_text(text)
    part = parts.load(ml.read(tmp_path).tasks()[0])
    assert part.tables["log_entries"]["message"].eq(REFUSED).sum() == 1
    assert (part.parsed, part.lines) == (3, 301)  # the first and last row besides


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_read_in_stretches_and_small_blocks_are_the_file(shape, tmp_path, monkeypatch):
    text = rows_of("".join(ODD[name] for name in ("as a sink writes it", "stack traces", "proxies")), shape)
    (tmp_path / "rows.json").write_text(text)
    whole = gathered(tmp_path)
    for stretch, block in ((len(text) // 5, 1 << 20), (4096, 1000), (1 << 20, 77)):
        monkeypatch.setattr(scan, "STRETCH", stretch)
        monkeypatch.setattr(blocks, "BLOCK", block)
        same(gathered(tmp_path), whole)


NESTED_TIME = {"time": "x", "timestamp": "2020-01-01T00:00:00Z", "msg": "fine"}
SPELLED = {
    "blanks after colons": ({"separators": (", ", ": ")}, [entry("x", REFUSED)]),
    "a payload's own time": ({}, [entry("y", None, jsonPayload=NESTED_TIME), entry("x", None, jsonPayload=DATED)]),
    "letters as escapes": ({}, [entry("x", "в соединении отказано"), entry("y", "\x1b[31mconnection refused")]),
    "all columns, most of them null": (
        {}, [entry("x", REFUSED, split=None, httpRequest=None, jsonPayload=None, protoPayload=None, operation=None)]
    ),
    "stack traces in texts of JSON": ({}, [
        entry("a", None, jsonPayload={"message": "java.net.ConnectException: Connection refused"}),
        entry("b", None, jsonPayload={"message": "\tat java.net.Socket"}),
        entry("c", None, jsonPayload={"message": "  ... 12 more"}),
        entry("d", None, jsonPayload={"message": "dial tcp 10.0.0.9:6379: connect:\n"}),
    ]),
    "a pod's rows that name no container": ({}, [
        {**entry("x", f"[2026-03-02T09:00:01.100Z] {REFUSED}"),
         "resource": {"type": "k8s_pod", "labels": {"pod_name": "web-6d5f7c9b4d-x2x4z", "namespace_name": "shop"}}},
    ]),
    "two rows on a line": ({}, []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SPELLED)
def test_rows_however_they_are_spelled(name, shape, tmp_path):
    style, more = SPELLED[name]
    text = rows_of("".join(json.dumps(one) + "\n" for one in [*CHATTER, *more]), shape, **style)
    if name == "two rows on a line":
        text += text.splitlines()[0] + text.splitlines()[1] + "\n"
    (tmp_path / "rows.json").write_text(text)
    same(gathered(tmp_path), gathered(tmp_path, whole=True))


# The same as a table in Parquet.


def entries_of(text):
    """The log entries of a file's lines, with all that a warehouse knows of them."""
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
            found.append({"receiveTimestamp": value["timestamp"], "insertId": "i"} | value)
        except (ValueError, TypeError):
            pass
    return found


def table_of(entries, shape, path):
    writers.row_parquet(SHAPES[shape])(entries, path)
    return pq.read_table(path)


def scanned(path):
    """What a scan finds, which must be one of the table and not the careful road."""
    assert formats.wrapping(path) == "table" and table_rows.is_usual(pq.read_schema(path))
    return gathered(path.parent)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", [name for name in ODD if "half a letter" not in name])
def test_a_scan_finds_what_parsing_every_row_of_a_table_finds(name, shape, tmp_path):
    table_of(entries_of(ODD[name]), shape, tmp_path / "rows.parquet")
    same(scanned(tmp_path / "rows.parquet"), gathered(tmp_path, whole=True))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_fleet_in_tables(shape, tmp_path, simulated, monkeypatch):
    (tmp_path / "rows").mkdir()
    for folder in ("stdout", "stderr", "events"):
        shards = sorted((simulated(pods=60, seed=4) / "export" / folder).rglob("*.json"))
        entries = entries_of("".join(path.read_text() for path in shards))
        table_of(entries, shape, tmp_path / "rows" / f"{folder}.parquet")
    whole = gathered(tmp_path / "rows", whole=True)
    assert len(whole.evidence) > 1_000
    same(gathered(tmp_path / "rows"), whole)
    monkeypatch.setattr(scan, "TABLE_STRETCH", 20_000)
    monkeypatch.setattr(table_rows, "BATCH", 77)
    assert len(ml.read(tmp_path / "rows").tasks()) > 5
    same(gathered(tmp_path / "rows"), whole)


def test_most_rows_of_a_table_are_not_parsed(tmp_path):
    entries = [{"receiveTimestamp": one["timestamp"]} | one for one in [*CHATTER, entry("x", REFUSED, second=15)]]
    table_of(entries, "bigquery", tmp_path / "rows.parquet")
    part = parts.load(ml.read(tmp_path).tasks()[0])
    assert (part.parsed, part.lines) == (3, 301)


HIDDEN = {
    "a tab at the beginning": {"message": "\tat java.net.Socket"},
    "a line's end between the words": {"message": "connection\nrefused"},
    "the name of a column is one of the words": {"connection": "refused"},
    "a list": {"args": ["connection refused", "10.0.0.9:6379"]},
    "a list of objects": {"errors": [{"message": "connection refused"}]},
    "an object in an object": {"error": {"cause": {"msg": "connection refused"}}},
    "a cause at the end": {"message": "dial tcp 10.0.0.9:6379: connect: \n"},
    "an escape": {"message": '{"m":"connection \\u0072efused"}'},
    "JSON in a text": {"message": '{"m":" at java.net.Socket"}'},
    "a bracket": {"message": "} 10.0.0.9:6379"},
    "split": {"message": "connection refu"},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", HIDDEN)
def test_what_matters_is_found_wherever_a_table_holds_it(name, shape, tmp_path):
    more = {"split": {"uid": "u", "index": 0, "totalSplits": 2}} if name == "split" else {}
    first = entry("x", None, second=15, jsonPayload=HIDDEN[name], **more)
    second = entry("y", None, second=16, jsonPayload={"message": "java.net.ConnectException: Connection refused"})
    entries = [{"receiveTimestamp": one["timestamp"]} | one for one in [*CHATTER, first, second]]
    table_of(entries, shape, tmp_path / "rows.parquet")
    part = parts.load(ml.read(tmp_path).tasks()[0])
    kept = part.tables["splits" if name == "split" else "log_entries"]
    assert kept["insert_id"].eq("ix").sum() == 1
    same(scanned(tmp_path / "rows.parquet"), gathered(tmp_path, whole=True))


def changed(table, name, column):
    return table.set_column(table.column_names.index(name), name, column)


@pytest.fixture
def table(tmp_path):
    entries = entries_of(ODD["stack traces"])
    return table_of(entries, "bigquery", tmp_path / "rows.parquet")


def test_rows_without_a_time_or_a_resource(table, tmp_path):
    some = pa.array([number % 7 > 0 for number in range(len(table))])
    others = pa.array([number % 5 > 0 for number in range(len(table))])
    for name, keep in (("timestamp", some), ("resource", others)):
        table = changed(table, name, pa.array(table[name].to_pylist(), table[name].type, mask=~keep.to_numpy(False)))
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=50)
    same(scanned(tmp_path / "rows.parquet"), gathered(tmp_path, whole=True))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_that_nanoseconds_cannot_hold_are_rejects(unit, table, tmp_path):
    stamps = table["timestamp"].cast(pa.timestamp(unit, "UTC"), safe=False)
    last = 2**63 - 1 if unit == "ns" else 253_402_300_799 * {"s": 1, "ms": 10**3, "us": 10**6}[unit]  # 9999-12-31
    ends = pa.chunked_array([pa.array([last, -last], stamps.type), *stamps.slice(2).chunks])
    pq.write_table(changed(table, "timestamp", ends), tmp_path / "rows.parquet")
    found = scanned(tmp_path / "rows.parquet")
    assert found.rejects["line"].tolist() == [1, 2]
    same(found, gathered(tmp_path, whole=True))


@pytest.mark.parametrize("how", ["nanoseconds", "repeated texts as numbers", "long texts", "compressed"])
def test_tables_however_they_are_typed(how, table, tmp_path):
    if how == "nanoseconds":
        table = changed(table, "timestamp", table["timestamp"].cast(pa.timestamp("ns", "Europe/Berlin")))
    elif how == "repeated texts as numbers":
        table = changed(table, "textPayload", table["textPayload"].dictionary_encode())
    elif how == "long texts":
        table = changed(table, "textPayload", table["textPayload"].cast(pa.large_string()))
    pq.write_table(table, tmp_path / "rows.parquet", compression="zstd" if how == "compressed" else "snappy")
    same(scanned(tmp_path / "rows.parquet"), gathered(tmp_path, whole=True))


@pytest.mark.parametrize("how", ["times as texts", "no resource", "bytes", "no zone"])
def test_other_tables_take_the_careful_road(how, table, tmp_path):
    if how == "times as texts":
        table = changed(table, "timestamp", table["timestamp"].cast(pa.string()))
    elif how == "no resource":
        labels = table["resource"].combine_chunks().field("labels")
        table = table.drop_columns("resource").append_column("resource_labels", labels)
    elif how == "bytes":
        table = changed(table, "textPayload", table["textPayload"].cast(pa.binary()))
    else:
        table = changed(table, "timestamp", table["timestamp"].cast(pa.timestamp("us")))
    pq.write_table(table, tmp_path / "rows.parquet")
    assert not table_rows.is_usual(pq.read_schema(tmp_path / "rows.parquet"))
    found = gathered(tmp_path)
    assert found.files["records"].tolist() == [len(table)]
    same(found, gathered(tmp_path, whole=True))


def test_a_damaged_table_is_read_as_far_as_it_goes_and_told(table, tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    pq.write_table(table, path, row_group_size=100, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"handled request 150")
    data[at - 2_000 : at] = b"\xff" * 2_000
    path.write_bytes(data)
    found, whole = gathered(tmp_path), gathered(tmp_path, whole=True)
    same(found, whole)
    assert found.rejects["reason"].str.startswith("the Parquet file is damaged").all() and len(found.rejects) == 1
    monkeypatch.setattr(scan, "TABLE_STRETCH", 5_000)
    assert len(ml.read(tmp_path).tasks()) > 2
    parts_ = gathered(tmp_path)
    assert parts_.rejects["reason"].str.startswith("the Parquet file is damaged").all() and len(parts_.rejects) >= 1
    assert len(parts_.evidence) >= len(whole.evidence)
