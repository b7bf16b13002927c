"""A workload told in a few words, and what the remedies say of it."""

import json

import pandas as pd

from meshlogs import remedies, schema, times

EPOCH = times.parse_ns("2026-03-02T09:00:00Z")
PLACE = {"project": "p", "location": "l", "cluster": "c", "namespace": "shop"}
UID = "0000-1"


def at(second):
    return EPOCH + round(second * times.SECOND)


def start(outcome="harmed", number=1, window=(2.0, 3.0), **more):
    """A start whose application and proxy started together, and whose window was that long."""
    low, high = window
    ready = {"proxy_ready_lower": at(low), "proxy_ready_upper": at(high) if high < 1e6 else None}
    return {
        **PLACE, **ready, "start_id": f"s{number}", "pod": f"web-6d5f7c9b4d-aaaa{number}", "pod_uid": f"0000-{number}",
        "workload": "web", "controller": "Deployment", "revision": "6d5f7c9b4d", "proxy_version": "1.24.1",
        "injection": "sidecar", "hold": False, "app_container": "web", "outcome": outcome, "meshed": True,
        "at_risk": outcome != "init_stalled", "window_lower_s": low, "window_upper_s": high,
        "app_started_lower": at(0), "app_started_upper": at(0),
        "proxy_started_lower": at(0), "proxy_started_upper": at(0), **more,
    }  # fmt: skip


def error(verdict="startup_race", number=1, second=1.0, ip="10.96.10.1", port=6379, container="web", **more):
    return {
        **PLACE, "start_id": f"s{number}", "pod": f"web-6d5f7c9b4d-aaaa{number}", "workload": "web",
        "container": container, "verdict": verdict, "time": at(second), "destination_ip": ip, "destination_host": ip,
        "destination_port": port, "suspected": False, **more,
    }  # fmt: skip


def pod(
    number=1, containers=("web", "istio-proxy"), init=("istio-init",), annotations=None, redirect=None, proxy=None,
    restart_policy="Always", labels=None, states=(), **more,
):  # fmt: skip
    """A pod object: `proxy` adds to its proxy's container, `redirect` to Istio's default rules."""
    rules = {"from": "istio-init", "cni": "istio-validation" in init, "include_ranges": "*", "exclude_ranges": [],
             "exclude_ports": []}  # fmt: skip
    spec = [{"name": "istio-proxy", "readiness": {"port": 15021}} | (proxy or {}), {"name": "web"}]
    return {
        **PLACE, "pod": f"web-6d5f7c9b4d-aaaa{number}", "pod_uid": f"0000-{number}", "workload": "web",
        "containers": list(containers), "init_containers": list(init), "created": at(-5 + number),
        "redirect": json.dumps(rules | (redirect or {})), "annotations": json.dumps(annotations or {}),
        "labels": json.dumps(labels or {}), "container_states": json.dumps(list(states)), "conditions": "[]",
        "spec": json.dumps({"containers": spec, "restart_policy": restart_policy}), **more,
    }  # fmt: skip


def fact(kind, second=0.0, number=1, container="istio-proxy", value=None):
    return {**PLACE, "kind": kind, "time_lower": at(second), "time_upper": at(second), "container": container,
            "value": value, "start_id": f"s{number}"}  # fmt: skip


def advice(starts=None, errors=None, pods=(), evidence=()):
    """The remedies by name: a dataframe indexed by `remedy`."""
    starts = [start()] if starts is None else starts
    errors = [error()] if errors is None else errors
    placed = schema.conform(list(evidence), schema.EVIDENCE)
    placed["start_id"] = pd.Series([row["start_id"] for row in evidence], dtype="str")
    table = remedies.advise(
        schema.conform(starts, schema.STARTS),
        schema.conform(errors, schema.ERRORS),
        schema.conform(list(pods), schema.PODS),
        placed,
    )
    return table.set_index("remedy")


def vault(number=1, **more):
    """A start that hangs in Init, and the agent's refused logins."""
    stalled = start("init_stalled", number, (0.0, 0.0), **more)
    logins = [
        error("init_race", number, second, "10.96.10.4", 8200, "vault-agent-init", destination_host="vault.vault.svc")
        for second in (1.0, 2.5)
    ]
    return stalled, logins
