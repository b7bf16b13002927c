"""The files of a remedy: strategic-merge patch, kustomize component, IstioOperator overlay. Nothing is ever applied."""

import hashlib
import re

import yaml

from meshlogs.remedies.workloads import CONFIG, Workload

TEMPLATED = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "ReplicaSet": "apps/v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Pod": "v1",
}
# Names of objects are DNS subdomains; any other name is not that of an object that can be patched.
# (kubernetes: apimachinery pkg/util/validation, IsDNS1123Subdomain)
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def files(workload: Workload, remedy: str, *, annotations=None, env=None, operator=None) -> dict:
    """The columns `patch_file, patch, overlay, mesh_patch` of a remedy: null where there is nothing to write.

    `annotations` go to the pod template, `env` (name to value) to each of the application's containers,
    `operator` is the `spec` of an IstioOperator.
    """
    mesh = yaml.safe_dump(_operator(operator), sort_keys=False) if operator else None
    row = {"patch_file": None, "patch": None, "overlay": None, "mesh_patch": mesh}
    folder = f"patches/{slug(workload)}/{remedy}"
    if mesh:
        row["patch_file"] = f"{folder}/istio-operator.yaml"
    if (annotations or env) and patchable(workload):
        row["patch_file"] = f"{folder}/patch.yaml"
        row["patch"] = yaml.safe_dump(_patch(workload, annotations or {}, env or {}), sort_keys=False, width=10_000)
        row["overlay"] = yaml.safe_dump(_component(workload), sort_keys=False, width=10_000)
    return row


def patchable(workload: Workload) -> bool:
    """Whether a patch can name this workload: its controller is known to have a pod template, its name is one."""
    controller = workload.controller or "Deployment"
    named = _NAME.fullmatch(workload.name) and _NAMESPACE.fullmatch(workload.namespace or "default")
    return controller in TEMPLATED and bool(named)


def config_with(existing: str | None, settings: dict) -> str | None:
    """The annotation proxy.istio.io/config with these settings added, all else kept; None where it cannot be read.

    Its value is YAML (JSON is YAML) in a string. Nested settings are merged key by key.

    >>> config_with('concurrency: 4', {"holdApplicationUntilProxyStarts": True})
    '{concurrency: 4, holdApplicationUntilProxyStarts: true}'
    """
    try:
        config = yaml.safe_load(existing) if existing else {}
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        return None
    if config is None:
        config = {}
    if not isinstance(config, dict):
        return None
    return yaml.safe_dump(_merged(config, settings), default_flow_style=True, sort_keys=True, width=100_000).strip()


def list_with(existing: list[str], added: list[str]) -> str:
    """A comma-separated list with what is new at its end.

    >>> list_with(["169.254.169.254/32"], ["10.0.0.9/32", "169.254.169.254/32"])
    '169.254.169.254/32,10.0.0.9/32'
    """
    return ",".join(dict.fromkeys([*existing, *added]))


def slug(workload: Workload) -> str:
    """A folder name that no name in a log can turn into a path; different workloads have different ones."""
    parts = [part for part in (workload.cluster, workload.namespace, workload.name) if part]
    words = [re.sub(r"[^A-Za-z0-9-]+", "-", part).strip("-")[:60] for part in parts]
    name = "_".join(word for word in words if word) or "workload"
    if words == parts:
        return name
    # What was changed or cut may be another workload's name.
    return f"{name}_{hashlib.sha256(chr(31).join(parts).encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"


def _merged(old: dict, new: dict) -> dict:
    merged = dict(old)
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _patch(workload: Workload, annotations: dict, env: dict) -> dict:
    controller = workload.controller or "Deployment"
    pod: dict = {"metadata": {"annotations": annotations}} if annotations else {}
    if env:
        variables = [{"name": name, "value": value} for name, value in env.items()]
        pod["spec"] = {"containers": [{"name": name, "env": variables} for name in workload.applications]}
    template = {"spec": {"template": pod}}
    inner = {"Pod": pod, "CronJob": {"spec": {"jobTemplate": template}}}.get(controller, template)
    metadata = {"name": workload.name, "namespace": workload.namespace or "default"} | inner.get("metadata", {})
    return {"apiVersion": TEMPLATED[controller], "kind": controller, "metadata": metadata} | {
        key: value for key, value in inner.items() if key != "metadata"
    }


def _component(workload: Workload) -> dict:
    """A kustomize component: an overlay to name under `components:` of one's own kustomization.

    Its target is a pattern of names. (kubernetes-sigs/kustomize: api/types/selector.go)
    """
    target = {"kind": workload.controller or "Deployment", "name": workload.name.replace(".", r"\.")}
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [{"path": "patch.yaml", "target": target}],
    }


def _operator(spec: dict) -> dict:
    return {"apiVersion": "install.istio.io/v1alpha1", "kind": "IstioOperator", "spec": spec}


__all__ = ["CONFIG", "config_with", "files", "list_with", "patchable", "slug"]
