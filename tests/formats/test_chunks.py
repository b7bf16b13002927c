"""Chunks: the rows of `read`, in the same order, in memory that does not grow with the file."""

import gzip
import io
import json
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import formats
from meshlogs.formats import splitter, tables

TABLES = ("log_entries", "events", "pods", "rejects", "splits")


def entry(number, **more):
    return {
        "insertId": str(number),
        "logName": "projects/p/logs/stderr",
        "textPayload": f"line {number} }},{{ \\ é",
        "timestamp": f"2020-01-01T00:00:{number % 60:02d}.000000001Z",
    } | more


def check(path, monkeypatch, at_least=2):
    """Small chunks and one large one hold the same rows; returns them."""
    whole = formats.read(path)
    monkeypatch.setattr(tables, "CHUNK", 20_000)
    monkeypatch.setattr(splitter, "WHOLE", 1 << 12)
    monkeypatch.setattr(splitter, "BLOCK", 1 << 10)
    parts = list(formats.chunks(path))
    assert len(parts) >= at_least
    again = tables.joined(parts)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(whole, name), getattr(again, name))
    assert whole.records == again.records
    return whole


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [
    lambda rows: rows,
    lambda rows: {"entries": rows, "nextPageToken": "x"},
    lambda rows: {"nextPageToken": "x", "entries": rows},
])  # fmt: skip
def test_arrays_and_pages(tmp_path, monkeypatch, indent, wrap):
    path = tmp_path / "x.json"
    path.write_text(json.dumps(wrap([entry(number) for number in range(200)]), indent=indent))
    found = check(path, monkeypatch).log_entries
    assert found["insert_id"].tolist() == [str(number) for number in range(200)]


def test_lines_compressed_lines_and_kubernetes_lists(tmp_path, monkeypatch):
    lines = "\n".join(json.dumps(entry(number)) for number in range(200))
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(lines.encode()))
    assert len(check(tmp_path / "x.json.gz", monkeypatch).log_entries) == 200
    pods = [{"kind": "Pod", "metadata": {"name": f"p{number}"}, "spec": {"containers": [{"name": "c"}]}}
            for number in range(200)]  # fmt: skip
    (tmp_path / "pods.json").write_text(json.dumps({"apiVersion": "v1", "items": pods, "kind": "List"}, indent=4))
    assert len(check(tmp_path / "pods.json", monkeypatch).pods) == 200


def test_parts_of_a_split_entry_are_joined_across_chunks(tmp_path, monkeypatch):
    split = {"uid": "u", "totalSplits": 2}
    rows = [entry(0, textPayload="first ", split=split), *map(entry, range(1, 200))]
    rows.append(entry(200, textPayload="second", split=split | {"index": 1}))
    path = tmp_path / "x.json"
    path.write_text("\n".join(map(json.dumps, rows)))
    found = check(path, monkeypatch).log_entries
    assert len(found) == 200
    assert found["message"].iloc[-1] == "first second"
    assert found["insert_id"].iloc[-1] == "0"


def test_damage_in_a_large_array_costs_one_record(tmp_path, monkeypatch):
    text = json.dumps([entry(number) for number in range(100)], indent=1)
    monkeypatch.setattr(splitter, "WHOLE", 1 << 12)
    for damage in ('"insertId": "50', '"insertId": [[', '"insertId": {"a":'):
        (tmp_path / "x.json").write_text(text.replace('"insertId": "50"', damage))
        shard = formats.read(tmp_path / "x.json")
        assert len(shard.log_entries) == 99
        assert 1 <= len(shard.rejects) <= 2
    (tmp_path / "x.json").write_text(text[: text.index('"insertId": "50"')])
    shard = formats.read(tmp_path / "x.json")
    assert len(shard.log_entries) == 50
    assert len(shard.rejects) >= 1


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(max_size=3), VALUES), max_size=6), st.sampled_from([None, 1]))
def test_the_splitter_finds_every_element_wherever_blocks_end(elements, indent):
    data = json.dumps(elements, indent=indent).encode()
    before = splitter.BLOCK
    splitter.BLOCK = 3
    try:
        found = list(splitter.records(io.BytesIO(data)))
    finally:
        splitter.BLOCK = before
    assert [json.loads(record.data) for record in found] == elements


MEASURED = """
import re, sys
from pathlib import Path
from meshlogs import formats
rows = sum(len(shard.log_entries) for shard in formats.chunks(sys.argv[1]))
# Not getrusage, which tells the peak of the process that started this one, too.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(rows, peak)
"""


def test_an_array_of_any_size_takes_little_memory(tmp_path):
    path = tmp_path / "x.json"
    text = ",\n".join(json.dumps(entry(number, textPayload="x" * 900)) for number in range(1000))
    with path.open("w") as file:
        file.write("[" + text)
        for _ in range(59):
            file.write(",\n" + text)
        file.write("]")
    answer = subprocess.run([sys.executable, "-c", MEASURED, path], capture_output=True, text=True, check=True)
    rows, megabytes = map(int, answer.stdout.split())
    assert rows == 60_000
    assert megabytes < 500, "an array of 63 MB"
