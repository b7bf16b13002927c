"""The report for machines: what the page says, as plain JSON values."""

import numpy as np
import pandas as pd

from meshlogs import times
from meshlogs.markup import console, query
from meshlogs.report.summary import sentences, summary
from meshlogs.report.tables import commands, raced_first, undetermined_starts, worst_starts

WORST = 100


def machine(fleet, by: list[str]) -> dict:
    """The report as values ready for JSON; times are RFC 3339 with nanoseconds, unknown and endless are null.

    Keys: finding (sentences), counts (as summary.json), incidence (rows), pods (the worst, at most 100, each with its
    first refused connection, one of the race if there is one, and where it stands), remedies, commands (those that
    can be run), actions (the same and what takes no command, each with its traps), undetermined, missing.
    """
    counts = summary(fleet)
    worst = worst_starts(fleet).head(WORST)
    firsts = raced_first(fleet.errors_of(worst["start_id"])).drop_duplicates("start_id")
    first = {row["start_id"]: row for row in firsts.to_dict("records")}
    actions = commands(fleet)
    missing = fleet.coverage[fleet.coverage["missing"].notna()]
    return {
        "finding": sentences(fleet, counts),
        "counts": counts,
        "by": by,
        "incidence": _records(fleet.incidence(by)),
        "pods": [_pod(start, first.get(start["start_id"])) for start in worst.to_dict("records")],
        "remedies": _records(fleet.remedies.drop(columns=["patch", "overlay", "mesh_patch"], errors="ignore")),
        "commands": [action.command for action in actions if action.command],
        "actions": [{name: _plain(value) for name, value in action._asdict().items()} for action in actions],
        "undetermined": _records(undetermined_starts(fleet.starts)),
        "missing": _records(missing[["kind", "missing", "query"]]),
    }


_POD = (
    "start_id", "project", "cluster", "namespace", "pod", "workload", "outcome", "refused", "app_started_lower",
    "app_started_upper", "proxy_ready_lower", "proxy_ready_upper", "window_lower_s", "window_upper_s",
)  # fmt: skip
_ERROR = (
    "time", "container", "destination_host", "destination_port", "verdict", "certainty", "reason", "message", "source",
    "line", "insert_id",
)  # fmt: skip


def _pod(start: dict, error: dict | None) -> dict:
    told = {name: _plain(start[name]) for name in _POD} | {"query": query(start), "first_error": None}
    if error is not None:
        second = pd.Timedelta(1, "s")
        address = console(error, error["time"] - second, error["time"] + second, error["insert_id"])
        told["first_error"] = {name: _plain(error[name]) for name in _ERROR} | {"console": address}
    return told


def _records(rows: pd.DataFrame) -> list[dict]:
    return [{name: _plain(value) for name, value in row.items()} for row in rows.to_dict("records")]


def _plain(value):
    """A value that JSON knows."""
    if isinstance(value, pd.Timestamp):
        return times.text(value.value)
    if value is None or pd.isna(value) or (isinstance(value, float) and np.isinf(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
