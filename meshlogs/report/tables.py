"""The small tables that page, ticket and machine form are made of."""

import re
import shlex
from typing import NamedTuple

import pandas as pd

from meshlogs.columnar import joins
from meshlogs.remedies.advice import INSTEAD
from meshlogs.remedies.workloads import PLACE
from meshlogs.text import clean

RACED = ("startup_race", "init_race")


def worst_starts(fleet) -> pd.DataFrame:
    """Harmed and stalled starts, most refused connections first; `raced` counts those of the race."""
    starts = fleet.starts
    worst = starts[starts["outcome"].isin(["harmed", "init_stalled"])]
    raced = fleet.judged.loc[fleet.judged["verdict"].isin(RACED), "start_id"]
    raced = joins.texts_of(raced).value_counts()
    worst = worst.assign(raced=raced.reindex(worst["start_id"]).fillna(0).astype("int64").to_numpy())
    return worst.sort_values(["raced", "window_lower_s", "start_id"], ascending=[False, False, True], kind="stable")


def raced_first(errors: pd.DataFrame) -> pd.DataFrame:
    """Refused connections, those of the race before all others, else in their order."""
    return errors.iloc[(~errors["verdict"].isin(RACED)).to_numpy().argsort(kind="stable")]


def told_errors(fleet, most: int) -> pd.DataFrame:
    """Refused connections by time, at most `most`: of every pod start the first, then the second, and so on."""
    errors = fleet.judged
    turns = errors[["time"]].assign(turn=errors.groupby(["start_id", "verdict"], dropna=False).cumcount())
    first = turns.reset_index(drop=True).sort_values(["turn", "time"], kind="stable").index[:most]
    return joins.plain(errors.iloc[first]).sort_values(["time", "start_id", "insert_id"], kind="stable")


def harmed_by_hour(starts: pd.DataFrame) -> pd.DataFrame:
    """Harmed starts by workload (rows, most first) and hour of the application's start (columns), gaps as zero.

    Workloads of one name in several namespaces or clusters are several rows.
    """
    harmed = starts[(starts["outcome"] == "harmed") & starts["app_started_upper"].notna()]
    if harmed.empty:
        return pd.DataFrame()
    hour = harmed["app_started_upper"].dt.floor("h")
    counts = pd.crosstab(_names(harmed), hour)
    if (hour.max() - hour.min()) <= pd.Timedelta(14, "D"):
        counts = counts.reindex(columns=pd.date_range(hour.min(), hour.max(), freq="h"), fill_value=0)
    order = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index
    return counts.loc[order].rename_axis(index=None, columns=None)


def _names(starts: pd.DataFrame) -> pd.Series:
    """Each start's `namespace/workload`, after the cluster where there are several."""
    place = PLACE if starts["cluster"].nunique(dropna=False) > 1 else PLACE[1:]
    parts = starts[place].fillna({"cluster": "", "namespace": "", "workload": "unknown"}).astype(str)
    return parts.agg("/".join, axis=1).str.lstrip("/")


def undetermined_starts(starts: pd.DataFrame) -> pd.DataFrame:
    """Why starts are undetermined: reason, starts, an example pod (without a name, the start's id)."""
    rows = starts[starts["outcome"] == "undetermined"].sort_values("start_id", kind="stable")
    rows = rows.assign(pod=rows["pod"].fillna(rows["start_id"]))
    counts = rows.groupby("reason", dropna=False).agg(starts=("start_id", "size"), example=("pod", "first"))
    return counts.reset_index().sort_values(["starts", "reason"], ascending=[False, True], kind="stable")


class Command(NamedTuple):
    """A remedy that applies, and what a person would do: run the command or, where there is none, do `instead`."""

    workload: str
    namespace: str
    cluster: str
    remedy: str
    expected_effect: str
    patch_file: str
    command: str | None
    instead: str | None
    traps: str | None

    def warnings(self) -> list[str]:
        """Its traps one by one, without what `instead` says."""
        traps = self.traps.split("; ") if isinstance(self.traps, str) else []
        return [trap for trap in traps if trap != self.instead]

    def lines(self) -> list[str]:
        """For a shell: whose it is and its traps as comments, then the command; control characters made visible."""
        place = ", ".join(clean(word) for word in (self.namespace, self.cluster) if isinstance(word, str))
        told = [f"{clean(self.workload)}{f' ({place})' if place else ''}: {self.remedy.replace('_', ' ')}"]
        told += [f"{self.instead}: {self.patch_file}"] if self.instead else []
        told += [f"trap: {trap}" for trap in self.warnings()]
        return [*(f"# {clean(line, 800)}" for line in told), *([clean(self.command, 800)] if self.command else [])]


def commands(fleet, most: int | None = None) -> list[Command]:
    """Of each workload the first remedy that applies and has a patch, where it saves most refused connections first."""
    rows = fleet.remedies
    rows = rows[rows["applies"].fillna(False).astype(bool) & rows["patch"].notna() & rows["patch_file"].notna()]
    rows = rows.drop_duplicates(PLACE)
    rows = rows.sort_values("errors_removed_upper", ascending=False, kind="stable")
    return [command_of(row) for row in rows.head(most if most is not None else len(rows)).itertuples()]


def command_of(row) -> Command:
    """What a person would do for a row of remedies that has a patch."""
    kind = re.search(r"^kind: ([A-Za-z]+)$", row.patch, re.MULTILINE)
    kind = kind.group(1) if kind else "Deployment"
    instead = INSTEAD.get(kind)
    command = None if instead else _kubectl(kind, row.workload, row.namespace, row.patch_file)
    return Command(
        row.workload, row.namespace, row.cluster, row.remedy, row.expected_effect or "", row.patch_file, command,
        instead, row.traps,
    )  # fmt: skip


def _kubectl(kind: str, workload: str, namespace, patch_file: str) -> str:
    """The command that a person would run for a patch; every word is quoted for a shell."""
    # kind/name as one word: no name from a log can be taken for an option.
    words = ["kubectl", "patch", f"{kind.lower()}/{workload}"]
    words += ["-n", namespace] if isinstance(namespace, str) else []
    return shlex.join([*words, "--patch-file", patch_file])


def seen(fleet) -> str:
    """What was read, in a sentence: entries, clusters, first and last time."""
    rows = fleet.coverage[fleet.coverage["missing"].isna()]
    entries = int(rows["entries"].fillna(0).sum())
    clusters = sorted(fleet.starts["cluster"].dropna().unique().tolist())
    told = f"From {entries:,} {'log entry, event or pod' if entries == 1 else 'log entries, events and pods'}"
    more = f" and {len(clusters) - 3:,} more clusters" if len(clusters) > 3 else ""
    told += f" of {', '.join(clusters[:3])}{more}" if clusters else ""
    first, last = rows["first"].min(), rows["last"].max()
    told += f"; {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC" if not pd.isna(first) else ""
    since, until = ("" if end is None else f"{end:%Y-%m-%d %H:%M:%S} UTC" for end in fleet.limits)
    asked = " and ".join(filter(None, [since and f"from {since} on", until and f"before {until}"]))
    return told + (f", of what lies {asked} as asked." if asked else ".")
