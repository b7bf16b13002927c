"""Made fleets of known truth for comparisons: each rollout has a share of its own, each start is a draw from it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from meshlogs import schema, times

EPOCH = times.parse_ns("2026-03-02T09:00:00Z")
RACE, HELD = 0.55, 0.0


def fleet(
    rng, share, *, workloads=8, rollouts=3, pods=6, noise=0.0, day=0, open_share=0.0, names=None, apart=0, **columns
):
    """A judged fleet: `rollouts` revisions of each workload, `pods` starts in each, so many seconds `apart`.

    `noise` is the variance of a rollout's own share, as a part of the greatest there can be (0: starts independent).
    """
    rows = []
    for workload in range(workloads):
        for rollout in range(rollouts):
            own = (
                share if not noise or share in (0, 1) else rng.beta(*(p * (1 / noise - 1) for p in (share, 1 - share)))
            )
            began = EPOCH + times.SECOND * (86_400 * day + 3_600 * rollout + 60 * workload)
            for number in range(pods):
                scheduled = began + round((apart * number + rng.uniform(0, 10)) * times.SECOND)
                outcome = "harmed" if rng.random() < own else "safe"
                outcome = "undetermined" if rng.random() < open_share else outcome
                name = f"w{workload}" if names is None else names[workload]
                pod = f"{name}-{day}{rollout}-{number}"
                rows.append({
                    "start_id": f"c/shop/{pod}", "cluster": "c", "namespace": "shop", "pod": pod, "pod_uid": f"u-{pod}",
                    "workload": name, "revision": f"{day}{rollout}", "outcome": outcome, "at_risk": True,
                    "meshed": True, "injection": "sidecar", "hold": False,
                    "scheduled_lower": scheduled, "scheduled_upper": scheduled,
                    "app_started_lower": scheduled + 2 * times.SECOND,
                    "app_started_upper": scheduled + 3 * times.SECOND,
                    **columns,
                })  # fmt: skip
    return SimpleNamespace(starts=schema.conform(rows, schema.STARTS), pods=schema.empty(schema.PODS))


def remedied(rng, share, kept, **options):
    """(before, after): the remedy keeps this part of the harm."""
    return fleet(rng, share, day=0, **options), fleet(rng, share * kept, day=1, **options)


def changed(one, **columns):
    """The same fleet with other columns."""
    return SimpleNamespace(starts=one.starts.assign(**columns), pods=one.pods)


def counts(verdicts):
    return pd.Series(verdicts).value_counts().to_dict()


def generator(seed):
    return np.random.default_rng(seed)
