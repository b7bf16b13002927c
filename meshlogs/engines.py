"""Where the parts of an export are read: in this process, or in several at once.

Workers are processes of their own that are told tasks as JSON lines and answer with Arrow streams, so a script needs no
guard around its main part, and nothing is pickled.
"""

import json
import os
import queue
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from meshlogs import errors
from meshlogs.errors import WorkerError
from meshlogs.parts import Part, Task, load

# Below this a worker's start takes longer than the work.
SMALL = 48 << 20
_LENGTH = struct.Struct("<Q")
_OK, _FAILED = b"+", b"-"


class Local:
    """Reads parts in this process, or on all its cores where there is enough to read."""

    def __init__(self, workers: int | None = None):
        self.workers = workers or _cores()

    def load(self, tasks: list[Task]) -> Iterator[Part]:
        """The parts of these tasks, in their order.

        Raises the first InputError, and WorkerError for a worker that died twice over one task.
        """
        if self.workers < 2 or len(tasks) < 2 or sum(task.size for task in tasks) < SMALL:
            yield from map(load, tasks)
            return
        with _Workers(min(self.workers, len(tasks))) as workers, ThreadPoolExecutor(workers.count) as threads:
            # A few tasks ahead, not all: what is done waits in memory.
            waiting = [threads.submit(workers.load, task) for task in tasks[: 2 * workers.count]]
            for task in [*tasks[2 * workers.count :], *([None] * len(waiting))]:
                part = waiting.pop(0).result()
                if task is not None:
                    waiting.append(threads.submit(workers.load, task))
                yield part


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Workers:
    """Worker processes, each used by one thread at a time."""

    def __init__(self, count: int):
        self.count = count
        self._free: queue.SimpleQueue = queue.SimpleQueue()
        self._all: list[subprocess.Popen] = []

    def __enter__(self):
        for _ in range(self.count):
            self._free.put(self._start())
        return self

    def __exit__(self, *_):
        for process in self._all:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):  # a task may be on its way still
                process.stdin.close()

    def load(self, task: Task) -> Part:
        """The part of a task; a worker that dies is replaced, and the task tried once more."""
        for _ in range(2):
            process = self._free.get()
            try:
                answer = _ask(process, task)
            except (OSError, EOFError):
                process.kill()
                process = self._start()
                continue
            finally:
                self._free.put(process)
            if answer[:1] == _OK:
                return Part.from_bytes(answer[1:])
            told = json.loads(answer[1:])
            raise getattr(errors, told["error"])(*told["args"])
        raise WorkerError(task.source, "the worker process died twice while reading it")

    def _start(self) -> subprocess.Popen:
        command = [sys.executable, "-c", "from meshlogs.engines import serve; serve()"]
        path = os.pathsep.join([*filter(None, sys.path)])
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}
        )
        self._all.append(process)
        return process


def _ask(process: subprocess.Popen, task: Task) -> bytes:
    process.stdin.write(json.dumps(task._asdict()).encode() + b"\n")
    process.stdin.flush()
    head = process.stdout.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    answer = process.stdout.read(length)
    if len(answer) < length:
        raise EOFError
    return answer


def serve() -> None:
    """A worker's life: tasks from standard input, one a line; answers to standard output, with their length."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write there
    for line in sys.stdin.buffer:
        try:
            answer = _OK + load(Task(**json.loads(line))).to_bytes()
        except errors.MeshlogsError as error:
            answer = _FAILED + json.dumps({"error": type(error).__name__, "args": error.args}).encode()
        answers.write(_LENGTH.pack(len(answer)) + answer)
        answers.flush()
