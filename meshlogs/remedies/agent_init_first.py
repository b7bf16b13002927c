"""Let Vault's agent run before the redirection stands (`vault.hashicorp.com/agent-init-first`)."""

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, rollout_traps, why_stalled
from meshlogs.remedies.workloads import Workload

REMEDY = "agent_init_first"
TREATS = ("init_race",)
SOURCES = ("hashicorp/vault-k8s#41", "hashicorp/vault#10629")
WHEN = "Vault's agent injector 0.3.0 or newer, istio-init writes the rules (no CNI plug-in), no native sidecar"
TRAPS = (
    ("with the CNI plug-in the redirection stands before every init container: no help", "hashicorp/vault#10629"),
    ("with a native sidecar it puts the agent before the proxy, and so re-breaks it", "hashicorp/vault-k8s#41"),
    ("injectors older than 0.3.0 ignore it", "hashicorp/vault-k8s#41"),
    ("the order of injection webhooks is an implementation detail, no promise", "istio/istio#43074"),
)  # fmt: skip
CHECK = "in a new pod vault-agent-init comes before istio-init among the init containers, and Init ends"

ANNOTATION = "vault.hashicorp.com/agent-init-first"
AGENT = "vault-agent-init"


def advise(workload: Workload) -> Advice:
    """Whether putting Vault's agent first helps this workload, and the patch."""
    blocked = _blocked(workload)
    files = {} if blocked else manifests.files(workload, REMEDY, annotations={ANNOTATION: "true"})
    of_agent = workload.errors["container"] == AGENT
    effect = effects.of_verdict(workload, "init_race", of_agent)
    traps = (*rollout_traps(workload), "needs Vault's agent injector 0.3.0 or newer (hashicorp/vault-k8s#41)")
    if not workload.init_containers:
        traps += ("no pod object in the export: if the CNI plug-in is in use, this does not help",)
    return Advice(why_stalled(workload), blocked, effect, traps, files)


def _blocked(workload: Workload) -> str | None:
    seen = set(workload.init_containers) | set(workload.errors["container"].dropna())
    if AGENT not in seen:
        return "no init container of Vault's injector: move your own init container before istio-init is not possible"
    if workload.cni:
        return (
            "the CNI plug-in redirects before every init container, whatever their order (hashicorp/vault#10629): "
            "exclude Vault's address or port, or use a native sidecar"
        )
    if workload.native:
        return "its proxy is a native sidecar: the agent must come after it, not first"
    order = workload.init_containers
    if "istio-init" in order and AGENT in order and order.index(AGENT) < order.index("istio-init"):
        return "Vault's agent already comes before istio-init: the cause is another"
    if workload.annotations.get(ANNOTATION) == "true":
        return "the annotation is there, yet the agent comes after istio-init: injector older than 0.3.0?"
    return None
