"""The parts of an export brought together: evidence, pods, rejects and counts, while the parts are still being read.

Only evidence is kept of log entries and events, so memory grows with what matters and not with the logs.
"""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import coverage, evidence, hashes, joins, parts, schema, times
from meshlogs.evidence import presence, proxy
from meshlogs.memory import give_back
from meshlogs.progress import progress

# Facts: of each so many, those that came again are dropped while the reading goes on; and of all, once these are more
# than that, and twice as many as after the last time.
MANY, VERY_MANY = 100_000, 1_000_000


class Gathered(NamedTuple):
    """What an export came to."""

    files: pd.DataFrame  # source, form, records, rejects
    evidence: pd.DataFrame  # `schema.SHARED` coded
    pods: pd.DataFrame
    rejects: pd.DataFrame
    counts: pd.DataFrame


def gather(tasks: list[parts.Task], engine) -> Gathered:
    """Evidence, pods, rejects and counts of these tasks; `engine.load` gives their parts in order."""
    together = _Together()
    with progress(sum(task.size for task in tasks), "reading") as done:
        for task, part in zip(tasks, engine.load(tasks), strict=True):
            together.add(task.source, part)
            done(task.size, f"{together.candidates:,} candidates parsed, {together.rejected:,} rejects")
    return together.finish()


class _Together:
    def __init__(self):
        self.candidates = self.rejected = 0
        self._waiting: list[dict[str, pd.DataFrame]] = []
        self._facts: list[pd.DataFrame] = []  # `schema.SHARED` coded
        self._uncoded: list[pd.DataFrame] = []
        self._condensed: list[pd.DataFrame] = []  # facts of many parts, each once
        self._tables: dict[str, list[pd.DataFrame]] = {"pods": [], "rejects": []}
        self._counts: list[pd.DataFrame] = []
        self._files: dict[str, dict] = {}
        self._lines: Counter = Counter()
        self._limit = VERY_MANY

    def add(self, source: str, part: parts.Part) -> None:
        """Take in the next part of a file."""
        tables = {name: _moved(table, self._lines[source]) for name, table in part.tables.items()}
        self._lines[source] += part.lines
        for name, (form, records, rejects) in part.files.items():
            told = self._files.setdefault(name, {"source": name, "form": form, "records": 0, "rejects": 0})
            told["records"] += records
            told["rejects"] += rejects
        self.rejected += len(tables["rejects"])
        self.candidates += part.parsed
        for name in ("pods", "rejects"):
            self._tables[name].append(tables[name])
        self._counts.append(tables["counts"])
        self._take(tables["evidence"])
        self._waiting.append({name: tables[name] for name in ("log_entries", "events")})
        if sum(map(len, [*self._facts, *self._uncoded])) > MANY:
            self._condensed.append(self._distinct([]))
        if sum(map(len, self._condensed)) > self._limit:
            self._condensed = [self._distinct(self._condensed)]
            self._limit = max(VERY_MANY, 2 * len(self._condensed[0]))
        if sum(len(one["log_entries"]) + len(one["events"]) for one in self._waiting) >= parts.BATCH:
            self._extract()

    def _extract(self) -> None:
        facts, counts = parts.extracted(*([one[name] for one in self._waiting] for name in ("log_entries", "events")))
        self._waiting = []
        self._take(facts)
        self._counts.append(counts)

    def _take(self, facts: pd.DataFrame) -> None:
        (self._facts if parts.is_coded(facts) else self._uncoded).append(facts)
        if sum(map(len, self._uncoded)) >= parts.MANY_FACTS:
            self._code()
        if len(facts) >= parts.MANY_FACTS:
            give_back()  # else it would keep what the parts had

    def _code(self) -> None:
        self._facts.append(joins.coded(parts.joined(self._uncoded, schema.EVIDENCE), schema.SHARED))
        self._uncoded = []

    def finish(self) -> Gathered:
        """All of it; entries delivered twice are one."""
        if self._waiting:
            self._extract()
        pods = pods_once(self._tables["pods"])
        rejects = rejects_in_order(self._tables["rejects"])
        self._take(evidence.extract(schema.empty(schema.LOG_ENTRIES), schema.empty(schema.EVENTS), pods))
        return Gathered(
            pd.DataFrame(list(self._files.values()), columns=["source", "form", "records", "rejects"]),
            self._grouped(),
            pods,
            rejects,
            self._counts[0],
        )

    def _grouped(self) -> pd.DataFrame:
        facts = evidence.grouped(self._distinct(self._condensed))
        give_back()
        return facts

    def _distinct(self, condensed: list[pd.DataFrame]) -> pd.DataFrame:
        """The facts that came since the last time, and these, each once; that some came again is counted."""
        self._code()
        tables, self._facts = [*condensed, *self._facts], []
        facts, repeats = _once(joins.stacked(tables, emptied=True))
        self._counts = [coverage.add_up([*self._counts, repeats])]
        facts = presence.thin(proxy.thin(facts))
        give_back()
        return facts


def pods_once(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One row for each different pod object."""
    pods = parts.joined(tables, schema.PODS)
    pods = pods.sort_values(["namespace", "pod", "pod_uid", "source", "line"], kind="stable")
    content = [name for name in pods.columns if name not in ("source", "line", "containers", "init_containers")]
    return pods.drop_duplicates(content).reset_index(drop=True)


def events_once(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """The events by time, each once."""
    rows = parts.joined(tables, schema.EVENTS)
    rows = rows.sort_values(["time_upper", "event_name", "insert_id", "source", "line"], kind="stable")
    content = [name for name in rows.columns if name not in ("source", "line")]
    return rows.drop_duplicates(content).reset_index(drop=True)


def rejects_in_order(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """What could not be read, by file and line."""
    rejects = parts.joined(tables, schema.REJECTS)
    return rejects.sort_values(["source", "line"], kind="stable", ignore_index=True)


class Rows:
    """The rows of an export as they are read, piece by piece: entries each once, the other tables at the end."""

    def __init__(self, tasks: list[parts.Task], engine):
        self._tasks, self._engine = tasks, engine
        self._tables: dict[str, list[pd.DataFrame]] = {"events": [], "pods": [], "rejects": []}
        self.forms: set[str] = set()

    def entries(self) -> Iterator[pa.Table]:
        """Log entries in the order of the files (`bulk.LAYOUT`), those delivered again left out."""
        seen, before, source, count = _Seen(), 0, None, 0
        with progress(sum(task.size for task in self._tasks), "reading") as done:
            for task, part in zip(self._tasks, self._engine.load(self._tasks), strict=True):
                first, source = (before if task.source == source else 0), task.source
                tables = {name: _moved(table, first) for name, table in part.tables.items()}
                before = first + part.lines
                for name, kept in self._tables.items():
                    kept.append(tables[name])
                self.forms |= {form for form, _, _ in part.files.values()}
                rows = part.rows
                again = seen.again(rows)
                if first:
                    rows = rows.set_column(rows.column_names.index("line"), "line", pc.add(rows["line"], first))
                yield rows.filter(pa.array(~again)) if again.any() else rows
                count += len(again)
                done(task.size, f"{count:,} entries, {sum(map(len, self._tables['rejects'])):,} rejects")

    def rest(self) -> dict[str, pd.DataFrame]:
        """Events, pods and rejects, once the entries have been read."""
        return {
            "events": events_once(self._tables["events"]),
            "pods": pods_once(self._tables["pods"]),
            "rejects": rejects_in_order(self._tables["rejects"]),
        }


class _Seen:
    """Which entries were seen, by log, time, insert id and project: 11 to 32 bytes each."""

    def __init__(self):
        self._known = hashes.Set()

    def again(self, entries: pa.Table) -> np.ndarray:
        """Whether each entry was seen before, in these or in earlier ones; those without an id never."""
        # Warehouses keep no more than microseconds.
        marks = entries["time"].cast(pa.int64()).fill_null(times.NAT).to_numpy() // 1000
        for name in ("log_name", "project", "insert_id"):
            marks = _mixed(marks, _hashes(entries[name]))
        return self._known.again(marks.view(np.uint64), entries["insert_id"].is_valid().to_numpy())


def _hashes(column: pa.ChunkedArray) -> np.ndarray:
    """A hash of each text by a key that is secret (uint64); of none: 0."""
    found = [np.zeros(0, np.uint64)]
    for chunk in column.chunks:
        if pa.types.is_dictionary(chunk.type):
            of_values = np.append(hashes.of_texts(chunk.dictionary), np.uint64(0))
            found.append(of_values[chunk.indices.fill_null(-1).to_numpy()])
        else:
            found.append(
                np.where(chunk.is_valid().to_numpy(zero_copy_only=False), hashes.of_texts(chunk), np.uint64(0))
            )
    return np.concatenate(found)


def _mixed(marks: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Marks that differ, but for chance, where either of these does.

    (Steele, Lea and Flood 2014: the finaliser of SplitMix64)
    """
    mixed = marks.astype(np.uint64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
    return (mixed + others).view(np.int64)


def repeats_of(rows: pd.DataFrame, content: list[str]) -> pd.Series:
    """Whether each row has the content of another, which stays: the one with the finest time, else the first.

    Times of entries with an insert id are compared to the microsecond, for warehouses keep no more of them.
    """
    stamps = [name for name in content if isinstance(rows[name].dtype, pd.DatetimeTZDtype)]

    # Few agree in id and time, but for chance; only those are compared.
    marks = _hashes(_pieces(rows["insert_id"])) + (times.to_ns(rows[stamps[0]]) // 1000).view(np.uint64)
    several = np.flatnonzero(pd.Series(marks).duplicated(keep=False))
    finest = np.max([times.to_ns(rows[name].take(several)) for name in stamps], axis=0)
    several = several[np.argsort(~finest, kind="stable")]
    alike, known = rows[content].take(several), rows["insert_id"].take(several).notna()
    alike = alike.assign(**{name: alike[name].dt.floor("us").where(known, alike[name]) for name in stamps})
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[several] = True
    repeated[several[joins.firsts(joins.numbered(alike[name] for name in alike))]] = False
    return pd.Series(repeated, rows.index)


def _pieces(texts: pd.Series) -> pa.ChunkedArray:
    """The same texts, a million at a time."""
    array = joins.in_one_piece(texts)
    return pa.chunked_array([array.slice(at, 10**6) for at in range(0, len(array), 10**6)], array.type)


def _once(facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same evidence with each fact once, the first by source and line; and the counts of entries delivered again.

    Counted are the entries that say something: of the others it is not known.
    """
    order = facts[["source", "line"]].sort_values(["source", "line"], kind="stable").index
    facts = facts if order.is_monotonic_increasing else facts.take(order).reset_index(drop=True)
    content = [name for name in facts.columns if name not in ("source", "line")]
    # Lines of plain log files have no id: the same line twice is two.
    known = facts["insert_id"].notna() | facts["log_name"].isin(["events", "pods"])
    repeated = repeats_of(facts, content) & known & (facts["kind"] != "app_logged")
    again = facts[repeated & facts["insert_id"].notna() & (facts["value"] != "access_log")]
    again = again.drop_duplicates(["source", "line", "insert_id"])
    counts = again.assign(
        kind=np.select(
            [again["log_name"] == "events", again["container"] == proxy.PROXY], ["events", "proxy_logs"], "app_logs"
        ),
        hour=again["time_upper"].dt.floor("h"),
        entries=0,
        duplicates=1,
    )
    return facts[~repeated] if repeated.any() else facts, schema.conform(counts, schema.COVERAGE)


def _moved(table: pd.DataFrame, lines: int) -> pd.DataFrame:
    """The rows of a later stretch of a file, with the line numbers of the file."""
    return table.assign(line=table["line"] + lines) if lines and "line" in table else table
