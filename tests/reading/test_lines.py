"""What compiled loops tell of lines is what reading them tells; without them the result is the same."""

import re

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import times
from meshlogs.reading import _lines_plain, blocks

_lines = pytest.importorskip("meshlogs.reading._lines", reason="it was not compiled here")

FACTORS = np.arange(256, dtype=np.uint64).reshape(128, 2) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
LINE = (
    b'{"m":"x","resource":{"labels":{"pod_name":"web-1"},"type":"k8s_container"},"timestamp":"2026-03-02T09:00:05.25Z"}'
)
ROW = LINE.replace(b"2026-03-02T09:00:05.25Z", b"2026-03-02 09:00:05.25 UTC")
PARTS = [
    LINE, ROW, b'"timestamp":"2026-03-02 09:00:05 UTC"', b'C"}', b'"resource":{"labels":{', b'"resource": {"type":"x"',
    b'"timestamp":"2026-03-02T09:00:05Z"', b'Z"}', b"{",
    b"}", b'"', b"Z", b"\r", b"\n", b"\n", b'"timestamp": "', b"2026-02-30T09:00:05Z", b"\x00", b"\xff", b"x" * 1100,
]  # fmt: skip
STAMP = re.compile(rb'"timestamp": ?"([^"]*)Z"')
STORED = re.compile(rb'"timestamp": ?"([^"]*) UTC"')
RESOURCE = re.compile(rb'"resource": ?(\{(?:"labels"|"type":)[^}]*)\}')


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=12), st.booleans())
@example([b"{"], False)
@example([LINE[:-1], b"\r\n", LINE, b"\r"], False)
@example([ROW], True)
def test_what_is_told_stands_there(parts, stored):
    data = b"".join(parts)
    ends, usual, keys, moments, places, sizes = _lines.look(np.frombuffer(data, np.uint8), FACTORS, stored)
    assert ends.tolist() == _lines_plain.look(np.frombuffer(data, np.uint8), FACTORS, False)[0].tolist()
    lines = data.split(b"\n")
    starts = [0, *(end + 1 for end in ends.tolist())]
    seen = {}
    for number, key, moment, at, size in zip(*(a.tolist() for a in (usual, keys, moments, places, sizes)), strict=True):
        line, spelled = lines[number], data[at : at + size]
        assert starts[number] < at < at + size < ends[number]
        assert [spelled] == RESOURCE.findall(line)
        stamps = STAMP.findall(line) + (STORED.findall(line) if stored else [])
        assert moment in [times.parse_ns(found.decode("latin-1").replace(" ", "T") + "Z") for found in stamps]
        assert seen.setdefault(key, spelled) == spelled


@pytest.mark.parametrize(
    "moment",
    "1970-01-01T00:00:00 2000-02-29T23:59:59.999999999 2100-02-28T12:00:00.1 2261-12-31T00:00:00.000000001".split(),
)
def test_times_are_exact(moment):
    line = LINE.replace(b"2026-03-02T09:00:05.25", moment.encode())
    assert _lines.look(np.frombuffer(line, np.uint8), FACTORS, False)[3].tolist() == [times.parse_ns(moment + "Z")]


@pytest.mark.parametrize(
    "moment",
    "1969-12-31T23:59:59 2262-01-01T00:00:00 2100-02-29T00:00:00 2026-04-31T00:00:00 2026-00-01T00:00:00 "
    "2026-01-00T00:00:00 2026-01-01T24:00:00 2026-01-01T00:60:00 2026-01-01T00:00:60 2026-01-01T00:00:00. "
    "2026-01-01T00:00:00.1234567890 2026-01-01t00:00:00 2026/01/01T00:00:00 2026-01-01T00:00:0x".split(),
)
def test_what_may_be_no_time_is_left_to_the_careful(moment):
    line = LINE.replace(b"2026-03-02T09:00:05.25", moment.encode())
    assert not len(_lines.look(np.frombuffer(line, np.uint8), FACTORS, False)[1])


@pytest.mark.parametrize(
    ("stamp", "known"),
    [
        ("2026-03-02 09:00:05 UTC", "2026-03-02T09:00:05Z"),
        ("2026-03-02 09:00:05.123456 UTC", "2026-03-02T09:00:05.123456Z"),
        ("2026-03-02T09:00:05.123456789Z", "2026-03-02T09:00:05.123456789Z"),
        ("2026-03-02T09:00:05 UTC", None),
        ("2026-03-02 09:00:05Z", None),
        ("2026-03-02 09:00:05.1234567 UTC", None),
        ("2026-03-02 09:00:05 XTC", None),
        ("2026-03-02 09:00:05C", None),
        (" UTC", None),
    ],
)
@pytest.mark.parametrize("after", ["}", ',"trace":null}'])
def test_times_of_a_warehouse(stamp, known, after):
    line = LINE.replace(b"2026-03-02T09:00:05.25Z", stamp.encode())[:-1] + after.encode()
    found = _lines.look(np.frombuffer(line, np.uint8), FACTORS, True)[3].tolist()
    assert found == ([times.parse_ns(known)] if known else [])


@pytest.mark.parametrize("stored", [False, True])
def test_of_two_times_none_is_told_unless_one_is_the_last(stored):
    line = LINE.replace(b'{"m":"x"', b'{"timestamp":"2020-01-01 00:00:00 UTC","t":{"timestamp":"2020-01-01T00:00:00Z"}')
    line = line[:-1] + b',"trace":null}'
    found = _lines.look(np.frombuffer(line, np.uint8), FACTORS, stored)[3].tolist()
    assert found == []


KEYS = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 3), max_size=40)


@given(st.lists(KEYS, max_size=4))
def test_keys_are_numbered_as_they_come(blocks):
    compiled, plain = _lines.Numbers(np.uint64(0xD6E8FEB86659FD93)), _lines_plain.Numbers(np.uint64(1))
    known = []
    for keys in blocks:
        new = list(dict.fromkeys(key for key in keys if key not in known))
        known += new
        for numbers, firsts in (table.of(np.array(keys, np.uint64)) for table in (compiled, plain)):
            assert [known[number] for number in numbers] == keys
            assert firsts.tolist() == [keys.index(key) for key in new]


def test_very_short_lines_are_all_looked_at():
    assert _lines.look(np.frombuffer(b"\n" * 1000 + LINE, np.uint8), FACTORS, False)[0].tolist() == [
        *range(1000),
        1000 + len(LINE),
    ]


@given(st.binary().filter(bool))
def test_lines_as_texts(block):
    letters = np.frombuffer(block, np.uint8)
    ends = _lines.look(letters, FACTORS, False)[0]
    lines = np.arange(len(ends))[::-1].copy()
    expected = block.removesuffix(b"\n").split(b"\n")[::-1]
    assert _lines.texts(letters, ends, lines) == _lines_plain.texts(letters, ends, lines) == expected


@given(st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(-2, 2)), max_size=9), max_size=3))
def test_how_many_the_first_and_the_last_of_each_cell(blocks):
    pairs = [pair for block in blocks for pair in block]
    for module in (_lines, _lines_plain):
        counts, ends = np.zeros(4, np.int64), np.zeros((2, 2, 4), np.int64)
        before = 0
        for block in blocks:
            cells, moments = np.array(block, np.int64).reshape(-1, 2).T.copy()
            module.tally(cells, moments, np.arange(before + 1, before + 1 + len(block)), counts, *ends)
            before += len(block)
        for cell in range(4):
            mine = [(moment, number) for number, (other, moment) in enumerate(pairs, 1) if other == cell]
            assert counts[cell] == len(mine)
            assert ends[0, :, cell].tolist() == list(min(mine, default=(0, 0)))
            last = max(mine, default=(0, 0))
            assert ends[1, :, cell].tolist() == list(last)


def test_without_a_compiler_the_result_is_the_same(monkeypatch):
    expected = ml.read("sample_data/fleet")
    evidence, files = expected.evidence, expected.files
    monkeypatch.setattr(blocks, "_lines", _lines_plain)
    found = ml.read("sample_data/fleet")
    assert_frame_equal(found.evidence, evidence)
    assert_frame_equal(found.files, files)
