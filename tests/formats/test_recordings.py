"""Recordings of other people's clusters, which stay where they are: MESHLOGS_RECORDINGS names their folder."""

import json
import os
from pathlib import Path

import pytest

from meshlogs import formats, times

FOLDER = os.environ.get("MESHLOGS_RECORDINGS")
if not FOLDER or not Path(FOLDER).is_dir():
    pytest.skip("MESHLOGS_RECORDINGS names no folder: readers not tested on recordings", allow_module_level=True)

ROOT = Path(FOLDER)
SNAPSHOTS = sorted((ROOT / "verrazzano").glob("*/cluster-snapshot/*"))


@pytest.fixture(scope="module", params=SNAPSHOTS, ids=lambda path: path.parts[-3])
def snapshot(request):
    return request.param


def test_kubectl_dumps_load_whole(snapshot):
    for name in ("events", "pods"):
        items = json.loads((snapshot / f"{name}.json").read_text())["items"]
        shard = formats.read(snapshot / f"{name}.json")
        assert shard.form == "k8s_objects"
        assert len(getattr(shard, name)) == len(items) == shard.records
        assert shard.rejects.empty


def test_every_event_is_named_after_its_first_second(snapshot):
    events = formats.read(snapshot / "events.json").events
    assert (events["first_lower"] == events["first_upper"]).all()
    once = events[events["count"].fillna(1) == 1]
    assert (once["time_lower"] == once["time_upper"]).all()
    items = json.loads((snapshot / "events.json").read_text())["items"]
    for row, item in zip(events.itertuples(), items, strict=True):
        written = item["firstTimestamp"] or item["eventTime"]
        assert times.text(row.first_lower.value)[:19] == written[:19]
        written = item["lastTimestamp"] or item["eventTime"]
        assert times.text(row.time_upper.value)[:19] == written[:19]


# The proxy's own line, read by eye.
READY = {
    "ingress-controller-ingress-nginx-controller-6b8bb69d6d-74bgb": "2022-06-03T03:38:32.007109Z",
    "ingress-controller-ingress-nginx-defaultbackend-56c5fbc6b85wvn7": "2022-06-03T03:38:30.629876Z",
    "ingress-controller-ingress-nginx-controller-585d79996-g48pc": "2022-06-03T14:15:54.137066Z",
    "ingress-controller-ingress-nginx-defaultbackend-57fdfbd9b84t7sr": "2022-06-03T14:15:33.228019Z",
}


def test_logs_of_all_containers_one_after_another(snapshot):
    pods = formats.read(snapshot / "pods.json").pods.set_index("pod")
    for path in sorted(snapshot.glob("*/logs.txt")):
        shard = formats.read(path)
        rows, pod = shard.log_entries, path.parent.name
        assert shard.rejects.empty
        assert rows["pod"].unique().tolist() == [pod] and rows["namespace"].unique().tolist() == [snapshot.name]
        known = set(pods.loc[pod, "containers"]) | set(pods.loc[pod, "init_containers"])
        assert set(rows["container"].dropna()) <= known
        assert rows["container"].isna().sum() == 2  # the two lines of the licence's heading
        ready = rows[(rows["container"] == "istio-proxy") & rows["message"].str.contains("Envoy proxy is ready")]
        assert times.text(ready["time"].iloc[0].value) == READY[pod]


def test_pods_of_the_snapshots(snapshot):
    pods = formats.read(snapshot / "pods.json").pods
    assert pods["injection"].tolist() == ["sidecar", "sidecar"]
    assert pods["hold_hook"].tolist() == [False, False]
    assert pods["workload"].str.startswith("ingress-controller-ingress-nginx-").all()
    assert pods["controller"].tolist() == ["Deployment", "Deployment"]
    for text in pods["redirect"]:
        rules = json.loads(text)
        assert (rules["from"], rules["include_ranges"], rules["exclude_ranges"]) == ("istio-init", "*", [])


def test_audit_entries_as_yaml():
    for number, states in ((1, 0), (2, 2), (3, 2)):
        shard = formats.read(ROOT / "khi" / f"container_recorder_test_1_{number}.yaml")
        assert (shard.form, len(shard.log_entries), len(shard.pods), len(shard.rejects)) == ("yaml", 1, 1, 0)
        pod = shard.pods.iloc[0]
        assert (pod["namespace"], pod["pod"]) == ("1-2-deployment-update", "nginx-deployment-surge-8655b4b8c5-xf5f4")
        assert len(json.loads(pod["container_states"] if isinstance(pod["container_states"], str) else "[]")) == states
    manifest = formats.read(ROOT / "khi" / "container_recorder_test_1_1_manifest.yaml").pods.iloc[0]
    assert (manifest["workload"], manifest["revision"]) == ("nginx-deployment-surge", "8655b4b8c5")


def test_a_captured_stream():
    path = ROOT / "kspan" / "deployment-2-pods.yaml"
    shard = formats.read(path)
    kinds = [line for line in path.read_text().splitlines() if line.startswith("kind: ")]
    assert len(shard.events) == kinds.count("kind: Event") == 19
    assert len(shard.pods) == kinds.count("kind: Pod") == 4
    assert shard.records == len(kinds) and shard.rejects.empty
    assert (shard.events["time_source"] == "name").all()


def test_agent_logs():
    for path in sorted((ROOT / "istio").glob("*.log")):
        shard = formats.read(path)
        filled = [line for line in path.read_text().splitlines() if line.strip()]
        assert (shard.form, len(shard.log_entries), len(shard.rejects)) == ("pod_logs", len(filled), 0)
        assert shard.log_entries["time"].notna().all()


def test_an_export_of_audit_entries():
    path = ROOT / "plaso" / "gcp_logging.jsonl"
    shard = formats.read(path)
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    assert (len(shard.log_entries), len(shard.rejects)) == (len(lines), 0)
    assert shard.log_entries["insert_id"].tolist() == [json.loads(line)["insertId"] for line in lines]


def test_licences_and_notes_are_no_logs():
    for path, source in formats.files([ROOT]):
        other = Path(source).stem in ("LICENSE", "README")
        assert len(formats.read_any(path, source).rejects) == int(other), source
