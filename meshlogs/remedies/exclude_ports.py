"""Let what an init container needs bypass the proxy, by port (Vault's 8200): survives a change of its address."""

from meshlogs.remedies.advice import Advice
from meshlogs.remedies.exclude_outbound import blocked_by, destinations, exclusion, removed, traps, why
from meshlogs.remedies.workloads import Workload

REMEDY = "exclude_ports"
TREATS = ("init_race",)
SOURCES = ("hashicorp/vault-k8s#41", "hashicorp/vault#10629")
WHEN = "as exclude_outbound, and nothing else that matters is served on that port; for several or changing addresses"
TRAPS = (
    ("every destination on that port bypasses mTLS and policy, not only Vault", "hashicorp/vault-k8s#41"),
    ("a Vault inside the mesh with STRICT mTLS then fails", "banzaicloud/bank-vaults#773"),
    ("with DNS capture the lookup itself fails before any proxy runs", "istio/istio#36453"),
)
CHECK = "in a new pod the arguments of istio-init or istio-validation hold the port after -o, and Init ends"

ANNOTATION = "traffic.sidecar.istio.io/excludeOutboundPorts"
# Ports that much else is served on: excluding one takes most of the pod's traffic out of the mesh.
COMMON = {80, 443, 8080, 8443}


def advise(workload: Workload) -> Advice:
    """The ports to exclude, merged with those already excluded, and the patch."""
    mine = destinations(workload)
    mine = mine[mine["verdict"] == "init_race"]
    ports = sorted({int(port) for port in mine["destination_port"].dropna()})
    blocked = blocked_by(workload, [str(port) for port in ports], "port") or _too_common(ports)
    names = [str(port) for port in ports]
    files = {}
    if not blocked:
        files = exclusion(workload, REMEDY, ANNOTATION, "exclude_ports", "excludeOutboundPorts", names)
    keep = (workload.errors["verdict"] == "init_race") & workload.errors["destination_port"].isin(ports)
    found = traps(workload, "exclude_ports")
    return Advice(why(workload), blocked, removed(workload, keep.fillna(False).astype(bool)), found, files)


def _too_common(ports: list[int]) -> str | None:
    common = sorted(COMMON & set(ports))
    return f"port {common[0]} serves much else: exclude the address instead" if common else None
