"""What an export delivers again: facts and entries that are there more than once, which exports may do.

An entry with an insert id is the same wherever it comes from. Lines of plain log files have none: a line is the same if
the same container wrote it at the same nanosecond, and it comes from another file; within one file it is another line,
for programs repeat themselves. Lines whose times are less fine, or are not their own, are never the same.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.columnar import hashes, joins
from meshlogs.evidence import proxy
from meshlogs.later import Later

pd = Later("pandas")

# By what a line without an insert id is known.
LINE = ["time", "cluster", "namespace", "pod", "container", "message"]


class Seen:
    """Which entries were seen, by log, time, insert id and project, or as lines of files: 11 to 32 bytes each."""

    def __init__(self):
        self._known = hashes.Set()
        self._lines = hashes.Set()  # of files before the one that is read
        self._file, self._of_file = None, []  # that one, and its lines

    def again(self, entries: pa.Table) -> np.ndarray:
        """Whether each entry was seen before, in these or in earlier ones; the entries come file by file."""
        again = self._by_id(entries)
        if entries["insert_id"].null_count:
            at = np.flatnonzero(pc.and_(pc.is_null(entries["insert_id"]), pc.is_valid(entries["pod"])))
            at = at[pc.equal(entries["time_granularity"].take(at).cast(pa.string()), "ns").fill_null(False)]
            again[at] = self._in_another_file(entries.select([*LINE, "source"]).take(at))
        return again

    def _in_another_file(self, lines: pa.Table) -> np.ndarray:
        marks = lines["time"].cast(pa.int64()).to_numpy()
        for name in LINE[1:]:
            marks = _mixed(marks, _hashes(lines[name]))
        marks, files = marks.view(np.uint64), lines["source"].to_pandas()
        begins = np.flatnonzero(files.ne(files.shift()))
        again = np.zeros(len(lines), bool)
        for begin, end in pairwise([*begins.tolist(), len(lines)]):
            if files[begin] != self._file:
                for some in self._of_file:
                    self._lines.again(some, np.ones(len(some), bool))
                self._file, self._of_file = files[begin], []
            again[begin:end] = self._lines.has(marks[begin:end])
            self._of_file.append(marks[begin:end])
        return again

    def _by_id(self, entries: pa.Table) -> np.ndarray:
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


def lines_again(rows: pd.DataFrame, content: list[str]) -> np.ndarray:
    """Whether each row is a line without insert id of which a file with a lower name has the content, too.

    `content` begins with a time.
    """
    again = np.zeros(len(rows), bool)
    fine = rows["time_granularity"].eq("ns") & rows["insert_id"].isna() & rows["pod"].notna()
    at = np.flatnonzero(fine.to_numpy(bool, na_value=False))
    at = at[pd.Series(times.to_ns(rows[content[0]].take(at))).duplicated(keep=False)]
    if not len(at):
        return again
    lines = rows[[*content, "source"]].take(at)
    number = joins.numbered(lines[name] for name in content)
    file = joins.ranks(joins.coded(lines, ["source"])["source"])
    first = np.full(number.max() + 1, file.max())
    np.minimum.at(first, number, file)
    again[at] = file > first[number]
    return again


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


_FACT = ["time_upper", "time_lower", "kind", "value", *LINE[1:]]


def once(facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same evidence with each fact once, the first by source and line; and the counts of entries delivered again.

    Counted are the entries that say something: of the others it is not known.
    """
    order = facts[["source", "line"]].sort_values(["source", "line"], kind="stable").index
    facts = facts if order.is_monotonic_increasing else facts.take(order).reset_index(drop=True)
    content = [name for name in facts.columns if name not in ("source", "line", "time_granularity")]
    of_objects = facts["log_name"].isin(["events", "pods"])
    repeated = repeats_of(facts, content) & (facts["insert_id"].notna() | of_objects)
    repeated |= lines_again(facts, _FACT)
    repeated &= facts["kind"] != "app_logged"
    of_entries = facts["insert_id"].notna() | ~of_objects
    again = facts[repeated & of_entries & (facts["value"] != "access_log")]
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
