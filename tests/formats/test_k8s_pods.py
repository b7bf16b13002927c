"""Pods: what their specs say of proxy, order and redirection."""

import json

import pytest

from meshlogs.formats.k8s_pods import pod_row
from meshlogs.formats.redirect import redirect_of

PROXY = {"name": "istio-proxy", "image": "istio/proxyv2:1.20.0"}
HOOK = {"lifecycle": {"postStart": {"exec": {"command": ["pilot-agent", "wait"]}}}}
APP = {"name": "web"}


def pod(containers, init=(), annotations=None, **spec):
    return {
        "metadata": {
            "name": "web-67d56cdd-g7fvb",
            "namespace": "shop",
            "uid": "u",
            "creationTimestamp": "2020-03-31T10:41:10Z",
            "annotations": annotations or {},
            "labels": {"pod-template-hash": "67d56cdd"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-67d56cdd", "controller": True}],
        },
        "spec": {"containers": list(containers), "initContainers": list(init), **spec},
    }


@pytest.mark.parametrize(
    ("containers", "init", "injection", "hold"),
    [
        ([APP], [], "none", None),
        ([APP, PROXY], [], "sidecar", False),
        ([PROXY, APP], [], "sidecar", False),
        ([PROXY | HOOK, APP], [], "sidecar", True),
        ([APP, PROXY | HOOK], [], "sidecar", False),  # the hook cannot hold what was started before
        ([PROXY | {"lifecycle": {"postStart": {"exec": {"command": ["sleep", "5"]}}}}, APP], [], "sidecar", False),
        ([PROXY | {"lifecycle": {"postStart": {"exec": {"command": ["sh", "-c", "pilot-agent wait"]}}}}, APP],
         [], "sidecar", True),
        ([APP], [PROXY | {"restartPolicy": "Always"}], "native_sidecar", None),
        ([APP], [PROXY], "none", None),
    ],
)  # fmt: skip
def test_injection_and_hold(containers, init, injection, hold):
    row = pod_row(pod(containers, init))
    assert (row["injection"], row["hold_hook"]) == (injection, hold)
    assert row["containers"] == [item["name"] for item in containers]
    assert (row["redirect"] is None) == (injection == "none")


def test_identity_and_workload():
    row = pod_row(pod([APP]))
    assert (row["workload"], row["controller"], row["revision"]) == ("web", "Deployment", "67d56cdd")
    assert (row["namespace"], row["pod"], row["pod_uid"]) == ("shop", "web-67d56cdd-g7fvb", "u")
    assert row["created"] == 1585651270000000000 and row["deleted"] is None


ARGUMENTS = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x",
             "169.254.169.254/32, 10.0.0.0/8", "-b", "*", "-d", "15090,15021", "-o", "8200", "-q", "", "-k", "",
             "--run-validation", "--skip-rule-apply"]  # fmt: skip


def rules(init=(), annotations=None, proxy=PROXY):
    return redirect_of(pod([APP, proxy], init)["spec"], annotations or {})


def test_arguments_of_the_container_that_writes_the_rules():
    found = rules([{"name": "istio-init", "args": ARGUMENTS}])
    assert found["from"] == "istio-init" and found["cni"] is False
    assert found["include_ranges"] == "*"
    assert found["exclude_ranges"] == ["169.254.169.254/32", "10.0.0.0/8"]
    assert found["exclude_ports"] == ["8200"] and found["include_ports"] == []
    assert found["inbound_exclude_ports"] == ["15090", "15021"]
    assert (found["proxy_uid"], found["mode"]) == ("1337", "REDIRECT")


def test_long_flags_and_flags_with_an_equals_sign():
    arguments = ["--istio-service-cidr=10.0.0.0/8,172.16.0.0/12", "--istio-service-exclude-cidr", "10.1.0.0/16",
                 "--istio-local-outbound-ports-exclude=3306", "--istio-outbound-ports", "80", "-m=TPROXY"]  # fmt: skip
    found = rules([{"name": "istio-init", "command": ["istio-iptables"], "args": arguments}])
    assert found["include_ranges"] == ["10.0.0.0/8", "172.16.0.0/12"]
    assert found["exclude_ranges"] == ["10.1.0.0/16"]
    assert (found["exclude_ports"], found["include_ports"], found["mode"]) == (["3306"], ["80"], "TPROXY")


def test_an_empty_list_of_ranges_redirects_nothing():
    assert rules([{"name": "istio-init", "args": ["-i", ""]}])["include_ranges"] == []


def test_the_cni_plug_in():
    found = rules([{"name": "istio-validation", "args": ARGUMENTS}])
    assert (found["from"], found["cni"], found["exclude_ports"]) == ("istio-validation", True, ["8200"])


def test_annotations_alone():
    found = rules(annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "8200,3306"})
    assert (found["from"], found["cni"], found["exclude_ports"]) == ("annotations", True, ["8200", "3306"])
    assert rules(annotations={"sidecar.istio.io/interceptionMode": "NONE"})["mode"] == "NONE"


def test_interception_may_be_switched_off_in_the_proxys_own_settings_or_by_a_template():
    for text in ('{"interceptionMode":"NONE"}', "interceptionMode: NONE\nholdApplicationUntilProxyStarts: true"):
        assert rules(annotations={"proxy.istio.io/config": text})["mode"] == "NONE"
    assert rules(annotations={"inject.istio.io/templates": "grpc-agent"})["mode"] == "NONE"


def test_a_pod_that_says_nothing_has_the_defaults_and_a_gateway_no_rules():
    assert rules()["from"] is None and rules()["include_ranges"] == "*"
    assert rules(proxy=PROXY | {"args": ["proxy", "router"]})["mode"] == "NONE"


def test_environments_and_copies_of_the_manifest_are_not_kept():
    secret = {"env": [{"name": "PASSWORD", "value": "hunter2"}]}
    copy = {"kubectl.kubernetes.io/last-applied-configuration": '{"env":"hunter2"}', "note": "kept"}
    row = pod_row(pod([APP | secret, PROXY], annotations=copy))
    assert "hunter2" not in json.dumps(row)
    assert json.loads(row["annotations"]) == {"note": "kept"}


def test_what_the_verdicts_need_of_each_container():
    proxy = PROXY | HOOK | {
        "securityContext": {"runAsUser": 1337},
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 2,
                           "initialDelaySeconds": 1, "timeoutSeconds": 3, "failureThreshold": 30},
        "ports": [{"containerPort": 15090}],
    }  # fmt: skip
    row = pod_row(pod([proxy, APP], restartPolicy="Always", securityContext={"runAsUser": 100}))
    spec = json.loads(row["spec"])
    first, second = spec["containers"]
    assert first["readiness"] == {
        "path": "/healthz/ready", "port": 15021, "period": 2, "initialDelay": 1, "timeout": 3, "failureThreshold": 30,
    }  # fmt: skip
    assert (first["post_start"], first["run_as_user"], first["ports"]) == ("pilot-agent wait", 1337, [15090])
    assert (second["kind"], second["run_as_user"], second["startup"]) == ("regular", 100, None)
    assert (spec["restart_policy"], spec["host_network"]) == ("Always", False)


def test_states_and_conditions_keep_the_texts_of_their_times():
    whole = pod([APP])
    whole["status"] = {
        "podIP": "10.0.0.7",
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-03-31T10:41:58Z"}, {}, 5],
        "initContainerStatuses": [{"name": "istio-init", "state": {"terminated": {"exitCode": 0, "message": "x",
                                   "startedAt": "2020-03-31T10:41:11Z", "finishedAt": "2020-03-31T10:41:12Z"}}}],
        "containerStatuses": [{"name": "web", "ready": True, "started": True, "restartCount": 1,
                               "state": {"running": {"startedAt": "2020-03-31T10:41:15Z"}},
                               "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}],
    }  # fmt: skip
    row = pod_row(whole)
    assert json.loads(row["conditions"]) == [{"type": "Ready", "status": "True", "time": "2020-03-31T10:41:58Z"}]
    init, web = json.loads(row["container_states"])
    assert (init["kind"], init["state"]["terminated"]["finishedAt"]) == ("init", "2020-03-31T10:41:12Z")
    assert (web["restart_count"], web["last_state"]["terminated"]["reason"]) == (1, "OOMKilled")
    assert (row["pod_ip"], row["phase"]) == ("10.0.0.7", "Running")


@pytest.mark.parametrize("damage", [None, 5, "x", [], [None], {"a": None}])
def test_parts_of_the_wrong_kind_are_left_out(damage):
    whole = pod([APP, PROXY], [{"name": "istio-init", "args": damage}])
    for part in ("metadata", "status"):
        pod_row(whole | {part: damage})
    for part in ("initContainers", "securityContext", "nodeName", "restartPolicy"):
        pod_row(whole | {"spec": whole["spec"] | {part: damage}})
    for part in ("securityContext", "lifecycle", "readinessProbe", "ports", "args"):
        pod_row(pod([APP, PROXY | {part: damage}]))
