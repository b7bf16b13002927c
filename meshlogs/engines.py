"""Where the parts of an export are read: in this process, in several at once, or on a Dask cluster.

Workers are processes of their own that are told tasks as JSON lines and answer with Arrow streams, so a script needs no
guard around its main part, and nothing is pickled.
"""

import json
import os
import queue
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice

import pyarrow as pa

from meshlogs import errors
from meshlogs.errors import WorkerError
from meshlogs.parts import Part, Task, load
from meshlogs.workers import SMALL, cores, end, end_early, taken

_LENGTH = struct.Struct("<Q")
_READY, _OK, _FAILED = b"!", b"+", b"-"


class Local:
    """Reads parts in this process and, where there is enough to read, in a worker for each further core."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or cores()

    def load(self, tasks: list[Task]) -> Iterator[Part]:
        """The parts of these tasks, in their order.

        Raises the first InputError, and WorkerError for a worker that died twice over one task.
        """
        if self.workers < 2 or len(tasks) < 2 or sum(task.size for task in tasks) < SMALL:
            end_early()
            yield from map(load, tasks)
            return
        count = min(self.workers, len(tasks))
        if sum(task.size for task in tasks if not task.is_compiled) < SMALL:
            end_early()
            yield from _in_threads(tasks, count)
            return
        workers = _Workers(count - 1)
        # A thread takes its first task once its worker is there: until then they are read here.
        with ThreadPoolExecutor(count - 1, initializer=workers.begin) as threads, workers:
            # A few tasks ahead, not all: what is done waits in memory.
            rest = iter(tasks)
            waiting = deque((task, threads.submit(workers.load, task)) for task in islice(rest, 2 * count))
            try:
                while waiting:
                    _help(waiting)
                    yield waiting.popleft()[1].result()
                    waiting.extend((task, threads.submit(workers.load, task)) for task in islice(rest, 1))
            finally:
                for _, future in waiting:
                    future.cancel()


def _in_threads(tasks: list[Task], count: int) -> Iterator[Part]:
    """The parts of tasks that are mostly compiled code: threads need no more memory, and what they read stays here."""
    with ThreadPoolExecutor(count) as threads:
        rest = iter(tasks)
        waiting = deque(threads.submit(load, task) for task in islice(rest, count + 1))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(threads.submit(load, task) for task in islice(rest, 1))
        finally:
            for future in waiting:
                future.cancel()


def _help(waiting: deque[tuple[Task, Future]]) -> None:
    """Read here what no worker has begun to read, until the first task is done."""
    while not waiting[0][1].done():
        for place, (task, future) in enumerate(waiting):
            if future.cancel():
                waiting[place] = task, _done(task)
                break
        else:
            wait([waiting[0][1]])


def _done(task: Task) -> Future:
    """What came of a task that is read at once."""
    future: Future = Future()
    try:
        future.set_result(load(task))
    except errors.MeshlogsError as error:  # told when it is this task's turn
        future.set_exception(error)
    return future


class Dask:
    """Reads parts on the workers of a Dask cluster, a few at a time; what comes back is gathered here.

    `client` is a `distributed.Client`. Workers need meshlogs and a path to the files.
    """

    def __init__(self, client):
        self.client = client

    def load(self, tasks: list[Task]) -> Iterator[Part]:
        """The parts of these tasks, in their order, whatever becomes of single workers.

        A task whose worker died goes to another one, one that failed is tried again. Raises InputError, and
        WorkerError for a task that killed several workers or when the scheduler is lost.
        """
        from distributed import CancelledError, KilledWorker
        from distributed import TimeoutError as DaskTimeout
        from distributed.client import ClosedClientError
        from distributed.comm import CommClosedError

        ahead = 2 * max(sum(self.client.nthreads().values()), 1)
        waiting: deque = deque()
        source = "the cluster"
        try:
            for task in [*tasks, *([None] * ahead)]:
                if task is not None:
                    submitted = self.client.submit(_load_bytes, task._asdict(), pure=False, retries=RETRIES)
                    waiting.append((task.source, submitted))
                if waiting and (task is None or len(waiting) > ahead):
                    source, future = waiting.popleft()
                    self._wait(source, future)
                    yield Part.from_bytes(future.result())
        except KilledWorker as error:
            raise WorkerError(source, "each worker that read it died") from error
        except (ClosedClientError, CommClosedError, CancelledError, DaskTimeout, TimeoutError, OSError) as error:
            raise WorkerError(source, f"the cluster was lost: {type(error).__name__}", _LOST) from error
        finally:
            with suppress(ClosedClientError, CommClosedError):
                self.client.cancel([future for _, future in waiting])

    def _wait(self, source: str, future) -> None:
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


# How often a task that failed is tried again; then seconds: how long one may take, how often one looks whether workers
# are there, how long a cluster may be without (one that scales itself begins with none), and how long to connect.
RETRIES, LONGEST_S, LOOK_S, ALONE_S, CONNECT_S = 2, 3600, 10, 300, 20
_ALONE = "Start workers, look at their logs if they end at once, and run the same command again."
_LOST = "Start the scheduler again, check its address, and run the same command again."


def engine_of(engine):
    """The engine that someone names: None for this machine, a scheduler's address, or a `distributed.Client`.

    Raises WorkerError for an address at which no scheduler answers, or if Dask is not installed.
    """
    if engine is None:
        return Local()
    if hasattr(engine, "load"):
        return engine
    if not isinstance(engine, str):
        return Dask(engine)
    try:
        from distributed import Client, Security
        from distributed.comm import connect
        from distributed.utils import LoopRunner
    except ImportError as error:
        advice = "Install the extra: pip install 'meshlogs[cluster]'."
        raise WorkerError(engine, "Dask is not installed", advice) from error

    async def ask():
        comm = await connect(engine, timeout=CONNECT_S, **Security().get_connection_args("client"))
        await comm.close()

    try:
        # A Client that fails to connect is left to the garbage collector, which can stop the next Client for ever:
        # its end takes the lock that the other's beginning holds.
        LoopRunner().run_sync(ask)
        return Dask(Client(engine, timeout=CONNECT_S))
    except (OSError, TimeoutError, ValueError) as error:
        advice = "Give the address that 'dask scheduler' prints, such as tcp://10.0.0.5:8786."
        raise WorkerError(engine, "no scheduler answers there", advice) from error


def _load_bytes(task: dict) -> bytes:
    return load(Task(**task)).to_bytes()


class _Workers:
    """Worker processes, each used by one thread at a time."""

    def __init__(self, count: int):
        self.count = count
        self._starting: queue.SimpleQueue = queue.SimpleQueue()
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._all: list[subprocess.Popen] = []
        self._ended = False

    def __enter__(self):
        for _ in range(self.count):
            self._starting.put(self._start())
        end_early()
        return self

    def __exit__(self, *_):
        self._ended = True
        for process in self._all:
            end(process)

    def begin(self) -> None:
        """Wait until one more worker is there, or all are ended."""
        process = self._starting.get()
        with suppress(ValueError):  # closed meanwhile
            process.stdout.read(len(_READY))
        self._free.put(process)

    def load(self, task: Task) -> Part:
        """The part of a task; a worker that dies is replaced, and the task tried once more."""
        for _ in range(2):
            process = self._free.get()
            try:
                sign, answer = _ask(process, task)
            except (OSError, EOFError):
                process.kill()
                if not self._ended:
                    process = self._start()
                    process.stdout.read(len(_READY))
                continue
            finally:
                self._free.put(process)
            if sign == _OK:
                return Part.from_bytes(answer)
            told = json.loads(answer)
            raise getattr(errors, told["error"])(*told["args"])
        raise WorkerError(task.source, "the worker process died twice while reading it")

    def _start(self) -> subprocess.Popen:
        self._all.append(taken())
        return self._all[-1]


def _ask(process: subprocess.Popen, task: Task) -> tuple[bytes, bytes]:
    process.stdin.write(json.dumps(task._asdict()).encode() + b"\n")
    process.stdin.flush()
    head = process.stdout.read(1 + _LENGTH.size)
    if len(head) < 1 + _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack_from(head, 1)
    answer = process.stdout.read(length)
    if len(answer) < length:
        raise EOFError
    return head[:1], answer


def serve() -> None:
    """A worker's life: tasks from standard input, one a line; answers to standard output, with their length."""
    pa.set_memory_pool(pa.system_memory_pool())  # the usual one keeps what it once had
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write there
    answers.write(_READY)
    answers.flush()
    for line in sys.stdin.buffer:
        try:
            sign, answer = _OK, load(Task(**json.loads(line))).to_bytes()
        except errors.MeshlogsError as error:
            sign, answer = _FAILED, json.dumps({"error": type(error).__name__, "args": error.args}).encode()
        answers.write(sign + _LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()
