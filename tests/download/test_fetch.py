"""`fetch` with the real client library, against a server on loopback that misbehaves."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pandas as pd
import pytest
from click.testing import CliRunner
from google.cloud.audit import audit_log_pb2
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import cli, download, formats, output, schema, times
from meshlogs.download import calls, entries, shards
from tests.download.server import Logging, Serving, parsed

SINCE, UNTIL = "2026-03-02T08:30:00Z", "2026-03-02T11:15:00Z"
LATER = pd.Timestamp("2026-03-09T00:00:00Z")  # the day on which it is fetched
AUDIT = "type.googleapis.com/google.cloud.audit.AuditLog"
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
    words = {"since": SINCE, "until": UNTIL, "now": lambda: LATER} | more
    with Serving(logging) as server:
        return ml.fetch("p", out, client=download.connect(server.address), clock=clock, sleep=clock.sleep, **words)


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


def test_a_fleet_that_was_fetched_has_the_tables_and_verdicts_of_its_sink(tmp_path):
    ml.simulate_fleet(tmp_path / "fleet", pods=6)
    text = "".join(path.read_text() for path in sorted((tmp_path / "fleet/export").rglob("*_S0.json")))
    text = text.replace('"WARN"', '"WARNING"')  # the only word for it that Cloud Logging has
    (tmp_path / "sink.json").write_text(text)
    lines = [json.loads(line) for line in text.splitlines()]
    told = fetched(tmp_path / "out", Logging(lines, page=1000), since="2026-03-02T08:00", until="2026-03-02T12:00")
    assert told["entries"] == len({(line["logName"], line["timestamp"], line["insertId"]) for line in lines})
    read = [ml.read(tmp_path / name) for name in ("out", "sink.json")]
    for name, key in (("log_entries", ["time", "insert_id", "log_name"]), ("events", ["insert_id"])):
        one, other = (
            getattr(export, name).drop(columns=["source", "line"]).sort_values(key, ignore_index=True)
            for export in read
        )
        assert len(one)
        pd.testing.assert_frame_equal(one, other)
    found, sink = map(ml.analyse, read)
    assert found.starts["outcome"].tolist() == sink.starts["outcome"].tolist()
    assert found.errors["verdict"].tolist() == sink.errors["verdict"].tolist() and len(found.errors)


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


STEPS = {"write": (shards, "_append"), "fsync": (shards.os, "fsync"), "replace": (Path, "replace")}


def ending_at(patch, step, moment, number):
    """Let the run end before, within or after the so-manieth such step on the disk; counts the steps."""
    place, name = STEPS[step]
    real, count = getattr(place, name), [0]

    def ending(*args, **more):
        count[0] += 1
        if count[0] == number and moment == "before":
            raise Killed
        if count[0] == number and moment == "within" and step == "write":
            path, text = args
            real(path, text[: len(text) // 2], **more)
            raise Killed
        real(*args, **more)
        if count[0] == number:
            raise Killed

    patch.setattr(place, name, ending)
    return count


@pytest.fixture(scope="module")
def steps(tmp_path_factory):
    """How many of each step an undisturbed run takes."""
    counts = {}
    for step in STEPS:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(download, "PIECE", 7)
            count = ending_at(patch, step, "never", -1)
            fetched(tmp_path_factory.mktemp(step), Logging(ENTRIES, page=5))
        counts[step] = count[0]
    return counts


@pytest.mark.parametrize("moment", ["before", "within", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_ended_at_any_step_and_started_again_it_is_the_undisturbed_run(
    step, moment, steps, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setattr(download, "PIECE", 7)
    assert steps["write"] > steps["replace"] == steps["fsync"] == 9
    for number in range(1, steps[step] + 1):
        out = tmp_path / str(number)
        logging = Logging(ENTRIES, page=5)
        with monkeypatch.context() as patch:
            ending_at(patch, step, moment, number)
            with pytest.raises(Killed):
                fetched(out, logging)
        shown = {name: data for name, data in files(out).items() if not Path(name).name.startswith(".")}
        assert shown.items() <= undisturbed.items()  # a file is whole or not there
        noted = json.loads(manifest.read_text())["done"] if (manifest := out / shards.MANIFEST).exists() else {}
        logging.requests.clear()
        fetched(out, logging)
        assert not [one for one in logging.requests for hour in noted if f'timestamp>="{hour}"' in one.filter]
        assert files(out) == undisturbed


def test_hours_that_are_done_are_not_fetched_again(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    again = Logging(ENTRIES)
    assert fetched(tmp_path, again)["calls"] == 0
    assert again.requests == []


def test_a_shard_that_is_gone_is_fetched_again(undisturbed, tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    (tmp_path / "stdout/2026/03/02/09:00:00_09:59:59_S0.json").unlink()
    again = Logging(ENTRIES)
    fetched(tmp_path, again)
    assert files(tmp_path) == undisturbed
    assert all('timestamp>="2026-03-02T09:00:00Z"' in request.filter for request in again.requests)


def test_hours_that_may_still_get_entries_are_fetched_again(undisturbed, tmp_path):
    early = fetched(tmp_path, Logging(ENTRIES[:-2]), now=lambda: pd.Timestamp("2026-03-02T11:00:00Z"))
    assert (early["hours"], early["open"], early["entries"]) == (4, 2, 24)  # the last ones end at 11:00 and 11:15
    late = fetched(tmp_path, Logging(ENTRIES))
    assert (late["open"], late["entries"]) == (0, 25) and late["calls"] < 7
    assert files(tmp_path) == undisturbed
    with pytest.raises(ml.FetchError, match="nothing later than a day from now"):
        fetched(tmp_path, Logging([]), until="2199-12-31")


def test_another_request_does_not_go_into_the_same_folder(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    with pytest.raises(ml.FetchError, match="another request"):
        fetched(tmp_path, Logging(ENTRIES), pods=["web"])
    noted = json.loads((tmp_path / shards.MANIFEST).read_text())
    for broken in ("{", "[]", "null", json.dumps(noted | {"done": []}), json.dumps(noted | {"done": {"x": {}}})):
        (tmp_path / shards.MANIFEST).write_text(broken)
        with pytest.raises(ml.FetchError, match="cannot be read"):
            fetched(tmp_path, Logging(ENTRIES))


def test_files_that_no_fetch_wrote_are_left_alone(tmp_path):
    own = tmp_path / "stdout/2026/03/02/09:00:00_09:59:59_S0.json"
    own.parent.mkdir(parents=True)
    own.write_text("the sink's own")
    with pytest.raises(ml.FetchError, match="holds files that no fetch wrote, such as 'stdout'"):
        fetched(tmp_path, Logging(ENTRIES))
    assert own.read_text() == "the sink's own"
    with pytest.raises(ml.FetchError, match="cannot be written: .*goes on"):
        fetched(own, Logging(ENTRIES))


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    fetched(tmp_path, Logging(ENTRIES[:2]), until="2026-03-02T09:00:00Z")
    monkeypatch.setattr(shards.os, "fsync", full)
    with pytest.raises(ml.FetchError, match="No space left on device"):
        fetched(tmp_path / "more", Logging(ENTRIES))


SCRIPT = """
import sys
import pandas as pd
import meshlogs as ml
from meshlogs import download
from meshlogs.download import calls
calls.PER_MINUTE = 10**9
ml.fetch("p", sys.argv[2], since=sys.argv[3], until=sys.argv[4], client=download.connect(sys.argv[1]),
         now=lambda: pd.Timestamp("2026-03-09", tz="UTC"))
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
    assert files(tmp_path) == undisturbed


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
        "value": "AQ==",
    }


@pytest.mark.parametrize("log, folder", [
    ("projects/p/logs/cloudaudit.googleapis.com%2Factivity", "cloudaudit.googleapis.com/activity"),
    ("projects/p/logs/..%2F..%2Fetc", "etc"), ("projects/p/logs/%2e%2e", "unnamed"), ("x", "unnamed"),
    ("projects/p/logs/a b\\c:d", "a_b_c_d"), ("projects/p/logs/.git%2F.x", "git/x"),
    ("projects/p/logs/" + "y" * 400, "y" * 200),
])  # fmt: skip
def test_a_logs_name_is_a_folder_inside(log, folder):
    assert shards._folder(log) == folder


def test_a_log_whose_name_would_be_hidden_is_read(tmp_path):
    fetched(tmp_path, Logging([entry(1, "2026-03-02T09:00:00Z", log=".hidden")]))
    assert len(ml.read(tmp_path).log_entries) == 1


def test_entries_without_an_id_are_told_apart_by_what_they_say(tmp_path):
    same = [entry(1, "2026-03-02T09:00:00Z", textPayload=None, jsonPayload={"message": text}) for text in "abb"]
    for one in same:
        del one["insertId"]
    assert fetched(tmp_path, Logging(same))["entries"] == 2


def test_numbers_that_json_has_not_stop_nothing():
    odd = parsed(entry(1, "2026-03-02T09:00:00Z", textPayload=None, jsonPayload=dict.fromkeys("abcd", 1)))
    for name, number in zip("abcd", (float("nan"), float("-inf"), 1e300, 2.0**53), strict=True):
        odd.json_payload.fields[name].number_value = number
    assert json.loads(entries.as_json(odd))["jsonPayload"] == {"a": "NaN", "b": "-Infinity", "c": 1e300, "d": 2**53}


def test_an_audit_entry_stays_readable_around_what_is_unknown():
    readable = {
        "@type": AUDIT, "methodName": "m", "request": {"spec": {"replicas": 3}}, "numResponseItems": "12",
        "status": {"code": 7, "message": "no"},
    }  # fmt: skip
    one = parsed(entry(1, "2026-03-02T09:00:00Z", textPayload=None, protoPayload=readable))
    audit = audit_log_pb2.AuditLog()
    one.proto_payload.Unpack(audit)
    for part in (audit.service_data, audit.status.details.add()):
        part.type_url, part.value = "type.googleapis.com/x.Unknown", b"\x01"
    one.proto_payload.Pack(audit)
    unknown = {"@type": "type.googleapis.com/x.Unknown", "value": "AQ=="}
    told = readable | {"status": readable["status"] | {"details": [unknown]}, "serviceData": unknown}
    assert json.loads(entries.as_json(one))["protoPayload"] == told
    one.proto_payload.value = b"\xff"
    assert json.loads(entries.as_json(one))["protoPayload"] == {"@type": AUDIT, "value": "/w=="}


@pytest.mark.parametrize("piece", [1, 2, 7])
@pytest.mark.parametrize("trouble", [{"twice": True}, {"page": 1}, {"empty": True}], ids=str)
def test_many_entries_come_in_pieces(piece, trouble, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PIECE", piece)
    fetched(tmp_path, Logging(ENTRIES, **trouble))
    assert files(tmp_path) == undisturbed


class Listed:
    """Answers as `Calls` does, from (filter's number, time, id)."""

    def __init__(self, rows):
        self.rows = rows

    def entries(self, text):
        low, high = (times.parse_ns(stamp) for stamp in re.findall(r'timestamp(?:>=|<)"([^"]+)"', text))
        for which, ns, number in sorted(self.rows, key=lambda row: row[1]):
            if text.startswith(f"({which})") and low <= ns < high:
                yield parsed(entry(number, times.text(ns), resource={"type": "k8s_container"}))


HOUR = pd.Timestamp("2026-03-02T09:00:00Z")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 9)), max_size=25), st.integers(1, 5))
def test_pieces_are_every_entry_once_and_in_order(rows, piece):
    rows = [(which, HOUR.as_unit("ns").value + ns, number) for which, ns, number in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "PIECE", piece)
        got = [*download._pieces(Listed(rows), ["0", "1", "2"], HOUR, HOUR + pd.Timedelta(6, "ns"))]
    keys = [key[:2] for part in got for key, _ in part]
    assert keys == sorted({(ns, f"id{number}") for _, ns, number in rows})


@pytest.mark.parametrize("text", [
    "Getting metadata from plugin failed with error: ('invalid_grant: Token has been expired or revoked.', {})",
    "Getting metadata from plugin failed with error: Reauthentication is needed.",
])  # fmt: skip
def test_credentials_that_have_expired_are_told_at_once(text, tmp_path):
    clock = Clock()
    with pytest.raises(ml.FetchError, match="cannot log in: .*gcloud auth application-default login"):
        fetched(tmp_path, Logging(ENTRIES, faults=[(grpc.StatusCode.UNAVAILABLE, text)]), clock)
    assert clock.slept == []


def test_the_extra_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.cloud.logging_v2.services.logging_service_v2", None)
    for call in (
        lambda: download.connect("localhost:1"),
        lambda: ml.fetch("p", tmp_path, since=SINCE, until=UNTIL, now=lambda: LATER),
    ):
        with pytest.raises(ml.FetchError, match=r"pip install 'meshlogs\[cloud\]'"):
            call()


def test_the_project_is_in_the_call_and_not_in_the_filter(tmp_path):
    logging = Logging(ENTRIES)
    fetched(tmp_path, logging)
    assert all(
        list(one.resource_names) == ["projects/p"] and "project_id" not in one.filter for one in logging.requests
    )
    assert {(one.page_size, one.order_by) for one in logging.requests} == {(1000, "timestamp asc")}


def test_filters_are_short_enough_and_say_their_limits():
    logging = Logging(ENTRIES)
    for letters, number in ((50, 900), (249, 100), (9, 1)):
        pods = tuple(f"pod-{n:0{letters}}" for n in range(number))
        filters = download._filters(download.EVIDENCE, download.Scope(pods=pods))
        assert max(map(len, filters)) < 20_000 and all(pod in "".join(filters) for pod in pods)
    with pytest.raises(ValueError, match="no kind of evidence named 'x'"):
        ml.fetch("p", "x", since=SINCE, until=UNTIL, kinds=["x"], client=logging)
    with pytest.raises(ValueError, match="not before"):
        ml.fetch("p", "x", since=UNTIL, until=SINCE, client=logging)


def test_an_insecure_server_elsewhere_is_refused():
    with pytest.raises(ml.FetchError, match="not an address of this machine"):
        download.connect("10.0.0.1:443")


def run(*words):
    return CliRunner().invoke(cli.main, ["fetch", *map(str, words)])


def test_the_command(undisturbed, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_now", lambda: LATER)
    with Serving(Logging(ENTRIES)) as server:
        given_ = ["--project", "p", "--endpoint", server.address]
        result = run(*given_, "--out", tmp_path / "out", "--since", SINCE, "--until", UNTIL)
        assert result.exit_code == 0, result.output
        assert "25 entries of 4 hours" in result.stderr and "meshlogs report" in result.stderr
        assert run(*given_, "--out", tmp_path / "out").exit_code == 2
        assert run(*given_, "--out", tmp_path / "out", "--since", UNTIL, "--until", SINCE).exit_code == 2
        output.write_fleet(ml.analyse(tmp_path / "out"), tmp_path / "report", by=["namespace"])
        result = run(*given_, "--out", tmp_path / "more", "--for-report", tmp_path / "report")
        assert result.exit_code == 0, result.output
        manifest = json.loads((tmp_path / "more" / shards.MANIFEST).read_text())
        assert all("web-6d5f7c9b4d-x2x4z" in text for text in manifest["filters"])
    assert files(tmp_path / "out") == undisturbed


def test_the_pods_of_a_report_and_their_times(tmp_path):
    (tmp_path / "tables").mkdir()

    def told(*rows):
        starts = schema.conform([{"pod": pod, "outcome": outcome} | more for pod, outcome, more in rows], schema.STARTS)
        starts.to_parquet(tmp_path / "tables/starts.parquet")
        return download.pods_of(tmp_path)

    noon = pd.Timestamp("2026-03-02T12:00:00Z")
    later = {"errors_first": noon + pd.Timedelta(1, "h")}
    assert told(("b", "harmed", {"scheduled_lower": noon}), ("a", "undetermined", later), ("c", "safe", {})) == (
        noon - pd.Timedelta(10, "min"), noon + pd.Timedelta(70, "min"), ["a", "b"]
    )  # fmt: skip
    assert told(("a", "undetermined", {})) == (None, None, ["a"])
    with pytest.raises(ml.FetchError, match="no start in it was harmed"):
        told(("a", "safe", later), (None, "undetermined", later))


def test_the_manifest_is_no_export(tmp_path):
    fetched(tmp_path, Logging(ENTRIES))
    assert not [source for _, source in formats.files([tmp_path]) if "fetch" in source or source.endswith(".part")]
    assert calls.PER_MINUTE == 60 and isinstance(tmp_path, Path)
