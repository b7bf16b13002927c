"""YAML: documents one by one, times kept as text, hostile documents refused."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import formats, times
from meshlogs.formats import yaml_documents

ENTRY = """insertId: a{number}
jsonPayload:
  msg: 'yes: # not a comment'
logName: projects/p/logs/stdout
resource:
  labels:
    container_name: web
    pod_name: web-1
  type: k8s_container
timestamp: {quote}2026-08-20T04:46:31.353884563Z{quote}
"""
EVENT = """apiVersion: v1
count: 1
firstTimestamp: "2022-06-01T14:05:32Z"
involvedObject: {kind: Pod, name: web-1, namespace: shop}
kind: Event
lastTimestamp: "2022-06-01T14:05:32Z"
metadata:
  name: web-1.16f48436899e3f4a
reason: Started
"""


def read(text):
    return yaml_documents.read(io.BytesIO(text if isinstance(text, bytes) else text.encode()), "x.yaml")


def indented(text, first="- ", rest="  "):
    lines = text.splitlines()
    return "\n".join([first + lines[0], *(rest + line for line in lines[1:])]) + "\n"


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_log_entries_keep_nanoseconds(quote):
    text = "---\n" + "---\n".join(ENTRY.format(number=number, quote=quote) for number in range(2))
    shard = read(text)
    assert shard.log_entries["time"].iloc[0].value == times.parse_ns("2026-08-20T04:46:31.353884563Z")
    assert shard.log_entries["insert_id"].tolist() == ["a0", "a1"]
    assert shard.log_entries["message"].iloc[0] == "yes: # not a comment"
    assert shard.log_entries["line"].tolist() == [2, 13]
    assert shard.rejects.empty


def test_lists_and_streams_of_objects():
    items = "apiVersion: v1\nitems:\n" + indented(EVENT) + indented(EVENT) + "kind: List\nmetadata: {}\n"
    stream = "# captured\n---\n# {}\n" + EVENT + "---\nkind: ReplicaSet\nmetadata: {name: r}\napiVersion: apps/v1\n"
    for text, records in ((items, 2), (stream, 2), (EVENT, 1), (items + "---\n" + EVENT, 3)):
        shard = read(text)
        assert shard.records == records
        assert len(shard.events) == text.count("kind: Event")
        assert shard.rejects.empty
    assert read(items).events["line"].tolist() == [3, 12]


def test_the_items_of_an_event_list_need_no_kind():
    bare = "".join(line + "\n" for line in EVENT.splitlines() if not line.startswith(("kind", "apiVersion")))
    shard = read("apiVersion: v1\nitems:\n" + indented(bare) + "kind: EventList\n")
    assert (len(shard.events), len(shard.rejects)) == (1, 0)


def test_fields_of_entries_that_were_asked_for(tmp_path):
    lines = ENTRY.format(number=1, quote="'").splitlines(keepends=True)
    kept = "---\n" + "".join(line for line in lines if not line.startswith(("insertId", "logName")))
    (tmp_path / "x.yaml").write_text(kept * 2)
    shard = formats.read(tmp_path / "x.yaml")
    assert (shard.form, shard.records, len(shard.rejects)) == ("yaml", 2, 0)
    assert shard.log_entries["pod"].tolist() == ["web-1", "web-1"]
    assert shard.log_entries["message"].tolist() == ["yes: # not a comment"] * 2
    for other in ("timestamp: 2026-08-20T04:46:31Z\nresource: disk\n", "timestamp: 5\ntextPayload: x\n"):
        assert not yaml_documents.sniff(other.encode(), "x.yaml")


def test_a_damaged_document_or_item_leaves_the_others():
    good = ENTRY.format(number=1, quote="'")
    shard = read(f"---\n{good}---\na: [1\nb: }}\n---\n{good}")
    assert (len(shard.log_entries), len(shard.rejects)) == (2, 1)
    assert shard.rejects["line"].tolist() == [13]
    shard = read("items:\n" + indented(EVENT) + "- {a: [\n" + indented(EVENT) + "kind: List\n")
    assert (len(shard.events), len(shard.rejects)) == (2, 1)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + at)}: &{chr(98 + at)} [{','.join(['*' + chr(97 + at)] * 10)}]\n" for at in range(9)
)
HOSTILE = {
    "deep flow": "a: " + "[" * 100_000,
    "deep block": "\n".join(" " * at + "a:" for at in range(3_000)),
    "deep items": "- " * 100_000,
    "bomb": BOMB,
    "loop": "kind: &a [*a]",
    "program": "kind: !!python/object/apply:os.system [ls]",
    "no text for a key": "? [1]\n: 2",
    "unknown alias": "kind: *x",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_documents_are_rejects(text):
    shard = read(f"---\n{text}\n---\n{EVENT}")
    assert (len(shard.events), len(shard.rejects), shard.records) == (1, 1, 2)


def test_values_that_json_does_not_know_become_texts():
    text = ENTRY.format(number=1, quote="'").replace("'yes: # not a comment'", "x")
    odd = "  a: !!binary aGk=\n  b: !!timestamp 2001-01-01\n  c: .nan\n  1: !!set {x}\n  d: !!float nan\n"
    shard = read(text.replace("  msg: x\n", "  msg: x\n" + odd))
    assert shard.rejects.empty and len(shard.log_entries) == 1
    assert '"c":".nan"' in shard.log_entries["payload"].iloc[0]


@given(st.integers(0, 3 * len(EVENT)))
def test_a_stream_cut_anywhere_keeps_the_documents_before_the_cut(cut):
    text = ("---\n" + EVENT) * 3
    shard = read(text[:cut])
    assert len(shard.events) >= text[:cut].count("reason: Started\n")


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_rejected(data):
    read(b"kind: Event\n---\n" + data)


def test_found_by_content(tmp_path):
    for text in (ENTRY.format(number=1, quote="'"), "---\n" + EVENT, "# a\n\n" + EVENT):
        path = tmp_path / "x.txt"
        path.write_text(text)
        assert formats.detect(path) == "yaml"
