"""Arrays of log entries are read as lines, with the tables of a reader that parses one element after another."""

import gzip
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import formats
from meshlogs.engines import local
from meshlogs.formats import arrays, bulk
from meshlogs.formats.tables import joined
from meshlogs.reading import parts
from tests.reading.test_scan import CHATTER, FOREIGN, ODD, REFUSED, entry, gathered, same


def elements(document, block=1 << 10):
    """The lines of a document, and where its elements begin."""
    array, found = arrays.Array(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "BLOCK", block)
        for lines in array.blocks(io.BytesIO(document)):
            found += lines.tobytes().split(b"\n")[:-1]
    return found, np.concatenate(array._starts)[1:].tolist()


def as_array(entries, **style):
    return json.dumps(entries, **({"indent": 2} | style)).encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
BLANKS = st.text(" \t\r\n", max_size=3)


@given(st.lists(st.dictionaries(st.text(), VALUES)), st.data(), st.sampled_from([7, 64, 1 << 10]))
def test_each_element_becomes_its_line(values, data, block):
    document, begins = data.draw(BLANKS) + "[", []
    for at, value in enumerate(values):
        style = data.draw(st.sampled_from([{"indent": 2}, {"separators": (",", ":")}, {"indent": "\t"}, {}]))
        document += "," * (at > 0) + data.draw(BLANKS)
        begins.append(document.count("\n") + 1)
        document += json.dumps(value, ensure_ascii=data.draw(st.booleans()), **style) + data.draw(BLANKS)
    document += data.draw(BLANKS) + "]" + data.draw(BLANKS)
    lines, starts = elements(document.encode(), block)
    assert [json.loads(line) for line in lines] == values
    assert starts == begins


PIECES = [b"", *(bytes([letter]) for letter in b'{}[]",:\\ \n1e')]


@given(st.data())
def test_what_passes_as_an_array_is_one(data):
    document = bytearray(as_array([entry("a", REFUSED), {"b": [1, 'x\\"', {"c": None}]}, entry("é", "\n")]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(document) - 1))
        document[at : at + data.draw(st.integers(0, 2))] = data.draw(st.sampled_from(PIECES))
    try:
        lines = [json.loads(line) for line in elements(bytes(document))[0]]
    except (arrays.Odd, ValueError):
        return
    assert json.loads(document) == lines


NO_ARRAYS = [
    b"", b"[", b'[{"a":1}', b'[{"a":1},', b'[{"a":1}] [', b'{"a":1}', b'[{"a":1} {"a":2}]', b"[1]", b'[{"a":1},]',
    b"[,]", b'[{"a":[1}]}]', b'[{"a":tru e}]', b'[{"a":"x" "y"}]', b'[{"a":"x\ny"}]', b'[{"a":"x]',
    b"[" + b'{"a":' * 64 + b"1" + b"}" * 64 + b"]",
]  # fmt: skip


@pytest.mark.parametrize("document", NO_ARRAYS)
def test_what_is_no_sound_array_is_odd(document):
    with pytest.raises(arrays.Odd):
        elements(document)


def test_an_element_larger_than_a_block_is_read_and_one_beyond_reason_is_not(monkeypatch):
    large = {"a": "x" * 5_000}
    assert [json.loads(line) for line in elements(as_array([large, {}]), 64)[0]] == [large, {}]
    monkeypatch.setattr(arrays, "LARGEST", 1_000)
    with pytest.raises(arrays.Odd):
        elements(as_array([large]), 64)


def lines_in(name):
    """The entries of an example of odd lines that are JSON."""
    found = []
    for line in ODD[name].split("\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return [value for value in found if isinstance(value, dict)]


@pytest.fixture
def by_element(monkeypatch):
    """Read arrays as if nothing had been compiled: one element after another."""

    def switch():
        monkeypatch.setattr(arrays, "_arrays", None)

    return switch


@pytest.mark.parametrize(
    "style", [{}, {"indent": None, "separators": (",", ":")}, {"ensure_ascii": False, "indent": 1}]
)
@pytest.mark.parametrize("whole", [False, True])
def test_an_array_is_read_as_its_elements_one_after_another(tmp_path, style, whole, by_element, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 50_000)
    for name in ODD:
        text = json.dumps(lines_in(name), **({"indent": 2} | style)).encode("utf-8", "surrogatepass")
        (tmp_path / f"{name}.json").write_bytes(text.replace(b"\n", b"\r\n") if "windows" in name else text)
    (tmp_path / "packed.json.gz").write_bytes(gzip.compress(as_array([entry("gz", REFUSED)])))
    (tmp_path / "mark.json").write_bytes(b"\xef\xbb\xbf" + as_array([entry("bom", REFUSED)]))
    quick = gathered(tmp_path, whole=whole)
    by_element()
    same(quick, gathered(tmp_path, whole=whole))
    assert {"gz", "bom"} <= set(quick.evidence["insert_id"].str.removeprefix("i"))


def test_a_fleet_in_arrays_is_the_fleet_in_lines(tmp_path, by_element):
    ml.simulate_fleet(tmp_path / "lines", pods=40, seed=4)
    (tmp_path / "arrays").mkdir()
    for at, path in enumerate(sorted((tmp_path / "lines" / "export").rglob("*.json"))):
        text = path.read_bytes()
        if text[:2] == b'{"' and b"\n{" in text:
            text = as_array([json.loads(line) for line in text.splitlines()])
        (tmp_path / "arrays" / f"{at}.json").write_bytes(text)
    quick, lines = gathered(tmp_path / "arrays"), gathered(tmp_path / "lines" / "export")
    places = ["source", "line"]
    order = ["insert_id", "kind", "container", "time_lower", "value", "message"]
    one, other = (table.evidence.drop(columns=places).astype("str").sort_values(order, ignore_index=True)
                  for table in (quick, lines))  # fmt: skip
    assert_frame_equal(one, other)
    by_element()
    same(quick, gathered(tmp_path / "arrays"))


WRONG = {
    "cut off": as_array([*CHATTER, entry("x", REFUSED)])[:-40],
    "followed by another": as_array([*CHATTER]) + b"\n" + as_array([entry("x", REFUSED)]),
    "with a page inside": as_array([*CHATTER, {"entries": [entry("x", REFUSED)]}, entry("y", REFUSED)]),
    "with other values": as_array([*CHATTER, 7, "text", [entry("x", REFUSED)], entry("y", REFUSED)]),
    "with an open quote": as_array([*CHATTER, entry("x", REFUSED), entry("y", REFUSED)]).replace(b'"ix"', b'"ix'),
    "without a comma": as_array([*CHATTER, entry("x", REFUSED)]).replace(b"},\n  {", b"}\n  {"),
    "with what only a lenient reader takes": as_array([*CHATTER, entry("x", None, jsonPayload={"a": float("nan")})]),
    "with entries that lack a time": as_array([*CHATTER, entry("x", REFUSED) | {"timestamp": None}]),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("rows", [False, True])
def test_what_is_wrong_in_an_array_is_told_as_by_the_careful_reader(name, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 10_000)
    monkeypatch.setattr(bulk, "CHUNK", 20_000)  # much is given before anything wrong is met
    path = tmp_path / "export.json"
    path.write_bytes(WRONG[name])
    careful = formats.read(path, source="export.json")
    if not rows:
        quick = gathered(tmp_path)
        monkeypatch.setattr(arrays, "_arrays", None)
        slow = gathered(tmp_path)
        assert_frame_equal(quick.evidence, slow.evidence)
        assert quick.files.equals(slow.files)
        assert quick.rejects.drop(columns="excerpt").equals(slow.rejects.drop(columns="excerpt"))
        return
    (part,) = local.Local(1).load([parts.Task(str(path), "export.json", whole=True, rows=True)])
    assert_frame_equal(bulk.unpacked(part.rows), careful.log_entries)
    assert part.files["export.json"] == ("log_entries", careful.records, len(careful.rejects))
    assert part.tables["rejects"].drop(columns="excerpt").equals(careful.rejects.drop(columns="excerpt"))


def test_rows_of_an_array_are_those_of_its_elements(tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "BLOCK", 4_000)
    monkeypatch.setattr(bulk, "CHUNK", 20_000)
    path = tmp_path / "export.json"
    path.write_bytes(
        as_array([*CHATTER, *FOREIGN, *lines_in("proxies"), *lines_in("split entries")], ensure_ascii=False)
    )
    shards = list(formats.chunks(path))
    (part,) = local.Local(1).load([parts.Task(str(path), "export.json", whole=True, rows=True)])
    assert_frame_equal(bulk.unpacked(part.rows), joined(shards).log_entries)


def test_places_in_the_document_are_told(tmp_path):
    document = b'[\n  {"a": 1},\n\n  {"b": 2}]'
    array = arrays.Array()
    assert [block.tobytes() for block in array.blocks(io.BytesIO(document))] == [b'{"a":1}\n{"b":2}\n']
    assert array.placed(pa.table({"line": pa.array([2, 1])}))["line"].to_pylist() == [4, 2]
    (tmp_path / "log.json").write_bytes(as_array([entry("x", REFUSED, second=5), entry("y", REFUSED, second=50)]))
    export = ml.Export([tmp_path])
    text = (tmp_path / "log.json").read_text().splitlines()
    begins = [at + 1 for at, line in enumerate(text) if line == "  {"]
    refused = export.evidence[export.evidence["kind"] == "refused"].sort_values("time_upper")
    assert refused["line"].tolist() == begins
