"""Groups of evidence in files of this machine: a folder that goes when nothing needs it any more.

A file is one of Arrow's, with a batch for each bucket (or one in all), so that a group is read from it in place.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from meshlogs import groups, schema
from meshlogs.errors import WorkerError
from meshlogs.packed import packed, unpacked


class Slice(NamedTuple):
    """A group's batches in some files: of each those from `begin` on, before `end`."""

    paths: list[str]
    begin: int
    end: int

    def tables(self) -> list[pa.Table]:
        """What each file has of them; the tables lie in the files."""
        found = []
        for path in self.paths:
            file = pa.ipc.open_file(pa.memory_map(path))
            found.append(pa.Table.from_batches(map(file.get_batch, range(self.begin, self.end)), file.schema))
        return found


class Files:
    """Facts parted by buckets into files, and the groups that come of them, for an engine of processes.

    `spread(messages)` runs `answer` on each message, somewhere, and gives the answers in order.
    """

    def __init__(self, spread):
        self.spread = spread
        self._folder = tempfile.mkdtemp(prefix="meshlogs-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._parted: list[str] = []
        self._rows = np.zeros(groups.BUCKETS, np.int64)
        self._count = 0

    def add(self, facts: pd.DataFrame) -> None:
        """Take in these facts (`schema.SHARED` coded)."""
        bucket = groups.buckets(facts["pod"])
        self._rows += np.bincount(bucket, minlength=groups.BUCKETS)
        table = groups.to_arrow(facts.take(np.argsort(bucket, kind="stable")))
        self._parted.append(self._write(table, np.bincount(bucket, minlength=groups.BUCKETS)))

    def grouped(self, pods: Iterable[pd.DataFrame], _held: Sequence = ()) -> groups.Groups:
        """The facts in groups, each with the objects of its pods, which may come in pieces; none are held elsewhere."""
        objects = []
        for piece in pods:
            bucket = groups.buckets(piece["pod"])
            table = schema.to_arrow(piece.take(np.argsort(bucket, kind="stable")), schema.PODS)
            objects.append(self._write(table, np.bincount(bucket, minlength=groups.BUCKETS)))
        cuts = groups.bounds(self._rows)
        pairs = list(zip(cuts[:-1], cuts[1:], strict=True))
        facts, told = ([Slice(paths, *pair) for pair in pairs] for paths in (self._parted, objects))
        return groups.Groups(self, facts, told)

    def kept(self, frames: Iterator[pd.DataFrame], pods: Sequence) -> groups.Groups:
        """Groups of these tables, put into files one after another."""
        held = [Slice([self._write(groups.to_arrow(rows), [len(rows)])], 0, 1) for rows in frames]
        return groups.Groups(self, held, pods)

    def each(self, step: str, facts: list[Slice], pods: list[Slice], told: list[pd.DataFrame]) -> Iterator[tuple]:
        """Run the step on each group."""
        path = self._path()
        Path(path).write_bytes(packed(map(groups.to_arrow, told)))
        messages = [
            {"step": step, "facts": held, "pods": objects, "told": path, "out": self._path()}
            for held, objects in zip(facts, pods, strict=True)
        ]
        for held, message, data in zip(facts, messages, self.spread(messages), strict=True):
            _, tables = unpacked(data)
            kept = Slice([message["out"]], 0, 1) if Path(message["out"]).exists() else held
            yield kept, [groups.of_arrow(table) for table in tables]

    def frame(self, held: Slice) -> pd.DataFrame:
        """The table of a group."""
        (table,) = held.tables()
        return groups.of_arrow(table)

    def forget(self, facts: list[Slice]) -> None:
        """Remove the files of these groups."""
        for path in {path for held in facts for path in held.paths}:
            with suppress(OSError):  # where an open file cannot be removed, it goes with the folder
                Path(path).unlink()

    def brought(self, held: groups.Groups) -> groups.Groups:
        """The groups are here."""
        return held

    def _path(self) -> str:
        self._count += 1
        return str(Path(self._folder, f"{self._count}.arrow"))

    def _write(self, table: pa.Table, rows: Sequence[int]) -> str:
        path = self._path()
        _write(table, rows, path)
        return path


def _write(table: pa.Table, rows: Sequence[int], path: str) -> None:
    """Write a table in batches of so many rows each, one after another. Raises WorkerError where there is no room."""
    whole = table.combine_chunks()
    ends = np.cumsum(rows)
    try:
        with pa.ipc.new_file(path, whole.schema) as writer:
            for begin, end in zip([0, *ends[:-1]], ends, strict=True):
                batches = whole.slice(begin, end - begin).to_batches()
                writer.write_batch(batches[0] if batches else _empty(whole))
    except OSError as error:
        advice = "Free some space there, or set TMPDIR to a folder with more, and run the same command again."
        raise WorkerError(str(Path(path).parent), f"evidence cannot be written: {error}", advice) from error


def _empty(table: pa.Table) -> pa.RecordBatch:
    """No rows, with the dictionaries of the table: a file has one of each column."""
    if len(table):
        return table.slice(0, 1).to_batches()[0].slice(0, 0)
    return pa.record_batch([pa.nulls(0, field.type) for field in table.schema], schema=table.schema)


def answer(message: dict) -> bytes:
    """Do what a message of `Files.each` asks for: what is kept goes to its file, what is told is the answer."""
    facts, pods = Slice(*message["facts"]), Slice(*message["pods"])
    _, told = unpacked(Path(message["told"]).read_bytes())
    kept, answers = groups.run(message["step"], facts.tables(), pa.concat_tables(pods.tables()), told)
    if kept is not None:
        _write(kept, [len(kept)], message["out"])
    return packed(answers)
