"""Let the proxy outlive the application when a pod is stopped: longer drain, or until no connection is left."""

import math

from meshlogs.remedies import effects, manifests
from meshlogs.remedies.advice import Advice, refusals, rollout_traps, version_of, version_traps
from meshlogs.remedies.workloads import CONFIG, Workload

REMEDY = "drain"
TREATS = ("shutdown_race",)
SOURCES = ("istio/istio#7136", "istio/istio#36517", "istio/istio#35043")
WHEN = "the application still connects after the proxy's drain (5 s by default) has passed; not with native sidecars"
TRAPS = (
    ("the pod's terminationGracePeriodSeconds (30 by default) ends all: keep the drain below it", "istio/istio#34855"),
    ("with EXIT_ON_ZERO_ACTIVE_CONNECTIONS (since 1.12) terminationDrainDuration counts no more, "
     "MINIMUM_DRAIN_DURATION does; a pod without open connections then loses its proxy", "istio/istio#44690"),
    ("a longer drain makes every stop of the pod as long", "istio/api#2047"),
    ("a native sidecar ends after the application by itself: prefer it", "istio/istio#51855"),
)  # fmt: skip
CHECK = "the proxy's 'Effective config' shows the drain, and its log goes on until the application's last line"

DEFAULT_S, GRACE_S = 5, 30
ZERO_SINCE = (1, 12)
SINCE = (1, 5)


def advise(workload: Workload) -> Advice:
    """The drain that would have covered the refusals measured, merged into the proxy's configuration, and the patch."""
    took = workload.stops_s
    wanted = math.ceil(max(took)) + DEFAULT_S if took else GRACE_S - DEFAULT_S
    settings: dict = {"terminationDrainDuration": f"{wanted}s"}
    if workload.version and workload.version >= ZERO_SINCE:
        settings["proxyMetadata"] = {
            "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true",
            "MINIMUM_DRAIN_DURATION": f"{wanted}s",
        }
    config = manifests.config_with(workload.config, settings)
    blocked = _blocked(workload, config)
    files = {} if blocked else manifests.files(workload, REMEDY, annotations={CONFIG: config})
    count, starts = workload.harms["shutdown_race"], workload.harmed_starts["shutdown_race"]
    why = f"{refusals(count)} in {starts} pod starts after the proxy had gone"
    why += f", up to {max(took):.1f} s after the stop began" if took else ""
    traps = [*rollout_traps(workload), *version_traps(workload, SINCE)]
    if wanted >= GRACE_S:
        traps.append(f"raise terminationGracePeriodSeconds above {wanted} (istio/istio#34855)")
    if not took:
        traps.append("when the stop began is not in the export: the drain is guessed from the grace period of 30 s")
    return Advice(why, blocked, effects.of_verdict(workload, "shutdown_race"), tuple(traps), files)


def _blocked(workload: Workload, config: str | None) -> str | None:
    if workload.native:
        return "its proxy is a native sidecar, which ends after the application: look at istio/istio#51855"
    if workload.version and workload.version < SINCE:
        return f"proxy version {version_of(workload)} does not know terminationDrainDuration: upgrade first"
    if config is None:
        return f"the annotation {CONFIG} cannot be read as YAML: mend it first"
    return None
