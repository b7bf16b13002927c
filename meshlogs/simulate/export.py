"""The files of an export: hourly shards as a Cloud Storage sink writes them, and lists as kubectl prints them."""

import gzip
import json
from pathlib import Path

import numpy as np

from meshlogs import times
from meshlogs.simulate.process import SECOND

HOUR = 3600 * SECOND


def write_shards(out: Path, entries: list[dict], *, shards: int, duplicates: float, compress: bool, rng) -> None:
    """Write hourly files, unordered; a share of the entries twice, those received in a later hour apart.

    Colons in the sink's file names are underscores here, so that every file system takes them.
    """
    twice = [*entries, *(row for row in entries if rng.random() < duplicates)]
    files: dict[Path, list[str]] = {}
    for row, shard in zip(twice, rng.integers(2**31, size=len(twice)), strict=True):
        path = out / _folder(row) / (_name(row, int(shard) % shards) + (".gz" if compress else ""))
        files.setdefault(path, []).append(json.dumps(row, sort_keys=True, separators=(",", ":")))
    for path in sorted(files):
        _write(path, _shuffled(files[path], rng), compress)


def _folder(row: dict) -> Path:
    return Path(row["logName"].rpartition("/")[2], *row["timestamp"][:10].split("-"))


def _name(row: dict, shard: int) -> str:
    hour = row["timestamp"][11:13]
    late = row["receiveTimestamp"][:13] != row["timestamp"][:13]
    routed = times.parse_ns(row["receiveTimestamp"]) // HOUR * 3600
    return f"{hour}_00_00_{hour}_59_59_" + (f"A0_{routed}" if late else f"S{shard}") + ".json"


def _shuffled(lines: list[str], rng: np.random.Generator) -> str:
    return "".join(lines[at] + "\n" for at in rng.permutation(len(lines)))


def _write(path: Path, text: str, compress: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No time in the header: the same seed, the same bytes.
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if compress else text.encode())


def write_list(path: Path, items: list[dict]) -> None:
    """Write a kubectl List."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"apiVersion": "v1", "items": items, "kind": "List"}, indent=1) + "\n", encoding="utf-8")
