"""Let the client retry a refused connection, with growing pauses, for longer than the proxy takes to start."""

import numpy as np

from meshlogs.remedies import effects
from meshlogs.remedies.advice import Advice, refusals
from meshlogs.remedies.workloads import Workload

REMEDY = "retry_backoff"
TREATS = ("startup_race", "proxy_outage")
SOURCES = ("istio/istio#11130", "istio/istio#40010")
WHEN = "always, beside another remedy: a proxy may restart in mid-life, and readiness does not promise every route"
TRAPS = (
    ("raising the application's retries hides a slow proxy: find out why it is slow", "istio/istio#39950"),
    ("retries of the mesh (VirtualService) do not help: a refused connect never reaches Envoy", "istio/istio#11130"),
)
CHECK = "starts still show refused connections, but the application no longer ends or fails requests because of them"


def advise(workload: Workload) -> Advice:
    """For how long a client must retry to live through what was measured; removes no refused connection."""
    lower, upper = workload.raced["window_lower_s"].max(), workload.raced["window_upper_s"].max()
    parts = []
    if not np.isnan(lower):
        most = f"at most {upper:.1f} s" if np.isfinite(upper) else "its end is not in the export"
        parts.append(f"outlasts every window if it retries for that long (longest: at least {lower:.1f} s, {most})")
    count = workload.harms["startup_race"] + workload.harms["proxy_outage"]
    text = "; ".join(["removes no refused connection, the application survives it", *parts])
    why = f"{refusals(count)} while the proxy did not listen"
    effect = effects.Effect(delay_p50=(0.0, 0.0), delay_p90=(0.0, 0.0))
    trap = ("it hides a slow proxy: do not let it stand for another remedy",)
    return Advice(why, None, effect, trap, {}, text)
