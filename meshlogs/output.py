"""Writing the results: tables as Parquet and CSV, summary, patches, page and notebook."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from meshlogs import schema, storage, written
from meshlogs.columnar import joins
from meshlogs.pipeline import Fleet
from meshlogs.remedies import wait_for_proxy
from meshlogs.report import Once, summary, write_report

# Rows of a table that are written at a time.
_PIECE = 100_000
# What a spreadsheet would take for a formula: at the beginning of a cell, and of a line, for some end a row there.
_FORMULA = re.compile(r"\A(?=[=+\-@\t])|(?<=\n)(?=[=+\-@])")


def write_fleet(fleet: Fleet, out: Path, *, by: list[str], csv: bool = False, **report) -> dict:
    """Write tables/, patches/, summary.json and the report's files to `out`; the summary comes back.

    What an earlier report wrote there goes, but for a notebook that is to be executed. `report` goes on to
    `write_report`: paths, since, until, own.
    """
    out, fleet = storage.folder(out), Once(fleet)
    tables = {
        "errors": (fleet.judged, schema.ERRORS),
        "starts": (fleet.starts, schema.STARTS),
        "incidence": (fleet.incidence(by), schema.incidence(by)),
        "remedies": (fleet.remedies, schema.REMEDIES),
        "coverage": (fleet.coverage, schema.COVERAGE),
        "rejects": (fleet.rejects, schema.REJECTS),
        "pods": (fleet.pods, schema.PODS),
    }
    written.clear(out, written.REPORT, keep=report.get("own"))
    storage.folder(out / "tables")
    for name, (table, layout) in tables.items():
        _write_parquet([table], layout, out / "tables" / f"{name}.parquet")
        if csv:
            write_csv(table, layout, out / "tables" / f"{name}.csv")
    _write_parquet(fleet.facts.frames(), schema.EVIDENCE, out / "tables" / "evidence.parquet")
    if csv:
        write_csv(fleet.facts.whole(), schema.EVIDENCE, out / "tables" / "evidence.csv")
    _patches(fleet.remedies, out)
    counts = summary(fleet)
    text = json.dumps(counts, indent=2, ensure_ascii=False) + "\n"
    (out / "summary.json").write_text(text, encoding="utf-8")
    write_report(fleet, out, by=by, **report)
    return counts


def _write_parquet(tables: Iterable[pd.DataFrame], layout: pa.Schema, path: Path) -> None:
    """Write tables as one, piece by piece: neither it nor the texts of coded columns are in memory once more."""
    with pq.ParquetWriter(path, layout) as writer:
        for table in tables:
            for begin in range(0, max(len(table), 1), _PIECE):
                writer.write_table(schema.to_arrow(table[begin : begin + _PIECE], layout))
    pa.default_memory_pool().release_unused()


def write_csv(table: pd.DataFrame, layout: pa.Schema, path: Path) -> None:
    """Write a table as CSV: times as RFC 3339 with nanoseconds, no cell that a spreadsheet runs as a formula.

    A carriage return in a text, which readers take for the end of a row, is written as a newline.
    """
    columns = {}
    for field in layout:
        values = joins.texts_of(table[field.name])
        if pa.types.is_timestamp(field.type):
            values = values.map(lambda stamp: "" if pd.isna(stamp) else stamp.isoformat().replace("+00:00", "Z"))
        elif pa.types.is_string(field.type):
            values = values.fillna("").map(_harmless)
        columns[field.name] = values
    pd.DataFrame(columns).to_csv(path, index=False, lineterminator="\n")


def _harmless(text: str) -> str:
    return _FORMULA.sub("'", text.replace("\r\n", "\n").replace("\r", "\n"))


def _patches(remedies: pd.DataFrame, out: Path) -> None:
    """Each remedy's files in a folder of its own, and the code that waits for a proxy beside them."""
    for row in remedies.dropna(subset=["patch_file"]).itertuples():
        folder = (out / row.patch_file).parent
        folder.mkdir(parents=True, exist_ok=True)
        files = {"patch.yaml": row.patch, "kustomization.yaml": row.overlay, "istio-operator.yaml": row.mesh_patch}
        for name, text in files.items():
            if isinstance(text, str):
                (folder / name).write_text(text, encoding="utf-8")
    if (remedies["remedy"] == wait_for_proxy.REMEDY).any():
        (out / "patches" / "code").mkdir(parents=True, exist_ok=True)
        for name, text in wait_for_proxy.code().items():
            (out / "patches" / "code" / name).write_text(text, encoding="utf-8")
