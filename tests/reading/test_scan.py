"""The scan finds what a run that parses every line finds, however the lines are spelled or cut."""

import base64
import gzip
import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import conversion, gather
from meshlogs.columnar import joins
from meshlogs.engines import groups, local
from meshlogs.evidence import connected, proxy, refused, signatures, suspects
from meshlogs.formats import bulk
from meshlogs.reading import blocks, parts, scan


def gathered(folder, *, whole=False, engine=None):
    files = ml.Export([folder])._files
    return gather.gather(parts.tasks(files, set(), whole=whole), engine or local.Local(1))


def same(one, other):
    """The same evidence, rejects and pods; counts but for the repeats, of which a scan sees fewer."""
    assert_frame_equal(joins.plain(one.evidence), joins.plain(other.evidence))
    assert_frame_equal(one.rejects, other.rejects)
    assert_frame_equal(one.pods, other.pods)
    columns = ["kind", "project", "cluster", "hour", "entries", "loss_markers"]
    assert_frame_equal(one.counts[columns], other.counts[columns])


def entry(number, text, *, container="app", pod="web-6d5f7c9b4d-x2x4z", second=10.0, **more):
    stamp = f"2026-03-02T09:00:{second:09.6f}Z"
    labels = {"cluster_name": "c", "container_name": container, "location": "l", "namespace_name": "shop",
              "pod_name": pod, "project_id": "p"}  # fmt: skip
    return {
        "insertId": f"i{number}", "logName": "projects/p/logs/stderr", "textPayload": text,
        "resource": {"labels": labels, "type": "k8s_container"}, "timestamp": stamp, **more,
    }  # fmt: skip


REFUSED = "dial tcp 10.0.0.9:6379: connect: connection refused"


def lines_of(*entries, **style):
    return "".join(json.dumps(one, **({"separators": (",", ":")} | style)) + "\n" for one in entries)


CHATTER = [entry(number, f"handled request {number}", second=number / 10) for number in range(300)]
FOREIGN = (entry("x", "connect: в соединении отказано"), entry("z", "В СОЕДИНЕНИИ ОТКАЗАНО"), entry("y", "拒绝连接"))
DATED = {
    "timestamp": "2020-01-01T00:00:00Z",
    "msg": "fine",
    "resource": {"labels": {"pod_name": "other", "container_name": "x"}},
}
ODD = {
    "as a sink writes it": lines_of(*CHATTER, entry("x", REFUSED, second=31)),
    "blanks after colons": lines_of(*CHATTER, entry("x", REFUSED, second=31), separators=(", ", ": ")),
    "letters as escapes": lines_of(*CHATTER) + lines_of(entry("x", REFUSED)).replace("refused", "\\u0072efuse\\u0064"),
    "upper case": lines_of(*CHATTER, entry("x", REFUSED.upper(), second=31)),
    "other alphabets": lines_of(*CHATTER, *FOREIGN, ensure_ascii=False),
    "other alphabets as escapes": lines_of(*CHATTER, *FOREIGN),
    "two objects on a line": lines_of(*CHATTER) + lines_of(entry("x", REFUSED)).strip() + lines_of(entry("y", REFUSED)),
    "keys in another order": lines_of(*[dict(reversed(one.items())) for one in [*CHATTER, entry("x", REFUSED)]]),
    "windows line ends": lines_of(*CHATTER, entry("x", REFUSED)).replace("\n", "\r\n"),
    "no line end at the end": lines_of(*CHATTER, entry("x", REFUSED)).rstrip("\n"),
    "blank lines": "\n\n" + lines_of(*CHATTER, entry("x", REFUSED)) + "\n \n",
    "broken lines": lines_of(*CHATTER) + '{"insertId":"cut","textPay\nnot json\n[1]\n' + lines_of(entry("x", REFUSED)),
    "payloads with times of their own": lines_of(
        *CHATTER,
        entry("x", None, jsonPayload=DATED | {"msg": REFUSED}),
        entry("y", None, jsonPayload=DATED),
    ),
    "only nested keys as usual": lines_of(
        *CHATTER, *[entry(f"n{n}", None, second=50 + n, jsonPayload={**DATED, "msg": "fine"}) for n in range(3)],
        entry("x", None, second=31, jsonPayload=DATED | {"msg": REFUSED}),
    ).replace('"timestamp":"2026', '"timestamp" : "2026').replace('"resource":{"labels"', '"resource":{ "labels"'),
    "containers of an unknown type of resource": lines_of(*CHATTER).replace("k8s_container", "docker_container")
    + lines_of(entry("x", REFUSED)),
    "stack traces": lines_of(
        *CHATTER, entry("x", "java.net.ConnectException: Connection refused"), entry("y", "\tat java.net.Socket"),
        entry("z", "Caused by: java.net.ConnectException: Connection refused"), entry("w", "  ... 12 more"),
    ),
    "entries without order": lines_of(*reversed(CHATTER), entry("x", REFUSED), *CHATTER[:9]),
    "several hours": lines_of(*CHATTER) + lines_of(*CHATTER).replace("T09:", "T10:").replace('"i', '"j'),
    "proxies": lines_of(
        *[entry(f"a{n}", f'[2026-03-02T09:00:{n:02}.123Z] "GET / HTTP/1.1" 200 - x outbound|80||svc 10.0.0.1:1',
                container="istio-proxy", second=n + 0.5) for n in range(50)],
        entry("r", "2026-03-02T09:00:03.1Z\tinfo\tEnvoy proxy is ready", container="istio-proxy"), entry("x", REFUSED),
    ),
    "half a letter in labels, resource and payload": lines_of(
        *[entry(f"h{n}", "fine", pod=f"web-{n}", labels={"a": "\ud800"}) for n in range(3)],
        *[entry(f"p{n}", None, pod=f"api-{n}", jsonPayload={"a": "\ud800"}) for n in range(3)],
        *[entry(f"r{n}", "fine", pod=f"db\ud800-{n}") for n in range(3)], entry("x", REFUSED),
    ),
    "half a letter, or no text, as the project": lines_of(*CHATTER, entry("x", REFUSED)) + "".join(
        lines_of(*CHATTER[:9]).replace('"project_id":"p"', f'"project_id":{label}').replace('"i', f'"{number}i')
        for number, label in enumerate(("5", "0.5", "{}", "true", "null", "[]", '"\\ud800"', '""'))
    ),
    "broken requests": lines_of(
        *[entry(f"a{n}", f'[2026-03-02T09:00:{n:02}.123Z] "GET / HTTP/1.1" 200 - x outbound|80||svc 10.0.0.1:1',
                container="istio-proxy", second=n + 0.5) for n in range(9)], entry("x", REFUSED),
    ).replace('"insertId":"a0"', '"insertId":a0').replace('"insertId":"a8"', '"insertId":"a8" "b":'),
    "many containers in many hours": lines_of(
        *[entry(f"m{n}", "fine", pod=f"web-{n}", timestamp=f"20{n % 90:02}-01-01T00:00:00Z") for n in range(3000)],
        entry("x", REFUSED),
    ),
    "the first line cut at its beginning": lines_of(*CHATTER, entry("x", REFUSED))[50:],
    "noise at the top": "WARNING: Your config, is old.\nnull\n" + lines_of(*CHATTER, entry("x", REFUSED)),
    "separators of records": lines_of(*CHATTER, entry("x", REFUSED)).replace('{"insertId', '\x1e{"insertId'),
    "split entries": lines_of(
        *CHATTER, entry("s0", "dial tcp 10.0.0.9:6379: connect: connection ref", split={"uid": "u", "totalSplits": 2}),
        entry("s1", "used", split={"uid": "u", "index": 1, "totalSplits": 2}),
    ),
}  # fmt: skip


# Of which no rows of a warehouse are made.
ENTRIES_ONLY = {
    "messages of Pub/Sub between": lines_of(
        *CHATTER[:9], *[{"message": {"data": base64.b64encode(json.dumps(one).encode()).decode(), "messageId": "1"}}
                        for one in (*CHATTER[9:12], entry("x", REFUSED, second=31))], *CHATTER[12:],
    ),
    "only a time, a resource and a text": lines_of(
        *[{key: one[key] for key in ("resource", "textPayload", "timestamp")}
          for one in (*CHATTER, entry("x", REFUSED, second=31))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", [*ODD, *ENTRIES_ONLY])
def test_a_scan_finds_what_parsing_every_line_finds(name, tmp_path):
    text = (ODD | ENTRIES_ONLY)[name]
    (tmp_path / "export.json").write_bytes(text.encode())
    found = gathered(tmp_path)
    same(found, gathered(tmp_path, whole=True))
    if "x" in text and name != "several hours":
        assert (found.evidence["kind"] == "refused").any()


def test_times_that_are_none_or_not_in_utc(tmp_path):
    stamps = [
        *("1677-09-21T00:12:43.145224194Z", "2262-04-11T23:47:16.854775807Z", "9999-12-31T23:59:59Z", "yesterday"),
        *("2026-03-02T09:00:04+25:00", "٢٠٢٦-03-02T09:00:04Z", "2026-03-02T11:00:04+02", "2026-03-02T09:00:60Z"),
    ]
    lines = [entry(f"t{number}", "fine", timestamp=stamp) for number, stamp in enumerate(stamps)]
    (tmp_path / "export.json").write_text(lines_of(*CHATTER, *lines, entry("x", REFUSED), ensure_ascii=False))
    found = gathered(tmp_path)
    assert found.rejects["line"].tolist() == [301, 302, 303, 304, 305, 306]
    same(found, gathered(tmp_path, whole=True))


@pytest.mark.parametrize("broken", [b"\xff\xfe", b"\xed\xa0\x80"], ids=["no letters", "half a letter"])
def test_bytes_that_are_no_text_are_read_as_when_every_line_is_parsed(broken, tmp_path):
    lines = [entry(f"b{n}", "fine", pod=f"web-{n}", labels={"a": "BROKEN"}) for n in range(3)]
    lines += [entry(f"p{n}", "fine", pod=f"BROKEN-{n}") for n in range(3)]
    text = lines_of(*lines, *CHATTER, entry("x", REFUSED)).encode()
    (tmp_path / "export.json").write_bytes(text.replace(b"BROKEN", broken))
    same(gathered(tmp_path), gathered(tmp_path, whole=True))


def test_what_is_counted_of_lines_that_are_not_parsed(tmp_path):
    """As docs/VERDICTS.md says: they are entries however often they come, and if they are broken in their middle."""
    broken = lines_of(entry("b", "fine", second=15)).replace('"fine"', '"fine" oops')
    text = lines_of(*CHATTER, entry("x", REFUSED, second=20.5))
    (tmp_path / "export.json").write_text(text * 3 + broken)
    export = ml.read(tmp_path)
    found = export.coverage[export.coverage["missing"].isna()]
    assert (found["entries"].sum(), found["duplicates"].sum(), len(export.rejects)) == (904, 2, 0)
    (tmp_path / "out").mkdir()
    told = conversion.write_export(ml.read(tmp_path), tmp_path / "out")
    assert (told["log_entries"], told["rejects"]) == (301, 1)


WITHOUT_PANDAS = """
import sys
from pathlib import Path
from meshlogs.engines import local
from meshlogs.reading import blocks, scan
found = scan.scan(blocks.Stretch(Path(sys.argv[1]), "export"))
assert len(found.shard.log_entries) == 1 and len(found.logged) == 2 and len(found.counts) == 1
assert "pandas" not in sys.modules
"""


@pytest.mark.skipif(bulk.usual_rows is None, reason="it was not compiled here")
def test_a_scan_does_without_pandas(tmp_path):
    """It takes as long to load as half a gigabyte takes to scan."""
    path = tmp_path / "export.json"
    path.write_text(lines_of(*CHATTER, entry("x", REFUSED, second=15)))
    subprocess.run([sys.executable, "-c", WITHOUT_PANDAS, path], check=True)


@pytest.mark.parametrize("compress", [False, True])
def test_a_scan_of_a_fleet_is_a_run_over_every_line(simulated, compress):
    export = simulated(pods=60, seed=4, **({"gzip": True} if compress else {})) / "export"
    same(gathered(export), gathered(export, whole=True))


def test_a_file_read_in_stretches_and_small_blocks_is_the_file(tmp_path, monkeypatch):
    text = "".join(ODD[name] for name in ("as a sink writes it", "stack traces", "proxies")).encode()
    (tmp_path / "export.json").write_bytes(text)
    whole = gathered(tmp_path)
    for stretch, block in ((len(text) // 5, 1 << 20), (4096, 1000), (1 << 20, 77)):
        monkeypatch.setattr(scan, "STRETCH", stretch)
        monkeypatch.setattr(blocks, "BLOCK", block)
        same(gathered(tmp_path), whole)


def test_without_the_fast_search_the_same_is_found(tmp_path, monkeypatch):
    (tmp_path / "export.json").write_text(ODD["stack traces"])
    quick = gathered(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "hyperscan", None)
    scan._engine.cache_clear()
    try:
        same(gathered(tmp_path), quick)
    finally:
        scan._engine.cache_clear()


def shards(folder):
    for number in range(3):
        more = entry(f"x{number}", REFUSED, second=20 + number, pod=f"web-6d5f7c9b4d-x2x4{number + 5}")
        text = lines_of(*CHATTER, more).encode()
        (folder / f"S{number}.json").write_bytes(gzip.compress(text) if number else text)


def test_workers_give_the_tables_of_one_process(tmp_path, monkeypatch):
    shards(tmp_path)
    alone = gathered(tmp_path)
    monkeypatch.setattr(local, "SMALL", 0)
    same(gathered(tmp_path, engine=local.Local(3)), alone)
    monkeypatch.setattr(local, "_help", lambda *_: None)
    same(gathered(tmp_path, engine=local.Local(3)), alone)


def test_a_worker_that_is_killed_is_replaced_and_then_told(tmp_path, monkeypatch):
    shards(tmp_path)
    alone = gathered(tmp_path)
    monkeypatch.setattr(local, "SMALL", 0)
    monkeypatch.setattr(local, "_help", lambda *_: None)  # all is left to the workers
    ask, killed = local._ask, []

    def kill_once(process, task):
        if not killed or len(killed) < limit:
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        return ask(process, task)

    monkeypatch.setattr(local, "_ask", kill_once)
    limit = 1
    same(gathered(tmp_path, engine=local.Local(2)), alone)
    limit = 99
    with pytest.raises(ml.WorkerError, match="died twice"):
        gathered(tmp_path, engine=local.Local(2))


def test_an_error_in_a_worker_is_the_callers(tmp_path, monkeypatch):
    shards(tmp_path)
    (tmp_path / "README.txt").write_text("no export")
    monkeypatch.setattr(local, "SMALL", 0)
    strict = [parts.Task(str(path), path.name, strict=True) for path in sorted(tmp_path.iterdir())]
    with pytest.raises(ml.InputError, match="no known form"):
        list(local.Local(2).load(strict))
    monkeypatch.setattr(local, "_help", lambda *_: None)
    with pytest.raises(ml.InputError, match="no known form"):
        list(local.Local(2).load(strict))


def test_small_files_are_read_together(tmp_path, monkeypatch):
    ml.simulate_fleet(tmp_path, pods=30, seed=6, shards=3)
    files = ml.Export([tmp_path])._files
    found = []
    for at_least in (2, 10**9):
        monkeypatch.setattr(parts, "_TASKS", at_least)
        tasks = parts.tasks(files, set())
        assert [(one.path, one.source) for task in tasks for one in task.files] == [(str(p), s) for p, s in files]
        assert (len(tasks) < len(files)) == (at_least == 2)
        assert sum(task.size for task in tasks) == sum(path.stat().st_size for path, _ in files)
        found.append(gather.gather(tasks, local.Local(1)))
    same(*found)
    assert_frame_equal(found[0].files, found[1].files)


def test_what_came_again_is_dropped_on_the_way_as_at_the_end(tmp_path, monkeypatch):
    for folder in ("first", "second", "third"):
        ml.simulate_fleet(tmp_path / folder, pods=8, seed=4)
    at_the_end = gathered(tmp_path)
    assert at_the_end.counts["duplicates"].sum() > 0
    monkeypatch.setattr(gather, "MANY", 5)
    on_the_way = gathered(tmp_path)
    same(on_the_way, at_the_end)
    assert_frame_equal(on_the_way.counts, at_the_end.counts)
    # In files: the same rows, group by group.
    monkeypatch.setattr(gather, "VERY_MANY", 20)
    monkeypatch.setattr(groups, "GROUP", 100)
    in_groups = gathered(tmp_path)
    assert len(in_groups.facts) > 2
    rows = (
        joins.plain(one.evidence).sort_values(list(one.evidence), ignore_index=True) for one in (in_groups, at_the_end)
    )
    assert_frame_equal(*rows)
    assert_frame_equal(in_groups.counts, at_the_end.counts)


TEXTS = st.one_of(
    st.sampled_from([line.example for line in (*signatures.SIGNATURES, *connected.LINES)]),
    st.tuples(st.sampled_from(["  at x", "\tat x", "}", "]}", "Traceback (most recent call last):", "Caused by: x",
                               "... 7 more", "\tTCP/IP connections on port 5432?", "x dial tcp 10.0.0.9:1: connect: "]),
              st.sampled_from(["", "\n", " ", "\r\n"])).map("".join),
)  # fmt: skip


@given(TEXTS, st.booleans(), st.booleans())
def test_whatever_matters_is_suspect(text, ascii_only, nested):
    payload = {"jsonPayload": {"message": text}} if nested else {"textPayload": text}
    line = json.dumps(payload, ensure_ascii=ascii_only).encode()
    matters = signatures.match(text) or refused._CONTEXT_LINE.search(text) or connected.told(text)[0]
    assert not matters or suspects.suspect(line)


def test_what_a_request_says_of_the_proxy_is_not_the_proxys(tmp_path):
    line = '[2026-03-02T09:00:05.123Z] "GET / HTTP/1.1" 200 - "Envoy proxy is ready" outbound|80||svc 10.0.0.1:1'
    (tmp_path / "export.json").write_text(lines_of(entry("r", line, container="istio-proxy")))
    told = gathered(tmp_path).evidence
    assert told.loc[told["kind"] == "proxy_open", "value"].tolist() == ["access_log"]
    assert isinstance(told["time_lower"].dtype, pd.DatetimeTZDtype)
    assert proxy.PROXY in set(told["container"])
