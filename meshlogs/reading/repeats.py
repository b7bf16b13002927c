"""What an export delivers again: facts and entries that are there more than once, which exports may do."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from meshlogs import schema, times
from meshlogs.columnar import hashes, joins
from meshlogs.evidence import proxy
from meshlogs.later import Later

pd = Later("pandas")


class Seen:
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


def once(facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
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
