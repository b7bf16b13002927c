"""Worker processes, begun early: each loads for half a second, in which this process is still loading itself."""

import atexit
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

# Bytes of all files below which a worker's start takes longer than the work.
SMALL = 48 << 20
_MANY = 1000  # files; more need not be looked at
# Seconds after which a worker that was left ends by itself.
IDLE_S = 2

_early: list[subprocess.Popen] = []


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def begin_early(paths: Iterable[Path | str]) -> None:
    """Begin the workers that reading these files and folders will take, if any."""
    sizes = list(islice(_sizes(paths), _MANY))
    if len(sizes) > 1 and sum(sizes) >= SMALL:
        _early.extend(begin() for _ in range(min(cores(), len(sizes)) - 1))


def taken() -> subprocess.Popen:
    """A worker that was begun early, or a new one."""
    return _early.pop() if _early else begin()


def leave(process: subprocess.Popen) -> bool:
    """Whether a worker that has nothing to do could be left for whom needs one next."""
    try:
        process.stdin.write(b"{}\n")
        process.stdin.flush()
    except OSError:
        return False
    _early.append(process)
    return True


@atexit.register
def end_early() -> None:
    """End the workers that were begun early and are not taken."""
    while _early:
        end(_early.pop())


def begin() -> subprocess.Popen:
    """A new worker (`local.serve`), which loads."""
    path = os.pathsep.join([*filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-c", "from meshlogs.engines.local import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pipesize=1 << 20,  # else the one that reads, which has other work, would be asked for each 64 kB
        # Nothing multiplies large matrices there, and OpenBLAS's threads cost half of what NumPy takes to load.
        env={"OPENBLAS_NUM_THREADS": "1"} | os.environ | {"PYTHONPATH": path},
    )


def end(process: subprocess.Popen) -> None:
    """End a worker, whatever it does."""
    process.kill()
    process.wait()
    process.stdout.close()
    with suppress(BrokenPipeError):  # a task may be on its way still
        process.stdin.close()


def _sizes(paths: Iterable[Path | str]) -> Iterator[int]:
    """The sizes of files of this machine."""
    for path in map(Path, map(str, paths)):
        files = path.rglob("*") if path.is_dir() else [path]
        yield from (file.stat().st_size for file in files if file.is_file())
