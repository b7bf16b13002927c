"""Let what an init container needs bypass the proxy, by address (Vault's, as the refused connections name it).

Also for the metadata server 169.254.169.254 where a pod's rules redirect it.
"""

import ipaddress

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, rollout_traps, why_stalled
from meshlogs.remedies.workloads import METADATA_SERVER, Workload, existing

REMEDY = "exclude_outbound"
TREATS = ("init_race", "startup_race", "upstream")
SOURCES = ("docs.cloud.google.com/service-mesh troubleshoot-proxy", "hashicorp/vault-k8s#41")
WHEN = (
    "an init container behind the redirection, with istio-init or the CNI plug-in, and its destination's address is "
    "in the log; per pod, or mesh-wide through IstioOperator or Helm, on a managed mesh per pod only; also for "
    "refusals of the metadata server, where nothing shows that it is excluded already"
)
TRAPS = (
    ("what is excluded bypasses mTLS and policy; with STRICT mTLS there it then fails", "banzaicloud/bank-vaults#773"),
    ("the rules see the address that is dialled, a ClusterIP, not a pod; it may change", "hashicorp/vault-k8s#41"),
    ("the annotation replaces the mesh's list, it does not add to it", "istio/istio injection-template.yaml"),
    ("it counts only where all outbound traffic is redirected (include *)", "istio.io resource annotations"),
    ("an empty list excludes nothing", "istio.io resource annotations"),
    ("with DNS capture the lookup itself fails before any proxy runs", "istio/istio#36453"),
    ("169.254.169.254 is slow on new pods by itself: excluding it is right, but the race may not be its cause",
     "GoogleCloudPlatform/kubernetes-engine-samples#468"),
)  # fmt: skip
CHECK = "in a new pod the arguments of istio-init or istio-validation hold the address after -x, and Init ends"

ANNOTATION = "traffic.sidecar.istio.io/excludeOutboundIPRanges"
SETTING, VALUE = "exclude_ranges", "excludeIPRanges"


def advise(workload: Workload) -> Advice | None:
    """The addresses to exclude, merged with those already excluded, and the patch; None where there is no need."""
    mine = destinations(workload)
    if not workload.harmed_starts["init_race"] and mine.empty:
        return None
    addresses = mine["destination_ip"].mask(mine["verdict"] == "upstream", METADATA_SERVER)  # known by name only
    ranges = _ranges(addresses)
    blocked = blocked_by(workload, ranges, "address")
    files = {} if blocked else exclusion(workload, REMEDY, ANNOTATION, SETTING, VALUE, ranges)
    to_metadata = workload.errors["verdict"] == "upstream"  # also where only its name is known
    keep = workload.errors["destination_ip"].isin(mine["destination_ip"].dropna()) | to_metadata
    effect = removed(workload, keep)
    return Advice(why(workload), blocked, effect, traps(workload, SETTING), files)


def destinations(workload: Workload):
    """The refused connections whose destinations are to be excluded: of init containers, or to the metadata server."""
    errors = workload.errors
    raced = (errors["verdict"] == "startup_race") & (errors["destination_ip"] == METADATA_SERVER)
    return errors[(errors["verdict"] == "init_race") | raced | (errors["verdict"] == "upstream")]


def blocked_by(workload: Workload, values: list[str], what: str) -> str | None:
    """Why nothing can or need be excluded; None where it can."""
    if workload.native:
        return "its proxy is a native sidecar and runs before other init containers: nothing needs to bypass it"
    if not values:
        return f"no refused connection of an init container states its destination's {what}: find it in the agent's log"
    include = workload.rules.get("include_ranges", "*")
    if what == "address" and include not in ("*", ["*"]):
        return f"only listed ranges are redirected ({', '.join(include)[:100]}): take the destination out of that list"
    return None


def exclusion(workload: Workload, remedy: str, annotation: str, setting: str, value: str, added: list[str]) -> dict:
    """The files: the annotation with what is excluded already, and the same for the whole mesh where one can."""
    merged = manifests.list_with(existing(workload, setting), added)
    operator = {"values": {"global": {"proxy": {value: merged}}}}
    return manifests.files(
        workload, remedy, annotations={annotation: merged}, operator=None if workload.managed else operator
    )


def why(workload: Workload) -> str:
    """What would get through."""
    if workload.harmed_starts["init_race"]:
        return why_stalled(workload)
    return "connections to the metadata server were refused, which its pods may redirect"


def removed(workload: Workload, keep) -> effects.Effect:
    """The refusals of the excluded destinations (`keep`): an init container's, and those of the metadata server.

    Starts that stall without a word may be let through, too, unless others say that they need something else.
    """
    verdict, address = workload.errors["verdict"], workload.errors["destination_ip"]
    init = keep & (verdict == "init_race")
    metadata = keep & (verdict == "startup_race") & (address == METADATA_SERVER)
    # Slow by itself on new pods: past the proxy it may refuse all the same.
    maybe = keep & (verdict == "upstream")
    stalled = bool(init.any()) or not (verdict == "init_race").any()
    return effects.of_errors(workload, init | metadata, maybe, stalled=stalled)


def traps(workload: Workload, setting: str) -> tuple[str, ...]:
    """What can go wrong for this workload."""
    found = [*rollout_traps(workload), "what is excluded bypasses mTLS and policy (banzaicloud/bank-vaults#773)"]
    if setting == SETTING:
        found.append("the address dialled may change: by port the exclusion survives that")
    if not workload.rules:
        found.append("no pod object in the export: exclusions that are in force already are unknown, add them by hand")
    if workload.managed:
        found.append("managed control plane: per pod only")
    else:
        found.append("mesh-wide it takes the destination out of the mesh for everybody")
    if "ISTIO_META_DNS_CAPTURE" in (workload.config or ""):
        found.append("DNS capture is on: the lookup fails too, use a native sidecar (istio/istio#36453)")
    return tuple(found)


def _ranges(addresses) -> list[str]:
    found = []
    for text in sorted(set(addresses.dropna())):
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        found.append(f"{address}/{address.max_prefixlen}")
    return found
