"""Kubernetes pods: containers in order, injection, redirection, hold hook, conditions, container states.

JSON columns of `schema.PODS`:

- `conditions`: list of {type, status, reason, message, time}.
- `container_states`: list of {name, kind (regular|init|ephemeral), ready, started, restart_count,
  state, last_state}; states as in the object: {running: {startedAt}}, {terminated: {startedAt,
  finishedAt, exitCode, reason}}, {waiting: {reason}}. Times are the object's text, floored to seconds.
- `spec`: {containers, restart_policy, host_network, security}; each container {name, kind, image,
  run_as_user, run_as_group (its own, else the pod's), restart_policy, post_start, pre_stop (command text),
  readiness, startup, ports}. Environment variables are never kept: they hold secrets.
- `annotations`: without kubectl's copy of the whole manifest, for the same reason.

A row tells the object as it was when it was captured: for a dump that is the time of the dump, for an
audit entry the time of the entry. A row from a status patch holds only what the patch held: identity,
conditions and container states; its conditions lack what did not change.
"""

from meshlogs.formats.names import workload_of
from meshlogs.formats.redirect import PROXY, redirect_of
from meshlogs.formats.tables import compact, get, integer, items_of, moment, text_of, texts_of

# Part of the spec -> kind, and where the states of each kind are. The order within a list matters.
CONTAINERS = {"initContainers": "init", "containers": "regular", "ephemeralContainers": "ephemeral"}
STATUSES = {
    "initContainerStatuses": "init",
    "containerStatuses": "regular",
    "ephemeralContainerStatuses": "ephemeral",
}
CONDITION = {
    "type": "type",
    "status": "status",
    "reason": "reason",
    "message": "message",
    "lastTransitionTime": "time",
}
PROBE = {
    "periodSeconds": "period",
    "initialDelaySeconds": "initialDelay",
    "timeoutSeconds": "timeout",
    "failureThreshold": "failureThreshold",
}
_STATE = ("startedAt", "finishedAt", "exitCode", "signal", "reason")
_MANIFEST_COPY = "kubectl.kubernetes.io/last-applied-configuration"


def is_pod(value) -> bool:
    """Whether a decoded JSON or YAML value is a pod, even where its kind was left out."""
    if not isinstance(value, dict) or value.get("kind") not in (None, "Pod"):
        return False
    return value.get("kind") == "Pod" or bool(items_of(get(value, "spec", "containers")))


def pod_row(pod: dict) -> dict:
    """A row of `schema.PODS` (place and origin left out) of a pod object."""
    metadata, spec = get(pod, "metadata"), get(pod, "spec")
    row = status_row(pod)
    if not items_of(get(spec, "containers")):
        return row
    labels, annotations = texts_of(get(metadata, "labels")), texts_of(get(metadata, "annotations"))
    annotations.pop(_MANIFEST_COPY, None)
    injection = _injection(spec)
    owner = workload_of(row["pod"], _owner(metadata), labels)
    return row | {
        "workload": owner.workload,
        "controller": owner.controller,
        "revision": owner.revision,
        "node": text_of(spec.get("nodeName")),
        "injection": injection,
        "containers": _names(spec, "containers"),
        "init_containers": _names(spec, "initContainers"),
        "hold_hook": _hold_hook(spec) if injection == "sidecar" else None,
        "redirect": None if injection == "none" else compact(redirect_of(spec, annotations)),
        "annotations": compact(annotations),
        "labels": compact(labels),
        "spec": compact(_spec(spec) | _other_addresses(pod) | _grace(metadata)),
    }


def status_row(pod: dict) -> dict:
    """A row of `schema.PODS` with identity, conditions and container states only."""
    metadata, status = get(pod, "metadata"), get(pod, "status")
    conditions, states = _conditions(status), _states(status)
    return {
        "namespace": text_of(get(metadata, "namespace")),
        "pod": text_of(get(metadata, "name")),
        "pod_uid": text_of(get(metadata, "uid")),
        "conditions": compact(conditions) if conditions else None,
        "container_states": compact(states) if states else None,
        "pod_ip": text_of(get(status, "podIP")),
        "phase": text_of(get(status, "phase")),
        "created": moment(get(metadata, "creationTimestamp")),
        "deleted": moment(get(metadata, "deletionTimestamp")),
    }


def _owner(metadata) -> dict | None:
    owners = items_of(get(metadata, "ownerReferences"))
    controlling = (owner for owner in owners if owner.get("controller") is True)
    return next(controlling, owners[0] if owners else None)


def _names(spec: dict, part: str) -> list[str]:
    return [name for item in items_of(spec.get(part)) if (name := text_of(item.get("name")))]


def _injection(spec: dict) -> str:
    """sidecar, native_sidecar or none. A pod of the ambient mesh has no proxy of its own: none."""
    for item in items_of(spec.get("initContainers")):
        if item.get("name") == PROXY and item.get("restartPolicy") == "Always":
            return "native_sidecar"
    return "sidecar" if PROXY in _names(spec, "containers") else "none"


def _hold_hook(spec: dict) -> bool:
    """Whether the proxy comes before every other container and its hook waits for Envoy.

    The kubelet starts containers in their order and waits for each one's postStart hook.
    """
    first = items_of(spec.get("containers"))[0]
    words = _command(get(first, "lifecycle", "postStart", "exec", "command"))
    return first.get("name") == PROXY and "pilot-agent" in words and "wait" in words.split()


def _conditions(status) -> list[dict]:
    found = [
        {ours: item[key] for key, ours in CONDITION.items() if isinstance(item.get(key), str)}
        for item in items_of(get(status, "conditions"))
    ]
    return [condition for condition in found if "type" in condition]


def _states(status) -> list[dict]:
    return [
        {
            "name": item["name"],
            "kind": kind,
            "ready": _flag(item.get("ready")),
            "started": _flag(item.get("started")),
            "restart_count": integer(item.get("restartCount")) or 0,
            "state": _state(item.get("state")),
            "last_state": _state(item.get("lastState")),
        }
        for part, kind in STATUSES.items()
        for item in items_of(get(status, part))
        if text_of(item.get("name"))
    ]


def _state(value) -> dict:
    """The state without messages and ids: {running|terminated|waiting: {...}}."""
    state = {}
    for word in ("running", "terminated", "waiting"):
        part = get(value, word)
        if isinstance(part, dict):
            state[word] = {key: part[key] for key in _STATE if isinstance(part.get(key), str | int)}
    return state


def _flag(value) -> bool | None:
    return value if isinstance(value, bool) else None


def _spec(spec: dict) -> dict:
    security = spec.get("securityContext")
    return {
        "containers": [
            _container(item, kind, security) for part, kind in CONTAINERS.items() for item in items_of(spec.get(part))
        ],
        "restart_policy": text_of(spec.get("restartPolicy")),
        "host_network": spec.get("hostNetwork") is True,
        "security": {
            "run_as_user": integer(get(security, "runAsUser")),
            "run_as_group": integer(get(security, "runAsGroup")),
        },
    }


def _grace(metadata) -> dict:
    """`deletion_grace_s` of a pod that is being deleted."""
    seconds = integer(get(metadata, "deletionGracePeriodSeconds"))
    return {} if seconds is None else {"deletion_grace_s": seconds}


def _other_addresses(pod: dict) -> dict:
    """`pod_ips`, those of a pod with several besides its first."""
    found = [ip for item in items_of(get(pod, "status", "podIPs")) if (ip := text_of(item.get("ip")))]
    return {"pod_ips": found[1:]} if len(found) > 1 else {}


def _container(item: dict, kind: str, pod_security) -> dict:
    own = item.get("securityContext")
    return {
        "name": text_of(item.get("name")),
        "kind": kind,
        "image": text_of(item.get("image")),
        "run_as_user": _first_integer(get(own, "runAsUser"), get(pod_security, "runAsUser")),
        "run_as_group": _first_integer(get(own, "runAsGroup"), get(pod_security, "runAsGroup")),
        "restart_policy": text_of(item.get("restartPolicy")),
        "post_start": _hook(get(item, "lifecycle", "postStart")),
        "pre_stop": _hook(get(item, "lifecycle", "preStop")),
        "readiness": _probe(item.get("readinessProbe")),
        "startup": _probe(item.get("startupProbe")),
        "ports": [
            port for entry in items_of(item.get("ports")) if (port := integer(entry.get("containerPort"))) is not None
        ],
    }


def _first_integer(*values) -> int | None:
    return next((number for value in values if (number := integer(value)) is not None), None)


def _hook(hook) -> str | None:
    """The hook's command as text, or the kind of a hook that has none, such as httpGet."""
    if not isinstance(hook, dict) or not hook:
        return None
    return _command(get(hook, "exec", "command")) or next(iter(hook))


def _command(words) -> str:
    return " ".join(word for word in words if isinstance(word, str)) if isinstance(words, list) else ""


def _probe(probe) -> dict | None:
    """{path, port, period, initialDelay, timeout, failureThreshold}, absent where not stated; None: no probe."""
    if not isinstance(probe, dict):
        return None
    found = {ours: number for key, ours in PROBE.items() if (number := integer(probe.get(key))) is not None}
    for how in ("httpGet", "tcpSocket", "grpc"):
        port, path = get(probe, how, "port"), text_of(get(probe, how, "path"))
        if port is not None:
            found["port"] = integer(port) if integer(port) is not None else text_of(port)
        if path:
            found["path"] = path
    if isinstance(probe.get("exec"), dict):
        found["exec"] = True  # its command may hold secrets and decides nothing
    return found
