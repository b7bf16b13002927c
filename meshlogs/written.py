"""What meshlogs itself wrote into a folder, told by its names from what is a user's.

Who reads a folder leaves it out, or would count everything again; who writes there anew removes it, or names that are
no longer in the export, or are to be redacted, would stay.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from meshlogs import storage

PAGES = ("report.html", "report.ipynb", "report.md", "report.json", "summary.json")
TABLES = ("errors", "starts", "incidence", "remedies", "coverage", "rejects", "pods", "evidence")
CONVERTED = tuple(f"{name}.parquet" for name in ("log_entries", "events", "pods", "rejects"))


class Kind(NamedTuple):
    """What a command writes: names of its files, and those of which all of a line are there only if it did."""

    what: str
    names: re.Pattern  # below the folder
    marks: tuple[tuple[str, ...], ...]
    folders: tuple[str, ...] = ()  # where files lie besides the folder itself


REPORT = Kind(
    "a report",
    re.compile(
        rf"{'|'.join(map(re.escape, PAGES))}|tables/(?:{'|'.join(TABLES)})\.(?:parquet|csv)"
        r"|patches/[\w-]+/[a-z_]+/(?:patch|kustomization|istio-operator)\.yaml"
        r"|patches/code/(?:wait_for_proxy\.[a-z]+|WaitForProxy\.java)"
    ),
    # Tables are written first; `ml.write_report` writes none.
    (("tables/errors.parquet", "tables/starts.parquet"), ("report.html", "report.md", "report.json")),
    ("tables", "patches"),
)
CONVERSION = Kind("a converted export", re.compile("|".join(map(re.escape, CONVERTED))), (CONVERTED,))
FLEET = Kind(
    "a made-up fleet",
    re.compile(
        r"export/[^/]+/\d{4}/\d\d/\d\d/\d\d_00_00_\d\d_59_59_(?:S\d+|A0_\d+)\.json(?:\.gz)?"
        r"|export/(?:pods|kubectl-events)\.json|truth/(?:starts|errors)\.csv|truth/summary\.json"
    ),
    (("truth/starts.csv", "truth/errors.csv", "truth/summary.json"),),
    ("export", "truth"),
)


def apart(root, paths: Iterable) -> tuple[list, list[str]]:
    """Those of the files below a folder that are no report nor converted export, and where there are such, in words.

    A folder that is itself converted is read: who names it wants it.
    """
    names = {path.relative_to(root).as_posix(): path for path in paths}
    told, own = [], set()
    for kind in (REPORT, CONVERSION):
        for folder in _folders(names, kind):
            if folder or kind is REPORT:
                own |= {name for name in names if name.startswith(folder) and kind.names.fullmatch(name, len(folder))}
                told.append(f"{root / folder}: {kind.what} that meshlogs wrote")
    return [path for name, path in names.items() if name not in own], told


def _folders(names: Iterable[str], kind: Kind) -> list[str]:
    """The folders (`a/b/`) that hold all files of a mark."""
    return sorted(
        {
            folder
            for mark in kind.marks
            for name in names
            if name.endswith(mark[0]) and (folder := name.removesuffix(mark[0]))[-1:] in ("", "/")
            if all(folder + other in names for other in mark)
        }
    )


def clear(out, kind: Kind, *, keep: str | Path | None = None) -> None:
    """Remove what an earlier run wrote to a folder, and the folders that are empty then; `keep` stays."""
    places = [out / name for name in kind.folders]
    found = [path for place in places if place.is_dir() for path in storage.walk(place)]
    found += [path for path in out.iterdir() if path.is_file()] if out.is_dir() else []
    names = {path.relative_to(out).as_posix(): path for path in found}
    if "" not in _folders(names, kind):
        return
    for name, path in names.items():
        if kind.names.fullmatch(name) and not (keep and path.resolve() == Path(keep).resolve()):
            path.unlink()
            for folder in path.parents if storage.is_local(out) else ():
                if folder == out or any(folder.iterdir()):
                    break
                folder.rmdir()
