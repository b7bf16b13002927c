"""`fetch` with the real client library, against a server on loopback that misbehaves."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import cli, download, formats, output
from meshlogs.download import calls, entries, shards
from tests.download.server import Logging, Serving, parsed

SINCE, UNTIL = "2026-03-02T08:30:00Z", "2026-03-02T11:15:00Z"
POD = {
    "project_id": "p",
    "location": "l",
    "cluster_name": "c",
    "namespace_name": "n",
    "pod_name": "web-6d5f7c9b4d-x2x4z",
    "container_name": "web",
}


def entry(number, stamp, **more):
    log = more.pop("log", "stdout")
    return {
        "insertId": f"id{number}",
        "logName": f"projects/p/logs/{log}",
        "resource": {"type": "k8s_container", "labels": POD},
        "textPayload": f"line {number}: dial tcp 10.0.0.9:6379: connect: connection refused",
        "timestamp": stamp,
        "receiveTimestamp": stamp,
        "severity": "ERROR",
    } | more


ENTRIES = [
    entry(0, "2026-03-02T08:29:59.999999999Z"),  # before
    entry(1, "2026-03-02T08:30:00Z"),
    entry(2, "2026-03-02T08:59:59.999999999Z"),
    entry(3, "2026-03-02T09:00:00.000000001Z"),
    *[entry(10 + number, f"2026-03-02T09:10:{number:02}.123456789Z") for number in range(20)],
    entry(40, "2026-03-02T10:00:00.5Z", log="stderr"),
    entry(41, "2026-03-02T11:14:59.999999999Z", log="events"),
    entry(42, "2026-03-02T11:15:00Z"),  # after
]


class Clock:
    """Time passes only while someone sleeps."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def fetched(out, logging, clock=None, **more):
    clock = clock or Clock()
    with Serving(logging) as server:
        return ml.fetch("p", out, since=SINCE, until=UNTIL, client=download.connect(server.address), clock=clock,
                        sleep=clock.sleep, **more)  # fmt: skip


def files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    fetched(out, Logging(ENTRIES))
    return files(out)


def test_the_layout_is_a_sinks_and_every_entry_is_there_once(undisturbed):
    names = [name for name in undisturbed if not name.startswith(".")]
    assert names == [
        "events/2026/03/02/11:00:00_11:59:59_S0.json",
        "stderr/2026/03/02/10:00:00_10:59:59_S0.json",
        "stdout/2026/03/02/08:00:00_08:59:59_S0.json",
        "stdout/2026/03/02/09:00:00_09:59:59_S0.json",
    ]
    lines = [json.loads(line) for name in names for line in undisturbed[name].splitlines()]
    assert {line["insertId"] for line in lines} == {one["insertId"] for one in ENTRIES[1:-1]}
    assert len(lines) == len(ENTRIES) - 2
    eight = [json.loads(line) for line in undisturbed["stdout/2026/03/02/08:00:00_08:59:59_S0.json"].splitlines()]
    assert eight == [ENTRIES[1], ENTRIES[2]]


def test_what_was_fetched_reads_like_a_sinks_files(tmp_path):
    fetched(tmp_path / "out", Logging(ENTRIES))
    (tmp_path / "sink.json").write_text("".join(json.dumps(one) + "\n" for one in ENTRIES[1:-1]))
    fetched_, sink = (
        ml.read(path).log_entries.drop(columns=["source", "line"])
        for path in (tmp_path / "out", tmp_path / "sink.json")
    )
    pd.testing.assert_frame_equal(fetched_, sink)
    assert len(ml.analyse(tmp_path / "out").errors)


UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "try again")
EXHAUSTED = (grpc.StatusCode.RESOURCE_EXHAUSTED, "quota")
LATE = (grpc.StatusCode.DEADLINE_EXCEEDED, "too slow")
EXPIRED = (grpc.StatusCode.INVALID_ARGUMENT, "page_token is invalid")


@pytest.mark.parametrize(
    "trouble",
    [
        {"faults": [UNAVAILABLE, EXHAUSTED, None, LATE, None, UNAVAILABLE]},
        {"faults": [None, None, None, EXPIRED, None, None, EXPIRED]},
        {"twice": True},
        {"empty": True},
        {"page": 1},
        {"page": 1000},
    ],
    ids=str,
)
def test_trouble_changes_nothing(trouble, undisturbed, tmp_path):
    clock = Clock()
    fetched(tmp_path, Logging(ENTRIES, **trouble), clock)
    assert files(tmp_path) == undisturbed


def test_waits_grow_and_end(tmp_path):
    clock = Clock()
    with pytest.raises(ml.FetchError, match="failed 8 times: .*Run the same command again"):
        fetched(tmp_path, Logging(ENTRIES, faults=[UNAVAILABLE] * 99), clock)
    assert clock.slept == [1, 2, 4, 8, 16, 32, 60]


@pytest.mark.parametrize(
    "fault, words",
    [
        ((grpc.StatusCode.PERMISSION_DENIED, "no"), "logging.logEntries.list"),
        ((grpc.StatusCode.UNAUTHENTICATED, "who"), "roles/logging.viewer"),
        ((grpc.StatusCode.NOT_FOUND, "\x1b[31mwhere"), "check the project's name"),
        ((grpc.StatusCode.INVALID_ARGUMENT, "bad filter"), "the filter was refused: .*bad filter"),
        ((grpc.StatusCode.UNIMPLEMENTED, "?"), "the call failed"),
    ],
)
def test_what_waiting_does_not_mend_is_told_at_once(fault, words, tmp_path):
    clock = Clock()
    with pytest.raises(ml.FetchError, match=words) as told:
        fetched(tmp_path, Logging(ENTRIES, faults=[fault]), clock)
    assert clock.slept == [] and "\x1b" not in str(told.value) and "p: " in str(told.value)


def test_tokens_that_always_expire_end(tmp_path):
    with pytest.raises(ml.FetchError, match="page tokens were refused 5 times"):
        fetched(tmp_path, Logging(ENTRIES, faults=[None, *[None, EXPIRED] * 50]))


def test_sixty_calls_a_minute_and_no_more(tmp_path):
    clock = Clock()
    many = [entry(number, f"2026-03-02T09:{number // 60:02}:{number % 60:02}Z") for number in range(200)]
    told = fetched(tmp_path, Logging(many, page=1), clock)
    assert told["entries"] == 200 and told["calls"] == 203
    assert clock.now == 180.0 and len(clock.slept) == 3


class Killed(Exception):
    pass


def places():
    """Every moment at which a run may end: before and after each step on the disk."""
    return [
        (step, when, number) for step in ("replace", "fsync") for when in ("before", "after") for number in range(10)
    ]


@pytest.mark.parametrize("step, when, number", places())
def test_ended_at_any_step_and_started_again_it_is_the_undisturbed_run(
    step, when, number, undisturbed, tmp_path, monkeypatch
):
    place = Path if step == "replace" else shards.os
    real, count = getattr(place, step), [0]

    def ending(*args):
        count[0] += 1
        if count[0] == number + 1 and when == "before":
            raise Killed
        real(*args)
        if count[0] == number + 1:
            raise Killed

    logging = Logging(ENTRIES)
    with monkeypatch.context() as patch:
        patch.setattr(place, step, ending)
        try:
            fetched(tmp_path, logging)
        except Killed:
            assert {name: data for name, data in files(tmp_path).items() if not name.endswith((".part", ".json"))} == {}
    fetched(tmp_path, logging)
    left = {name: data for name, data in files(tmp_path).items() if not name.endswith(".part")}
    assert left == undisturbed


def test_hours_that_are_done_are_not_fetched_again(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    again = Logging(ENTRIES)
    assert fetched(tmp_path, again)["calls"] == 0
    assert again.requests == []


def test_another_request_does_not_go_into_the_same_folder(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    with pytest.raises(ml.FetchError, match="another request"):
        fetched(tmp_path, Logging(ENTRIES), pods=["web"])
    (tmp_path / shards.MANIFEST).write_text("{")
    with pytest.raises(ml.FetchError, match="cannot be read"):
        fetched(tmp_path, Logging(ENTRIES))


SCRIPT = """
import sys, time
import meshlogs as ml
from meshlogs import download
from meshlogs.download import calls
calls.PER_MINUTE = 10**9
ml.fetch("p", sys.argv[2], since=sys.argv[3], until=sys.argv[4], client=download.connect(sys.argv[1]))
"""


def test_killed_from_outside_and_started_again(undisturbed, tmp_path):
    logging = Logging(ENTRIES, page=1)
    answer = logging.list

    def slowly(data, context):
        time.sleep(0.05)
        return answer(data, context)

    logging.list = slowly
    with Serving(logging) as server:
        words = [sys.executable, "-c", SCRIPT, server.address, str(tmp_path), SINCE, UNTIL]
        for calls_before in (3, 15):
            process = subprocess.Popen(words)
            asked = len(logging.requests)
            while len(logging.requests) < asked + calls_before and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
        subprocess.run(words, check=True)
    assert {name: data for name, data in files(tmp_path).items() if not name.endswith(".part")} == undisturbed


@given(st.datetimes(pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-03")), st.integers(1, 10**14))
def test_hours_cover_the_time_exactly(begin, length):
    first = pd.Timestamp(begin, tz="UTC").as_unit("ns")
    last = first + pd.Timedelta(length, "ns")
    hours = download._hours(first, last)
    assert hours[0][0] == first and hours[-1][1] == last
    assert all(end == next_ for (_, end), (next_, _) in zip(hours[:-1], hours[1:], strict=True))
    assert all(begin < end and begin.floor("h") == (end - pd.Timedelta(1, "ns")).floor("h") for begin, end in hours)


def test_numbers_times_and_audit_payloads_survive():
    payload = {"a": 5, "b": 2.5, "c": [1, {"d": True, "e": None}]}
    line = json.loads(
        entries.as_json(parsed(entry(1, "2026-03-02T09:00:00.000000001Z", jsonPayload=payload, textPayload=None)))
    )
    assert (line["jsonPayload"], line["timestamp"]) == (payload, "2026-03-02T09:00:00.000000001Z")
    audit = {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "methodName": "io.k8s.core.v1.pods.create",
             "resourceName": "core/v1/namespaces/n/pods/x", "response": {"metadata": {"name": "x"}}}  # fmt: skip
    line = json.loads(entries.as_json(parsed(entry(2, "2026-03-02T09:00:00Z", protoPayload=audit, textPayload=None))))
    assert line["protoPayload"] == audit
    unknown = parsed(entry(3, "2026-03-02T09:00:00Z", textPayload=None))
    unknown.proto_payload.type_url, unknown.proto_payload.value = "type.googleapis.com/x.Unknown", b"\x01"
    assert json.loads(entries.as_json(unknown))["protoPayload"] == {
        "@type": "type.googleapis.com/x.Unknown",
        "value": "01",
    }


@pytest.mark.parametrize("log, folder", [
    ("projects/p/logs/cloudaudit.googleapis.com%2Factivity", "cloudaudit.googleapis.com/activity"),
    ("projects/p/logs/..%2F..%2Fetc", "etc"), ("projects/p/logs/%2e%2e", "unnamed"), ("x", "unnamed"),
    ("projects/p/logs/a b\\c:d", "a_b_c_d"),
])  # fmt: skip
def test_a_logs_name_is_a_folder_inside(log, folder):
    assert shards._folder(log) == folder


def test_filters_are_short_enough_and_say_their_limits():
    logging = Logging(ENTRIES)
    assert all(
        len(text) < 20_000
        for text in download._filters(download.EVIDENCE, download.Scope(pods=tuple(f"pod-{n:050}" for n in range(900))))
    )
    with pytest.raises(ValueError, match="no kind of evidence named 'x'"):
        ml.fetch("p", "x", since=SINCE, until=UNTIL, kinds=["x"], client=logging)
    with pytest.raises(ValueError, match="not before"):
        ml.fetch("p", "x", since=UNTIL, until=SINCE, client=logging)


def test_an_insecure_server_elsewhere_is_refused():
    with pytest.raises(ml.FetchError, match="not an address of this machine"):
        download.connect("10.0.0.1:443")


def run(*words):
    return CliRunner().invoke(cli.main, ["fetch", *map(str, words)])


def test_the_command(undisturbed, tmp_path):
    with Serving(Logging(ENTRIES)) as server:
        given_ = ["--project", "p", "--endpoint", server.address]
        result = run(*given_, "--out", tmp_path / "out", "--since", SINCE, "--until", UNTIL)
        assert result.exit_code == 0, result.output
        assert "25 entries of 4 hours" in result.stderr and "meshlogs report" in result.stderr
        assert run(*given_, "--out", tmp_path / "out").exit_code == 2
        output.write_fleet(ml.analyse(tmp_path / "out"), tmp_path / "report", by=["namespace"])
        result = run(*given_, "--out", tmp_path / "more", "--for-report", tmp_path / "report")
        assert result.exit_code == 0, result.output
        manifest = json.loads((tmp_path / "more" / shards.MANIFEST).read_text())
        assert all("web-6d5f7c9b4d-x2x4z" in text for text in manifest["filters"])
    assert files(tmp_path / "out") == undisturbed


def test_the_manifest_is_no_export(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    assert not [source for _, source in formats.files([tmp_path]) if "fetch" in source or source.endswith(".part")]
    assert calls.PER_MINUTE == 60 and isinstance(tmp_path, Path)
