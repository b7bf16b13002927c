"""Pods told in a few words, for tests of timelines and verdicts: seconds on one clock, read by eye."""

import json

from meshlogs import schema, timelines, times, verdicts

EPOCH = times.parse_ns("2026-03-02T09:00:00Z")
POD = {"project": "p", "location": "l", "cluster": "c", "namespace": "shop", "pod": "web-6d5f7c9b4d-x2x4z"}
RULES = {"from": "istio-init", "include_ranges": "*", "exclude_ranges": ["169.254.169.254/32"]}
SPEC = [{"name": "istio-proxy", "readiness": {"port": 15021}}, {"name": "web"}]


def at(second):
    return EPOCH + round(second * times.SECOND)


def fact(kind, second, container=None, value=None, *, until=None, log="stdout", **more):
    """One piece of evidence at a second of the story, or in the interval up to `until`."""
    return {
        **POD, "kind": kind, "container": container, "value": value, "log_name": log, "source": "story", "line": 1,
        "time_lower": at(second), "time_upper": at(second if until is None else until), "insert_id": f"{kind}{second}",
        **more,
    }  # fmt: skip


def proxy(kind, second, value=None, **more):
    return fact(kind, second, "istio-proxy", value, **more)


def refused(second, ip="10.0.0.9", port=6379, container="web", **more):
    return fact("refused", second, container, "test", ip=ip, host=ip, port=port, late_s=0.0, suspected=False, **more)


def app(second=0.0):
    """The application's container was created and started at this second."""
    return [
        fact("container_created", second, "web", log="events", container_kind="regular"),
        fact("container_started", second, "web", log="events", container_kind="regular"),
    ]


def start(proxy_second=0.0):
    return [
        proxy("container_started", proxy_second, log="events", container_kind="regular"),
        proxy("proxy_process", proxy_second + 0.1, "agent"),
    ]


def pod(redirect=None, init=("istio-init",), containers=("web", "istio-proxy"), injection="sidecar", **more):
    """A pod object; `redirect=None` means Istio's defaults."""
    return {
        **POD, "pod_uid": None, "workload": "web", "controller": "Deployment", "injection": injection,
        "containers": list(containers), "init_containers": list(init), "hold_hook": False, "pod_ip": "10.1.1.1",
        "redirect": json.dumps(RULES | (redirect or {})) if injection != "none" else None,
        "spec": json.dumps({"containers": SPEC, "restart_policy": "Always"}), "created": at(-5), "source": "pods",
        "container_states": "[]", "conditions": "[]", "annotations": "{}", "labels": "{}", **more,
    }  # fmt: skip


def judged(facts, pods=()):
    """(starts, errors) of these facts and pod objects."""
    objects = schema.conform(list(pods), schema.PODS)
    placed = timelines.place(schema.conform(list(facts), schema.EVIDENCE), objects)
    starts = timelines.reconstruct(placed, objects)
    errors = verdicts.judge(placed, starts, objects)
    return verdicts.conclude(starts, errors, placed, objects), errors


def verdict(facts, pods=()):
    """(verdict, certainty, reason) of the first error."""
    _, errors = judged(facts, pods)
    row = errors.iloc[0]
    return tuple(value if isinstance(value, str) else None for value in row[["verdict", "certainty", "reason"]])


def outcome(facts, pods=()):
    starts, _ = judged(facts, pods)
    row = starts.iloc[0]
    return row["outcome"], row["reason"] if isinstance(row["reason"], str) else None
