"""Lines read many at a time give the rows that each line gives by itself, in the same order."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import schema
from meshlogs.formats import bulk, entry, log_entries
from meshlogs.formats.tables import Tables

pytest.importorskip("meshlogs.formats._usual_lines", reason="it was not compiled here")


def one_by_one(blocks):
    """What the careful road makes of every line."""
    tables, number = Tables("s"), 0
    for block in blocks:
        for line in block.split(b"\n")[: -1 if block.endswith(b"\n") else None]:
            number += 1
            if line and not line.isspace():
                log_entries.add_text(tables, line, number)
    return tables.shard("log_entries"), number


def same(blocks):
    """Both roads give the same."""
    reader = bulk.Reader("s")
    for block in blocks:
        reader.add(block)
    found, (expected, lines) = reader.shard(), one_by_one(blocks)
    assert found.log_entries.schema == bulk.LAYOUT
    assert_frame_equal(bulk.unpacked(found.log_entries), expected.log_entries)
    for name in ("events", "pods", "rejects", "splits"):
        assert_frame_equal(getattr(found, name), getattr(expected, name))
    assert (found.records, reader.lines) == (expected.records, lines)


NODE = "compute.googleapis.com/resource_name"
LABELS = {"cluster_name": "c", "container_name": "app", "location": "l", "namespace_name": "shop", "pod_name": "web-1"}
ENTRY = {
    "insertId": "i0",
    "logName": "projects/p/logs/stdout",
    "resource": {"labels": LABELS | {"project_id": "p"}, "type": "k8s_container"},
    "labels": {"compute.googleapis.com/resource_name": "node-1", "k8s-pod/app": "web"},
    "severity": "INFO",
    "textPayload": "a text",
    "timestamp": "2026-03-02T09:00:00.123456789Z",
    "receiveTimestamp": "2026-03-02T09:00:01Z",
}
USUAL = json.dumps(ENTRY, separators=(",", ":"))
INVOLVED = {"kind": "Pod", "name": "web-1", "namespace": "shop", "uid": "u"}
EVENT = {"involvedObject": INVOLVED, "reason": "Killing", "message": "m", "lastTimestamp": "2026-03-02T09:00:00Z"}
POD = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web-1", "namespace": "shop", "uid": "u"}, "spec": {}}
AUDIT = {
    "methodName": "io.k8s.core.v1.pods.create",
    "resourceName": "core/v1/namespaces/shop/pods/web-1",
    "response": POD,
    "request": {"secret": "s"},
}


def line(**changes):
    entry = {key: value for key, value in (ENTRY | changes).items() if value is not None}
    return json.dumps(entry, separators=(",", ":"))


def body(text):
    """An entry with this JSON payload, as spelled."""
    return line(textPayload=None, jsonPayload="@").replace('"@"', text)


LINES = {
    "usual": USUAL,
    "usual payload": body('{"message":"said","level":"info"}'),
    "payload with blanks": body('{ "message" : "said", "n" : [1, 2.50, 1e5, -0.0, 12345678901234567890] }'),
    "payload with escapes": body('{"msg":"\\u0041\\n\\"\\/","a":"\\ud83d\\ude00"}'),
    "payload with a lone surrogate": body('{"message":"\\ud800"}'),
    "payload with keys twice": body('{"message":"one","message":"two","x":1,"x":2}'),
    "payload without a message": body('{"n":1}'),
    "payload with an empty message": body('{"message":"","msg":"next"}'),
    "payload whose message is an object": body('{"message":{"a":"b"},"error":"told"}'),
    "payload whose message ends a line": body('{"log":"said\\n"}'),
    "empty payload": body("{}"),
    "null payload": body("null"),
    "payload that is a list": body('[{"message":"x"}]'),
    "payload that is a text": body('"text"'),
    "payload beside a text": line(jsonPayload={"message": "said"}),
    "payload nested deeply": body("[" * 2000 + "]" * 2000),
    "payload object nested deeply": body('{"a":' * 600 + "1" + "}" * 600),
    "broken payload": body('{"message":"x",}'),
    "number with a leading zero": body('{"n":01}'),
    "true, false, null": body('{"a":true,"b":false,"c":[null]}'),
    "half a word": body('{"a":tru}'),
    "word and more": body('{"a":nullx}'),
    "long numbers": body('{"n":123456789012345678901234,"m":1234567890123456789012345}'),
    "numbers out of range": body('{"message":1e999,"error":-1e-999}'),
    "numbers cut off": body('{"a":1.,"b":1e,"c":-}'),
    "number with a plus": body('{"a":+1}'),
    "exponent of three digits": body('{"a":1e100,"b":1E-05}'),
    "message of every escape": body(r'{"message":"\"\\\/\b\f\n\r\t\u0000\u00e9\u20AC\ud83d\uDE00"}'),
    "message that is a newline": body('{"message":"\\n","a":1}'),
    "message that is an escaped newline": body('{"message":"\\u000a","a":1}'),
    "message of two newlines": body('{"message":"\\n\\n"}'),
    "blanks, and no message": body('{ "a" : { "b" : " \\" " , "c" : [ ] } }'),
    "key with an escape": body('{"\\u006dessage":"said"}'),
    "pair the wrong way round": body('{"a":"\\ude00\\ud83d"}'),
    "half a pair before another escape": body('{"a":"\\ud83d\\n"}'),
    "escape that is none": body('{"a":"\\x41"}'),
    "escape cut off": body('{"a":"\\u00g1"}'),
    "backslash before the last quote": body('{"a":"\\"}'),
    "payload nested as deep as is usual": body('{"a":' * 60 + "1" + "}" * 60),
    "payload nested a little deeper": body('{"a":' * 62 + "[]" + "}" * 62),
    "payload closed otherwise": body('{"a":[1}'),
    "payload of commas": body('{"a":1,,"b":2}'),
    "payload without a colon": body('{"a" 1}'),
    "payload with a value that is a key of events": body('{"a":["regarding"]}'),
    "payload that tells of events in a text": body('{"a":"\\"regarding\\""}'),
    "many labels": line(labels={f"key-{number}": "x" for number in range(64)}),
    "more labels": line(labels={f"key-{number}": "x" for number in range(65)}),
    "labels that nearly are the same": line(labels={"ab": "1", "ac": "2", "abc": "3"}),
    "label of a node twice": line(labels="@").replace('"@"', '{"%s":"a","%s":"b"}' % ((NODE,) * 2)),
    "label and resource of a node": line(resource={"type": "k8s_node", "labels": {"node_name": "n"}}),
    "label of an agent": line(labels={NODE: "fluentd-gke-x"}),
    "severity null": line(severity="@").replace('"@"', "null"),
    "id with an escape": line(insertId='a"b'),
    "log name with an escape": line(logName="projects/p/logs/a\\b"),
    "field with an escaped name": USUAL.replace('"severity"', '"s\\u0065verity"'),
    "field of another kind": line(labels="text", resource=[1, {"a": 2}]),
    "day after February": line(timestamp="2026-02-29T00:00:00Z"),
    "leap day": line(timestamp="2024-02-29T23:59:59.999999999Z"),
    "no leap day": line(timestamp="2100-02-29T00:00:00Z"),
    "month none": line(timestamp="2026-00-10T00:00:00Z"),
    "day none": line(timestamp="2026-01-00T00:00:00Z"),
    "hour 24": line(timestamp="2026-01-01T24:00:00Z"),
    "first usual year": line(timestamp="1678-01-01T00:00:00Z"),
    "last usual year": line(timestamp="2261-12-31T23:59:59.999999999Z"),
    "year after": line(timestamp="2262-01-01T00:00:00Z"),
    "carriage returns within": USUAL.replace(":", ":\r"),
    "no payload": line(textPayload=None),
    "empty text": line(textPayload=""),
    "text with line ends": line(textPayload="two\nlines\n"),
    "text that is a number": line(textPayload=7),
    "null text": USUAL.replace('"a text"', "null"),
    "event": line(textPayload=None, jsonPayload=EVENT, logName="projects/p/logs/events"),
    "event of another log": line(textPayload=None, jsonPayload=EVENT),
    "event told as a text": line(textPayload='"involvedObject"', logName="projects/p/logs/events"),
    "event with a legacy resource": line(
        textPayload=None, jsonPayload=EVENT, logName="projects/p/logs/events", resource={"type": "gke_cluster"}
    ),
    "audit entry": line(textPayload=None, protoPayload=AUDIT, logName="projects/p/logs/cloudaudit%2Factivity"),
    "audit entry beside a text": line(protoPayload=AUDIT),
    "null audit": line(textPayload=None, protoPayload="@").replace('"@"', "null"),
    "first part": line(insertId="s0", textPayload="one ", split={"uid": "u", "totalSplits": 2}),
    "last part": line(insertId="s1", textPayload="two", split={"uid": "u", "index": 1, "totalSplits": 2}),
    "part alone": line(split={"uid": "v", "index": 3}),
    "null split": line(split="@").replace('"@"', "null"),
    "page": '{"entries":[' + USUAL + "," + USUAL + '],"nextPageToken":"t"}',
    "entry with entries": line(entries=[1]),
    "page token": line(nextPageToken="t"),
    "no time": line(timestamp=None),
    "time that is none": line(timestamp="yesterday"),
    "impossible day": line(timestamp="2026-02-30T09:00:00Z"),
    "leap second": line(timestamp="2026-03-02T09:00:60Z"),
    "end of time": line(timestamp="2262-04-11T23:47:16.854775807Z"),
    "after the end of time": line(timestamp="2262-04-11T23:47:16.854775808Z"),
    "before time": line(timestamp="1600-01-01T00:00:00Z"),
    "offset": line(timestamp="2026-03-02T09:00:00.5+02:00"),
    "offset and Z": line(timestamp="2026-03-02T09:00+02Z"),
    "no zone": line(timestamp="2026-03-02T09:00:00.123"),
    "minutes": line(timestamp="2026-03-02T09:00Z"),
    "blank for a T": line(timestamp="2026-03-02 09:00:00.5Z"),
    "small letters": line(timestamp="2026-03-02t09:00:00z"),
    "comma": line(timestamp="2026-03-02T09:00:00,25Z"),
    "point alone": line(timestamp="2026-03-02T09:00:00.Z"),
    "ten decimals": line(timestamp="2026-03-02T09:00:00.1234567891Z"),
    "blanks around": line(timestamp=" 2026-03-02T09:00:00Z "),
    "other digits": line(timestamp="2026-03-02T09:00:0٣Z"),
    **{f"{size} decimals": line(timestamp=f"2026-03-02T09:00:00.{'123456789'[:size]}Z") for size in range(1, 10)},
    "whole second": line(timestamp="2026-03-02T09:00:00Z"),
    "trailing zeros": line(timestamp="2026-03-02T09:00:00.120000000Z"),
    "received never": line(receiveTimestamp=None),
    "received at no time": line(receiveTimestamp="soon"),
    "received at an impossible time": line(receiveTimestamp="2026-13-01T00:00:00Z"),
    "no id": line(insertId=None),
    "id that is a number": line(insertId=5),
    "no log": line(logName=None),
    "empty log": line(logName=""),
    "encoded log": line(logName="projects/p/logs/a%2Fb%20c"),
    "bare log": line(logName="stderr"),
    "no severity": line(severity=None),
    "empty severity": line(severity=""),
    "severity that is a number": line(severity=200),
    "no resource": line(resource=None),
    "resource that is a text": line(resource="x"),
    "resource with odd labels": line(resource={"type": "t", "labels": {"pod_name": 1, "container_name": ""}}),
    "resource with labels twice": USUAL.replace('"cluster_name":"c"', '"cluster_name":"c","cluster_name":"d"'),
    "resource of a node": line(resource={"type": "k8s_node", "labels": {"node_name": "n"}}, labels=None),
    "legacy resource": line(resource={"type": "container", "labels": {"pod_id": "p", "zone": "z"}}),
    "no labels": line(labels=None),
    "empty labels": line(labels={}),
    "null labels": line(labels="@").replace('"@"', "null"),
    "labels that are a list": line(labels=["a"]),
    "labels with numbers": line(labels={"a": 1, "b": "x"}),
    "labels with blanks": line(labels="@").replace('"@"', '{"a" : "b", "c":"d"}'),
    "labels with escapes": line(labels="@").replace('"@"', '{"a":"\\u0062\\/","\\u0063":"d\\n"}'),
    "labels twice": line(labels="@").replace('"@"', '{"a":"b","a":"c"}'),
    "labels of other alphabets": USUAL.replace('"web"}', '"паутина\u2028\x7f"}'),
    "labels of a stream": line(logName="projects/p/logs/app", labels={"container.googleapis.com/stream": "stderr"}),
    "labels of the legacy agent": line(
        resource={"type": "container", "labels": {}},
        labels={"container.googleapis.com/pod_name": "p", "compute.googleapis.com/resource_name": "fluentd-x"},
    ),
    "empty node": line(labels={"compute.googleapis.com/resource_name": ""}),
    "unknown field": line(httpRequest={"status": 200}, trace="t"),
    "keys twice": USUAL[:-1] + ',"textPayload":"again","timestamp":"2026-03-02T10:00:00Z"}',
    "other spelling": json.dumps(ENTRY, indent=None, separators=(" , ", " : ")),
    "blanks around the line": f"  {USUAL}  ",
    "carriage return": USUAL + "\r",
    "blank line": "",
    "blanks": " \t ",
    "two on a line": USUAL + USUAL,
    "two with a blank": USUAL + " " + line(insertId="other"),
    "list": f"[{USUAL}]",
    "cut": USUAL[:100],
    "cut after an object": USUAL[: USUAL.index("}") + 1],
    "rest of a line": USUAL[USUAL.index('"labels":{"cl') :],
    "no json": "not json",
    "number": "17",
    "null": "null",
    "empty object": "{}",
    "nul": "\0" + USUAL,
    "byte order mark": "\ufeff" + USUAL,
    "comma at the end": USUAL + ",",
    "object of Kubernetes": json.dumps(POD),
    "control character": USUAL.replace("a text", "a\x01text"),
}  # fmt: skip
LINES = {name: text.encode("utf-8", "surrogatepass") for name, text in LINES.items()} | {
    "invalid text": USUAL.encode().replace(b"a text", b"a\xfftext"),
    "invalid payload": body('{"message":"x"}').encode().replace(b'"x"', b'"\xff"'),
    "invalid field nobody reads": line(trace="x").encode().replace(b'"x"', b'"\xff"'),
    "invalid label": USUAL.encode().replace(b'"web"', b'"\xc3("'),
    "invalid resource": USUAL.encode().replace(b'"shop"', b'"\xff"'),
    "long": line(textPayload="x" * 2_000_000).encode(),
}


@pytest.mark.parametrize("name", LINES)
def test_an_odd_line_among_usual_ones(name):
    usual = [USUAL.replace('"i0"', f'"i{number}"').encode() for number in range(40)]
    same([b"\n".join([*usual[:25], LINES[name], *usual[25:]]) + b"\n"])
    same([LINES[name] + b"\n", USUAL.encode() + b"\n" + LINES[name]])


def test_all_odd_lines_at_once():
    lines = list(LINES.values())
    same([b"\n".join(lines) + b"\n", b"\n".join(reversed(lines)) + b"\n"])


def test_all_lines_are_odd_without_a_compiler(monkeypatch):
    monkeypatch.setattr(bulk, "usual_rows", None)
    lines = list(LINES.values())
    same([b"\n".join(lines) + b"\n", b"\n".join(reversed(lines)), b"\n", b"\n\n"])


def test_values_over_several_lines_hide_no_others():
    """As many objects as lines, which begin and end as objects, but one spans two lines and two stand on one."""
    text = USUAL.replace('"resource":{', '"resource":\n{', 1)
    for odd in (text, text.replace(":\n{", ":{\n"), USUAL.replace('"type"', '\n"type"'), "{\n}"):
        same([f"{USUAL}\n{odd}\n{USUAL}{USUAL}\n{USUAL}".encode()])


@pytest.mark.parametrize("rows", [1, 7, 40])
def test_how_many_lines_become_rows_at_a_time_does_not_matter(rows, monkeypatch):
    monkeypatch.setattr(bulk.usual_rows, "_MOST", rows)
    lines = [text for name, text in LINES.items() if name != "long"]
    same([b"\n".join(lines)])


ANY = st.lists(st.sampled_from(sorted(set(LINES) - {"long"})), max_size=30)


@given(st.lists(st.tuples(ANY, st.integers(0, 30)), max_size=4))
def test_any_lines_in_any_blocks(blocks):
    texts = [[LINES[name] for name in names] + [USUAL.encode()] * usual for names, usual in blocks]
    same([b"\n".join(lines) + b"\n" for lines in texts if lines])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from([*ENTRY, "jsonPayload", "protoPayload", "split", "trace"]), VALUES, max_size=3)
STYLES = st.fixed_dictionaries(
    {"ensure_ascii": st.booleans(), "separators": st.sampled_from([(",", ":"), (", ", ": ")])}
)


@given(st.lists(st.tuples(FIELDS, STYLES, st.booleans()), min_size=1, max_size=12))
def test_entries_whose_fields_are_anything(entries):
    lines = [
        json.dumps((ENTRY if full else {}) | changes, **style).encode("utf-8", "surrogatepass")
        for changes, style, full in entries
    ]
    same([b"\n".join(lines) + b"\n"])


# Lines that are usual, or nearly so, for bytes to be changed in.
REAL = [
    LINES[name]
    for name in ("usual", "usual payload", "payload with blanks", "payload with escapes", "labels of other alphabets")
] + [
    body('{"level":"info","message":"\\u00e9\\n\\ud83d\\ude00 \u20ac","n":[1.5e-05,{"a":null}],"ok":true}').encode(),
    LINES["label and resource of a node"],
    LINES["message of every escape"],
]
PIECES = [
    *(bytes([letter]) for letter in b'"\\{}[]:,-+.0e \t\r\n\x00\x1f\x7f\x80\xc3\xed\xf4\xff'),
    b"\\u",
    b"\\ud83d",
    b"null",
]
CHANGES = st.lists(
    st.tuples(st.integers(0, 2000), st.integers(0, 3), st.sampled_from(PIECES) | st.binary(min_size=1, max_size=2)),
    max_size=3,
)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(REAL), CHANGES), min_size=1, max_size=8), st.booleans())
def test_lines_with_bytes_changed_put_in_or_taken_out(lines, ended):
    texts = []
    for text, changes in lines:
        for place, gone, piece in changes:
            place %= len(text) + 1
            text = text[:place] + piece + text[place + gone :]
        texts.append(text)
    block = b"\n".join(texts) + b"\n" * ended
    if block:
        same([block])


@given(st.sampled_from(REAL), st.integers(0, 2000))
def test_a_block_that_ends_anywhere(text, size):
    """Nothing behind its end is looked at, whatever the line is in the middle of."""
    same([text[: size % len(text) + 1]])


SPELLED = st.tuples(VALUES | st.dictionaries(st.sampled_from(entry.MESSAGE_KEYS), VALUES), STYLES)


@given(st.lists(SPELLED, min_size=1, max_size=8))
def test_any_payloads_and_labels(values):
    lines = []
    for value, style in values:
        text = json.dumps(value, **style)
        lines += [body(text), line(labels="@").replace('"@"', text), line(trace="@").replace('"@"', text)]
    same(["\n".join(lines).encode("utf-8", "surrogatepass")])


def test_blocks_of_few_bytes():
    same([b"\n", b"{}\n", b"\r\n", b"{", b'"', b"\\"])


def test_what_a_sink_writes_is_usual(tmp_path, monkeypatch):
    """Else converting it would be slow."""
    ml.simulate_fleet(tmp_path, pods=20, seed=3)
    careful = []
    monkeypatch.setattr(log_entries, "add_text", lambda _tables, text, _number: careful.append(text))
    shards = [path for path in Path(tmp_path, "export").rglob("*_S0.json") if "std" in str(path)]
    for path in shards:
        reader = bulk.Reader("s")
        reader.add(path.read_bytes())
        assert len(reader.shard().log_entries) == path.read_bytes().count(b"\n")
    assert shards
    assert careful == []


def test_a_table_of_another_form_is_packed():
    rows = schema.conform([{"log_name": "l", "message": "m", "line": 3}, {"line": 4}], schema.LOG_ENTRIES)
    assert bulk.packed(rows).schema == bulk.LAYOUT
    assert_frame_equal(bulk.unpacked(bulk.packed(rows)), rows)
    assert bulk.unpacked(rows) is rows
