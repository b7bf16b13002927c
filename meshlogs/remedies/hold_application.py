"""Hold the application until its proxy accepts connections (`holdApplicationUntilProxyStarts`).

The setting puts the proxy first among the containers and gives it a postStart hook, `pilot-agent wait`, that
waits at most 60 s for the proxy to be ready; the kubelet starts the next container only when the hook returns.
"""

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, rollout_traps, version_of, version_traps, why_raced
from meshlogs.remedies.workloads import CONFIG, Workload

REMEDY = "hold_application"
TREATS = ("startup_race",)
SOURCES = ("istio/istio#24737", "istio/istio#27696")
WHEN = (
    "the proxy is a regular container without the hook; per pod since Istio 1.8, mesh-wide since 1.7; "
    "the pods restart always"
)
TRAPS = (
    ("the hook gives up after 60 s, the application then starts and is refused all the same", "istio/istio#41086"),
    ("a Job's proxy may not come back after a failed hook: never for Jobs", "istio/istio#45627"),
    ("a lifecycle of the proxy's own (also a mere preStop) silently drops the hook", "istio/istio#41237"),
    ("in 1.9.0 the mesh-wide setting adds the hook but leaves the proxy last (1.9.1 mends it)", "istio/istio#30846"),
    ("set, yet no hook in the pods: injected before the setting, or misspelt", "istio/istio#51310"),
    ("kubectl exec and logs may choose the proxy as the default container", "istio/istio#24737"),
    ("native sidecars ignore it, and do not need it", "istio/istio#59690"),
    ("it does nothing for init containers, which run before any regular container", "istio/istio#11130"),
)
CHECK = "in a new pod istio-proxy is the first container and its lifecycle.postStart runs pilot-agent wait"

SETTING = "holdApplicationUntilProxyStarts"
SINCE, MESH_SINCE = (1, 8), (1, 7)
HOOK_LIMIT_S = 60.0
POLL_S = 0.5  # the hook asks twice a second (istio/istio pilot/cmd/pilot-agent/app/wait.go)


def advise(workload: Workload) -> Advice:
    """Whether holding helps this workload, why, what blocks it, what it is expected to save, and the patch."""
    blocked = _blocked(workload)
    effect = effects.of_gate(workload, limit_s=HOOK_LIMIT_S, step_s=POLL_S, moves_proxy=True)
    usable = not blocked or _too_old(workload)
    return Advice(
        why_raced(workload), blocked, effect, _traps(workload), _files(workload) if usable else {}, _text(effect)
    )


def _files(workload: Workload) -> dict:
    config = manifests.config_with(workload.config, {SETTING: True})
    per_pod = not (workload.version and workload.version < SINCE) or _too_old(workload)
    operator = None if workload.managed else {"meshConfig": {"defaultConfig": {SETTING: True}}}
    if workload.version == MESH_SINCE:
        operator = {"values": {"global": {"proxy": {SETTING: True}}}}
    annotations = {CONFIG: config} if config and per_pod else None
    return manifests.files(workload, REMEDY, annotations=annotations, operator=operator)


def _blocked(workload: Workload) -> str | None:
    if workload.native:
        return "its proxy is a native sidecar, which starts first by itself: the setting is ignored (istio/istio#59690)"
    if workload.is_job:
        return (
            "a Job's proxy may not come back after a failed hook (istio/istio#45627): "
            "use a native sidecar or wait in the application"
        )
    if _too_old(workload):
        return (
            f"proxy version {version_of(workload)} does not know the setting (per pod since 1.8, mesh-wide since "
            "1.7): upgrade first, or let the application wait for "
            f"http://localhost:{workload.ready_port}/healthz/ready"
        )
    if workload.hold:
        return _held(workload)
    if workload.other_hook:
        return (
            "the proxy has a lifecycle of its own, which drops the hook that holds (istio/istio#41237): "
            f"{workload.other_hook[:120]}"
        )
    if SETTING in (workload.config or "") and workload.hold is False:
        return (
            "the annotation is there, the hook is not: pods injected before it was set, a lifecycle of the proxy's "
            "own, or a misspelt setting; create the pods anew and look again (istio/istio#51310)"
        )
    if workload.config and manifests.config_with(workload.config, {}) is None:
        return f"the annotation {CONFIG} cannot be read as YAML: mend it first, then add {SETTING}: true"
    return None


def _held(workload: Workload) -> str:
    failures = workload.hold_failures
    if failures:
        return (
            f"the hook is already there and failed {effects.count(failures, failures, 'time')} (FailedPostStartHook, "
            "time-out of 60 s; istio/istio#41086): find out why the proxy is slow: metadata server, CNI, istiod"
        )
    return "the hook is already there: look for FailedPostStartHook or its time-out of 60 s"


def _too_old(workload: Workload) -> bool:
    return bool(workload.version) and workload.version < MESH_SINCE


def _text(effect: effects.Effect) -> str:
    text = effect.text()
    if effect.starts[0] < effect.starts[1]:
        return f"{text}; where the proxy needs more than the hook's {HOOK_LIMIT_S:.0f} s, holding does not help"
    return text


def _traps(workload: Workload) -> tuple[str, ...]:
    found = [*rollout_traps(workload), *version_traps(workload, SINCE)]
    if workload.version is None:
        found.append("the proxy's version is not in the export: per pod the setting needs 1.8 or newer")
    if workload.version == MESH_SINCE:
        found.append("in 1.7 only mesh-wide: the annotation is ignored")
    if (workload.version_text or "").startswith("1.9.0"):
        found.append("1.9.0 leaves the proxy last when set mesh-wide: use the annotation (istio/istio#30846)")
    if workload.raced["window_lower_s"].max() >= HOOK_LIMIT_S:
        found.append("a window outlasts the hook's 60 s: find out why the proxy is slow (istio/istio#41086)")
    if workload.managed:
        found.append("managed control plane: per pod only")
    return tuple(found)
