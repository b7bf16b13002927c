"""What a reader returns, and the collector that sorts records into its tables."""

from typing import NamedTuple

import pandas as pd
import pyarrow as pa

from meshlogs import schema
from meshlogs.formats.documents import EXCERPT, Broken


class Shard(NamedTuple):
    """One file, read: the form it had, the canonical tables, the rejects, and how many records it held."""

    form: str
    log_entries: pd.DataFrame
    events: pd.DataFrame
    pods: pd.DataFrame
    rejects: pd.DataFrame
    records: int


class Collector:
    """Rows of the canonical tables, gathered record by record."""

    TABLES = {
        "log_entries": schema.LOG_ENTRIES,
        "events": schema.EVENTS,
        "pods": schema.PODS,
        "rejects": schema.REJECTS,
    }

    def __init__(self, form: str, source: str):
        self.form, self.source = form, source
        self.records = 0
        self._rows: dict[str, list[dict]] = {name: [] for name in self.TABLES}

    def add(self, table: str, line: int, row: dict) -> None:
        """One row of a table, from this line."""
        self._rows[table].append(row | {"source": self.source, "line": line})

    def reject(self, line: int, reason: str, excerpt: str = "") -> None:
        """A record that could not be read."""
        self.add("rejects", line, {"reason": reason[:EXCERPT], "excerpt": excerpt[:EXCERPT]})

    def broken(self, line: int, value: Broken) -> None:
        """A stretch of the file that could not be read."""
        self.reject(line, value.reason, value.excerpt)

    def rows(self, table: str) -> list[dict]:
        """The rows gathered for a table so far."""
        return self._rows[table]

    def shard(self) -> Shard:
        """The finished tables."""
        tables = [_table(self._rows[name], layout) for name, layout in self.TABLES.items()]
        return Shard(self.form, *tables, self.records)


def _table(rows: list[dict], layout: pa.Schema) -> pd.DataFrame:
    """A conforming table; characters that are not Unicode text (lone surrogates) become U+FFFD."""
    arrays = []
    for field in layout:
        values = [row.get(field.name) for row in rows]
        try:
            arrays.append(pa.array(values, field.type))
        except UnicodeEncodeError:
            arrays.append(pa.array([_unicode(value) for value in values], field.type))
    return schema.conform(pa.Table.from_arrays(arrays, schema=layout), layout)


def _unicode(value):
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
