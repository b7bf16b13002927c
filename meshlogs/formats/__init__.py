"""Readers: one module per form of export, each with `sniff` and `read`, listed in `FORMATS`.

The form of a file is found from its content. A file becomes a `Shard`: rows of the canonical tables, and a
reject for every record that could not be read.
"""

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from meshlogs.errors import InputError
from meshlogs.formats import compact, k8s_objects, log_entries, pod_logs, streams, yaml_documents
from meshlogs.formats.tables import Shard, Tables, excerpt

# In the order in which they are tried: the last ones are the most easily content.
FORMATS = {
    "log_entries": log_entries,
    "k8s_objects": k8s_objects,
    "yaml": yaml_documents,
    "compact": compact,
    "pod_logs": pod_logs,
}

EMPTY = "empty"
HEAD = 1 << 16  # bytes looked at to find the form


def detect(path: str | Path) -> str:
    """The form of a file: a key of `FORMATS`, or "empty" where there is nothing but blanks.

    Raises InputError, with the forms that were tried and the first bytes, when none fits.
    """
    path = Path(path)
    with _opened(path) as file:
        head = file.read(HEAD)
    form = _form_of(head, path)
    if form is None:
        raise InputError(str(path), _unknown(head), "Name the form, or leave the file out.")
    return form


def read(path: str | Path, form: str | None = None, source: str | None = None) -> Shard:
    """The rows of one file, whose form is found from its content unless it is given.

    `source` is what the tables call the file (default: its name). Raises InputError for a file that
    cannot be opened, or whose form is unknown.
    """
    path = Path(path)
    form = form or detect(path)
    if form != EMPTY and form not in FORMATS:
        raise InputError(str(path), f"no form named {form!r}", f"Known forms: {', '.join(FORMATS)}.")
    return _read(path, form, path.name if source is None else source)


def is_lines(path: str | Path) -> bool:
    """Whether a file holds log entries, one a line. Raises InputError for a file that cannot be opened."""
    path = Path(path)
    with _opened(path) as file:
        head = file.read(HEAD)
    return _form_of(head, path) == "log_entries" and not log_entries.is_document(head.splitlines(keepends=True))


def read_any(path: str | Path, source: str | None = None) -> Shard:
    """Like `read`, but a file that is unreadable or of no known form is one reject, not an error."""
    path = Path(path)
    source = path.name if source is None else source
    try:
        return read(path, source=source)
    except InputError as error:
        tables = Tables(source)
        tables.records = 1
        tables.reject(None, error.found.partition("; it begins with ")[0], _glimpse(path))
        return tables.shard("unknown")


def files(paths: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """(path, source) of every file in these files and folders, at any depth, each once, sorted by source.

    `source` is the path relative to the folder that was given, with `/`; where two would be the same, the
    name of the folder stands in front. Hidden files of a folder, and links that lead out of it, are left
    out. Raises InputError for a missing path, and for a folder without a file.
    """
    found: dict[Path, tuple[Path, Path, str]] = {}  # the file itself -> path, root, source
    for root in map(Path, paths):
        for path in _inside(root):
            source = path.name if path == root else path.relative_to(root).as_posix()
            found.setdefault(path.resolve(), (path, root if path != root else root.parent, source))
    shared = Counter(source for _, _, source in found.values())
    named = [
        (path, source if shared[source] == 1 else f"{root.absolute().name}/{source}")
        for path, root, source in found.values()
    ]
    named.sort(key=lambda item: (item[1], str(item[0])))
    return _told_apart(named)


def _opened(path: Path):
    try:
        return streams.open_text(path)
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error


def _form_of(head: bytes, path: Path) -> str | None:
    if not head.strip():
        return EMPTY
    return next((form for form, module in FORMATS.items() if module.sniff(head, str(path))), None)


def _unknown(head: bytes) -> str:
    return f"no known form (tried {', '.join(FORMATS)}); it begins with {excerpt(head, 60)!r}"


def _read(path: Path, form: str, source: str) -> Shard:
    with _opened(path) as file:
        try:
            shard = FORMATS[form].read(file, source) if form != EMPTY else Tables(source).shard(EMPTY)
        except OSError as error:
            raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error
        damage = streams.damage_of(file)
    return shard if damage is None else shard.with_reject(None, damage, "", source)


def _glimpse(path: Path) -> str:
    """The first few bytes of a file, harmless; it may be anything, also a secret."""
    try:
        with streams.open_text(path) as file:
            return excerpt(file.read(240), 60)
    except OSError:
        return ""


def _inside(root: Path) -> list[Path]:
    """The file itself, or the visible files of a folder that are really in it."""
    if root.is_file():
        return [root]
    if not root.is_dir():
        kind = "neither a file nor a folder" if root.exists() else "no such file or folder"
        raise InputError(str(root), kind, "Check the path.")
    home = root.resolve()
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [Path(folder, name) for name in sorted(names) if not name.startswith(".")]
        found += [path for path in paths if path.is_file() and path.resolve().is_relative_to(home)]
    if not found:
        raise InputError(str(root), "a folder without any file", "Give the folder the export was written to.")
    return found


def _told_apart(named: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    seen: Counter[str] = Counter()
    result = []
    for path, source in named:
        seen[source] += 1
        result.append((path, source if seen[source] == 1 else f"{source}#{seen[source]}"))
    return result
