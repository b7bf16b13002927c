"""Files as a Cloud Storage sink lays them out, and the manifest that says which hours are whole.

`LOG_ID/YYYY/MM/DD/HH:00:00_HH:59:59_S0.json`; on Windows, which knows no colon in names, with `_` for it.
A file appears whole or not at all: written beside its place, synced, renamed.
"""

import json
import os
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import unquote

import pandas as pd

from meshlogs.errors import FetchError

MANIFEST = ".meshlogs-fetch.json"
_COLON = "_" if sys.platform == "win32" else ":"
# Characters of a log's name that are no part of a path of ours.
_KEPT = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")


def write(out: Path, hour: pd.Timestamp, found: list[tuple[tuple, str]]) -> list[str]:
    """Write the entries (key, line) of an hour; the names of the files, in order."""
    logs = defaultdict(list)
    for (_, _, log, _), line in found:
        logs[_folder(log)].append(line)
    names = []
    for folder, lines in sorted(logs.items()):
        name = f"{folder}/{hour:%Y/%m/%d/%H}:00:00_{hour:%H}:59:59_S0.json".replace(":", _COLON)
        _whole(out / name, "".join(f"{line}\n" for line in lines))
        names.append(name)
    return names


def _folder(log: str) -> str:
    """LOG_ID of `projects/P/logs/LOG_ID`, decoded, as a path that stays where it is."""
    name = unquote(log.partition("/logs/")[2] or "unnamed")
    clean = "".join(letter if letter in _KEPT else "_" for letter in name)
    return "/".join(part for part in clean.split("/") if part.strip(".")) or "unnamed"


def _whole(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.part")
    with beside.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


class Manifest:
    """Which hours of a request are done. Raises FetchError if the folder holds another request's."""

    def __init__(self, out: Path, request: dict):
        self._path = out / MANIFEST
        self._told = {"version": 1, **request, "done": {}}
        if self._path.exists():
            old = self._read()
            if {**old, "done": {}} != self._told:
                raise FetchError(str(out), "holds what another request fetched", "Choose another --out, or empty it.")
            self._told = old
        else:
            self._save()

    @property
    def done(self) -> dict:
        """Entries and files by hour."""
        return self._told["done"]

    @property
    def entries(self) -> int:
        """Entries of all hours that are done."""
        return sum(hour["entries"] for hour in self.done.values())

    def note(self, hour: str, files: list[str], entries: int) -> None:
        """The hour is done; kept on disk before this returns."""
        self.done[hour] = {"entries": entries, "files": files}
        self._save()

    def _read(self) -> dict:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise FetchError(str(self._path), f"cannot be read: {error}", "Choose another --out.") from error
        return found if isinstance(found, dict) else {}

    def _save(self) -> None:
        _whole(self._path, json.dumps(self._told, indent=1, sort_keys=True) + "\n")
