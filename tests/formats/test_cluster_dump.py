"""kubectl cluster-info dump, as it prints and as it fills a folder; istioctl bug-report, packed and unpacked."""

import json

from meshlogs import formats, times

NODES = {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {"name": "node-1"}}]}
EVENTS = {"kind": "EventList", "apiVersion": "v1", "items": [
    {"metadata": {"name": "web-0.1808ba33a0b81f1d", "namespace": "shop"}, "reason": "Started", "count": 1,
     "involvedObject": {"kind": "Pod", "namespace": "shop", "name": "web-0", "fieldPath": "spec.containers{web}"},
     "firstTimestamp": "2024-11-17T10:19:47Z", "lastTimestamp": "2024-11-17T10:19:47Z", "eventTime": None},
]}  # fmt: skip
PODS = {"kind": "PodList", "apiVersion": "v1", "items": [
    {"metadata": {"name": "web-0", "namespace": "shop", "uid": "u-1"},
     "spec": {"containers": [{"name": "web"}, {"name": "istio-proxy"}]}},
]}  # fmt: skip
LOGS = """\
==== START logs for container web of pod shop/web-0 ====
plain
{"ts":"2024-11-17T10:19:48.5Z","msg":"refused"}
{ "kind": "NodeList", "no end==== END logs for container web of pod shop/web-0 ====
==== START logs for container istio-proxy of pod shop/web-0 ====
2024-11-17T10:19:50.137066Z\tinfo\tEnvoy proxy is ready
==== END logs for container istio-proxy of pod shop/web-0 ====
"""


def pretty(value):
    return json.dumps(value, indent=4) + "\n"


def test_what_it_prints(tmp_path):
    other = {"kind": "ServiceList", "apiVersion": "v1", "items": []}
    text = pretty(NODES) + pretty(EVENTS) + pretty(other) + pretty(PODS) + LOGS + pretty(EVENTS) + pretty(PODS)
    (tmp_path / "dump.txt").write_text(text)
    shard = formats.read(tmp_path / "dump.txt")
    assert (shard.form, len(shard.events), len(shard.pods), len(shard.rejects)) == ("cluster_dump", 2, 2, 0)
    assert times.text(shard.events["time_lower"].iloc[0].value)[:20] == "2024-11-17T10:19:47."
    rows = shard.log_entries
    assert rows["message"].tolist() == [
        "plain", "refused", '{ "kind": "NodeList", "no end', LOGS.splitlines()[5],
    ]  # fmt: skip
    assert rows["container"].tolist() == ["web"] * 3 + ["istio-proxy"]
    assert rows["pod"].eq("web-0").all() and rows["namespace"].eq("shop").all()
    numbered = text.splitlines()
    assert [numbered[line - 1] for line in rows["line"]][:2] == LOGS.splitlines()[1:3]
    assert numbered[shard.pods["line"].iloc[1] - 1].strip() == "{"
    assert shard.records == 1 + 2 + 2 + 4
    assert [part.form for part in formats.chunks(tmp_path / "dump.txt")] == ["cluster_dump"]


def test_a_folder_of_it(tmp_path):
    for name, text in {"nodes.json": pretty(NODES), "shop/events.json": pretty(EVENTS), "shop/pods.json": pretty(PODS),
                       "shop/web-0/logs.txt": LOGS}.items():  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    shards = [formats.read_any(path, source) for path, source in formats.files([tmp_path])]
    assert sum(len(shard.rejects) for shard in shards) == 0
    assert [len(shard.events) for shard in shards] == [0, 1, 0, 0]
    assert shards[3].log_entries["pod"].eq("web-0").all()


def test_a_dump_that_was_cut_off(tmp_path):
    (tmp_path / "dump.json").write_text(pretty(NODES) + pretty(PODS) + LOGS[: LOGS.index("msg")])
    shard = formats.read(tmp_path / "dump.json")
    assert (len(shard.pods), shard.log_entries["message"].tolist()) == (
        1,
        ["plain", '{"ts":"2024-11-17T10:19:48.5Z","'],
    )


POD = "proxies/shop/web-67d56cdd-g7fvb"
REPORT = {
    "versions": "1.16.1",
    "bug-report.log": "2024-11-17T10:19:50.137066Z\tinfo\tSTARTING kubectl get events\n",
    "cluster/secrets": "apiVersion: v1\nkind: List\nitems:\n- kind: Secret\n  data: {password: aHVudGVyMg==}\n",
    "cluster/describe-pods": "Name:  web-0\nNamespace:  shop\nNode:  n/1\nContainers:\n  web:\n    Image:  x\n",
    "cluster/k8s-resources": "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: web-0\n"
    "    namespace: shop\n  spec:\n    containers:\n    - name: web\n- kind: ConfigMap\n  metadata: {}\n"
    "kind: List\n",
    "cluster/events": "No resources found\n",
    "cluster/cluster-context": "kind-kind\nhttps://127.0.0.1\n",
    f"{POD}/istio-proxy.log": "2024-11-17T10:19:50.137066Z\tinfo\tEnvoy proxy is ready\n",
    f"{POD}/config_dump?include_eds": "{}",
    f"{POD}/stats/prometheus": "# TYPE x counter\n",
    f"{POD}/certs": '{"certificates":[]}',
    "istio/istio-system/istiod-65448977c9-zlvhs/discovery.log": "2024-11-17T10:19:50.137066Z\tinfo\tok\n",
    "istio/istio-system/istiod-65448977c9-zlvhs/debug/syncz": "[]",
}


def kept(shards):
    return {
        shard.source.split("bug-report/")[1]: (len(shard.log_entries), len(shard.events), len(shard.pods))
        for shard in shards
        if len(shard.log_entries) + len(shard.events) + len(shard.pods)
    }


EXPECTED = {
    "cluster/describe-pods": (0, 0, 1),
    "cluster/k8s-resources": (0, 0, 1),
    f"{POD}/istio-proxy.log": (1, 0, 0),
    "istio/istio-system/istiod-65448977c9-zlvhs/discovery.log": (1, 0, 0),
}


def test_a_bug_report_unpacked(tmp_path):
    for name, text in REPORT.items():
        (tmp_path / "bug-report" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bug-report" / name).write_text(text)
    shards = [
        formats.read_any(path, f"bug-report/{source}") for path, source in formats.files([tmp_path / "bug-report"])
    ]
    assert kept(shards) == EXPECTED
    assert [(shard.source, shard.rejects["reason"].tolist()) for shard in shards if len(shard.rejects)] == []
    assert not any("aHVudGVyMg" in str(shard.rejects.to_dict()) for shard in shards)


def test_a_bug_report_packed(tmp_path):
    import io
    import tarfile

    with tarfile.open(tmp_path / "bug-report.tar.gz", "w:gz") as archive:
        for name, text in REPORT.items():
            info = tarfile.TarInfo(f"bug-report/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    shards = list(formats.chunks(tmp_path / "bug-report.tar.gz"))
    assert kept(shards) == EXPECTED
    assert all(shard.rejects.empty for shard in shards)
