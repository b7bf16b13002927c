"""Whether a pod's first start is in the export: only then is what is seen of its proxy that proxy's first start.

An export that begins in the middle of a pod's life holds a later start of its proxy, which looks like the first.
"""

import numpy as np
import pandas as pd

from meshlogs import times
from meshlogs.columnar import joins
from meshlogs.evidence.lifecycle import restarted
from meshlogs.evidence.proxy import PROXY
from meshlogs.specs import MESH_CONTAINERS

# The first sign of a proxy comes within this of the pod's creation, or of the end of its init containers.
SOON = np.timedelta64(600 * times.SECOND, "ns")
# Two containers that start within this of each other start together: a restart is one container's alone.
TOGETHER = np.timedelta64(120 * times.SECOND, "ns")

STARTS = ["container_created", "container_started"]
# What is seen of a pod before any of its containers, and what is seen of a proxy.
BIRTHS = ["scheduled", "initialized"]
SIGNS = [*STARTS, "pulling", "pulled", "pull_failed", "probe_failed", "proxy_process", "proxy_closed", "proxy_open"]
SIGNS += ["proxy_not_ready", "proxy_draining", "proxy_exited"]
# What is seen of the start of the application or of the proxy.
_BEGINNINGS = [*STARTS, "scheduled", "proxy_process", "probe_failed"]


def births(starts: pd.DataFrame, facts: pd.DataFrame, containers: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """What is known of the beginning of each start: index start_id.

    `shown`: the pod's first start is in the export, and what is seen of its proxy begins with it. `later`: something
    says that it does not. `alive`: a time at which the pod lived already, where `later`. `seen`: the start of the
    application or of the proxy is in the export, not only later life. `facts` hold those of `BIRTHS` and `SIGNS`,
    `containers` are `timelines.container_starts`.
    """
    count = len(starts)

    def first(rows: pd.DataFrame, name: str) -> np.ndarray:
        return times.stamps(joins.earliest_of(rows[name], joins.standing(rows["start_id"], starts.index), count))

    of_proxy = joins.is_one(facts["container"], [PROXY])
    signs = facts[of_proxy & joins.is_one(facts["kind"], SIGNS) & ~_of_restarts(facts)]
    began = facts[joins.is_one(facts["kind"], STARTS) & ~_of_restarts(facts)]
    is_app = ~joins.is_one(began["container"], [*MESH_CONTAINERS]) & ~joins.is_one(began["container_kind"], ["init"])
    apps = containers[(containers["kind"] != "init") & ~containers["container"].isin(MESH_CONTAINERS)]
    proxy, app = first(signs, "time_upper"), first(apps, "upper")
    proxy_began = first(signs[joins.is_one(signs["kind"], [*STARTS, "proxy_process"])], "time_upper")
    app_began = first(began[is_app & began["container"].notna().to_numpy()], "time_upper")
    born = _born(facts, specs, starts, first)
    soon = proxy - born <= SOON
    together = (np.abs(app_began - proxy_began) <= TOGETHER) & (app_began - app <= TOGETHER)
    together &= proxy_began - proxy <= TOGETHER
    shown = soon | together
    # Without its creation: the application ran for a while, and was not refused, before anything is seen of its proxy.
    quiet = (proxy - app > TOGETHER) & ~(first(apps, "refused") - app <= TOGETHER)
    beginnings = facts["start_id"][joins.is_one(facts["kind"], _BEGINNINGS)]
    seen = np.bincount(joins.standing(beginnings, starts.index) + 1, minlength=count + 1)[1:] > 0
    later = np.where(np.isnat(born), quiet | ~seen, proxy - born > SOON) & ~shown
    alive = np.where(later, np.fmin(born, app), _MISSING)
    columns = {"shown": shown, "later": later, "alive": alive, "seen": seen & ~later}
    return pd.DataFrame(columns, index=starts.index)


_MISSING = np.datetime64("NaT", "ns")


def _born(facts: pd.DataFrame, specs: pd.DataFrame, starts: pd.DataFrame, first) -> np.ndarray:
    """By when the pod existed and, as far as known, its init containers had ended: then its containers start."""
    created = specs["created"].reindex(starts.index).astype(times.COLUMN)
    scheduled, initialized = (first(facts[joins.is_one(facts["kind"], [kind])], "time_upper") for kind in BIRTHS)
    return np.fmax(np.fmax(times.stamps(created), scheduled), initialized)


def _of_restarts(facts: pd.DataFrame) -> np.ndarray:
    """Whether each fact is a status that tells of a later start than the container's first."""
    numbered = joins.is_one(facts["kind"], ["container_started"])
    numbered[numbered] = restarted(facts["value"][numbered])
    return numbered
