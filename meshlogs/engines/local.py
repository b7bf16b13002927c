"""The engine of one machine: reads and judges in this process, and in a worker for each further core.

Workers are processes of their own that are told tasks as JSON lines and answer with Arrow streams, so a script needs no
guard around its main part, and nothing is pickled.
"""

import json
import os
import queue
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from typing import Any

import pyarrow as pa

from meshlogs import errors
from meshlogs.engines.workers import IDLE_S, SMALL, cores, end, end_early, leave, taken
from meshlogs.errors import WorkerError
from meshlogs.later import Later
from meshlogs.reading.parts import Part, Task, load

group_files = Later("meshlogs.engines.group_files")  # what only reads needs no judging

_LENGTH = struct.Struct("<Q")
_READY, _OK, _FAILED = b"!", b"+", b"-"


class Local:
    """Reads parts in this process and, where there is enough to read, in a worker for each further core."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or cores()

    def load(self, tasks: list[Task], *, hold: bool = False) -> Iterator[Part]:  # noqa: ARG002 (a cluster holds)
        """The parts of these tasks, in their order; evidence comes with them, `hold` or not.

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
        yield from _spread(tasks, workers, load, lambda task: Part.from_bytes(workers.load(task)))

    def parted(self) -> "group_files.Files":
        """Where evidence that is too much for memory goes: files, whose groups are worked on here and in workers."""
        return group_files.Files(self._answers)

    def _answers(self, messages: list[dict]) -> Iterator[bytes]:
        count = min(self.workers, len(messages))
        if count < 2:
            yield from map(group_files.answer, messages)
            return
        workers = _Workers(count - 1, stay=True)  # one step follows another
        yield from _spread(messages, workers, group_files.answer, workers.answer)


def _spread(jobs: list, workers: "_Workers", here: Callable, there: Callable) -> Iterator:
    """What comes of these jobs, in order: of `here(job)` in this process, or of `there(job)`, which asks a worker."""
    workers.start()
    # A thread takes its first job once its worker is there: until then they are done here.
    with ThreadPoolExecutor(workers.count, initializer=workers.begin) as threads:
        # A few jobs ahead, not all: what is done waits in memory.
        rest = iter(jobs)
        waiting = deque((job, threads.submit(there, job)) for job in islice(rest, 2 * workers.count + 2))
        try:
            while waiting:
                _help(waiting, here)
                yield waiting.popleft()[1].result()
                waiting.extend((job, threads.submit(there, job)) for job in islice(rest, 1))
        finally:
            for _, future in waiting:
                future.cancel()
            workers.close()


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


def _help(waiting: deque[tuple[Any, Future]], here: Callable) -> None:
    """Do here what no worker has begun to do, until the first job is done."""
    while not waiting[0][1].done():
        for place, (job, future) in enumerate(waiting):
            if future.cancel():
                waiting[place] = job, _done(job, here)
                break
        else:
            wait([waiting[0][1]])


def _done(job, here: Callable) -> Future:
    """What came of a job that is done at once."""
    future: Future = Future()
    try:
        future.set_result(here(job))
    except errors.MeshlogsError as error:  # told when it is this job's turn
        future.set_exception(error)
    return future


class _Workers:
    """Worker processes, each used by one thread at a time; those that `stay` may be taken again within a while."""

    def __init__(self, count: int, *, stay: bool = False):
        self.count, self._stay = count, stay
        self._starting: queue.SimpleQueue = queue.SimpleQueue()
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._all: list[subprocess.Popen] = []
        self._ended = False

    def start(self) -> None:
        """Start them; they load for half a second."""
        for _ in range(self.count):
            self._starting.put(self._start())
        end_early()

    def close(self) -> None:
        """End them, whatever they do."""
        self._ended = True
        while self._stay and not self._free.empty():
            process = self._free.get()
            if leave(process):
                self._all.remove(process)
        for process in self._all:
            end(process)

    def begin(self) -> None:
        """Wait until one more worker is there, or all are ended."""
        process = self._starting.get()
        with suppress(ValueError):  # closed meanwhile
            process.stdout.read(len(_READY))
        self._free.put(process)

    def load(self, task: Task) -> bytes:
        """The part of a task."""
        return self._told({"load": task._asdict()}, task.source)

    def answer(self, message: dict) -> bytes:
        """What a message of `group_files` asks for."""
        return self._told(message, "evidence")

    def _told(self, message: dict, source: str) -> bytes:
        """The answer to a message; a worker that dies is replaced, and asked once more."""
        for _ in range(2):
            process = self._free.get()
            try:
                sign, answer = _ask(process, message)
            except (OSError, EOFError):
                process.kill()
                if not self._ended:
                    process = self._start()
                    process.stdout.read(len(_READY))
                continue
            finally:
                self._free.put(process)
            if sign == _OK:
                return answer
            told = json.loads(answer)
            raise getattr(errors, told["error"])(*told["args"])
        raise WorkerError(source, "the worker process died twice while it worked on it")

    def _start(self) -> subprocess.Popen:
        self._all.append(taken())
        return self._all[-1]


def _ask(process: subprocess.Popen, message: dict) -> tuple[bytes, bytes]:
    process.stdin.write(json.dumps(message).encode() + b"\n")
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
    """A worker's life: messages from standard input, one a line; answers to standard output, with their length."""
    pa.set_memory_pool(pa.system_memory_pool())  # the usual one keeps what it once had
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write there
    answers.write(_READY)
    answers.flush()
    waits = threading.Timer(IDLE_S, os._exit, [0])  # not begun: somebody is about to ask
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if not message:  # nothing to do for now
            answers.write(_READY)
            answers.flush()
            waits = threading.Timer(IDLE_S, os._exit, [0])
            waits.daemon = True
            waits.start()
            continue
        waits.cancel()
        try:
            task = message.get("load")
            sign, answer = _OK, load(Task(**task)).to_bytes() if task else group_files.answer(message)
        except errors.MeshlogsError as error:
            sign, answer = _FAILED, json.dumps({"error": type(error).__name__, "args": error.args}).encode()
        answers.write(sign + _LENGTH.pack(len(answer)))
        answers.write(answer)
        answers.flush()
