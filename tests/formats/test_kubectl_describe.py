"""What kubectl describe shows of pods: read into rows, with null for what it hides."""

import json

import pytest

from meshlogs import formats
from meshlogs.evidence.redirection import redirected

STATUS = '{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["' + "x" * 60 + "..."
POD = f"""\
Name:             web-67d56cdd-g7fvb
Namespace:        shop
Priority:         0
Service Account:  default
Node:             node-1/10.0.0.2
Start Time:       Sat, 07 Jan 2023 15:52:08 -0500
Labels:           app=web
                  pod-template-hash=67d56cdd
Annotations:      prometheus.io/scrape: true
                  proxy.istio.io/config:
                    concurrency: 2
                    holdApplicationUntilProxyStarts: false
                  sidecar.istio.io/status:
                    {STATUS}
Status:           Running
IP:               10.4.0.7
IPs:
  IP:           10.4.0.7
Controlled By:  ReplicaSet/web-67d56cdd
Init Containers:
  istio-init:
    Container ID:  containerd://8729
    Image:         docker.io/istio/proxyv2:1.16.1
    Port:          <none>
    Args:
      istio-iptables
      -p
      15001
      -i
      *
      -x
      
      -o
      8200
    State:          Terminated
      Reason:       Completed
      Exit Code:    0
      Started:      Sat, 07 Jan 2023 15:52:09 -0500
      Finished:     Sat, 07 Jan 2023 15:52:10 -0500
    Ready:          True
    Restart Count:  0
Containers:
  web:
    Image:          shop/web:1.0
    Ports:          8080/TCP, 9090/TCP
    State:          Running
      Started:      Sat, 07 Jan 2023 15:52:22 -0500
    Last State:     Terminated
      Reason:       Error
      Message:      token=hunter2
      Exit Code:    137
      Started:      Sat, 07 Jan 2023 15:52:12 -0500
      Finished:     Sat, 07 Jan 2023 15:52:20 -0500
    Ready:          True
    Restart Count:  1
    Environment:
      PASSWORD:  hunter2
    Mounts:      <none>
  istio-proxy:
    Image:      docker.io/istio/proxyv2:1.16.1
    Port:       15090/TCP
    Args:
      proxy
      sidecar
    State:          Waiting
      Reason:       ContainerCreating
    Ready:          False
    Restart Count:  0
    Readiness:      http-get http://:15021/healthz/ready delay=1s timeout=3s period=15s #success=1 #failure=4
    Environment:    <none>
Conditions:
  Type              Status
  Initialized       True 
  Ready             False 
Volumes:
  tokens:
    Type:        Secret (a volume populated by a Secret)
    SecretName:  tokens
QoS Class:       Burstable
Node-Selectors:  <none>
Events:
  Type     Reason     Age                From               Message
  ----     ------     ----               ----               -------
  Normal   Scheduled  6m39s              default-scheduler  Successfully assigned shop/web-67d56cdd-g7fvb to node-1
  Normal   Started    6m25s              kubelet            Started container web
  Normal   Created    6m25s              kubelet            spec.initContainers{{istio-init}}: Container created
  Warning  Unhealthy  84s (x21 over 6m)  kubelet            Readiness probe failed: x
"""
BARE = """\
Name:         other-0
Namespace:    pay
Node:         <none>
Status:       Pending
Containers:
  istio-proxy:
    Image:  docker.io/istio/proxyv2:1.16.1
  app:
    Image:  pay/app
Events:     <none>
"""


def load(tmp_path, text, name="describe.txt"):
    (tmp_path / name).write_text(text)
    return formats.read(tmp_path / name)


def values(column):
    return [value if isinstance(value, str) else None for value in column]


def test_a_pod_and_its_events(tmp_path):
    shard = load(tmp_path, POD + "\n\n" + BARE)
    assert (shard.form, shard.records, len(shard.pods), len(shard.rejects)) == ("kubectl_describe", 6, 2, 0)
    pod = shard.pods.iloc[0]
    assert pod[["namespace", "pod", "workload", "controller", "revision", "node", "pod_ip", "injection"]].tolist() == [
        "shop", "web-67d56cdd-g7fvb", "web", "Deployment", "67d56cdd", "node-1", "10.4.0.7", "sidecar",
    ]  # fmt: skip
    assert list(pod["init_containers"]) == ["istio-init"] and list(pod["containers"]) == ["web", "istio-proxy"]
    assert pod["hold_hook"] is False or not bool(pod["hold_hook"])
    assert json.loads(pod["annotations"]) == {
        "prometheus.io/scrape": "true",
        "proxy.istio.io/config": "concurrency: 2\nholdApplicationUntilProxyStarts: false",
    }  # the one that was cut is left out
    events = shard.events
    assert values(events["container"]) == [None, "web", "istio-init", None]
    assert values(events["container_kind"]) == [None, None, "init", None]
    assert events["count"].fillna(0).tolist() == [0, 0, 0, 21]
    assert events["message"].iloc[2] == "Container created"
    assert events["time_upper"].isna().all() and events["pod"].eq(pod["pod"]).all() and events["kind"].eq("Pod").all()


def test_states_have_times_in_utc(tmp_path):
    init, web, proxy = json.loads(load(tmp_path, POD).pods["container_states"].iloc[0])
    assert init["state"]["terminated"] == {
        "startedAt": "2023-01-07T20:52:09Z", "finishedAt": "2023-01-07T20:52:10Z", "exitCode": 0, "reason": "Completed",
    }  # fmt: skip
    assert (web["restart_count"], web["ready"], proxy["ready"]) == (1, True, False)
    assert web["state"] == {"running": {"startedAt": "2023-01-07T20:52:22Z"}}
    assert web["last_state"]["terminated"]["exitCode"] == 137
    assert proxy["state"] == {"waiting": {"reason": "ContainerCreating"}}


def test_what_is_not_shown_is_not_known(tmp_path):
    shard = load(tmp_path, POD + BARE)
    rules = json.loads(shard.pods["redirect"].iloc[0])
    assert (rules["from"], rules["exclude_ranges"], rules["exclude_ports"]) == ("istio-init", [], ["8200"])
    assert redirected(None, "10.0.0.9", 6379, shard.pods["redirect"].iloc[0]).answer == "assumed"
    assert redirected(None, "10.0.0.9", 8200, shard.pods["redirect"].iloc[0]).answer == "no"
    assert shard.pods["hold_hook"].isna().tolist() == [False, True]
    proxy = json.loads(shard.pods["spec"].iloc[0])["containers"][-1]
    assert proxy["readiness"] == {
        "period": 15, "initialDelay": 1, "timeout": 3, "failureThreshold": 4, "port": 15021, "path": "/healthz/ready",
    }  # fmt: skip


def test_environments_and_messages_are_not_kept(tmp_path):
    shard = load(tmp_path, POD)
    assert not any("hunter2" in str(table.to_dict()) for table in (shard.pods, shard.events, shard.rejects))


def test_a_native_sidecar(tmp_path):
    text = POD.replace("  istio-init:", "  istio-proxy:").replace(
        "  istio-proxy:\n    Image:      ", "  x:\n    Image:  "
    )
    assert load(tmp_path, text).pods["injection"].iloc[0] == "native_sidecar"


def test_the_layout_before_1_8(tmp_path):
    events = (
        "Events:\n"
        "  FirstSeen\tLastSeen\tCount\tFrom\t\tSubObjectPath\t\tType\t\tReason\t\tMessage\n"
        "  ---------\t--------\t-----\t----\t\t-------------\t\t--------\t------\t\t-------\n"
        "  5m\t\t84s\t\t3\tkubelet, node-1\tspec.containers{web}\tWarning\t\tUnhealthy\tReadiness probe failed: x\n"
    )
    shard = load(tmp_path, BARE.replace("Events:     <none>\n", events))
    event = shard.events.iloc[0]
    assert event[["container", "container_kind", "count", "node"]].tolist() == ["web", "regular", 3, "node-1"]


def test_a_pod_that_is_gone_and_objects_that_are_none(tmp_path):
    table = POD[POD.index("Events:") :]
    gone = "Pod 'web-0': error 'pods \"web-0\" not found', but found events.\n" + table
    shard = load(tmp_path, gone)
    assert shard.pods.empty and shard.events["pod"].eq("web-0").all() and len(shard.events) == 4
    other = load(
        tmp_path, "$ kubectl describe all\nName:  web\nNamespace:  shop\nSelector:  app=web\nEvents:  <none>\n"
    )
    assert (other.records, len(other.pods), other.rejects["line"].tolist()) == (2, 0, [1])


@pytest.mark.parametrize("damage", ["Args:", "Containers:", "  web:", "Status:           Running", "Node: "])
def test_damage_loses_no_more_than_its_part(tmp_path, damage):
    shard = load(tmp_path, POD.replace(damage, damage + "\x00\x1b[31m\n \n\t\t~~", 1) + BARE)
    assert "other-0" in shard.pods["pod"].tolist()
