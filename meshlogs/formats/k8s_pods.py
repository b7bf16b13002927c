"""Pod objects: containers in order, injection, hook, redirection, status; never the values of environments.

The JSON columns of a row (`schema.PODS`) hold:

| column | JSON |
|---|---|
| redirect | from (istio-init, istio-validation, annotations, defaults), cni, mode, {in,ex}clude_{ranges,ports} |
| conditions | list of type, status, reason, message, time |
| container_states | list of name, kind, ready, started, restart_count, state, last_state |
| spec | containers (list, see `_brief`), restart_policy, host_network |
"""

import json
import re

from meshlogs import times
from meshlogs.formats.names import workload_of

EXAMPLE = '{"kind": "PodList", "items": [{"metadata": {"name": "web-1"}, "spec": {"containers": […]}, …}]}'

PROXY = "istio-proxy"
REDIRECTORS = ("istio-init", "istio-validation")

# Flags of istio-iptables. (istio/istio: tools/istio-iptables/pkg/cmd and constants)
FLAGS = {
    "-i": "include_ranges",
    "--istio-service-cidr": "include_ranges",
    "-x": "exclude_ranges",
    "--istio-service-exclude-cidr": "exclude_ranges",
    "-q": "include_ports",
    "--istio-outbound-ports": "include_ports",
    "-o": "exclude_ports",
    "--istio-local-exclude-ports-outbound": "exclude_ports",
    "--istio-local-outbound-ports-exclude": "exclude_ports",
    "-d": "inbound_exclude_ports",
    "--istio-local-exclude-ports": "inbound_exclude_ports",
    "-u": "proxy_uid",
    "--proxy-uid": "proxy_uid",
    "-m": "mode",
    "--istio-inbound-interception-mode": "mode",
}
_LISTS = {"include_ranges", "exclude_ranges", "include_ports", "exclude_ports", "inbound_exclude_ports"}
ANNOTATIONS = {
    "traffic.sidecar.istio.io/includeOutboundIPRanges": "include_ranges",
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": "exclude_ranges",
    "traffic.sidecar.istio.io/includeOutboundPorts": "include_ports",
    "traffic.sidecar.istio.io/excludeOutboundPorts": "exclude_ports",
    "traffic.sidecar.istio.io/excludeInboundPorts": "inbound_exclude_ports",
    "sidecar.istio.io/interceptionMode": "mode",
}


def is_pod(value: dict) -> bool:
    """Whether an object is a Pod (or, without a kind, looks like one)."""
    if value.get("kind") not in (None, "Pod"):
        return False
    spec = value.get("spec")
    return (
        isinstance(value.get("metadata"), dict) and isinstance(spec, dict) and isinstance(spec.get("containers"), list)
    )


def row(pod: dict, where: dict | None = None) -> dict:
    """One row of `schema.PODS` from a Pod object; `where` gives project, location and cluster where known."""
    meta, spec, status = _dict(pod.get("metadata")), _dict(pod.get("spec")), _dict(pod.get("status"))
    labels, annotations = _dict(meta.get("labels")), _dict(meta.get("annotations"))
    regular, init = _containers(spec, "containers"), _containers(spec, "initContainers")
    injection = _injection(regular, init)
    name, controller, revision = workload_of(_text(meta.get("name")), _owner(meta), labels)
    return {
        **(where or {}),
        "namespace": _text(meta.get("namespace")),
        "pod": _text(meta.get("name")),
        "pod_uid": _text(meta.get("uid")),
        "workload": name,
        "controller": controller,
        "revision": revision or _text(labels.get("pod-template-hash")),
        "node": _text(spec.get("nodeName")),
        "injection": injection,
        "containers": [container.get("name") or "" for container in regular],
        "init_containers": [container.get("name") or "" for container in init],
        "hold_hook": _holds(regular) if injection == "sidecar" else None,
        "redirect": _json(_redirect(init, annotations)) if injection != "none" else None,
        "annotations": _json(annotations),
        "labels": _json(labels),
        "pod_ip": _text(status.get("podIP")),
        "phase": _text(status.get("phase")),
        "created": _time(meta.get("creationTimestamp")),
        "deleted": _time(meta.get("deletionTimestamp")),
        "spec": _json(
            {
                "containers": [_brief(c, "regular") for c in regular] + [_brief(c, "init") for c in init],
                "restart_policy": spec.get("restartPolicy"),
                "host_network": bool(spec.get("hostNetwork")),
            }
        ),
        **status_columns(status),
    }


def status_columns(status: dict) -> dict:
    """The columns `conditions` and `container_states` of a pod's status."""
    states = []
    for key, kind in (
        ("initContainerStatuses", "init"),
        ("containerStatuses", "regular"),
        ("ephemeralContainerStatuses", "ephemeral"),
    ):
        for item in _dicts(status.get(key)):
            states.append(
                {
                    "name": _text(item.get("name")),
                    "kind": kind,
                    "ready": item.get("ready"),
                    "started": item.get("started"),
                    "restart_count": _int(item.get("restartCount")),
                    "state": _dict(item.get("state")),
                    "last_state": _dict(item.get("lastState")),
                }
            )
    conditions = [
        {
            "type": item.get("type"),
            "status": item.get("status"),
            "reason": item.get("reason"),
            "message": item.get("message"),
            "time": item.get("lastTransitionTime"),
        }
        for item in _dicts(status.get("conditions"))
    ]
    return {"conditions": _json(conditions), "container_states": _json(states)}


def _containers(spec: dict, key: str) -> list[dict]:
    return _dicts(spec.get(key))


def _injection(regular: list[dict], init: list[dict]) -> str:
    if any(c.get("name") == PROXY and c.get("restartPolicy") == "Always" for c in init):
        return "native_sidecar"
    return "sidecar" if any(c.get("name") == PROXY for c in regular) else "none"


def _holds(regular: list[dict]) -> bool:
    """Whether the proxy comes before every other container and its hook waits for Envoy."""
    return bool(regular) and regular[0].get("name") == PROXY and "pilot-agent wait" in (_post_start(regular[0]) or "")


def _post_start(container: dict) -> str | None:
    hook = _dict(_dict(container.get("lifecycle")).get("postStart"))
    command = _dict(hook.get("exec")).get("command")
    if isinstance(command, list):
        return " ".join(map(str, command))
    return _json(hook) if hook else None


def _redirect(init: list[dict], annotations: dict) -> dict:
    """What the pod's own rules redirect: by the arguments of the container that sets them, else by annotations."""
    rules: dict = {"include_ranges": "*", "exclude_ranges": [], "include_ports": [], "exclude_ports": []}
    setter = next((container for container in init if container.get("name") in REDIRECTORS), None)
    found = {}
    if setter:
        arguments = [str(word) for key in ("command", "args") for word in setter.get(key) or []]
        found = _parsed(arguments)
    noted = {ANNOTATIONS[key]: value for key, value in annotations.items() if key in ANNOTATIONS}
    noted = {key: _listed(str(value)) if key in _LISTS else str(value) for key, value in noted.items()}
    told_by = setter["name"] if found else "annotations" if noted else "defaults"
    cni = bool(setter) and setter["name"] == "istio-validation"
    return rules | (found or noted) | {"from": told_by, "cni": cni}


def _parsed(arguments: list[str]) -> dict:
    """The flags of istio-iptables among these arguments: `-x a,b`, `-x=a,b`, `--flag value`."""
    found = {}
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag not in FLAGS:
            continue
        value = value if equals else next(words, "")
        name = FLAGS[flag]
        found[name] = _listed(value) if name in _LISTS else value
    return found


def _listed(value: str):
    parts = [part.strip() for part in re.split(r"[,\s]+", value.strip()) if part.strip()]
    return "*" if parts == ["*"] else parts


def _brief(container: dict, kind: str) -> dict:
    security = _dict(container.get("securityContext"))
    return {
        "name": container.get("name"),
        "kind": kind,
        "image": container.get("image"),
        "run_as_user": security.get("runAsUser"),
        "run_as_group": security.get("runAsGroup"),
        "restart_policy": container.get("restartPolicy"),
        "post_start": _post_start(container),
        "readiness": _probe(container.get("readinessProbe")),
        "startup": _probe(container.get("startupProbe")),
    }


def _probe(probe) -> dict | None:
    if not isinstance(probe, dict):
        return None
    http = _dict(probe.get("httpGet"))
    names = {
        "initialDelaySeconds": "initial_delay_s",
        "periodSeconds": "period_s",
        "timeoutSeconds": "timeout_s",
        "failureThreshold": "failure_threshold",
    }
    return {"path": http.get("path"), "port": http.get("port")} | {new: probe.get(old) for old, new in names.items()}


def _owner(meta: dict) -> tuple[str, str] | None:
    owners = _dicts(meta.get("ownerReferences"))
    owners = sorted(owners, key=lambda owner: not owner.get("controller"))
    named = [(_text(owner.get("kind")), _text(owner.get("name"))) for owner in owners]
    return next(((kind, name) for kind, name in named if kind and name), None)


def _time(value) -> int | None:
    stamp = times.parse_ns(value)
    return None if stamp == times.NAT else stamp


def _int(value) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 0


def _dict(value) -> dict:
    return value if isinstance(value, dict) else {}


def _dicts(value) -> list[dict]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value) -> str | None:
    return value if isinstance(value, str) and value else None


def _json(value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
