"""Parts of a split entry are one entry, wherever they stand and however often they come."""

import json
from itertools import permutations

import pandas as pd
import pytest

import meshlogs as ml
from meshlogs import conversion, gather, schema
from meshlogs.engines import local
from meshlogs.evidence import suspects
from meshlogs.formats import splits
from meshlogs.reading import parts, scan

LABELS = {"cluster_name": "c", "container_name": "app", "location": "l", "namespace_name": "shop",
          "pod_name": "web-6d5f7c9b4d-x2x4z", "project_id": "p"}  # fmt: skip


def entry(number, text, second=10, container="app", **more):
    return {
        "insertId": f"i{number}", "logName": "projects/p/logs/stderr", "textPayload": text,
        "resource": {"labels": LABELS | {"container_name": container}, "type": "k8s_container"},
        "timestamp": f"2026-03-02T09:00:{second:02}.5Z", **more,
    }  # fmt: skip


def part(text, index, total=2, number="s", uid="u", **more):
    told = {"uid": uid} | ({"index": index} if index else {}) | ({"totalSplits": total} if total else {})
    return entry(number, text, split=told, **more)


# Neither tells by itself that a connection was refused.
A, B = part("dial tcp 10.0.0.9:6379: connect: connection ref", 0), part("used\n", 1)
WHOLE = "dial tcp 10.0.0.9:6379: connect: connection refused"
OPEN_A, OPEN_B = part("dial tcp 10.0.0.9:6379: connect: connection ref", 0, None), part("used\n", 1, None)
QUIET = [entry(number, f"handled request {number}", number % 60) for number in range(400)]


def lines_of(*entries):
    return "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in entries)


def written(folder, files):
    folder.mkdir(exist_ok=True)
    for number, entries in enumerate(files):
        (folder / f"S{number}.json").write_text(lines_of(*entries))
    return folder


def converted(folder, out):
    out.mkdir()
    conversion.write_export(ml.read(folder), out)
    return schema.load(out, "log_entries", schema.LOG_ENTRIES)


FILES = {
    "one file": [[A, B]],
    "two": [[A], [B]],
    "two, the last part first": [[B], [A]],
    "how many there are is not told": [[OPEN_A], [OPEN_B]],
    "both again": [[A, B], [A, B]],
    "both again, apart": [[A], [A], [B], [B]],
    "one again": [[A, B], [B]],
    "one again before": [[A], [A, B]],
    "one again in the same file": [[A, A, B], [entry("q", "quiet")]],
    "with an id of its own": [[A], [B | {"insertId": "t"}], [B | {"insertId": "t"}]],
}


@pytest.mark.parametrize("name", FILES)
def test_parts_are_one_entry(name, tmp_path):
    folder = written(tmp_path / "export", FILES[name])
    fleet = ml.analyse(folder)
    whole = gather.gather(parts.tasks(ml.Export([folder])._files, set(), whole=True), local.Local(1))
    assert fleet.errors["message"].tolist() == [WHOLE]
    assert (whole.evidence["kind"] == "refused").sum() == 1
    for entries in (converted(folder, tmp_path / "out"), ml.read(folder).log_entries):
        mine = entries[entries["insert_id"] != "iq"]
        assert mine["message"].tolist() == [WHOLE] and mine["insert_id"].tolist() == ["is"]
    counts = fleet.coverage[fleet.coverage["missing"].isna()]
    assert counts["duplicates"].sum() == name.startswith("both")


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_parts_in_any_order(order, tmp_path):
    texts = ["dial tcp 10.0.0.9:6379: ", "connect: connection ", "refused"]
    written(tmp_path, [[part(texts[index], index, 3, second=20 + index)] for index in order])
    (row,) = ml.read(tmp_path).log_entries.to_dict("records")
    assert row["message"] == WHOLE
    assert row["time"] == pd.Timestamp("2026-03-02T09:00:20.5Z") and row["source"] == f"S{order.index(0)}.json"


def test_what_never_comes_is_not_waited_for(tmp_path):
    folder = written(tmp_path / "x", [[part("one ", 0, 3)], [part("three", 2, 3), part("alone", 1, 9, "o", "v")]])
    for entries in (converted(folder, tmp_path / "out"), ml.read(folder).log_entries):
        told = sorted(zip(entries["insert_id"], entries["message"], strict=True))
        assert told == [("io", "alone"), ("is", "one three")]


def test_parts_in_stretches_of_a_file(tmp_path, monkeypatch):
    written(tmp_path / "x", [[A, *QUIET, B]])
    monkeypatch.setattr(scan, "STRETCH", 20_000)
    monkeypatch.setattr(parts, "ROWS_STRETCH", 20_000)
    assert len(ml.read(tmp_path / "x").tasks()) > 3 and len(ml.read(tmp_path / "x").tasks(rows=True)) > 3
    entries = converted(tmp_path / "x", tmp_path / "out")
    assert len(entries) == 401 and entries["message"].iloc[-1] == WHOLE and entries["line"].iloc[-1] == 1
    (error,) = ml.analyse(tmp_path / "x").errors.to_dict("records")
    assert (error["message"], error["line"], error["entries"]) == (WHOLE, 1, 1)


def test_parts_read_by_workers(tmp_path, monkeypatch):
    written(tmp_path, [[A, *QUIET[:9]], [B, *QUIET[9:]]])
    monkeypatch.setattr(local, "SMALL", 0)
    monkeypatch.setattr(parts, "SMALL_FILE", 0)
    tasks = ml.read(tmp_path).tasks()
    assert len(tasks) == 2
    found = gather.gather(tasks, local.Local(2)).evidence
    assert found[found["kind"] == "refused"]["message"].tolist() == [WHOLE]


@pytest.mark.parametrize("form", ["array", "rows"])
def test_parts_in_other_wrappings(form, tmp_path):
    for number, one in enumerate((A, B)):
        text = json.dumps([one], indent=1) if form == "array" else lines_of(one | {"insert_id": one["insertId"]})
        (tmp_path / f"{number}.json").write_text(text if form == "array" else text.replace('"insertId":"is",', ""))
    assert ml.analyse(tmp_path).errors["message"].tolist() == [WHOLE]


def test_parts_of_a_proxys_line(tmp_path):
    texts = ["2026-03-02T09:00:10.4Z\tinfo\tEnvoy proxy is ", "ready"]
    written(tmp_path, [[part(text, index, container="istio-proxy")] for index, text in enumerate(texts)])
    assert (ml.read(tmp_path).evidence["kind"] == "proxy_open").sum() == 1


def test_only_what_is_in_the_asked_time(tmp_path):
    written(tmp_path, [[A], [B], [part("late", 0, 2, "l", "v", second=50)]])
    for limits, told in (({"until": "2026-03-02T09:00:40Z"}, {"is"}), ({"since": "2026-03-02T09:00:40Z"}, {"il"})):
        export = ml.read(tmp_path, **limits)
        assert set(export.log_entries["insert_id"]) == told
        assert set(pd.concat(piece.to_pandas() for piece in export.rows().entries())["insert_id"]) == told
        assert set(export.evidence["insert_id"]) == told


def test_not_everything_waits(tmp_path, monkeypatch):
    monkeypatch.setattr(splits, "MOST", 1000)
    lost = [[part("x" * 400, 0, 2, number, f"u{number}")] for number in range(8)]
    written(tmp_path, [[A], *lost, [B | {"insertId": "t"}]])
    assert len(ml.read(tmp_path).log_entries) == 10  # the first had waited too long
    monkeypatch.setattr(splits, "MOST", 10_000)
    assert len(ml.read(tmp_path).log_entries) == 9


@pytest.mark.parametrize("style", [{}, {"separators": (",", ":")}, {"separators": (" ,", "\t: ")}])
@pytest.mark.parametrize("told", [{"uid": "u"}, {"uid": "u", "index": 3, "totalSplits": 4}, None, "u"])
def test_every_part_is_parsed(told, style):
    assert suspects.suspect(json.dumps(entry(1, "fine", split=told), **style).encode())
