"""What is told of lines without parsing them is what parsing them tells."""

import io
import json
import re
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import times
from meshlogs.reading import blocks
from meshlogs.reading.blocks import Lines, Stretch

WRITTEN = (
    "2026-03-02T09:00:05Z 2026-03-02T09:00:05.1Z 2026-03-02T23:59:59.123456789Z 2026-13-02T09:00:05Z "
    "2026-03-02T24:00:05Z 0001-01-01T00:00:00Z 2026-03-02T09:00:05+02:00 2026-03-02T09:00:05.1234567891Z yesterday Z"
).split()
STAMP = st.one_of(
    st.sampled_from([*WRITTEN, "2026-03-02 09:00:05Z", ""]),
    st.from_regex(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{1,9})?Z", fullmatch=True),
)  # fmt: skip
NAMES = st.sampled_from(["web", "db", "a}b", 'a"Z"', "x" * 300, "x" * 1100, "é"])
RESOURCE = st.builds(
    lambda pod, container, swap: dict(
        [("labels", {"container_name": container, "pod_name": pod, "project_id": "p"}), ("type", "k8s_container")][
            :: -1 if swap else 1
        ]
    ),
    NAMES, NAMES, st.booleans(),
)  # fmt: skip
PAYLOAD = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=9), STAMP),
    lambda inner: st.dictionaries(
        st.sampled_from(["timestamp", "resource", "labels", "type", "msg"]), inner, max_size=3
    ),
    max_leaves=5,
)
ENTRY = st.builds(
    lambda stamp, resource, payload, turn: dict(
        [("jsonPayload", payload), ("resource", resource), ("timestamp", stamp), ("severity", "INFO")][turn:]
        + [("jsonPayload", payload), ("resource", resource), ("timestamp", stamp), ("severity", "INFO")][:turn]
    ),
    STAMP, RESOURCE, PAYLOAD, st.integers(0, 3),
)  # fmt: skip
USUAL = [(",", ":"), (", ", ": ")]
STYLE = st.sampled_from([*USUAL, (", ", " : "), (",", ":  "), (" ,", "\t:")])
LINES = st.lists(st.tuples(ENTRY, STYLE, st.booleans()), min_size=1, max_size=9)


@given(LINES, st.sampled_from(["\n", "\r\n"]))
def test_whose_and_when_a_usual_line_is(entries, ending):
    texts = [json.dumps(entry, separators=style, ensure_ascii=ascii) for entry, style, ascii in entries]
    data = "".join(text + ending for text in texts).encode()
    (block,) = blocks.blocks(io.BytesIO(data), Stretch(Path("x"), "x"))
    lines = Lines(block)
    assert [text.decode().rstrip("\r") for text in lines.texts(np.arange(len(texts)))] == texts
    hashes = {}
    for place, line in enumerate(lines.usual.tolist()):
        entry, style, ascii = entries[line]
        if style not in USUAL or not re.fullmatch(r".{19}(\..{1,9})?Z", entry["timestamp"]):
            continue  # what was found may be a nested key
        assert lines.times[place] == times.parse_ns(entry["timestamp"])
        spelled = lines.resource(place)
        assert json.dumps(entry["resource"], separators=style, ensure_ascii=ascii).encode().startswith(spelled)
        assert hashes.setdefault(int(lines.keys[place]), spelled) == spelled


def test_as_most_write_them_all_lines_are_usual():
    entry = {
        "resource": {"labels": {"container_name": "app", "pod_name": "web"}, "type": "k8s_container"},
        "timestamp": "2026-03-02T09:00:05.123Z",
    }
    for separators in USUAL:
        data = (json.dumps(entry, separators=separators) + "\n").encode() * 3
        (block,) = blocks.blocks(io.BytesIO(data), Stretch(Path("x"), "x"))
        lines = Lines(block)
        assert lines.usual.tolist() == [0, 1, 2]
        assert len(set(lines.keys.tolist())) == 1
