"""Where exports lie and reports go: this machine's disk, or object storage such as `gs://bucket/folder` (fsspec)."""

import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from meshlogs.errors import InputError

# Read ahead of object storage in pieces of this size.
AHEAD = 8 << 20


def place(path):
    """The path, of this machine or (`gs://…` and the like) of object storage.

    Raises InputError for a kind of storage whose package is not installed.

    >>> place("exports/a.json")
    PosixPath('exports/a.json')
    """
    if not isinstance(path, str) or "://" not in path:
        return Path(path) if isinstance(path, str) else path
    try:
        from upath import UPath

        return UPath(path)
    except (ImportError, ValueError) as error:
        advice = "For Google Cloud Storage install the extra: pip install 'meshlogs[cluster]'."
        raise InputError(path, f"this storage cannot be reached: {error}", advice) from error


def is_local(path) -> bool:
    """Whether a path is on this machine's disk."""
    return isinstance(path, Path) and not hasattr(path, "fs")


def open_binary(path, buffer: int) -> BinaryIO:
    """An open file that can `peek`. Raises OSError."""
    if is_local(path):
        return path.open("rb", buffering=buffer)
    return _Named(path.fs.open(path.path, "rb", block_size=AHEAD), buffer, str(path))


def walk(root) -> Iterator:
    """The visible files of a folder, at any depth, in order."""
    if not is_local(root):
        for path in sorted(root.rglob("*"), key=str):
            inner = path.relative_to(root).parts if hasattr(path, "parts") else ()
            if path.is_file() and not any(part.startswith(".") for part in inner):
                yield path
        return
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith("."))


def folder(out: Path | str) -> Path:
    """A folder of this machine, made if it is not there. Raises InputError where it cannot be made or written to."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise InputError(str(out), "a file stands where the output folder should be", "Choose another --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(str(out), f"cannot be made: {error.strerror or error}", "Choose another --out.") from error
    if not os.access(out, os.W_OK | os.X_OK):
        raise InputError(str(out), "nothing can be written to this folder", "Choose another --out.")
    return out


@contextmanager
def writing(out) -> Iterator[Path]:
    """A folder of this machine whose files stand in `out` when the block ends; `out` itself if it is one."""
    if is_local(out):
        yield out
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        for path in walk(Path(folder)):
            target = out.joinpath(*path.relative_to(folder).parts)
            target.fs.put_file(str(path), target.path)


class _Named(io.BufferedReader):
    """A buffered reader whose name is the path."""

    def __init__(self, raw, buffer: int, name: str):
        super().__init__(raw, buffer)
        self._name = name

    @property
    def name(self) -> str:
        """The path."""
        return self._name
