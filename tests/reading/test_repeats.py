"""Lines of plain log files that are delivered twice are one, whichever way they are read."""

import gzip

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import conversion, schema
from meshlogs.columnar import hashes
from meshlogs.formats import bulk
from meshlogs.reading import repeats

NAME = "web-67d56cdd-g7fvb.log"
REFUSED = "dial tcp 10.0.0.9:6379: connect: connection refused\n"
# Four lines: a start, two refusals at different times, and the second of them once more.
LOG = "".join(
    f"2026-03-02T09:00:0{second}.000000000Z {text}"
    for second, text in ((1, "starting\n"), (2, REFUSED), (3, REFUSED), (3, REFUSED))
)


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return root


def found(root, out):
    """(entries as they are read, as they are converted; facts of refusals; repeats that are told)."""
    read = ml.read(root)
    conversion.write_export(ml.read(root), out)
    kinds = read.facts.whole()["kind"].astype(str)
    converted = pq.read_table(out / "log_entries.parquet").num_rows
    told = int(read.coverage["duplicates"].sum())
    return len(read.log_entries), converted, int(read.facts.whole().loc[kinds == "refused", "entries"].sum()), told


@pytest.mark.parametrize("second", [f"b/{NAME}", f"a/{NAME}.gz", f"b/{NAME}.gz"])
def test_a_log_in_two_files_is_one(tmp_path, second):
    once = found(write(tmp_path / "once", {f"a/{NAME}": LOG}), tmp_path / "out1")
    assert once == (4, 4, 3, 0), "the same line twice in a file is two"
    assert found(write(tmp_path / "twice", {f"a/{NAME}": LOG, second: LOG}), tmp_path / "out2") == (4, 4, 3, 3)


def test_a_longer_copy_adds_its_own_lines(tmp_path):
    lines = LOG.splitlines(keepends=True)
    root = write(tmp_path / "in", {f"a/{NAME}": "".join(lines[:2]), f"b/{NAME}": LOG})
    assert found(root, tmp_path / "out") == (4, 4, 3, 1)


MICRO, SECONDS = LOG.replace("000000000Z", "000000Z"), LOG.replace(".000000000Z", "Z")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (MICRO, MICRO, (8, 8, 6, 0)),
        (SECONDS, SECONDS, (8, 8, 6, 0)),
        (LOG, LOG.replace(":03.", ":04."), (6, 6, 5, 1)),  # two lines are later
        (LOG, LOG.replace("10.0.0.9", "10.0.0.8"), (7, 7, 6, 0)),  # three are of another text
    ],
)
def test_what_may_be_another_line_stays(tmp_path, first, second, expected):
    assert found(write(tmp_path / "in", {f"a/{NAME}": first, f"b/{NAME}": second}), tmp_path / "out") == expected


def test_another_pods_line_stays(tmp_path):
    root = write(tmp_path / "in", {f"a/{NAME}": LOG, f"b/{NAME.replace('g7fvb', 'xx2p4')}": LOG})
    assert found(root, tmp_path / "out") == (8, 8, 6, 0)


LINES = st.lists(st.tuples(st.integers(0, 3), st.sampled_from("pq"), st.sampled_from("xy")), max_size=30)


@given(LINES, st.integers(1, 7))
def test_pieces_give_what_the_whole_gives(lines, size):
    """`lines`: file, pod and text of each; all are of one time."""
    lines.sort(key=lambda line: line[0])
    rows = [
        {"source": f"{file}.log", "pod": pod, "message": text, "time": 5, "time_granularity": "ns"}
        for file, pod, text in lines
    ]
    rows = schema.conform(rows, schema.LOG_ENTRIES)
    expected = [any(file < of and rest == told for file, *told in lines) for of, *rest in lines]
    assert repeats.lines_again(rows, repeats.LINE).tolist() == expected
    packed, seen = bulk.packed(rows), repeats.Seen()
    pieces = [seen.again(packed[at : at + size]) for at in range(0, len(rows), size)]
    assert np.concatenate([*pieces, np.zeros(0, bool)]).tolist() == expected


def test_a_set_is_asked_without_adding():
    marks = np.arange(20, dtype=np.uint64) << np.uint64(12)  # all in one place of the table
    known = hashes.Set()
    assert not known.has(marks).any() and not known.has(marks).any()
    known.again(marks[:10], np.ones(10, bool))
    assert known.has(marks).tolist() == [True] * 10 + [False] * 10
