"""Readers: one module per form of export, each with `sniff` and `read`, listed in `FORMATS`.

The form of a file is found from its content, never from its name alone.
"""

from pathlib import Path

from meshlogs.errors import InputError
from meshlogs.formats import compact, k8s_objects, log_entries, pod_logs, yaml_objects
from meshlogs.formats.documents import head
from meshlogs.formats.shards import Collector, Shard

# In the order in which they are tried.
FORMATS = {
    "log_entries": log_entries,
    "k8s_objects": k8s_objects,
    "compact": compact,
    "yaml_objects": yaml_objects,
    "pod_logs": pod_logs,
}


def detect(path: str | Path, source: str | None = None) -> str:
    """The form of a file: a key of `FORMATS`, or "empty".

    Raises InputError, with what was tried and the first bytes made harmless, when none fits.
    """
    path = Path(path)
    start = head(path)
    if not start.strip():
        return "empty"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:2] == b"[]":
        return "log_entries"
    for form, module in FORMATS.items():
        if module.sniff(start, str(path)):
            return form
    raise InputError(
        source or str(path),
        f"no known form (tried {', '.join(FORMATS)}); it begins with {ascii(start[:40].decode('utf-8', 'replace'))}",
        "Export log entries as JSON, or events and pods with 'kubectl get … -o json'.",
    )


def read(path: str | Path, form: str | None = None, source: str | None = None) -> Shard:
    """One file's canonical tables; `source` is what its rows call it.

    Raises InputError when the file cannot be opened or is of no known form.
    """
    path = Path(path)
    source = source or path.name
    try:
        form = form or detect(path, source)
        return Collector("empty", source).shard() if form == "empty" else FORMATS[form].read(path, source)
    except OSError as error:
        raise InputError(source, f"cannot be read: {error.strerror or error}") from error


def read_any(path: str | Path, source: str | None = None) -> Shard:
    """Like `read`, but a file of no known form is one reject: for files that merely lie in a folder."""
    try:
        return read(path, source=source)
    except InputError as error:
        collector = Collector("unknown", source or Path(path).name)
        collector.records = 1
        collector.reject(1, error.found)
        return collector.shard()


def files(paths: list[Path]) -> list[tuple[Path, str]]:
    """(path, source) of every file under these paths, sorted; a source is relative to the folder given.

    Hidden files and links that lead out of their folder are left out. Raises InputError for a path that
    is missing, and for a folder without any file.
    """
    found = []
    for root in map(Path, paths):
        if root.is_file():
            found.append((root, root.name))
        elif root.is_dir():
            inside = [
                (path, path.relative_to(root).as_posix()) for path in sorted(root.rglob("*")) if _ours(path, root)
            ]
            if not inside:
                raise InputError(str(root), "an empty folder", "Give the folder that holds the export.")
            found += inside
        else:
            raise InputError(str(root), "no such file or folder", "Check the path.")
    return sorted(set(found), key=lambda item: (item[1], str(item[0])))


def _ours(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.is_file() and not hidden and path.resolve().is_relative_to(root.resolve())
