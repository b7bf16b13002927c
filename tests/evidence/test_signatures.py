"""What a text says of a refused connection. `refused_lines.jsonl`: lines with the answer a reader gives."""

import ipaddress
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.evidence import signatures
from meshlogs.evidence.signatures import SIGNATURES, TRIGGER, VETOES, WEAK_VETOES, Destination, address, match

LINES = [json.loads(line) for line in Path(__file__).with_name("refused_lines.jsonl").read_text("utf-8").splitlines()]


def kind(refusal):
    if refusal is None:
        return "none"
    return "upstream_refused" if refusal.upstream else "suspected" if refusal.suspected else "refused"


def told(refusal):
    return (kind(refusal), *(refusal[1:4] if refusal else (None, None, None)))


def expected(line):
    return line["kind"], line["host"], line["ip"], line["port"]


@pytest.mark.parametrize("row", SIGNATURES, ids=lambda row: row.name)
def test_every_signature_names_its_example(row):
    refusal = match(row.example)
    assert refusal.signature == row.name
    assert (refusal.suspected, refusal.upstream) == (row.suspected, row.upstream)


def test_signatures_have_one_name_and_a_source():
    names = [row.name for row in SIGNATURES]
    assert len(set(names)) == len(names)
    assert all(row.source for row in SIGNATURES)


@pytest.mark.parametrize("veto", [*VETOES, *WEAK_VETOES], ids=lambda veto: veto.example[:40])
def test_every_veto_keeps_its_example_out(veto):
    assert re.search(veto.pattern, veto.example, re.IGNORECASE | re.MULTILINE)
    assert match(veto.example) is None


@pytest.mark.parametrize("line", LINES, ids=lambda line: line["text"][:60].encode("unicode_escape").decode())
def test_lines_of_many_programs(line):
    assert told(match(line["text"])) == expected(line)


def test_the_trigger_lets_every_refusal_through():
    texts = [line["text"] for line in LINES if line["kind"] != "none"] + [row.example for row in SIGNATURES]
    hit = pc.match_substring_regex(pa.array(texts), TRIGGER).to_pylist()
    assert [text for text, seen in zip(texts, hit, strict=True) if not seen] == []


@pytest.mark.parametrize(
    "frame",
    [
        lambda text: "2026-03-02T09:00:00.123456Z ERROR [main] com.example.Cache:42 - " + text,
        lambda text: "2026-03-02 09:00:00,123 ERROR app.cache: operation failed: " + text,
        lambda text: "E0302 09:00:00.123456       1 main.go:70] " + text,
        lambda text: "web_1  | " + text,
        lambda text: json.dumps({"level": "error", "caller": "pool.go:6379", "message": text}),
        lambda text: json.dumps({"log": json.dumps({"err": text, "level": "error"})}),
        lambda text: json.dumps({"pid": 1, "hostname": "web-1", "context": {"error": {"stack": text}}}),
        lambda text: 'time="2026-03-02T09:00:00Z" level=error msg="request failed" error=' + json.dumps(text),
    ],
    ids=["java", "python", "klog", "compose", "json", "json in json", "nested json", "logfmt"],
)
def test_what_logging_libraries_put_around_a_line_changes_nothing(frame):
    changed = [line["text"] for line in LINES if told(match(frame(line["text"]))) != expected(line)]
    assert changed == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("pymongo.errors.ServerSelectionTimeoutError: m:27017: [Errno 111] Connection refused, Timeout: 5.0s", 5),
        ("pymongo.errors.ServerSelectionTimeoutError: m:27017: [Errno 111] Connection refused", 30),
        ("MongoServerSelectionError: connect ECONNREFUSED 10.0.0.4:27017", 30),
        (
            "Timed out after 20000 ms while waiting to connect. Client view of cluster state is {address=m:27017, "
            "caused by {java.net.ConnectException: Connection refused}}",
            20,
        ),
        ("curl: (7) Failed to connect to web port 80 after 250 ms: Couldn't connect to server", 0.25),
        ("dial tcp 10.0.0.1:80: connect: connection refused", 0),
        ("could not connect to db after 30 s of retry: connection refused 10.0.0.1:5432", 30),
        ("retried for 45s, last error: dial tcp 10.0.0.1:80: connect: connection refused", 45),
        ("gave up after 1m0s: dial tcp 10.0.0.1:80: connect: connection refused", 60),
        ("giving up after 2 minutes: connection refused", 120),
        ("dial tcp 10.0.0.1:80: connect: connection refused (attempts=10, elapsed=31.2s)", 31.2),
        ("Command timed out after 10 second(s); nested exception: Connection refused: /10.0.0.1:80", 10),
        ("retry budget exhausted (60s): connection refused to 10.0.0.1:80", 60),
        ("gave up after 3 attempts: dial tcp 10.0.0.1:80: connect: connection refused", 0),
        ("gave up after 48h0m0s: dial tcp 10.0.0.1:80: connect: connection refused", 0),
    ],
)
def test_clients_that_report_late_say_by_how_much(text, seconds):
    assert match(text).late_s == seconds


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("redis:6379", ("redis", None, 6379)),
        ("10.0.0.1:80", ("10.0.0.1", "10.0.0.1", 80)),
        ("[::1]:80", ("::1", "::1", 80)),
        ("::1:5001", ("::1", "::1", 5001)),
        ("fd00:0:0:0:0:0:0:12:6379", ("fd00::12", "fd00::12", 6379)),
        ("localhost/0:0:0:0:0:0:0:1:32770", ("localhost", "::1", 32770)),
        ("/127.0.0.1:8091", ("127.0.0.1", "127.0.0.1", 8091)),
        ("redis/<unresolved>:6379", ("redis", None, 6379)),
        ("amqp://guest:**@rabbit:5672//", ("rabbit", None, 5672)),
        ("http://web:8080/path:1?x=http://other:1", ("web", None, 8080)),
        ("https://api.example.net", ("api.example.net", None, 443)),
        ("redis://cache", ("cache", None, None)),
    ],
)
def test_addresses(text, where):
    assert address(text) == Destination(*where)


@pytest.mark.parametrize("text", ["redis", "10:41", "redis:0", "redis:65536", "", ":80", "http://", "-:1"])
def test_no_addresses(text):
    assert address(text) is None


DIGITS = st.text("0123456789.:[]%af \n\u0663", max_size=18)


@given(DIGITS | st.ip_addresses().map(str) | st.tuples(st.ip_addresses().map(str), DIGITS).map("".join))
def test_an_address_is_one_to_the_standard_library(text):
    try:
        ip = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        ip = None
    assert signatures.ip_of(text) == (None if ip is None else str(getattr(ip, "ipv4_mapped", None) or ip))


def test_ipv4_written_as_ipv6_is_ipv4():
    assert signatures.ip_of("::ffff:10.0.0.8") == "10.0.0.8"


@pytest.mark.parametrize(
    "text",
    [
        "x" * 3_000_000 + " dial tcp 10.0.0.1:1: connect: connection refused",
        '{"a":' * 5000 + '"connection refused"' + "}" * 5000,
        "[" * 3000 + '"connection refused"' + "]" * 3000,
        "{" * 19_000 + "connection refused",
        "\n" * 19_000 + "connection refused",
        "connect to " * 1800 + "refused",
        "dial tcp a->" * 1500 + "connection refused",
        "\ud800\x00 connection refused",
        "://@" * 4500 + "connection refused",
    ],
    ids=["long", "deep objects", "deep lists", "braces", "newlines", "connect to", "arrows", "surrogate", "urls"],
)
def test_hostile_texts_end_soon(text):
    match(text)


@given(st.text(), st.sampled_from([line["text"] for line in LINES]), st.text())
def test_no_text_is_an_error(before, line, after):
    refusal = match(before + line + after)
    assert refusal is None or refusal.port is None or 0 < refusal.port < 65536
