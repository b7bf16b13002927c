"""The parts of an export brought together: evidence, pods, rejects and counts, while the parts are still being read.

Only evidence is kept of log entries and events, so memory grows with what matters and not with the logs.
"""

from collections import Counter
from typing import NamedTuple

import pandas as pd

from meshlogs import coverage, evidence, schema
from meshlogs.columnar import joins
from meshlogs.columnar.memory import give_back
from meshlogs.engines import groups
from meshlogs.formats import splits
from meshlogs.progress import progress
from meshlogs.reading import parts
from meshlogs.reading.rows import pods_once, rejects_in_order

# Facts: of each so many, those that came again are dropped while the reading goes on; more than so many are no longer
# kept in memory.
MANY, VERY_MANY = 100_000, 200_000


class Gathered(NamedTuple):
    """What an export came to."""

    files: pd.DataFrame  # source, form, records, rejects
    facts: groups.Groups | None  # evidence; `schema.SHARED` coded
    pods: pd.DataFrame
    rejects: pd.DataFrame
    counts: pd.DataFrame

    @property
    def evidence(self) -> pd.DataFrame:
        """All evidence as one table."""
        return self.facts.whole()


def gather(tasks: list[parts.Task], engine) -> Gathered:
    """Evidence, pods, rejects and counts of these tasks; `engine.load` gives their parts in order."""
    together = _Together(engine)
    with progress(sum(task.size for task in tasks), "reading") as done:
        for task, part in zip(tasks, engine.load(tasks, hold=True), strict=True):
            together.add(task, part)
            done(task.size, f"{together.candidates:,} candidates parsed, {together.rejected:,} rejects")
    return together.finish()


class _Together:
    def __init__(self, engine):
        self.engine = engine
        self.candidates = self.rejected = 0
        self._waiting: list[dict[str, pd.DataFrame]] = []
        self._splits = splits.Splits()
        self._long = 0  # characters of the split entries that wait
        self._task: parts.Task | None = None  # the last one; all have the same limits
        self._facts: list[pd.DataFrame] = []  # `schema.SHARED` coded
        self._uncoded: list[pd.DataFrame] = []
        self._condensed: list[pd.DataFrame] = []  # facts of many parts, each once
        self._parted = None  # where the engine puts facts when they become many
        self._held: list[tuple[parts.Held, int]] = []  # facts that stay where they were read; lines before their part
        self._tables: dict[str, list[pd.DataFrame]] = {"pods": [], "rejects": []}
        self._counts: list[pd.DataFrame] = []
        self._files: dict[str, dict] = {}
        self._lines: Counter = Counter()

    def add(self, task: parts.Task, part: parts.Part) -> None:
        """Take in the next part of a file."""
        self._task = task
        before = self._lines[task.source]
        tables = {name: parts.moved(table, before) for name, table in part.tables.items()}
        self._lines[task.source] += part.lines
        for name, (form, records, rejects) in part.files.items():
            told = self._files.setdefault(name, {"source": name, "form": form, "records": 0, "rejects": 0})
            told["records"] += records
            told["rejects"] += rejects
        self.rejected += len(tables["rejects"])
        self.candidates += part.parsed
        for name in ("pods", "rejects"):
            self._tables[name].append(tables[name])
        self._counts.append(tables["counts"])
        if part.held:
            self._held.append((part.held, before))
        self._take(tables["evidence"])
        self._waiting.append({name: tables[name] for name in ("log_entries", "events")})
        self._wait(self._splits.joined(tables["splits"]))
        if sum(len(one["log_entries"]) + len(one["events"]) for one in self._waiting) >= parts.BATCH:
            self._extract()

    def _wait(self, entries: pd.DataFrame) -> None:
        """Let entries that were split wait for their evidence to be taken."""
        if len(entries):
            entries = parts.within(self._task, entries, "time")
            self._waiting.append({"log_entries": entries, "events": schema.empty(schema.EVENTS)})
            self._long += int(sum(entries[name].str.len().sum() for name in ("message", "payload")))
            if self._long > splits.MOST:
                self._extract()

    def _extract(self) -> None:
        facts, counts = parts.extracted(*([one[name] for one in self._waiting] for name in ("log_entries", "events")))
        self._waiting, self._long = [], 0
        self._take(facts)
        self._counts.append(counts)

    def _take(self, facts: pd.DataFrame) -> None:
        (self._facts if parts.is_coded(facts) else self._uncoded).append(facts)
        if sum(map(len, self._uncoded)) >= parts.MANY_FACTS:
            self._code()
        if len(facts) >= parts.MANY_FACTS:
            give_back()  # else it would keep what the parts had
        if sum(map(len, [*self._facts, *self._uncoded])) > MANY:
            self._condensed.append(self._distinct())
        if sum(map(len, self._condensed)) > VERY_MANY:
            self._part()

    def _code(self) -> None:
        self._facts.append(joins.coded(parts.joined(self._uncoded, schema.EVIDENCE), schema.SHARED))
        self._uncoded = []

    def _distinct(self) -> pd.DataFrame:
        """The facts that came since the last time, each once; that some came again is counted."""
        self._code()
        tables, self._facts = self._facts, []
        facts, again = groups.distinct(tables)
        self._counts = [coverage.add_up([*self._counts, again])]
        give_back()
        return facts

    def _part(self) -> None:
        """Give what there is to the engine, which puts it where it holds its groups."""
        if self._parted is None:
            self._parted = self.engine.parted()
        facts, self._condensed = joins.stacked(self._condensed, emptied=True), []
        self._parted.add(facts)
        give_back()

    def finish(self) -> Gathered:
        """All of it; entries delivered twice are one."""
        self._wait(self._splits.rest())
        if self._waiting:
            self._extract()
        pods = pods_once(self._tables.pop("pods"))
        rejects = rejects_in_order(self._tables.pop("rejects"))
        for begin in range(0, max(len(pods), 1), parts.BATCH):
            some = pods[begin : begin + parts.BATCH]
            self._take(evidence.extract(schema.empty(schema.LOG_ENTRIES), schema.empty(schema.EVENTS), some))
        files = pd.DataFrame(list(self._files.values()), columns=["source", "form", "records", "rejects"])
        parted = self._grouped(pods)
        with progress(len(parted), "putting facts together", unit="groups") as done:
            facts, counts = parted.then("settle", done=lambda: done(1))
        parted.forget()
        give_back()
        counts = coverage.add_up([*self._counts, *(told for (told,) in counts)])
        return Gathered(files, facts, pods, rejects, counts)

    def _grouped(self, pods: pd.DataFrame) -> groups.Groups:
        """The facts in groups: one in memory, if they are few."""
        if self._parted is None and sum(held.rows for held, _ in self._held) <= VERY_MANY:
            for held, before in self._held:
                self._take(parts.moved(self.engine.fetched(held), before))
            self._held = []
        if self._parted is None and not self._held:
            self._code()
            facts, self._facts = joins.stacked([*self._condensed, *self._facts], emptied=True), []
            self._condensed = []
            return groups.alone(facts, pods)
        self._condensed.append(self._distinct())
        self._part()
        return self._parted.grouped([pods], self._held)
