"""The files of a made-up fleet, read back without the analysis: forms, labels, options."""

import csv
import gzip as gzip_module
import json
import re
from collections import Counter, defaultdict

import pytest

from meshlogs import times
from meshlogs.simulate import MIX, simulate_fleet
from meshlogs.simulate.clients import BROKEN, CLIENTS, EVERY, LOOK_ALIKES

VERDICTS = {"startup_race", "init_race", "proxy_outage", "shutdown_race", "upstream", "local", "no_sidecar"}
OUTCOMES = {"harmed", "exposed", "safe", "init_stalled", "not_meshed", "undetermined"}
REFUSED = re.compile(r"econnrefused|connection refused|\brefused\. check|error: 111|could not be established", re.I)


def entries(out):
    """All log entries of the export, with their file."""
    for path in sorted((out / "export").rglob("*_S*.json*")) + sorted((out / "export").rglob("*_A0_*.json*")):
        data = path.read_bytes()
        for line in (gzip_module.decompress(data) if path.suffix == ".gz" else data).splitlines():
            yield path, json.loads(line)


def truth(out, name):
    with (out / "truth" / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    return simulate_fleet(tmp_path_factory.mktemp("fleet"), pods=300, seed=1)


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    options = {"pods": 40, "shards": 3, "gzip": True, "lost_events": 0.1, "kubectl_events": True}
    one, same, other = (simulate_fleet(tmp_path / str(at), seed=seed, **options) for at, seed in enumerate((7, 7, 8)))
    assert files(one) == files(same)
    assert files(one) != files(other)


def test_every_verdict_outcome_story_and_runtime_occurs(fleet):
    errors, starts = truth(fleet, "errors.csv"), truth(fleet, "starts.csv")
    assert {row["verdict"] for row in errors} == VERDICTS
    assert {row["outcome"] for row in starts} == OUTCOMES
    assert {row["scenario"] for row in starts} == set(MIX)
    assert {row["runtime"] for row in errors} == {client.runtime for client in CLIENTS.values()}
    assert {row["suspected"] for row in errors} == {"True", "False"}
    assert {row["injection"] for row in starts} == {"sidecar", "native_sidecar", "none"}


def test_the_summary_counts_the_rows(fleet):
    counts = json.loads((fleet / "truth/summary.json").read_text())
    errors, starts = truth(fleet, "errors.csv"), truth(fleet, "starts.csv")
    assert counts["verdicts"] == dict(sorted(Counter(row["verdict"] for row in errors).items()))
    assert counts["outcomes"] == dict(sorted(Counter(row["outcome"] for row in starts).items()))
    assert (counts["errors"], counts["starts"]) == (len(errors), len(starts))


def test_the_truth_names_every_line_that_tells_of_a_refused_connect_and_no_other(fleet):
    lines, owner = {}, {}
    for _, row in entries(fleet):
        container = row["resource"]["labels"].get("container_name")
        if container not in (None, "istio-proxy"):
            lines[row["insertId"]] = row.get("textPayload", json.dumps(row.get("jsonPayload")))
            owner[row["insertId"]] = (row["resource"]["labels"]["pod_name"], container)
    told = defaultdict(list)
    for error in truth(fleet, "errors.csv"):
        ids = error["insert_ids"].split(";")
        assert ids[0] == error["insert_id"]
        assert {owner[one] for one in ids} == {(error["pod"], error["container"])}
        for one in ids:
            told[one].append(error)
        words = " ".join(lines[one] for one in ids)
        # What does not state the cause is suspected. Java's and curl's words are those of the recordings.
        vague = "java.net.ConnectException" in words and "refused" not in words or "Couldn't connect" in words
        assert (error["suspected"] == "True") == (vague or "could not be established" in words)
    assert max(len(rows) for rows in told.values()) == 1, "an entry belongs to one failure"
    innocent = {*LOOK_ALIKES, *BROKEN}
    for one, text in lines.items():
        if REFUSED.search(text) and text not in innocent:
            assert one in told, text


def test_entries_are_as_a_sink_writes_them(fleet):
    late, seen = 0, Counter()
    for path, row in entries(fleet):
        at, received = times.parse_ns(row["timestamp"]), times.parse_ns(row["receiveTimestamp"])
        assert times.NAT not in (at, received) and at <= received < at + 12_000_000_000
        year, month, day = path.parts[-4:-1]
        assert row["timestamp"].startswith(f"{year}-{month}-{day}T{path.name[:2]}:")
        assert path.parts[-5] == row["logName"].rpartition("/")[2]
        assert ("_A0_" in path.name) == (row["receiveTimestamp"][:13] != row["timestamp"][:13])
        assert ("textPayload" in row) != ("jsonPayload" in row)
        late += "_A0_" in path.name
        seen[row["insertId"], row["timestamp"]] += 1
    assert late > 0
    assert max(seen.values()) == 2, "some are delivered twice"
    assert len({one for one, _ in seen}) == len(seen), "an insert id is of one entry"


def test_times_of_errors_are_those_of_their_entries_to_the_nanosecond(fleet):
    at = {row["insertId"]: row["timestamp"] for _, row in entries(fleet)}
    digits = set()
    for error in truth(fleet, "errors.csv"):
        assert int(error["time_ns"]) == times.parse_ns(at[error["insert_id"]])
        digits.add(times.granularity(at[error["insert_id"]]))
        if times.granularity(at[error["insert_id"]]) == "ns":
            assert int(error["attempt_ns"]) < int(error["time_ns"])
    assert {"ns", "us", "s"} <= digits, "plain text by the runtime's clock, some JSON by the application's"


def test_events_are_floored_counted_by_name_and_filtered(fleet):
    of_pod, similar = defaultdict(dict), 0
    for _, row in entries(fleet):
        if not row["logName"].endswith("/events"):
            continue
        event = row["jsonPayload"]
        assert not {"count", "firstTimestamp"} & set(event), "the exporter drops them"
        first = int(event["metadata"]["name"].rpartition(".")[2], 16)
        if event["lastTimestamp"]:
            assert row["timestamp"] == event["lastTimestamp"] and times.granularity(row["timestamp"]) == "s"
            assert first // 10**9 * 10**9 <= times.parse_ns(event["lastTimestamp"])
            of_pod[event["involvedObject"]["uid"]][row["insertId"]] = row["timestamp"]
        else:
            assert event["reason"] == "Scheduled" and times.parse_ns(event["eventTime"]) // 1000 == first // 1000
        similar += event["message"].startswith("(combined from similar events): ")
        label = row["resource"]["labels"]
        assert (label["pod_name"], label["namespace_name"]) == (
            event["involvedObject"]["name"],
            event["involvedObject"]["namespace"],
        )
    assert similar
    # 25 at once and one more each 300 s: the lives told here last a few minutes.
    assert 25 <= max(len(events) for events in of_pod.values()) <= 27


def test_pod_objects_state_the_redirection_and_the_order(fleet):
    pods = json.loads((fleet / "export/pods.json").read_text())["items"]
    story = {row["pod_uid"]: row for row in truth(fleet, "starts.csv")}
    arguments = set()
    for pod in pods:
        row, spec = story[pod["metadata"]["uid"]], pod["spec"]
        names = {key: [item["name"] for item in spec[key]] for key in ("initContainers", "containers")}
        assert ("istio-proxy" in names["initContainers"]) == (row["injection"] == "native_sidecar")
        assert ("istio-proxy" in names["containers"]) == (row["injection"] == "sidecar")
        proxy = [item for item in spec["containers"] if item["name"] == "istio-proxy"]
        assert any("lifecycle" in item for item in proxy) == (row["hold"] == "True")
        if row["hold"] == "True":
            assert names["containers"][0] == "istio-proxy"
        for item in spec["initContainers"]:
            arguments |= {tuple(item["args"])} if "args" in item else set()
        for status in pod["status"]["containerStatuses"]:
            if status["name"] == "app" and row["app_start_ns"] and not status["restartCount"]:
                started = times.parse_ns(status["state"]["running"]["startedAt"])
                assert 0 <= int(row["app_start_ns"]) - started < 10**9
    assert any("--skip-rule-apply" in words for words in arguments)
    assert any("-o" in words for words in arguments)
    assert {words[words.index("-x") + 1].split(",")[0] for words in arguments} == {"169.254.169.254/32"}
    gone = set(story) - {pod["metadata"]["uid"] for pod in pods}
    assert {story[uid]["scenario"] for uid in gone} == {"shutdown", "stopped"}, "a deleted pod is in no dump"


def test_one_shard_and_seven_hold_the_same_entries(tmp_path):
    one, seven = (simulate_fleet(tmp_path / str(n), pods=30, seed=2, shards=n, duplicates=0.1) for n in (1, 7))
    dumped = [sorted(json.dumps(row) for _, row in entries(out)) for out in (one, seven)]
    assert dumped[0] == dumped[1] and len(dumped[0]) > 100
    assert len({path.name for path, _ in entries(seven)}) > len({path.name for path, _ in entries(one)})
    assert files(one / "truth") == files(seven / "truth")


@pytest.mark.parametrize("source", ["app_logs", "proxy_logs", "events", "pod_specs"])
def test_a_source_that_is_left_out_changes_no_other(tmp_path, source):
    everything = simulate_fleet(tmp_path / "all", pods=12, seed=3, duplicates=0.0)
    fewer = simulate_fleet(tmp_path / "fewer", pods=12, seed=3, duplicates=0.0, without=[source])
    left, full = ({json.dumps(row) for _, row in entries(out)} for out in (fewer, everything))
    assert left <= full and (left < full) == (source != "pod_specs")
    assert (fewer / "export/pods.json").exists() == (source != "pod_specs")
    assert (fewer / "truth/starts.csv").read_bytes() == (everything / "truth/starts.csv").read_bytes()
    assert bool(truth(fewer, "errors.csv")) == (source != "app_logs")


@pytest.mark.parametrize(
    ("kubelet", "created", "started"),
    [
        ("1.13", "Created container", "Started container"),
        ("1.14", "Created container app", "Started container app"),
        ("1.32", "Created container: app", "Started container app"),
        ("1.35", "Container created", "Container started"),
    ],
)
def test_event_texts_of_a_kubelet(tmp_path, kubelet, created, started):
    simulate_fleet(tmp_path, pods=2, mix={"patient": 1}, kubelet=kubelet)
    said = defaultdict(set)
    for _, row in entries(tmp_path):
        event = row.get("jsonPayload", {})
        if event.get("involvedObject", {}).get("fieldPath") == "spec.containers{app}":
            said[event["reason"]].add(event["message"])
    assert (said["Created"], said["Started"]) == ({created}, {started})


def test_legacy_resources(tmp_path):
    simulate_fleet(tmp_path, pods=4, legacy=True)
    kinds = {row["resource"]["type"] for _, row in entries(tmp_path)}
    assert kinds == {"container", "gke_cluster"}
    logs = {path.parts[-5] for path, _ in entries(tmp_path)}
    assert {"app", "istio-proxy", "events"} <= logs, "the log is named after its container"


def test_lost_events_leave_a_marker_and_retention_forgets(tmp_path):
    full = simulate_fleet(tmp_path / "full", pods=30, seed=5)
    some = simulate_fleet(tmp_path / "some", pods=30, seed=5, lost_events=0.5)
    count = [sum("/events" in row["logName"] for _, row in entries(out)) for out in (full, some)]
    assert 0.35 * count[0] < count[1] < 0.65 * count[0]
    assert any("started watching" in row.get("textPayload", "") for _, row in entries(some))
    short = simulate_fleet(tmp_path / "short", pods=30, seed=5, retention_s=1200)
    latest = max(times.parse_ns(row["timestamp"]) for _, row in entries(full))
    kept = {row["insertId"] for _, row in entries(short)}
    assert min(times.parse_ns(row["timestamp"]) for _, row in entries(short)) > latest - 1500 * 10**9
    assert all(kept.issuperset(row["insert_ids"].split(";")) for row in truth(short, "errors.csv"))
    assert len(truth(short, "errors.csv")) < len(truth(full, "errors.csv"))


def test_events_as_kubectl_lists_them(tmp_path):
    simulate_fleet(tmp_path, pods=30, seed=4, kubectl_events=True)
    items = json.loads((tmp_path / "export/kubectl-events.json").read_text())["items"]
    assert len({item["metadata"]["uid"] for item in items}) == len(items) > 50
    repeated = [item for item in items if (item["count"] or 0) > 2 and item["reason"] == "Unhealthy"]
    assert repeated and all(item["firstTimestamp"] < item["lastTimestamp"] for item in repeated)


def test_the_share_of_native_sidecars(tmp_path):
    for share in (0.0, 1.0):
        simulate_fleet(tmp_path / str(share), pods=120, native=share)
        rows = truth(tmp_path / str(share), "starts.csv")
        natives = sum(row["injection"] == "native_sidecar" for row in rows)
        assert natives == (0 if share == 0 else len(rows))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mix": {"nonsense": 1}}, "no scenario or source 'nonsense'"),
        ({"without": ["tea"]}, "no scenario or source 'tea'"),
        ({"mix": {"race": 0}}, "weight"),
        ({"shards": 0}, "at least 1"),
        ({"lost_events": 2}, "lost_events is a share"),
    ],
)
def test_options_that_cannot_be_met_are_refused(tmp_path, options, words):
    with pytest.raises(ValueError, match=words):
        simulate_fleet(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", EVERY)
def test_a_client_says_the_destination_it_can_name(name):
    from meshlogs.simulate.clients import Target

    said = EVERY[name].refused(Target("some-host", "10.9.8.7", 4321), "2026-01-01T00:00:00Z")
    text = json.dumps(said) if EVERY[name].structured else "\n".join(said)
    assert isinstance(said, dict) == EVERY[name].structured
    assert ("4321" in text) == (name not in ("php", "java_http")), "the recordings of these two name none"
