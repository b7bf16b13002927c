"""The small tables that page, ticket and machine form are made of."""

import re
import shlex
from typing import NamedTuple

import pandas as pd

from meshlogs.columnar import joins


def worst_starts(fleet) -> pd.DataFrame:
    """Harmed and stalled starts, most refused connections first; `raced` counts those of the race."""
    starts = fleet.starts
    worst = starts[starts["outcome"].isin(["harmed", "init_stalled"])]
    raced = fleet.judged.loc[fleet.judged["verdict"].isin(["startup_race", "init_race"]), "start_id"]
    raced = joins.texts_of(raced).value_counts()
    worst = worst.assign(raced=raced.reindex(worst["start_id"]).fillna(0).astype("int64").to_numpy())
    return worst.sort_values(["raced", "window_lower_s", "start_id"], ascending=[False, False, True], kind="stable")


def told_errors(fleet, most: int) -> pd.DataFrame:
    """Refused connections by time, at most `most`: of every pod start the first, then the second, and so on."""
    errors = fleet.judged
    turns = errors[["time"]].assign(turn=errors.groupby(["start_id", "verdict"], dropna=False).cumcount())
    first = turns.reset_index(drop=True).sort_values(["turn", "time"], kind="stable").index[:most]
    return joins.plain(errors.iloc[first]).sort_values(["time", "start_id", "insert_id"], kind="stable")


def harmed_by_hour(starts: pd.DataFrame) -> pd.DataFrame:
    """Harmed starts by workload (rows, most first) and hour of the application's start (columns), gaps as zero."""
    harmed = starts[(starts["outcome"] == "harmed") & starts["app_started_upper"].notna()]
    if harmed.empty:
        return pd.DataFrame()
    hour = harmed["app_started_upper"].dt.floor("h")
    counts = pd.crosstab(harmed["workload"].fillna("unknown"), hour)
    if (hour.max() - hour.min()) <= pd.Timedelta(14, "D"):
        counts = counts.reindex(columns=pd.date_range(hour.min(), hour.max(), freq="h"), fill_value=0)
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return counts.loc[order].rename_axis(index=None, columns=None)


def undetermined_starts(starts: pd.DataFrame) -> pd.DataFrame:
    """Why starts are undetermined: reason, starts, an example pod."""
    rows = starts[starts["outcome"] == "undetermined"].sort_values("start_id", kind="stable")
    counts = rows.groupby("reason", dropna=False).agg(starts=("start_id", "size"), example=("pod", "first"))
    return counts.reset_index().sort_values(["starts", "reason"], ascending=[False, True], kind="stable")


class Command(NamedTuple):
    """A remedy that applies, and the command that a person would run for it."""

    workload: str
    namespace: str
    cluster: str
    remedy: str
    expected_effect: str
    patch_file: str
    command: str
    traps: str | None


def commands(fleet, most: int | None = None) -> list[Command]:
    """Of each workload the first remedy that applies and has a patch, where it saves most refused connections first."""
    rows = fleet.remedies
    rows = rows[rows["applies"].fillna(False).astype(bool) & rows["patch"].notna() & rows["patch_file"].notna()]
    rows = rows.drop_duplicates(["cluster", "namespace", "workload"])
    rows = rows.sort_values("errors_removed_upper", ascending=False, kind="stable")
    return [_command(row) for row in rows.head(most if most is not None else len(rows)).itertuples()]


def _command(row) -> Command:
    return Command(
        row.workload, row.namespace, row.cluster, row.remedy, row.expected_effect or "", row.patch_file,
        kubectl(row.workload, row.namespace, row.patch, row.patch_file), row.traps,
    )  # fmt: skip


def kubectl(workload: str, namespace, patch: str, patch_file: str) -> str:
    """The command that a person would run for a patch; every word is quoted for a shell."""
    kind = re.search(r"^kind: ([A-Za-z]+)$", patch, re.MULTILINE)
    # kind/name as one word: no name from a log can be taken for an option.
    words = ["kubectl", "patch", f"{kind.group(1).lower() if kind else 'deployment'}/{workload}"]
    words += ["-n", namespace] if isinstance(namespace, str) else []
    return shlex.join([*words, "--patch-file", patch_file])


def seen(fleet) -> str:
    """What was read, in a sentence: entries, clusters, first and last time."""
    rows = fleet.coverage[fleet.coverage["missing"].isna()]
    entries = int(rows["entries"].fillna(0).sum())
    clusters = sorted(fleet.starts["cluster"].dropna().unique().tolist())
    told = f"From {entries:,} log entries, events and pods"
    told += f" of {', '.join(clusters[:3])}{f' and {len(clusters) - 3:,} more clusters' if len(clusters) > 3 else ''}"
    first, last = rows["first"].min(), rows["last"].max()
    return told + (f"; {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC." if not pd.isna(first) else ".")
