"""`convert` gives every row once, in pieces, and never holds them all."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import conversion, schema
from meshlogs.engines import local
from meshlogs.formats import bulk
from meshlogs.reading import parts, repeats


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    ml.simulate_fleet(folder, pods=30, seed=8, shards=2)
    whole = (folder / "export").rglob("*_S0.json")
    again = next(path for path in whole if "stdout" in str(path))
    (folder / "export" / "again.json.gz").write_bytes(gzip.compress(again.read_bytes()))
    return folder / "export"


def comparable(table):
    order = ["time", "log_name", "insert_id", "message", "source", "line"]
    return table.sort_values(order, kind="stable", ignore_index=True)


@pytest.mark.parametrize("stretch", [parts.ROWS_STRETCH, 30_000])
def test_the_rows_are_those_that_are_read_whole(export, tmp_path, monkeypatch, stretch):
    monkeypatch.setattr(parts, "ROWS_STRETCH", stretch)
    counts = conversion.write_export(ml.read(export), tmp_path)
    read = ml.read(export)
    for name, layout in conversion.LAYOUTS.items():
        table = schema.load(tmp_path, name, layout)
        assert counts[name] == len(table)
        expected = getattr(read, name)
        if name == "log_entries":
            table, expected = comparable(table), comparable(expected)
        pd.testing.assert_frame_equal(table, expected)


WITHOUT = """
import sys
sys.modules |= dict.fromkeys(sys.argv[3:])
import meshlogs as ml
from meshlogs import conversion
from meshlogs.engines import local
from meshlogs.reading import parts
parts.ROWS_STRETCH = 30_000
export = ml.read(sys.argv[1])
assert not any(task.is_compiled for task in export.tasks(rows=True))
export.engine = local.Local(1)
conversion.write_export(export, sys.argv[2])
"""


def test_without_a_compiler_the_result_is_the_same(export, tmp_path):
    conversion.write_export(ml.read(export), tmp_path / "compiled")
    compiled = [".".join(path.with_suffix("").parts) for path in Path("meshlogs").rglob("*.pyx")]
    subprocess.run([sys.executable, "-c", WITHOUT, export, tmp_path / "plain", *compiled], check=True)
    assert len(compiled) == 5
    for name in conversion.LAYOUTS:
        found, expected = (pq.read_table(tmp_path / folder / f"{name}.parquet") for folder in ("plain", "compiled"))
        assert found.equals(expected)


@pytest.mark.skipif(not bulk.usual_rows, reason="it was not compiled here")
@pytest.mark.parametrize("threads", [False, True])
def test_threads_and_workers_give_the_rows_of_one_thread(export, tmp_path, monkeypatch, threads):
    """Threads where what is not compiled code's is less than is worth a worker, else workers."""
    conversion.write_export(ml.read(export), tmp_path / "alone")
    monkeypatch.setattr(parts, "ROWS_STRETCH", 30_000)
    others = sum(task.size for task in ml.read(export).tasks(rows=True) if not task.is_compiled)
    monkeypatch.setattr(local, "SMALL", others + threads)
    used, in_threads = [], local._in_threads
    monkeypatch.setattr(local, "_in_threads", lambda *given: used.append(given) or in_threads(*given))
    read = ml.read(export)
    read.engine = local.Local(3)
    conversion.write_export(read, tmp_path / "out")
    assert bool(used) == threads
    for name in conversion.LAYOUTS:
        found, expected = (pq.read_table(tmp_path / folder / f"{name}.parquet") for folder in ("out", "alone"))
        assert found.equals(expected)


def test_only_the_asked_time_is_converted(export, tmp_path):
    since = "2026-03-02T09:30:00Z"
    conversion.write_export(ml.read(export, since=since), tmp_path)
    table = schema.load(tmp_path, "log_entries", schema.LOG_ENTRIES)
    assert len(table) and (table["time"].dropna() >= pd.Timestamp(since)).all()
    assert len(table) == len(ml.read(export, since=since).log_entries)


def test_an_export_of_nothing_is_an_error(tmp_path):
    (tmp_path / "empty.json").write_text("\n")
    with pytest.raises(ml.InputError, match="no log entry"):
        conversion.write_export(ml.read(tmp_path), tmp_path / "out")


KEYS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["1", "2", None])), max_size=30)


@given(KEYS, st.integers(1, 7))
def test_repeats_are_found_across_pieces(keys, size):
    rows = bulk.packed(
        schema.conform(
            [
                {"log_name": log, "time": pd.Timestamp(1000 * time, tz="UTC"), "insert_id": name}
                for log, time, name in keys
            ],
            schema.LOG_ENTRIES,
        )
    )
    seen = repeats.Seen()
    found = [seen.again(rows[at : at + size]) for at in range(0, len(rows), size)]
    expected = [name is not None and keys.index((log, time, name)) < at for at, (log, time, name) in enumerate(keys)]
    assert np.concatenate([*found, np.zeros(0, bool)]).tolist() == expected


MEASURED = """
import re, sys
from pathlib import Path
from meshlogs import conversion
from meshlogs.engines import local
import meshlogs as ml
export = ml.read(sys.argv[1])
export.engine = local.Local(1)
rows = conversion.write_export(export, sys.argv[2])["log_entries"]
# Not getrusage, which tells the peak of the process that started this one, too.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
print(rows, peak)
"""


def test_a_large_export_takes_little_memory(tmp_path):
    with (tmp_path / "S0.json").open("w") as file:
        for number in range(60_000):
            entry = {
                "insertId": f"i{number}",
                "logName": "projects/p/logs/stdout",
                "resource": {"labels": {"pod_name": "p"}, "type": "k8s_container"},
                "textPayload": f"{number} " + "x" * 2000,
                "timestamp": "2026-03-02T09:00:00.5Z",
            }
            file.write(json.dumps(entry, separators=(",", ":")) + "\n")
    words = [sys.executable, "-c", MEASURED, tmp_path / "S0.json", tmp_path / "out"]
    rows, megabytes = map(int, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
    assert rows == 60_000
    assert megabytes < 500, "132 MB of lines"
