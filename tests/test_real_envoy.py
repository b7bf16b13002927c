"""24 starts of a real Envoy behind real iptables redirection, with real clients: lines and true times recorded.

`data/real_starts.jsonl` holds, for each start, what the application and Envoy printed (nanoseconds, container, line)
and the truth beside it: when a connect first succeeded, and how many lines reported a refused one.
"""

import json
from pathlib import Path

import pandas as pd
import pytest

import meshlogs as ml
from meshlogs import times

STARTS = [json.loads(line) for line in (Path(__file__).parent / "data/real_starts.jsonl").read_text().splitlines()]
WHERE = {"project_id": "p", "location": "l", "cluster_name": "c", "namespace_name": "n"}


def entry(number, pod, at, container, line):
    labels = WHERE | {"pod_name": pod, "container_name": container}
    return {
        "insertId": f"{number:06d}",
        "logName": "projects/p/logs/stdout",
        "resource": {"type": "k8s_container", "labels": labels},
        "textPayload": line + "\n",
        "timestamp": times.text(at),
    }


def pod_object(start):
    def second(ns):
        return times.text(ns // times.SECOND * times.SECOND)

    began = {"app": start["app_spawn_ns"], "istio-proxy": start["proxy_spawn_ns"]}
    return {
        "kind": "Pod",
        "metadata": {"name": f"start-{start['rep']}", "namespace": "n", "uid": f"uid-{start['rep']}"},
        "spec": {
            "initContainers": [{"name": "istio-init", "args": ["-p", "15001", "-i", "*", "-x", "169.254.169.254/32"]}],
            "containers": [{"name": name, "readinessProbe": {"httpGet": {"port": 15021}}} for name in began],
        },
        "status": {
            "podIP": "10.244.1.10",
            "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": second(start["kubelet_first_ok_ns"])}
            ],
            "containerStatuses": [
                {"name": name, "restartCount": 0, "state": {"running": {"startedAt": second(at)}}}
                for name, at in began.items()
            ],
        },
    }


@pytest.fixture(scope="module", params=["with the proxy's log", "without"])
def judged(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("starts")
    lines = [(f"start-{start['rep']}", *line) for start in STARTS for line in start["lines"]]
    kept = [line for line in lines if request.param != "without" or line[2] == "app"]
    entries = [json.dumps(entry(number, *line)) for number, line in enumerate(kept)]
    (folder / "logs.json").write_text("\n".join(entries))
    (folder / "pods.json").write_text(json.dumps({"kind": "List", "items": [pod_object(start) for start in STARTS]}))
    return ml.analyse(folder)


def test_readiness_intervals_hold_the_first_connect_that_succeeded(judged):
    starts = judged.starts.set_index("pod")
    for truth in STARTS:
        start = starts.loc[f"start-{truth['rep']}"]
        ready = pd.Timestamp(truth["first_connect_ok_ns"], tz="UTC")
        assert start["proxy_ready_lower"] <= ready <= start["proxy_ready_upper"]


def test_every_refused_line_is_one_error_with_the_right_verdict(judged):
    counts = judged.errors.groupby("pod").size()
    for truth in STARTS:
        assert counts.get(f"start-{truth['rep']}", 0) == truth["app_refused_lines"]
    assert set(judged.errors["verdict"]) == {"startup_race"}
    assert judged.rejects.empty
