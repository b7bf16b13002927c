"""Groups of evidence in files of this machine, in a folder that goes when nothing needs it any more.

A file holds Arrow streams one after another; a piece is one of them, which is read where it lies in the file.
"""

import json
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

from meshlogs import schema
from meshlogs.columnar.memory import give_back
from meshlogs.columnar.packed import packed, unpacked
from meshlogs.engines import groups
from meshlogs.errors import WorkerError


class Piece(NamedTuple):
    """A table in a file, from one byte on, before another."""

    path: str
    begin: int
    end: int

    def table(self) -> pa.Table:
        """The table, which stays in the file."""
        with pa.memory_map(self.path) as file:
            file.seek(self.begin)
            return pa.ipc.open_stream(file.read_buffer(self.end - self.begin)).read_all()


class Files:
    """Facts in files as they come, and the groups that come of them, for an engine of processes.

    `spread(messages)` runs `answer` on each message, somewhere, and gives the answers in order. What is held of a group
    is the list of its pieces.
    """

    def __init__(self, spread):
        self.spread = spread
        self._folder = tempfile.mkdtemp(prefix="meshlogs-")
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._added: list[Piece] = []
        self._rows = np.zeros(groups.BUCKETS, np.int64)
        self._count = 0

    def add(self, facts: pd.DataFrame) -> None:
        """Take in these facts (`schema.SHARED` coded)."""
        self._rows += np.bincount(groups.buckets(facts["pod"]), minlength=groups.BUCKETS)
        self._added += _written([groups.to_arrow(facts)], self._path())

    def grouped(self, pods: Iterable[pd.DataFrame], _held: Sequence = ()) -> groups.Groups:
        """The facts in groups, each with the objects of its pods, which may come in pieces; none are held elsewhere."""
        cuts = groups.bounds(self._rows)
        messages = [{"cut": piece, "cuts": cuts, "out": self._path()} for piece in self._added]
        parted = [[Piece(*piece) for piece in json.loads(told)] for told in self.spread(messages)]
        self.forget([self._added])
        objects = [_written(groups.cut(schema.to_arrow(some, schema.PODS), cuts), self._path()) for some in pods]
        return groups.Groups(self, list(zip(*parted, strict=True)), list(zip(*objects, strict=True)))

    def kept(self, frames: Iterator[pd.DataFrame], pods: Sequence) -> groups.Groups:
        """Groups of these tables, put into files one after another."""
        return groups.Groups(self, [_written([groups.to_arrow(rows)], self._path()) for rows in frames], pods)

    def each(self, step: str, facts: list, pods: list, told: list[pd.DataFrame]) -> Iterator[tuple]:
        """Run the step on each group."""
        path = self._path()
        Path(path).write_bytes(packed(map(groups.to_arrow, told)))
        messages = [
            {"step": step, "facts": held, "pods": objects, "told": path, "out": self._path()}
            for held, objects in zip(facts, pods, strict=True)
        ]
        for held, data in zip(facts, self.spread(messages), strict=True):
            kept, tables = ([Piece(*piece) for piece in pieces] for pieces in json.loads(data))
            answers = [groups.of_arrow(piece.table()) for piece in tables]
            if not kept:
                self.forget([tables])  # they are there as long as somebody has them
            yield kept or held, answers

    def frame(self, held: list[Piece]) -> pd.DataFrame:
        """The table of a group."""
        return groups.together([piece.table() for piece in held])

    def forget(self, facts: Iterable[Iterable[Piece]]) -> None:
        """Remove the files of these groups."""
        for path in {piece.path for held in facts for piece in held}:
            with suppress(OSError):  # where an open file cannot be removed, it goes with the folder
                Path(path).unlink()

    def brought(self, held: groups.Groups) -> groups.Groups:
        """The groups are here."""
        return held

    def _path(self) -> str:
        self._count += 1
        return str(Path(self._folder, f"{self._count}.arrows"))


def _written(tables: Iterable[pa.Table], path: str) -> list[Piece]:
    """The pieces of a new file of these tables. Raises WorkerError where there is no room."""
    pieces, begin = [], 0
    try:
        with pa.OSFile(path, "wb") as file:
            for table in tables:
                with pa.ipc.new_stream(file, table.schema) as writer:
                    writer.write_table(table)
                pieces.append(Piece(path, begin, file.tell()))
                begin = file.tell()
    except OSError as error:
        advice = "Free some space there, or set TMPDIR to a folder with more, and run the same command again."
        raise WorkerError(str(Path(path).parent), f"evidence cannot be written: {error}", advice) from error
    return pieces


def answer(message: dict) -> bytes:
    """Do what a message of `Files` asks for, into a file; the answer names its pieces: what is kept, what is told."""
    if "cut" in message:
        table = Piece(*message["cut"]).table()
        return json.dumps(_written(groups.cut(table, message["cuts"]), message["out"])).encode()
    facts, pods = ([Piece(*piece).table() for piece in message[name]] for name in ("facts", "pods"))
    _, told = unpacked(Path(message["told"]).read_bytes())
    kept, answers = groups.run(message["step"], facts, pa.concat_tables(pods), told)
    some = [] if kept is None else [kept]
    pieces = _written([*some, *answers], message["out"])
    number = len(some)
    del facts, pods, kept, some, answers
    give_back()
    return json.dumps([pieces[:number], pieces[number:]]).encode()
