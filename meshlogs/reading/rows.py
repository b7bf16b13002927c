"""The rows of an export as they are read, piece by piece, each once: for exports that do not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.formats import bulk
from meshlogs.formats.splits import Splits
from meshlogs.later import Later
from meshlogs.progress import progress
from meshlogs.reading import parts
from meshlogs.reading.repeats import Seen

pd = Later("pandas")


def pods_once(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One row for each different pod object."""
    pods = parts.joined(tables, schema.PODS)
    keys = ["namespace", "pod", "pod_uid", "source", "line"]
    order = pods[keys].sort_values(keys, kind="stable").index.to_numpy()
    content = [name for name in pods.columns if name not in ("source", "line", "containers", "init_containers")]
    # Objects are long texts: they are copied once.
    number = joins.numbered(pods[name] for name in content)[order]
    return pods.take(order[np.sort(joins.firsts(number))]).reset_index(drop=True)


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
        """Log entries in the order of the files (`bulk.LAYOUT`), those delivered again left out.

        An entry that was split comes after its last part.
        """
        seen, splits, before, source, count = Seen(), Splits(), 0, None, 0
        with progress(sum(task.size for task in self._tasks), "reading") as done:
            for task, part in zip(self._tasks, self._engine.load(self._tasks), strict=True):
                first, source = (before if task.source == source else 0), task.source
                tables = {name: parts.moved(table, first) for name, table in part.tables.items()}
                before = first + part.lines
                for name, kept in self._tables.items():
                    kept.append(tables[name])
                self.forms |= {form for form, _, _ in part.files.values()}
                rows = part.rows
                if first:
                    rows = rows.set_column(rows.column_names.index("line"), "line", pc.add(rows["line"], first))
                rows = _with(rows, parts.within(task, splits.joined(tables["splits"]), "time"))
                yield _new(rows, seen)
                count += len(rows)
                done(task.size, f"{count:,} entries, {sum(map(len, self._tables['rejects'])):,} rejects")
        rest = splits.rest()
        if len(rest):
            yield _new(bulk.packed(parts.within(self._tasks[-1], rest, "time")), seen)

    def rest(self) -> dict[str, pd.DataFrame]:
        """Events, pods and rejects, once the entries have been read."""
        return {
            "events": events_once(self._tables["events"]),
            "pods": pods_once(self._tables["pods"]),
            "rejects": rejects_in_order(self._tables["rejects"]),
        }


def _with(rows: pa.Table, others: pd.DataFrame) -> pa.Table:
    return pa.concat_tables([rows, bulk.packed(others)]).unify_dictionaries() if len(others) else rows


def _new(rows: pa.Table, seen: Seen) -> pa.Table:
    """The rows that were not seen before."""
    again = seen.again(rows)
    return rows.filter(pa.array(~again)) if again.any() else rows
