"""Hold the application until its proxy accepts connections (`holdApplicationUntilProxyStarts`).

The annotation puts the proxy first among the containers and gives it a postStart hook that waits, at
most 60 s, for the proxy to be ready; the kubelet starts the next container only then.
"""

import re

import yaml

from meshlogs.remedies.workloads import Workload

REMEDY = "hold_application"
SOURCE = "istio/istio#24737, istio/istio#27696, istio/istio#45627, istio/istio#41037"
ANNOTATION = "proxy.istio.io/config"
SETTING = "holdApplicationUntilProxyStarts"

# The pod's annotation works since Istio 1.8, the mesh-wide value since 1.7. (istio/istio#27696, #24737)
SINCE = (1, 8)
JOBS = ("Job", "CronJob")
TEMPLATED = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
}
HOOK_LIMIT_S = 60


def advise(workload: Workload) -> dict:
    """Whether holding helps this workload, why, what blocks it, what it is expected to save, and the patch."""
    blocked = _blocked(workload)
    hit = workload.harmed + workload.exposed
    why = f"{hit} of {workload.at_risk} starts at risk ran before their proxy was ready, {workload.harmed} were harmed"
    row = {"applies": not blocked, "why": why, "blocked_by": blocked, "expected_effect": _effect(workload)}
    if blocked and not _too_old(workload):
        return row
    return row | {"patch": patch(workload), "patch_file": f"patches/{_slug(workload)}.{REMEDY}.yaml"}


def patch(workload: Workload) -> str:
    """A strategic-merge patch that adds the annotation to the pod template, keeping what it already holds."""
    controller = workload.controller if workload.controller in TEMPLATED else "Deployment"
    document = {
        "apiVersion": TEMPLATED[controller],
        "kind": controller,
        "metadata": {"name": workload.name, "namespace": workload.namespace or "default"},
        "spec": {"template": {"metadata": {"annotations": {ANNOTATION: _merged(workload.proxy_config)}}}},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=False)


def _blocked(workload: Workload) -> str | None:
    if workload.controller in JOBS or workload.restart_policy in ("OnFailure", "Never"):
        return (
            "a Job's proxy may not come back after a failed hook (istio/istio#45627): "
            "use a native sidecar or wait in the application"
        )
    if _too_old(workload):
        version = ".".join(map(str, workload.oldest_version))
        return (
            f"proxy version {version} does not know the annotation (since 1.8, mesh-wide since 1.7): upgrade first, "
            "or let the application wait for http://localhost:"
            f"{15020 if workload.oldest_version <= (1, 5) else 15021}/healthz/ready"
        )
    if workload.hold:
        return "the hook is already there: look for FailedPostStartHook or its time-out of 60 s"
    if workload.proxy_hook:
        return (
            f"the proxy has a postStart hook of its own, which replaces the one that holds: {workload.proxy_hook[:120]}"
        )
    return None


def _too_old(workload: Workload) -> bool:
    return bool(workload.oldest_version) and workload.oldest_version < SINCE


def _effect(workload: Workload) -> str:
    """What holding would have saved, from the windows measured."""
    text = f"would have prevented {workload.errors} refused connections in {workload.harmed} starts"
    longest = max((lower for lower, _ in workload.windows), default=0.0)
    if longest >= HOOK_LIMIT_S:
        text += f"; but a window of at least {longest:.0f} s outlasts the hook's 60 s: find out why the proxy is slow"
    elif longest:
        text += f"; the application starts later by the proxy's start-up, up to at least {longest:.1f} s"
    return text


def _merged(existing: str | None) -> str:
    """The annotation's value with the setting added; YAML or JSON as it was found, now JSON-like YAML."""
    try:
        config = yaml.safe_load(existing) if existing else {}
    except yaml.YAMLError:
        config = {}
    config = config if isinstance(config, dict) else {}
    merged = yaml.safe_dump(config | {SETTING: True}, default_flow_style=True, sort_keys=True, width=10_000)
    return merged.strip()


def _slug(workload: Workload) -> str:
    """A file name that no name in a log can turn into a path."""
    parts = (workload.cluster, workload.namespace, workload.name)
    words = [re.sub(r"[^A-Za-z0-9-]+", "_", part).strip("_.")[:60] for part in parts if part]
    return ".".join(word for word in words if word) or "workload"
