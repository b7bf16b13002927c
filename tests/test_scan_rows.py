"""The scan of a warehouse's rows finds what a run that parses every row finds."""

import json

import pytest

import meshlogs as ml
from meshlogs import blocks, parts, scan, times
from tests.formats import writers
from tests.test_scan import CHATTER, DATED, ODD, REFUSED, entry, gathered, same

SHAPES = {"bigquery": writers.bigquery_row, "analytics": writers.analytics_row}
TIMES = {
    "spaced": writers.as_spaced,
    "RFC 3339": lambda value: times.text(value * 1000),
    "seconds": writers.as_seconds,
}


def rows_of(text, shape, how=writers.as_spaced, **style):
    """The entries of a file's lines as rows of JSON; lines that are no entries stay as they are."""
    style = {"separators": (",", ":")} | style
    found = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
            value = {"receiveTimestamp": value["timestamp"]} | value
            line = json.dumps(writers.printed(SHAPES[shape](value), how), **style)
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        found.append(line + "\n")
    return "".join(found)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ODD)
def test_a_scan_finds_what_parsing_every_row_finds(name, shape, tmp_path):
    (tmp_path / "rows.json").write_text(rows_of(ODD[name], shape), encoding="utf-8", errors="surrogatepass")
    found, whole = gathered(tmp_path), gathered(tmp_path, whole=True)
    assert found.files["form"].tolist() == ["warehouse"]
    same(found, whole)


@pytest.mark.parametrize("how", TIMES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_scan_of_a_fleet_is_a_run_over_every_row(shape, how, tmp_path):
    ml.simulate_fleet(tmp_path / "made", pods=60, seed=4)
    for path in sorted((tmp_path / "made" / "export").rglob("*.json")):
        if path.name != "pods.json":
            place = tmp_path / "rows" / path.parent.name
            place.mkdir(parents=True, exist_ok=True)
            (place / path.name).write_text(rows_of(path.read_text(), shape, TIMES[how]))
    found, whole = gathered(tmp_path / "rows"), gathered(tmp_path / "rows", whole=True)
    assert set(found.files["form"]) == {"warehouse"} and len(found.evidence) > 1_000
    same(found, whole)


def test_most_rows_are_not_parsed(tmp_path):
    text = rows_of("".join(json.dumps(one) + "\n" for one in [*CHATTER, entry("x", REFUSED, second=15)]), "bigquery")
    (tmp_path / "rows.json").write_text(text)
    part = parts.load(ml.read(tmp_path).tasks()[0])
    assert part.tables["log_entries"]["message"].eq(REFUSED).sum() == 1
    assert (part.parsed, part.lines) == (3, 301)  # the first and last row besides


@pytest.mark.parametrize("shape", SHAPES)
def test_rows_read_in_stretches_and_small_blocks_are_the_file(shape, tmp_path, monkeypatch):
    text = rows_of("".join(ODD[name] for name in ("as a sink writes it", "stack traces", "proxies")), shape)
    (tmp_path / "rows.json").write_text(text)
    whole = gathered(tmp_path)
    for stretch, block in ((len(text) // 5, 1 << 20), (4096, 1000), (1 << 20, 77)):
        monkeypatch.setattr(scan, "STRETCH", stretch)
        monkeypatch.setattr(blocks, "BLOCK", block)
        same(gathered(tmp_path), whole)


NESTED_TIME = {"time": "x", "timestamp": "2020-01-01T00:00:00Z", "msg": "fine"}
SPELLED = {
    "blanks after colons": ({"separators": (", ", ": ")}, [entry("x", REFUSED)]),
    "a payload's own time": ({}, [entry("y", None, jsonPayload=NESTED_TIME), entry("x", None, jsonPayload=DATED)]),
    "letters as escapes": ({}, [entry("x", "в соединении отказано"), entry("y", "\x1b[31mconnection refused")]),
    "all columns, most of them null": (
        {}, [entry("x", REFUSED, split=None, httpRequest=None, jsonPayload=None, protoPayload=None, operation=None)]
    ),
    "stack traces in texts of JSON": ({}, [
        entry("a", None, jsonPayload={"message": "java.net.ConnectException: Connection refused"}),
        entry("b", None, jsonPayload={"message": "\tat java.net.Socket"}),
        entry("c", None, jsonPayload={"message": "  ... 12 more"}),
        entry("d", None, jsonPayload={"message": "dial tcp 10.0.0.9:6379: connect:\n"}),
    ]),
    "a pod's rows that name no container": ({}, [
        {**entry("x", f"[2026-03-02T09:00:01.100Z] {REFUSED}"),
         "resource": {"type": "k8s_pod", "labels": {"pod_name": "web-6d5f7c9b4d-x2x4z", "namespace_name": "shop"}}},
    ]),
    "two rows on a line": ({}, []),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", SPELLED)
def test_rows_however_they_are_spelled(name, shape, tmp_path):
    style, more = SPELLED[name]
    text = rows_of("".join(json.dumps(one) + "\n" for one in [*CHATTER, *more]), shape, **style)
    if name == "two rows on a line":
        text += text.splitlines()[0] + text.splitlines()[1] + "\n"
    (tmp_path / "rows.json").write_text(text)
    same(gathered(tmp_path), gathered(tmp_path, whole=True))
