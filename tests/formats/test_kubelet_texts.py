"""What kubelets and schedulers have written from 1.6 to 1.35, in each form that holds events.

Sources: kubernetes pkg/kubelet (events, kuberuntime, prober, images) and its pull requests 60904, 71297, 73892,
133627, 134043; pkg/scheduler.
"""

import io

import pytest

from meshlogs.evidence import lifecycle
from meshlogs.formats import compact, kubectl_describe, kubectl_tables
from meshlogs.formats.k8s_events import event_row
from meshlogs.schema import EVENTS, conform

ID = "0123456789abcdef" * 4
# reason, text, kind of evidence, its value, the container that the text itself names
TEXTS = [
    ("Created", f"Created container with docker id {ID[:12]}; Security:[seccomp=unconfined]", "container_created", None,
     None),
    ("Created", f"Created container with id {ID}", "container_created", None, None),
    ("Created", "Created container", "container_created", None, None),
    ("Created", "Created container web", "container_created", None, "web"),
    ("Created", "Created container: web", "container_created", None, "web"),
    ("Created", "Container created", "container_created", None, None),
    ("Started", f"Started container with docker id {ID[:12]}", "container_started", None, None),
    ("Started", f"Started container with id {ID}", "container_started", None, None),
    ("Started", "Started container", "container_started", None, None),
    ("Started", "Started container web", "container_started", None, "web"),
    ("Started", "Container started", "container_started", None, None),
    ("Pulling", 'pulling image "shop/web:1"', "pulling", None, None),
    ("Pulling", 'Pulling image "shop/web:1"', "pulling", None, None),
    ("Pulled", 'Container image "shop/web:1" already present on machine', "pulled", None, None),
    ("Pulled", 'Container image "shop/web:1" already present on machine and can be accessed by the pod', "pulled", None,
     None),
    ("Pulled", 'Successfully pulled image "shop/web:1"', "pulled", None, None),
    ("Pulled", 'Successfully pulled image "shop/web:1" in 2.1s (2.1s including waiting). Image size: 5 bytes.',
     "pulled", None, None),
    ("Killing", f"Killing container with docker id {ID[:12]}: Need to kill pod.", "container_killing", "stop", None),
    ("Killing", f"Killing container with id docker://{ID}:Need to kill Pod", "container_killing", "stop", None),
    ("Killing", "Killing container with id docker://web:Need to kill Pod", "container_killing", "stop", "web"),
    ("Killing", "Killing container with id docker://web for reason: Need to kill Pod", "container_killing", "stop",
     "web"),
    ("Killing", "Killing container with id docker://web:Container failed liveness probe.. Container will be killed and "
     "recreated.", "container_killing", "restart", "web"),
    ("Killing", "Killing container with id docker://web:Container spec hash changed (1 vs 2).. Container will be "
     "killed and recreated.", "container_killing", "restart", "web"),
    ("Killing", "Stopping container web", "container_killing", "stop", "web"),
    ("Killing", "Container web failed liveness probe, will be restarted", "container_killing", "restart", "web"),
    ("Killing", "Container web failed startup probe, will be restarted", "container_killing", "restart", "web"),
    ("Killing", "Container web definition changed, will be restarted", "container_killing", "restart", "web"),
    ("Killing", "FailedPostStartHook", "container_killing", "post_start", None),
    ("BackOff", "Back-off restarting failed container", "container_backoff", None, None),
    ("BackOff", f"Back-off restarting failed container web in pod web-0_shop({ID[:8]})", "container_backoff", None,
     "web"),
    ("BackOff", 'Back-off pulling image "shop/web:1"', "pull_failed", None, None),
    ("BackOff", 'Back-off pulling image "shop/web:1": ErrImagePull: not found', "pull_failed", None, None),
    ("Failed", 'Failed to pull image "shop/web:1": rpc error: code = NotFound', "pull_failed", None, None),
    ("Failed", "Error: ImagePullBackOff", "pull_failed", None, None),
    ("FailedPostStartHook", "PostStartHook failed", "hold_failed", None, None),
    ("FailedPostStartHook", 'Exec lifecycle hook ([pilot-agent wait]) for Container "web" in Pod "web-0" failed - '
     "error: PostStart", "hold_failed", None, None),
]  # fmt: skip
PROBES = [
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
    'Startup probe failed: Get "http://10.0.0.5:15021/healthz/ready": dial tcp 10.0.0.5:15021: connect: x',
    "Liveness probe errored: rpc error",
    "Readiness probe errored and resulted in unknown state: rpc error",
]
SCHEDULED = ["Successfully assigned web-0 to node-1", "Successfully assigned shop/web-0 to node-1"]
PATH = "spec.containers{web}"


def about(path=PATH):
    return {"kind": "Pod", "namespace": "shop", "name": "web-0", "uid": "u"} | ({"fieldPath": path} if path else {})


@pytest.mark.parametrize(("reason", "text", "kind", "value", "_named"), TEXTS)
def test_evidence_of_each_text(reason, text, kind, value, _named):
    stamp = "2024-01-01T00:00:00Z"
    # A hook that holds the application is the proxy's.
    name = "istio-proxy" if kind == "hold_failed" else "web"
    about_it = about(f"spec.containers{{{name}}}")
    row = event_row({"involvedObject": about_it, "reason": reason, "message": text, "lastTimestamp": stamp})
    facts = lifecycle.from_events(conform([row], EVENTS))
    assert facts["kind"].tolist() == [kind] and facts["container"].tolist() == [name]
    assert [found if isinstance(found, str) else None for found in facts["value"]] == [value]


def test_the_applications_own_hook_holds_nothing():
    row = event_row(
        {"involvedObject": about(), "reason": "FailedPostStartHook", "lastTimestamp": "2024-01-01T00:00:00Z"}
    )
    assert lifecycle.from_events(conform([row], EVENTS)).empty


@pytest.mark.parametrize(
    ("reason", "text"),
    [text[:2] for text in TEXTS]
    + [("Unhealthy", text) for text in PROBES]
    + [("Scheduled", text) for text in SCHEDULED],
)
def test_the_reason_of_compact_text(reason, text):
    line = f"I 2020-03-31T10:41:15Z {PATH} {text}  {PATH}\n"
    event = compact.read(io.BytesIO(line.encode()), "x").events.iloc[0]
    assert (event["reason"], event["message"], event["container"]) == (reason, text, "web")


@pytest.mark.parametrize(("reason", "text", "_kind", "_value", "named"), TEXTS)
def test_tables_without_a_path_have_the_container_that_the_text_names(reason, text, _kind, _value, named):
    table = (
        f"LAST SEEN   TYPE     REASON{'':20}OBJECT      MESSAGE\n5s          Normal   {reason:26}pod/web-0   {text}\n"
    )
    event = kubectl_tables.read(io.BytesIO(table.encode()), "x").events.iloc[0]
    assert event["message"] == text and (event["container"] if isinstance(event["container"], str) else None) == named


@pytest.mark.parametrize(("reason", "text", "_kind", "_value", "_named"), TEXTS)
def test_describe_of_1_35_writes_the_path(reason, text, _kind, _value, _named):
    lines = (
        "Name:  web-0\nNamespace:  shop\nNode:  n/1\nContainers:\n  web:\n    Image:  x\nEvents:\n"
        f"  Type    Reason{'':16}Age  From     Message\n  ----    ------{'':16}---  ----     -------\n"
        f"  Normal  {reason:22}5s   kubelet  {PATH}: {text}\n"
    )
    event = kubectl_describe.read(io.BytesIO(lines.encode()), "x").events.iloc[0]
    assert (event["container"], event["container_kind"], event["message"]) == ("web", "regular", text)


@pytest.mark.parametrize("path", ["implicitly required container POD", "spec.containers[0]", "", None])
def test_the_pods_own_sandbox_is_no_container_of_it(path):
    row = event_row({"involvedObject": about(path), "reason": "Started", "message": "Started container web"})
    assert row["container"] is None and row["container_kind"] is None


def test_a_series_counts_what_it_saw():
    core = {"involvedObject": about(), "count": 1, "series": {"count": 9, "lastObservedTime": None}}
    newer = {"regarding": about(), "deprecatedCount": 1, "series": {"count": 9, "lastObservedTime": None}}
    assert event_row(core)["count"] == event_row(newer)["count"] == 9
    assert event_row({"involvedObject": about()})["count"] is None
