"""An export written as Parquet: its canonical tables, whatever form it came in."""

from pathlib import Path

import pyarrow.parquet as pq

from meshlogs import schema, storage
from meshlogs.errors import InputError
from meshlogs.export import Export
from meshlogs.formats import NOTHING, bulk

# What an export is converted to.
LAYOUTS = {
    "log_entries": schema.LOG_ENTRIES,
    "events": schema.EVENTS,
    "pods": schema.PODS,
    "rejects": schema.REJECTS,
}


def write_export(export: Export, out: Path) -> dict[str, int]:
    """Write log_entries, events, pods and rejects as Parquet to `out`; their row counts come back.

    Log entries stand in the order of the files and are never all in memory. Raises InputError for an export whose own
    files these are.
    """
    out = storage.folder(out)
    if export.reads(out / f"{name}.parquet" for name in LAYOUTS):
        raise InputError(str(out), "what is read lies in this folder and would be overwritten", "Choose another --out.")
    rows, counts = export.rows(), {"log_entries": 0}
    # Without the Arrow schema, so that dictionaries are read as the texts they stand for.
    options = {"store_schema": False, "use_dictionary": [*bulk.REPEATED, "node", "labels"]}
    with pq.ParquetWriter(out / "log_entries.parquet", bulk.LAYOUT, **options) as writer:
        for piece in rows.entries():
            writer.write_table(piece)
            counts["log_entries"] += len(piece)
    rest = rows.rest()
    for name, table in rest.items():
        pq.write_table(schema.to_arrow(table, LAYOUTS[name]), out / f"{name}.parquet")
        counts[name] = len(table)
    if rows.forms <= {*NOTHING}:
        raise export.nothing(rest["rejects"])
    return counts
