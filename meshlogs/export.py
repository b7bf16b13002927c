"""Export files and what they hold, each table read when it is first asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from meshlogs import coverage, engines, formats, schema, storage, times
from meshlogs.columnar import joins
from meshlogs.errors import InputError
from meshlogs.formats import pod_logs, splits
from meshlogs.later import Later
from meshlogs.reading import parts
from meshlogs.reading.rows import Rows, events_once

pd = Later("pandas")
# Who only converts needs none of these.
gather, groups, repeats = Later("meshlogs.gather"), Later("meshlogs.engines.groups"), Later("meshlogs.reading.repeats")

Paths = str | Path | Iterable[str | Path]


class Export:
    """The canonical tables of some export files, read when first asked for.

    `log_entries`, `events`, `pods` and `rejects` are plain dataframes (`meshlogs.schema`);
    `files` says what each file was taken for, `left_out` where files of meshlogs' own were passed over. Entries
    delivered twice are one. `evidence` and what follows from it do not need the first two: files of entries, one a
    line, are scanned, and only what matters is parsed.
    """

    def __init__(
        self,
        paths: Paths,
        *,
        since: pd.Timestamp | None = None,
        until: pd.Timestamp | None = None,
        pod: str | None = None,
        engine=None,
    ):
        paths = [paths] if isinstance(paths, str | Path) else list(paths)
        paths = list(map(storage.place, paths))
        self._files, self.left_out = formats.listed(paths)
        self._named = {path for path in paths if path.is_file()}
        self.since, self.until, self.pod = since, until, pod
        self.engine = engines.engine_of(engine)

    @cached_property
    def _shards(self) -> list[formats.Shard]:
        shards = [self._read(path, source) for path, source in self._files]
        if all(shard.form in formats.NOTHING for shard in shards):
            raise self.nothing(pd.concat([shard.rejects for shard in shards]))
        return shards

    def nothing(self, rejects: pd.DataFrame) -> InputError:
        """The error to raise for an export in which there is nothing to read; why, the first of these rejects tells."""
        why = "".join(f" ({one.source}: {one.reason.partition(' (tried')[0]})" for one in rejects[:1].itertuples())
        return InputError(
            ", ".join(sorted({source for _, source in self._files})[:3]),
            f"no log entry, event or pod found in any file{why}",
            "Give a folder of exports, for example of a Cloud Storage sink; 'meshlogs report --help' lists forms.",
        )

    @cached_property
    def _gathered(self) -> gather.Gathered:
        found = gather.gather(self.tasks(), self.engine)
        if found.files["form"].isin(formats.NOTHING).all():
            raise self.nothing(found.rejects)
        return found

    @property
    def files(self) -> pd.DataFrame:
        """One row per file: source, form, records, rejects."""
        return self._gathered.files

    @cached_property
    def _all_entries(self) -> pd.DataFrame:
        split = splits.whole(shard.splits for shard in self._shards)
        rows = self._together("log_entries", schema.LOG_ENTRIES, split)
        rows = self._within(rows, rows["time"])
        keys = ["time", "log_name", "insert_id", "project", "receive_time", "message", "source", "line"]
        return rows.sort_values(keys, kind="stable", ignore_index=True)

    @cached_property
    def duplicates(self) -> pd.Series:
        """Whether each entry that was read is a repeat: of the same log, time and insert id, or a line in two files."""
        rows = self._all_entries
        by_id = rows["insert_id"].notna() & repeats.repeats_of(rows, ["log_name", "time", "insert_id", "project"])
        return by_id | repeats.lines_again(rows, repeats.LINE)

    @cached_property
    def log_entries(self) -> pd.DataFrame:
        """Log entries by time, each once (`schema.LOG_ENTRIES`)."""
        return self._all_entries[~self.duplicates].reset_index(drop=True)

    @cached_property
    def events(self) -> pd.DataFrame:
        """Events by time, each once (`schema.EVENTS`)."""
        rows = self._together("events", schema.EVENTS)
        return events_once([self._within(rows, rows["time_upper"])])

    def rows(self) -> Rows:
        """Log entries, events, pods and rejects piece by piece, for exports that do not fit in memory."""
        return Rows(self.tasks(rows=True), self.engine)

    def tasks(self, *, rows: bool = False) -> list[parts.Task]:
        """What an engine is to read: files, and stretches of large ones; with `rows`, for every row."""
        return parts.tasks(self._files, self._named, rows=rows, since=self.since, until=self.until, pod=self.pod)

    def reads(self, paths: Iterable[Path]) -> bool:
        """Whether any of these files is one of the export."""
        own = {path.resolve() for path, _ in self._files}
        return any(path.resolve() in own for path in paths)

    @property
    def pods(self) -> pd.DataFrame:
        """Pods (`schema.PODS`), one row for each different object that was read."""
        return self._gathered.pods

    @property
    def rejects(self) -> pd.DataFrame:
        """What could not be read: source, line, reason, excerpt (`schema.REJECTS`)."""
        return self._gathered.rejects

    @property
    def facts(self) -> groups.Groups:
        """`evidence` in groups of pods, the texts that many rows share as categories: a quarter of its memory."""
        if self._gathered.facts is None:
            del self._gathered
        return self._gathered.facts

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """Dated facts about pods (`schema.EVIDENCE`), the lines of one failure grouped as one."""
        return joins.plain(self.facts.whole())

    def forget_facts(self) -> None:
        """Let the evidence go; it is read anew if it is asked for."""
        self._gathered.facts.forget()
        self._gathered = self._gathered._replace(facts=None)

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """What the export holds, by kind of source and hour, and what is missing (`schema.COVERAGE`)."""
        return coverage.survey(self._gathered.counts, self.pods, self.rejects)

    def _read(self, path: Path, source: str) -> formats.Shard:
        if path not in self._named:
            return formats.read_any(path, source=source)
        return pod_logs.named(formats.read(path, source=source), self.pod)

    def _together(self, name: str, table, *more: pd.DataFrame) -> pd.DataFrame:
        tables = [part for part in (*(getattr(shard, name) for shard in self._shards), *more) if len(part)]
        return pd.concat(tables, ignore_index=True) if tables else schema.empty(table)

    def _within(self, rows: pd.DataFrame, time: pd.Series) -> pd.DataFrame:
        keep = pd.Series(True, index=rows.index)
        if self.since is not None:
            keep &= time.isna() | (time >= self.since)
        if self.until is not None:
            keep &= time.isna() | (time < self.until)
        return rows[keep]


def read(*paths: str | Path | Iterable[str | Path], since=None, until=None, pod=None, engine=None) -> Export:
    """The canonical tables of export files and folders in any known form, lazily.

    `since` and `until` (as `times.moment` takes them; UTC if they name no zone) keep entries and
    events with since <= time < until. `pod` is whose text logs are that are given as files and name no pod. What
    meshlogs itself wrote into these folders is left out. `engine` is where files are read: None for this machine, or a
    `distributed.Client` or its scheduler's address (`tcp://…`).
    Raises InputError for a path that is missing or of no known form, WorkerError for a cluster that does not answer,
    ValueError for what is no time, and unless since < until.
    """
    flat = [path for given in paths for path in ([given] if isinstance(given, str | Path) else given)]
    since, until = times.span(since, until)
    return Export(flat, since=since, until=until, pod=pod, engine=engine)
