"""Files as a Cloud Storage sink lays them out, and the manifest that says which hours are whole.

`LOG_ID/YYYY/MM/DD/HH:00:00_HH:59:59_S0.json`; on Windows, which knows no colon in names, with `_` for it.
A file appears whole or not at all: written beside its place, synced, renamed.
"""

import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from meshlogs.errors import FetchError
from meshlogs.text import clean

MANIFEST = ".meshlogs-fetch.json"
_COLON = "_" if sys.platform == "win32" else ":"
_LONGEST = 200  # letters of one folder's name; file systems take 255 bytes
# Characters of a log's name that are no part of a path of ours.
_KEPT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


def write(out: Path, hour: pd.Timestamp, pieces: Iterable[list[tuple[tuple, str]]]) -> tuple[list[str], int]:
    """Write an hour's entries, pieces of (key, line) in order; the names of the files, and how many entries.

    No more than a piece is in memory. Raises FetchError if the disk does not take them.
    """
    begun: dict[str, Path] = {}
    count = 0
    for piece in pieces:
        count += len(piece)
        logs = defaultdict(list)
        for (_, _, log, *_), line in piece:
            logs[_folder(log)].append(line)
        for folder, lines in logs.items():
            name = f"{folder}/{hour:%Y/%m/%d/%H}:00:00_{hour:%H}:59:59_S0.json".replace(":", _COLON)
            with _told(out / name):
                _append(out / name, "".join(f"{line}\n" for line in lines), anew=name not in begun)
            begun[name] = out / name
    for path in begun.values():
        with _told(path):
            _finish(path)
    return sorted(begun), count


def _folder(log: str) -> str:
    """LOG_ID of `projects/P/logs/LOG_ID`, decoded, as a path that stays where it is and is not hidden."""
    name = unquote(log.partition("/logs/")[2])
    kept = "".join(letter if letter in _KEPT else "_" for letter in name)
    return "/".join(short for part in kept.split("/") if (short := part.lstrip(".")[:_LONGEST])) or "unnamed"


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")


def _append(path: Path, text: str, anew: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with _beside(path).open("w" if anew else "a", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


def _finish(path: Path) -> None:
    with _beside(path).open("r+b") as file:
        os.fsync(file.fileno())
    _beside(path).replace(path)


@contextmanager
def _told(path: Path):
    """What the disk does not take is told as an error of ours."""
    try:
        yield
    except OSError as error:
        told = f"cannot be written: {error.strerror or error}"
        raise FetchError(str(path), told, "Make room for it, then run the same command again: it goes on.") from error


class Manifest:
    """Which hours of a request are done. Raises FetchError if the folder holds anything else."""

    def __init__(self, out: Path, request: dict):
        self._out, self._path = out, out / MANIFEST
        self._told = {"version": 1, **request, "done": {}}
        if self._path.exists():
            old = self._read()
            if {**old, "done": {}} != self._told:
                raise FetchError(str(out), "holds what another request fetched", "Choose another --out, or empty it.")
            self._told = old
        else:
            with _told(out):
                out.mkdir(parents=True, exist_ok=True)
                strange = sorted(path.name for path in out.iterdir() if not path.name.startswith("."))
            if strange:  # a sink's own files have the names that ours would get
                found = f"holds files that no fetch wrote, such as {clean(strange[0], 80)!r}"
                raise FetchError(str(out), found, "Choose another --out.")
            self._save()

    def has(self, hour: str) -> bool:
        """Whether the hour is done and its files are still there."""
        noted = self._told["done"].get(hour)
        return noted is not None and all((self._out / name).is_file() for name in noted["files"])

    def entries(self, hour: str) -> int:
        """How many entries an hour has that is done."""
        return self._told["done"][hour]["entries"]

    def note(self, hour: str, files: list[str], entries: int) -> None:
        """The hour is done; kept on disk before this returns."""
        self._told["done"][hour] = {"entries": entries, "files": files}
        self._save()

    def _read(self) -> dict:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            hours = found["done"].values()
            sound = all(isinstance(hour["entries"], int) and all(map(Path, hour["files"])) for hour in hours)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise FetchError(str(self._path), f"cannot be read: {error}", "Choose another --out.") from error
        if not sound:
            raise FetchError(str(self._path), "cannot be read: it was changed", "Choose another --out.")
        return found

    def _save(self) -> None:
        with _told(self._path):
            _append(self._path, json.dumps(self._told, indent=1, sort_keys=True) + "\n", anew=True)
            _finish(self._path)
