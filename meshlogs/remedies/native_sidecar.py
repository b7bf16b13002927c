"""Run the proxy as a native sidecar: an init container that stays, started before and stopped after the application."""

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import (
    Advice,
    refusals,
    rollout_traps,
    version_of,
    version_traps,
    why_raced,
    why_stalled,
)
from meshlogs.remedies.workloads import Workload

REMEDY = "native_sidecar"
TREATS = ("startup_race", "init_race", "shutdown_race")
SOURCES = ("istio/istio#45959", "istio/istio#53490", "istio/istio#56428")
WHEN = (
    "Kubernetes 1.29 or newer and Istio 1.19 or newer: mesh-wide on istiod since 1.19, per pod since 1.24, "
    "by itself since 1.27 where the nodes run 1.33; also for Jobs and for init containers"
)
TRAPS = (
    ("the release notes misprint the annotation; it is sidecar.istio.io/nativeSidecar", "istio/istio#53490"),
    ("nodes older than 1.29 run the proxy as an init container that never ends", "istio/istio#48794"),
    ("managed control planes have no mesh-wide switch; the annotation there is unproven", "kb.formance.com"),
    ("vault.hashicorp.com/agent-init-first puts Vault's agent before the proxy again", "hashicorp/vault-k8s#41"),
    ("custom injection templates that name istio-proxy among the containers break", "istio/istio#56455"),
    ("while draining, some versions close connections that could live on", "istio/istio#51855"),
)
CHECK = "in a new pod istio-proxy is an init container with restartPolicy Always, and its status says started: true"

ANNOTATION = "sidecar.istio.io/nativeSidecar"
SINCE, PER_POD_SINCE = (1, 19), (1, 24)
PROBE_S = 1.0  # period of its startup probe (istio/istio injection-template.yaml)


def advise(workload: Workload) -> Advice:
    """Whether a native sidecar helps this workload, for every harm it ends, and the patch."""
    blocked = _blocked(workload)
    effect = effects.of_gate(workload, step_s=PROBE_S, moves_proxy=True, also=TREATS[1:])
    return Advice(_why(workload), blocked, effect, _traps(workload), {} if blocked else _files(workload))


def _files(workload: Workload) -> dict:
    per_pod = workload.version is None or workload.version >= PER_POD_SINCE
    switch = {"components": {"pilot": {"k8s": {"env": [{"name": "ENABLE_NATIVE_SIDECARS", "value": "true"}]}}}}
    return manifests.files(
        workload,
        REMEDY,
        annotations={ANNOTATION: "true"} if per_pod else None,
        operator=None if workload.managed else switch,
    )


def _blocked(workload: Workload) -> str | None:
    if workload.native and "vault-agent-init" in workload.init_containers:
        return (
            "its proxy is a native sidecar already; where Vault's agent stands before it, take away "
            "vault.hashicorp.com/agent-init-first (hashicorp/vault-k8s#41)"
        )
    if workload.native:
        return "its proxy is a native sidecar already: the cause is another, see the proxy's log"
    if workload.version and workload.version < SINCE:
        return f"proxy version {version_of(workload)} knows no native sidecars (since 1.19): upgrade first"
    if workload.managed and workload.version and workload.version < PER_POD_SINCE:
        return (
            "the managed control plane has no mesh-wide switch, and the annotation came with 1.24; "
            f"this proxy is {version_of(workload)}"
        )
    return None


def _why(workload: Workload) -> str:
    parts = []
    if len(workload.raced):
        parts.append(why_raced(workload))
    if workload.harmed_starts["init_race"]:
        parts.append(why_stalled(workload))
    if workload.harms["shutdown_race"]:
        parts.append(f"{refusals(workload.harms['shutdown_race'])} while pods were being stopped")
    return "; ".join(parts)


def _traps(workload: Workload) -> tuple[str, ...]:
    found = [*rollout_traps(workload), *version_traps(workload, SINCE)]
    if not workload.native_in_cluster:
        found.append("needs Kubernetes 1.29 on every node (kubectl get nodes): no native sidecar is in this export")
    if workload.version is None:
        found.append("the proxy's version is not in the export: needs Istio 1.19, per pod 1.24")
    if workload.managed:
        found.append("managed control plane: the annotation is unproven there, try it on one workload first")
    if "vault.hashicorp.com/agent-init-first" in workload.annotations:
        found.append("take away vault.hashicorp.com/agent-init-first, or Vault's agent runs before the proxy")
    return tuple(found)
