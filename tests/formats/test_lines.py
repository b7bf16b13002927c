"""What stands before the first entry, and lines that are too long, cost one reject; all other entries are read."""

import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import conversion, formats
from meshlogs.formats import lines, splitter
from meshlogs.reading import blocks, parts, scan

RESOURCE = {"type": "k8s_container", "labels": {"pod_name": "web-0", "container_name": "web"}}
EVENT = {
    "kind": "Event", "reason": "Started", "involvedObject": {"kind": "Pod", "name": "web-0", "namespace": "shop"},
}  # fmt: skip


def entry(number, **more):
    return {
        "insertId": f"i{number}",
        "logName": "projects/p/logs/stderr",
        "textPayload": f"line {number}, {{ [",
        "resource": RESOURCE,
        "timestamp": f"2026-03-02T09:00:{number % 60:02}Z",
        **more,
    }


def ndjson(*values):
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)


def message(value):
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"message": {"data": data, "messageId": "1"}}


ENTRIES = [entry(number) for number in range(6)]
LINES = ndjson(*ENTRIES)
ARRAY = json.dumps(ENTRIES, indent=2)
OBJECTS = "".join(json.dumps(one, indent=1) + "\n" for one in ENTRIES)


def check(tmp_path, text, entries, rejects, name="export.json"):
    """`read`, `convert` and a scan find these entries, and rejects on these lines."""
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    shard = formats.read(path)
    assert sorted(shard.log_entries["insert_id"].fillna("")) == sorted(entries)
    assert shard.rejects["line"].tolist() == rejects
    assert shard.records == len(entries) + len(rejects)
    (tmp_path / "out").mkdir(exist_ok=True)
    counts = conversion.write_export(ml.read([path]), tmp_path / "out")
    assert (counts["log_entries"], counts["rejects"]) == (len(entries), len(rejects))
    scanned = parts.load(parts.Task(str(path), name))
    assert scanned.tables["rejects"][["line", "reason"]].equals(shard.rejects[["line", "reason"]])
    assert scanned.files[name][2] == len(rejects)
    return shard


@pytest.mark.parametrize("name", ["export.json", "export"])
@pytest.mark.parametrize("cut", range(3, len(ndjson(ENTRIES[0])) - 1, 7))
def test_lines_of_which_the_first_is_cut_at_its_beginning(cut, name, tmp_path):
    shard = check(tmp_path, LINES[cut:], [f"i{number}" for number in range(1, 6)], [1], name)
    assert shard.form == "log_entries"
    assert shard.log_entries["line"].tolist() == [2, 3, 4, 5, 6]


def test_a_cut_line_that_holds_what_may_begin_an_entry(tmp_path):
    cut = 'x":[{"severity":"INFO"},{"severity":"INFO","resource":{}}]},"timestamp":"2026-03-02T09:00:00Z"}\n'
    check(tmp_path, cut + LINES, [f"i{number}" for number in range(6)], [1])


@pytest.mark.parametrize(
    "noise",
    ["WARNING: Your config, is old.\n", "Listing entries...done.\n", "null\n", "# comment\n", "a\nb\n\nc\n"],
)
@pytest.mark.parametrize("values", [LINES, ARRAY, json.dumps(ENTRIES), OBJECTS],
                         ids=["lines", "array", "one line", "objects"])  # fmt: skip
@pytest.mark.parametrize("name", ["export.json", "export", "x.log"])
def test_noise_at_the_top_is_one_reject_a_line(noise, values, name, tmp_path):
    rejects = [number for number, line in enumerate(noise.splitlines(), 1) if line]
    shard = check(tmp_path, noise + values, [f"i{number}" for number in range(6)], rejects, name)
    assert shard.form == "log_entries"
    first = shard.log_entries["line"].tolist()[0]
    assert first == noise.count("\n") + (2 if values is ARRAY else 1)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("cut", range(5, ARRAY.index("  {", 5), 23))
def test_an_array_of_which_the_beginning_is_cut_off(cut, large, tmp_path, monkeypatch):
    if large:
        monkeypatch.setattr(splitter, "WHOLE", 100)
    rest = ARRAY[cut:]
    shard = check(tmp_path, rest, [f"i{number}" for number in range(1, 6)], [1])
    begins = [number for number, line in enumerate(rest.split("\n"), 1) if line == "  {"]
    assert shard.log_entries["line"].tolist() == begins
    assert shard.rejects["reason"].tolist() == ["the beginning of the array is cut off"]


def test_an_array_on_one_line_of_which_the_beginning_is_cut_off(tmp_path):
    check(tmp_path, json.dumps(ENTRIES)[50:], [f"i{number}" for number in range(1, 6)], [1])


def test_rows_of_a_warehouse_after_noise(tmp_path):
    rows = [
        {"insert_id": f"i{n}", "log_name": "projects/p/logs/stderr", "timestamp": f"2026-03-02 09:00:0{n} UTC",
         "text_payload": "x", "resource": RESOURCE}
        for n in range(4)
    ]  # fmt: skip
    cut = ndjson(*rows)[40:]
    assert check(tmp_path, cut, ["i1", "i2", "i3"], [1]).form == "warehouse"
    whole = [f"i{n}" for n in range(4)]
    assert check(tmp_path, "WARNING: x\n" + json.dumps(rows, indent=2), whole, [1]).form == "warehouse"


@pytest.mark.parametrize("indent", [None, 1])
def test_records_with_separators(indent, tmp_path):
    text = "".join(f"\x1e{json.dumps(value, indent=indent)}\n" for value in ENTRIES)
    shard = check(tmp_path, text, [f"i{number}" for number in range(6)], [])
    assert shard.log_entries["line"].is_monotonic_increasing


def test_entries_among_messages_and_messages_among_entries(tmp_path):
    messages = [message(entry) for entry in ENTRIES[3:]]
    whole = [f"i{number}" for number in range(6)]
    assert check(tmp_path, ndjson(*ENTRIES[:3], *messages), whole, []).form == "log_entries"
    many = ndjson(*[message(entry(number, textPayload="x" * 1000)) for number in range(100)])
    others = ndjson(*[entry(number, insertId=f"j{number}") for number in range(6)])
    both = [*(f"i{number}" for number in range(100)), *(f"j{number}" for number in range(6))]
    shard = check(tmp_path, many + others, both, [])
    assert shard.form == "pubsub"
    check(tmp_path, LINES + '{"message":{"data":"!!"}}\n', whole, [7])


PROJECTED = [{key: one[key] for key in ("resource", "textPayload", "timestamp")} for one in ENTRIES]


@pytest.mark.parametrize("text", [json.dumps(PROJECTED, indent=2), json.dumps(PROJECTED), ndjson(*PROJECTED)])
def test_fields_that_were_asked_for(text, tmp_path):
    shard = check(tmp_path, text, [""] * 6, [])
    assert shard.form == "log_entries"
    assert shard.log_entries["message"].tolist() == [one["textPayload"] for one in ENTRIES]
    assert shard.log_entries["pod"].tolist() == ["web-0"] * 6


def written(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    return tmp_path / "x.json"


def test_events_of_which_the_name_of_the_log_was_not_asked_for(tmp_path):
    site = {"type": "k8s_pod", "labels": {"pod_name": "web-0", "namespace_name": "shop"}}
    event = {"timestamp": "2026-03-02T09:00:00Z", "jsonPayload": EVENT, "resource": site}
    forged = event | {"resource": RESOURCE}
    shard = check(tmp_path, ndjson(event, forged), ["", ""], [])
    assert shard.events["line"].tolist() == [1]


def test_a_first_line_whose_text_is_longer_than_what_is_looked_at(tmp_path):
    first = {"textPayload": ""} | entry(9, textPayload="x" * 100_000)
    check(tmp_path, ndjson(first) + LINES, ["i9", *(f"i{number}" for number in range(6))], [])


@pytest.mark.parametrize(
    "text",
    [
        '{"timestamp":"2026-03-02T09:00:00Z","resource":{"attributes":{"service.name":"web"}},"body":"x"}\n',
        '{"timestamp":"2026-03-02T09:00:00Z","resource":{"type":"order","id":5}}\n',
        'Starting.\n{"severity":"INFO","timestamp":"2026-03-02T09:00:00Z","insertId":"5"}\n',
        'Starting.\n{"timestamp":"2026-03-02T09:00:00Z","message":"fine","entries":5}\n',
    ],
)
def test_what_other_programs_write_is_not_taken_for_entries(text, tmp_path):
    path = tmp_path / "x.log"
    path.write_text(text * 3)
    assert formats.detect(path) == "pod_logs"


LONG = entry(7, textPayload="x" * 5000)


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(lines, "LARGEST", 4096)
    monkeypatch.setattr(lines, "HEAD", 1024)
    monkeypatch.setattr(lines, "BLOCK", 1000)
    monkeypatch.setattr(blocks, "BLOCK", 1024)


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("end", ["\n", ""])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_line_that_is_too_long_is_passed_over(place, end, tmp_path):
    some = [*ENTRIES[:place], LONG, *ENTRIES[place:]]
    text = ndjson(*some).removesuffix("\n") + end
    shard = check(tmp_path, text, [f"i{number}" for number in range(6)], [place + 1])
    size = len(ndjson(LONG)) - (place == 6 and not end)
    assert shard.rejects["reason"].tolist() == [
        f"a line of {size:,} bytes, of which no more than 4,096 are read: write each entry on its own line"
    ]
    assert shard.log_entries["line"].tolist() == [n for n in range(1, 8) if n != place + 1]


@pytest.mark.usefixtures("_small")
def test_a_long_line_belongs_to_the_stretch_in_which_it_begins(tmp_path, monkeypatch):
    path = written(tmp_path, ndjson(*ENTRIES[:3], LONG, *ENTRIES[3:], LONG))
    whole = parts.load(parts.Task(str(path), "x"))
    assert whole.tables["rejects"]["line"].tolist() == [4, 8]
    for length in (100, 333, 1024, 5000):
        monkeypatch.setattr(scan, "STRETCH", length)
        found = [parts.load(task) for task in parts.tasks([(path, "x")], set())]
        assert len(found) > 1
        assert sum(part.lines for part in found) == 8
        assert sum(len(part.tables["rejects"]) for part in found) == 2
        assert sum(part.files["x"][1] for part in found) == 8


@given(st.lists(st.integers(0, 50), max_size=9), st.integers(1, 60), st.booleans())
def test_lines_of_any_length(sizes, limit, ended):
    data = b"\n".join(b"x" * size for size in sizes) + (b"\n" if ended else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LARGEST", limit)
        found = list(lines.lines_of(b"", io.BytesIO(data)))
    wanted = io.BytesIO(data).readlines()
    assert len(found) == len(wanted)
    for one, line in zip(found, wanted, strict=True):
        if len(line.rstrip(b"\n")) >= limit:
            assert f"a line of {len(line):,} bytes" in one.reason
        else:
            assert one == line and not isinstance(one, lines.Overlong)
