"""How often `meshlogs compare` is wrong, on made fleets whose remedy is known: writes docs/COMPARE.md.

Each fleet is drawn: rollouts have shares of harmed starts of their own (`noise`: their variance, as a part of the
greatest there can be), starts are draws from their rollout's share. Run by `make accuracy`.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from meshlogs import schema, times
from meshlogs.comparison import judge, units

ROOT = Path(__file__).parent.parent
RUNS = 200
SHARE = 0.5  # harmed before
SETTINGS = {
    "8 workloads, 3 rollouts of 6 pods, alike": (8, 3, 6, 0.0),
    "8 workloads, 3 rollouts of 6 pods, differing": (8, 3, 6, 0.2),
    "8 workloads, 1 rollout of 6 pods, differing": (8, 1, 6, 0.2),
    "1 workload, 5 rollouts of 8 pods, differing": (1, 5, 8, 0.2),
    "1 workload, 1 rollout of 8 pods, differing": (1, 1, 8, 0.2),
    "2 workloads, 3 rollouts of 8 pods, differing": (2, 3, 8, 0.2),
    "20 workloads, 1 rollout of 2 pods, alike": (20, 1, 2, 0.0),
}
REMEDIES = {"works": 0.0, "half works": 0.5, "does nothing": 1.0}
VERDICTS = ("worked", "no_effect", "worse", "too_few")

_HEAD = """# Did the remedy work? How `compare` decides, and how often it is wrong

`meshlogs compare BEFORE AFTER` takes two folders that `meshlogs report` wrote and answers two questions: did a remedy
take effect (the hook, the native sidecar, the order, the exclusions really are in the pods; an annotation alone proves
nothing), and did it work (the share of harmed starts).

| took effect | the share of starts that show one of these |
|---|---|
| `yes`, `partly` | rose by nine tenths, by a twentieth; what another one lost is told beside it |
| `lost` | none rose, and one fell by a twentieth: the remedy is gone from these pods |
| `no` | neither |
| `unknown` | is not in the exports |

## What is compared

- The starts at risk, and those stalled in Init; harmed means `harmed` or `init_stalled`. Workloads that are on one
  side only are left out (and it is said); if no workload is on both, the fleets are compared as a whole (and it is
  said). Starts that are in both exports count before only; if nothing else is in the export after, it is said that there
  is nothing to compare.
- **Pods of one rollout are not independent.** They share image, configuration, nodes and the state of the control
  plane, and race together or not at all. The units are rollouts: a workload's revision, whatever its number of pods
  and however far apart they start. One rollout on each side can prove nothing: where the labels before and after can
  lie on the rollouts in fewer than 40 ways (an extreme one and its mirror are 2 of 40: 5 %), the verdict is `too_few`.
  Where a revision is not in the export (a StatefulSet's, say), all starts of the workload on that side are one rollout.
- The difference of shares, workload by workload (Mantel and Haenszel 1959), divided by its standard error from units
  (Chung and Romano 2013), against all other ways to lay the labels before and after on the units of each workload
  (Gail et al. 1996; drawn where there are more than 20,000, Phipson and Smyth 2010). Two-sided, 5 %.

## The verdicts

| verdict | when |
|---|---|
| `worked` | the share of harmed starts fell, p < 5 %; the sentence says whether in part |
| `worse` | it rose, p < 5 % |
| `no_effect` | neither, and a remedy that removes half of the harm is ruled out at 5 % (`removed_at_most`, the end of \
a one-sided 95 % interval, is below half: Fieller 1954, jackknife over units) |
| `too_few` | none of these can be said; how many more starts and rollouts would be needed (80 % power, to see the harm halved) |

Undetermined starts are left out of the test; if counting them as harmed on one side could turn the answer round, the
verdict is `too_few`, and says so. A comparison before and after tells that something changed, not what: whatever else
changed between the exports counts too.

## How often it is wrong

So stated: at most 5 % of remedies that do nothing are said to have worked or to have made it worse; at most 5 % of
those that remove half are said to have no effect, where the units are independent. Measured: {runs} made fleets in
each row, half of the starts harmed before (`python benchmarks/comparison.py`). With {runs} fleets a true rate of 5 %
shows as 2 to 9 %. "Differing": rollouts have shares of their own, with a fifth of the greatest possible variance.
Starts of a rollout are two minutes apart.

"""


def fleet(rng: np.random.Generator, share: float, setting: tuple, *, after: bool) -> pd.DataFrame:
    """Judged starts of a made fleet."""
    workloads, rollouts, pods, noise = setting
    spread = 1 / noise - 1 if noise and share else None
    rows = []
    for workload in range(workloads):
        for rollout in range(rollouts):
            own = rng.beta(share * spread, (1 - share) * spread) if spread else share
            began = times.parse_ns("2026-03-02T09:00:00Z") + times.SECOND * (86_400 * after + 3_600 * rollout)
            for number in range(pods):
                outcome = "harmed" if rng.random() < own else "safe"
                stamp = began + number * 120 * times.SECOND
                rows.append(
                    {
                        "start_id": f"{after}/{workload}/{rollout}/{number}",
                        "workload": f"w{workload}",
                        "revision": f"{after}{rollout}",
                        "outcome": outcome,
                        "at_risk": True,
                        "scheduled_lower": stamp,
                    }
                )
    return units.at_risk(schema.conform(rows, schema.STARTS)).assign(after=after)


def rates(setting: tuple, kept: float) -> dict[str, float]:
    """The share of each verdict over `RUNS` fleets whose remedy keeps this part of the harm."""
    found = []
    for seed in range(RUNS):
        rng = np.random.default_rng([seed, 500])
        sides = [fleet(rng, SHARE, setting, after=False), fleet(rng, SHARE * kept, setting, after=True)]
        found.append(judge(units.with_units(pd.concat(sides, ignore_index=True)))["verdict"])
    return {verdict: found.count(verdict) / RUNS for verdict in VERDICTS}


def main() -> None:
    """Measure, and write the page."""
    lines = [
        f"| fleet, on each side | the remedy | {' | '.join(VERDICTS)} |",
        "|---|---" + "|---" * len(VERDICTS) + "|",
    ]
    for name, setting in SETTINGS.items():
        for remedy, kept in REMEDIES.items():
            row = rates(setting, kept)
            lines.append(f"| {name} | {remedy} | {' | '.join(f'{row[verdict]:.1%}' for verdict in VERDICTS)} |")
            sys.stderr.write(lines[-1] + "\n")
    (ROOT / "docs/COMPARE.md").write_text(_HEAD.format(runs=RUNS) + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
