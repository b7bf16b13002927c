"""Give the proxy more memory, where it was killed for want of it."""

import re

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, refusals, rollout_traps
from meshlogs.remedies.workloads import Workload

REMEDY = "proxy_resources"
TREATS = ("proxy_outage",)
SOURCES = ("istio.io resource annotations", "istio/istio injection-template.yaml")
WHEN = "the proxy ended as OOMKilled (exit code 137) and its restart refused connections"
TRAPS = (
    ("one resource annotation replaces all of the proxy's default resources: set all four",
     "istio/istio injection-template.yaml"),
    ("a proxy that holds the whole mesh's configuration grows again: limit it by a Sidecar resource",
     "istio.io configuration scoping"),
    ("exit code 137 alone is SIGKILL: a forced deletion ends so, too", "kubernetes.io pod lifecycle"),
)  # fmt: skip
CHECK = "in a new pod istio-proxy has the new limit; its lastState no longer says OOMKilled"

_PREFIX = "sidecar.istio.io/"
# What the chart gives a proxy that has no annotation. (istio/istio manifests/charts values.yaml)
DEFAULTS = {"proxyCPU": "100m", "proxyMemory": "128Mi", "proxyCPULimit": "2000m", "proxyMemoryLimit": "1024Mi"}
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


def advise(workload: Workload) -> Advice:
    """Twice the memory limit found (else Istio's default), all four annotations set, where the proxy was OOMKilled."""
    deaths = workload.proxy_deaths
    killed = sum("OOMKilled" in text for text in deaths)
    count = workload.harms["proxy_outage"]
    why = f"{refusals(count)} after the proxy ended in mid-life; OOMKilled: {killed}"
    blocked = None if killed else _other_cause(deaths)
    stated = {name: workload.annotations.get(_PREFIX + name) for name in DEFAULTS}
    limit = doubled(stated["proxyMemoryLimit"] or DEFAULTS["proxyMemoryLimit"])
    if not blocked and limit is None:
        blocked = f"the limit {stated['proxyMemoryLimit']!r} is not a quantity: mend the annotation first"
    annotations = {_PREFIX + name: stated[name] or value for name, value in DEFAULTS.items()}
    annotations[_PREFIX + "proxyMemoryLimit"] = limit
    files = {} if blocked else manifests.files(workload, REMEDY, annotations=annotations)
    traps = rollout_traps(workload)
    if not any(stated.values()):
        traps += ("its limits are not in the export: Istio's defaults are assumed, compare with the pod",)
    effect = effects.of_verdict(workload, "proxy_outage")
    effect = effect._replace(errors=(0, effect.errors[1]), starts=(0, effect.starts[1]))
    return Advice(why, blocked, effect, traps, files)


def doubled(quantity: str) -> str | None:
    """Twice a quantity of memory, in its own unit; None for a text that is none.

    >>> doubled("1024Mi"), doubled("1.5Gi"), doubled("lots")
    ('2048Mi', '3Gi', None)
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([kMG]|[KMG]i)?", quantity.strip())
    if not match:
        return None
    number = float(match[1]) * 2
    return f"{number:g}{match[2] or ''}" if number == int(number) else str(int(number * _UNITS[match[2] or ""]))


def _other_cause(deaths: list[str]) -> str:
    if not deaths:
        return "how the proxy ended is not in the export: look at its lastState (kubectl get pod -o json) and its log"
    return f"the proxy did not run out of memory, it ended with: {', '.join(sorted(set(deaths)))[:120]}"
