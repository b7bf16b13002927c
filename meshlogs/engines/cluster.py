"""Reading and judging on a Dask cluster: what its workers run, and what is done about those that fail."""

import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

import numpy as np
import pandas as pd
import pyarrow as pa

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.columnar.packed import packed, unpacked
from meshlogs.engines import group_files, groups
from meshlogs.errors import WorkerError
from meshlogs.reading import parts
from meshlogs.reading.parts import Held, Part, Task

# How often a task that failed is tried again; then seconds: how long one may take, how often one looks whether workers
# are there, and how long a cluster may be without (one that scales itself begins with none).
RETRIES, LONGEST_S, LOOK_S, ALONE_S = 2, 3600, 10, 300
_ALONE = "Start workers, look at their logs if they end at once, and run the same command again."
_LOST = "Start the scheduler again, check its address, and run the same command again."
# Evidence of so many parts is parted together: a task for each part and group would be too many.
TOGETHER = 16


class Dask:
    """Reads parts and judges groups on the workers of a Dask cluster.

    `client` is a `distributed.Client`. Workers need meshlogs and a path to the files.
    """

    def __init__(self, client):
        self.client = client

    def load(self, tasks: list[Task], *, hold: bool = False) -> Iterator[Part]:
        """The parts of these tasks, in their order, whatever becomes of single workers.

        `hold`: their evidence stays on the workers. A task whose worker died goes to another one, one that failed is
        tried again. Raises InputError, and WorkerError for a task that killed several workers or when the scheduler is
        lost.
        """
        ahead = 2 * max(sum(self.client.nthreads().values()), 1)
        waiting: deque = deque()
        source = "the cluster"
        with self.careful(lambda: source):
            try:
                for task in [*tasks, *([None] * ahead)]:
                    if task is not None:
                        waiting.append((task.source, *self._submitted(task, hold)))
                    if waiting and (task is None or len(waiting) > ahead):
                        source, part, evidence = waiting.popleft()
                        yield self._part(source, part, evidence)
            finally:
                with suppress(*_lost_errors()):
                    self.client.cancel([future for _, *both in waiting for future in both if future is not None])

    def _submitted(self, task: Task, hold: bool) -> tuple:
        """Futures of a task's part, and of its evidence if that is to stay."""
        read = self.run(read_evidence if hold else read_part, task._asdict())
        return (self.run(_first, read), self.run(_second, read)) if hold else (read, None)

    def _part(self, source: str, part, evidence) -> Part:
        self.wait_for(source, part)
        head, *data = part.result() if evidence is not None else (0, part.result())
        found = Part.from_bytes(*data)
        return found._replace(held=Held(evidence, head)) if head else found

    def run(self, function, *arguments):
        """A future of what the function gives, on some worker."""
        return self.client.submit(function, *arguments, pure=False, retries=RETRIES)

    def fetched(self, held: Held) -> pd.DataFrame:
        """Evidence that stayed where it was read."""
        with self.careful(lambda: "evidence"):
            self.wait_for("evidence", held.future)
            return _table(held.future.result())

    def parted(self) -> "Pieces":
        """Where the evidence of the whole export is put: on the workers, by groups."""
        return Pieces(self)

    def wait_for(self, source: str, future) -> None:
        """Wait for a future, as long as there are workers. Raises WorkerError, naming `source`, when there are none."""
        from distributed import TimeoutError as DaskTimeout
        from distributed import wait

        alone = 0
        for _ in range(LONGEST_S // LOOK_S):
            try:
                wait([future], timeout=LOOK_S)
                return
            except DaskTimeout:
                alone = 0 if self.client.nthreads() else alone + LOOK_S
                if alone >= ALONE_S:
                    raise WorkerError(source, f"the cluster has had no worker for {alone} s", _ALONE) from None
        raise TimeoutError

    @contextmanager
    def careful(self, source) -> Iterator[None]:
        """What fails on a cluster, as errors of ours; `source()` says what was worked on."""
        from distributed import CancelledError, KilledWorker
        from distributed import TimeoutError as DaskTimeout

        try:
            yield
        except KilledWorker as error:
            raise WorkerError(source(), "each worker that worked on it died") from error
        except (*_lost_errors(), CancelledError, DaskTimeout, TimeoutError, OSError) as error:
            raise WorkerError(source(), f"the cluster was lost: {type(error).__name__}", _LOST) from error


class Pieces:
    """Evidence on a cluster in groups, each a list of futures (or bytes); the engine of what `grouped` gives."""

    def __init__(self, dask: Dask):
        self.dask = dask
        self._own: list[pd.DataFrame] = []

    def add(self, facts: pd.DataFrame) -> None:
        """Take in evidence that is here, not on a worker."""
        self._own.append(facts)

    def grouped(self, pods: Iterable[pd.DataFrame], held: Sequence[tuple[Held, int]] = ()) -> groups.Groups:
        """The evidence in groups, each with the objects of its pods: the one step that moves evidence.

        `held` is evidence on the workers, each with how many lines of its file come before its part.
        """
        rows = sum(one.rows for one, _ in held) + sum(map(len, self._own))
        count = min(max(rows // groups.GROUP, 1), groups.BUCKETS)
        cuts = np.linspace(0, groups.BUCKETS, count + 1).astype(int).tolist()
        pieces: list[list] = [[] for _ in range(count)]
        for begin in range(0, len(held), TOGETHER):
            some = held[begin : begin + TOGETHER]
            parted = self.dask.run(part_evidence, cuts, [lines for _, lines in some], *(one.future for one, _ in some))
            for number, mine in enumerate(pieces):
                mine.append(self.dask.run(_item, parted, number))
        for facts in self._own:
            for mine, piece in zip(pieces, _cut(facts, cuts), strict=True):
                mine.append(piece)
        self._own = []
        objects = groups.cut(schema.to_arrow(pd.concat(pods, ignore_index=True), schema.PODS), cuts)
        return groups.Groups(self, pieces, list(map(_bytes, objects)))

    def each(self, step: str, facts: list[list], pods: list[bytes], told: list[pd.DataFrame]) -> Iterator[tuple]:
        """Run the step on each group, all at once as far as there are workers."""
        with self.dask.careful(lambda: f"the step {step!r}"):
            shared = [_bytes(groups.to_arrow(table)) for table in told]
            run = self.dask.run
            found = [run(_STEPS[step], objects, shared, *pieces) for pieces, objects in zip(facts, pods, strict=True)]
            pairs = deque((run(_first, one), run(_second, one)) for one in found)
            del found
            for held in facts:
                kept, answer = pairs.popleft()
                self.dask.wait_for(f"the step {step!r}", answer)
                tables = answer.result()
                yield ([kept] if step in groups.KEEP else held), [groups.of_arrow(_arrow(data)) for data in tables]

    def frame(self, held: list) -> pd.DataFrame:
        """The table of a group."""
        (future,) = held
        return self.dask.fetched(Held(future, 0))

    def forget(self, facts: list) -> None:
        """Nothing to do: a future goes when no one has it any more."""

    def brought(self, held: groups.Groups) -> groups.Groups:
        """The groups in files of this machine."""
        return group_files.Files(None).kept(held.frames(), held.pods)


def _lost_errors() -> tuple[type[Exception], ...]:
    from distributed.client import ClosedClientError
    from distributed.comm import CommClosedError

    return ClosedClientError, CommClosedError


# What workers run; the names are those that Dask's dashboard shows.


def read_part(task: dict) -> bytes:
    """A part, with its evidence."""
    return parts.load(Task(**task)).to_bytes()


def read_evidence(task: dict) -> tuple[tuple[int, bytes], bytes]:
    """((rows of evidence, the part without it), the evidence)."""
    part = parts.load(Task(**task))
    tables = dict(part.tables)
    facts, counts = parts.extracted([tables["log_entries"]], [tables["events"]])
    tables["counts"] = parts.joined([tables["counts"], counts], schema.COVERAGE)
    facts = parts.joined_facts([tables["evidence"], facts])
    for name in ("log_entries", "events", "evidence"):
        tables[name] = tables[name].iloc[:0]
    facts = joins.coded(facts, schema.SHARED)
    return (len(facts), part._replace(tables=tables).to_bytes()), _bytes(groups.to_arrow(facts))


def _first(pair: tuple):
    return pair[0]


def _second(pair: tuple):
    return pair[1]


def _item(pieces: list, number: int):
    return pieces[number]


def part_evidence(cuts: list[int], lines: list[int], *facts: bytes) -> list[bytes]:
    """The evidence of some parts, with the line numbers of their files, by groups."""
    tables = [parts.moved(_table(data), before) for data, before in zip(facts, lines, strict=True)]
    return _cut(joins.stacked(tables, emptied=True), cuts)


def _cut(facts: pd.DataFrame, cuts: list[int]) -> list[bytes]:
    """The facts of each group."""
    return list(map(_bytes, groups.cut(groups.to_arrow(facts), cuts)))


def settle_group(pods: bytes, told: list[bytes], *facts: bytes) -> tuple:
    """The step of a group, of its pieces."""
    return _step("settle", pods, told, *facts)


def place_group(pods: bytes, told: list[bytes], *facts: bytes) -> tuple:
    """The step of a group."""
    return _step("place", pods, told, *facts)


def examine_group(pods: bytes, told: list[bytes], *facts: bytes) -> tuple:
    """The step of a group."""
    return _step("examine", pods, told, *facts)


_STEPS = {"settle": settle_group, "place": place_group, "examine": examine_group}


def _step(step: str, pods: bytes, told: list[bytes], *facts: bytes) -> tuple:
    kept, answers = groups.run(step, list(map(_arrow, facts)), _arrow(pods), list(map(_arrow, told)))
    return (None if kept is None else _bytes(kept)), list(map(_bytes, answers))


def _bytes(table: pa.Table) -> bytes:
    """A table on its way through a network."""
    return zlib.compress(packed([table]), 1)


def _arrow(data: bytes) -> pa.Table:
    _, (table,) = unpacked(zlib.decompress(data))
    return table


def _table(data: bytes) -> pd.DataFrame:
    return groups.of_arrow(_arrow(data))
