"""What to change: for each workload which remedy applies, which is blocked and why, and the patch.

A remedy is a module with `REMEDY`, `SOURCE` and `advise(workload) -> dict`. Nothing is ever applied.
"""

import pandas as pd

from meshlogs import schema
from meshlogs.remedies import hold_application
from meshlogs.remedies.workloads import workloads

REMEDIES = (hold_application,)


def advise(starts: pd.DataFrame, errors: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """One row per workload that a race harmed or exposed, and remedy (`schema.REMEDIES`)."""
    rows = []
    for workload in workloads(starts, errors, pods):
        for remedy in REMEDIES:
            row = {"workload": workload.name, "namespace": workload.namespace, "cluster": workload.cluster}
            rows.append(row | {"remedy": remedy.REMEDY} | remedy.advise(workload))
    table = schema.conform(rows, schema.REMEDIES, "remedies")
    keys = ["namespace", "workload", "cluster", "remedy"]
    return table.sort_values(keys, kind="stable", ignore_index=True)
