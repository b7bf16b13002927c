"""Readers: one module per form of export, each with `sniff` and `read`, listed in `FORMATS`.

The form of a file is found from its content. A file becomes a `Shard`: rows of the canonical tables, and a
reject for every record that could not be read.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

from meshlogs import storage, written
from meshlogs.errors import InputError
from meshlogs.formats import archives, log_entries, streams, warehouse
from meshlogs.formats.lines import HEAD
from meshlogs.formats.shapes import keys_of
from meshlogs.formats.tables import Shard, Tables, joined


class _Readers(Mapping):
    """Modules by the name of their form, each imported when a file may be of it."""

    def __init__(self, modules: dict[str, str]):
        self._modules = modules

    def __getitem__(self, form: str) -> ModuleType:
        return import_module(f"meshlogs.formats.{self._modules[form]}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


# In the order in which they are tried: the last ones are the most easily content.
FORMATS = _Readers(
    {
        "warehouse": "warehouse",
        "log_entries": "log_entries",
        "cluster_dump": "cluster_dump",
        "pubsub": "pubsub",
        "k8s_objects": "k8s_objects",
        "yaml": "yaml_documents",
        "csv_entries": "csv_entries",
        "value_tables": "value_tables",
        "compact": "compact",
        "kubectl_tables": "kubectl_tables",
        "kubectl_describe": "kubectl_describe",
        "pod_logs": "pod_logs",
    }
)

EMPTY, ARCHIVE, OTHER, UNKNOWN = "empty", "archive", "other", "unknown"
NOTHING = (EMPTY, OTHER, UNKNOWN)  # what a file is called in which there is nothing to read
# What kubectl prints for people: a table with a heading, or events without one.
_TABLE = re.compile(
    rb"\s*(?:(?:NAMESPACE +)?NAME +[A-Z-]+ "
    rb"|(?:[\w.-]+ +)?(?:\d+[smhdy]){1,3} +(?:\(x\d+ over \S+ +)?(?:Normal|Warning) )"
)

# Files of `istioctl bug-report` that hold no logs, events or pods. (istio tools/bug-report/pkg)
_OTHER = re.compile(
    r"bug-report/(?:versions|bug-report\.log|analyze/.*|cluster/(?:secrets|crs|nodes|k8s-cluster-resources|cluster-context|kubectl-version)"
    r"|(?:proxies|istio|operator|cni|ztunnel)/.*/(?!\S+\.log$)[^/]*)$"
)


def detect(path: str | Path) -> str:
    """The form of a file: a key of `FORMATS`, "archive", or "empty" where there is nothing but blanks.

    Raises InputError, with the forms that were tried and the names it begins with, when none fits.
    """
    path = storage.place(path)
    with _opened(path) as file:
        if archives.is_archive(file):
            return ARCHIVE
        head = file.peek(HEAD)[:HEAD]
        form = _form_of(head, str(path))
    if form is None:
        raise InputError(str(path), _unknown(head), _advice(head))
    return form


def read(path: str | Path, form: str | None = None, source: str | None = None) -> Shard:
    """The rows of one file, whose form is found from its content unless it is given.

    `source` is what the tables call the file (default: its name); files in an archive are called
    `source!name`. Raises InputError for a file that cannot be opened, or whose form is unknown.
    """
    return _whole(path, chunks(path, form, source), source)


def wrapping(path: str | Path) -> str | None:
    """How a file holds log entries: "lines", one each, an "array"; or a warehouse's: "rows", a "row_array", a "table".

    None if it holds them in another way, or something else.

    Raises InputError for a file that cannot be opened.
    """
    path = storage.place(path)
    with _opened(path) as file:
        if archives.is_archive(file):
            return None
        head = file.read(HEAD)
    form = _form_of(head, str(path))
    if form == "warehouse":
        return warehouse.wrapping(head)
    if form != "log_entries":
        return None
    if log_entries.is_document(head):
        return "array" if head.lstrip()[:1] == b"[" else None
    return "lines"


def read_any(path: str | Path, source: str | None = None) -> Shard:
    """Like `read`, but a file that is unreadable or of no known form is one reject, not an error."""
    return _whole(path, chunks_any(path, source), source)


def chunks(path: str | Path, form: str | None = None, source: str | None = None) -> Iterator[Shard]:
    """The rows of `read`, in the same order, as shards of a bounded size: at least one of each file.

    Each shard has the form and source of its file; those of an archive follow each other. Memory is that
    of a chunk and of the largest record, for JSON lines, arrays and lists of any size. Errors as `read`.
    """
    path = storage.place(path)
    source = path.name if source is None else source
    if form not in (None, ARCHIVE, EMPTY, *FORMATS):
        raise InputError(str(path), f"no form named {form!r}", f"Known forms: {', '.join(FORMATS)}.")
    with _opened(path) as file:
        try:
            if form in (None, ARCHIVE) and archives.is_archive(file):
                yield from _members(file, source)
                return
            head = file.peek(HEAD)[:HEAD]
            form = form or (OTHER if _is_other(path.absolute().as_posix()) else _form_of(head, str(path)))
            if form is None:
                raise InputError(str(path), _unknown(head), _advice(head))
            yield from _chunks(file, form, source)
        except OSError as error:
            raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error


def chunks_any(path: str | Path, source: str | None = None) -> Iterator[Shard]:
    """Like `chunks`, but a file that is unreadable or of no known form is one reject, not an error."""
    path = storage.place(path)
    source = path.name if source is None else source
    try:
        yield from chunks(path, source=source)
    except InputError as error:
        yield _refused(source, error.found.partition("; it begins with ")[0], _glimpse(path))


def _whole(path: str | Path, shards: Iterator[Shard], source: str | None) -> Shard:
    shards = list(shards)
    name = storage.place(path).name if source is None else source
    whole = joined(shards)
    return whole._replace(form=ARCHIVE, source=name) if any(shard.source != name for shard in shards) else whole


def _members(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The shards of each file in an archive; what cannot be read there is a reject."""
    empty = True
    for member in archives.members(file):
        name, empty = f"{source}!{member.name}" if member.name else source, False
        if member.file is None:
            yield _refused(name, member.reason, "")
            continue
        head = member.file.peek(HEAD)[:HEAD]
        form = OTHER if _is_other(member.name) else _form_of(head, member.name)
        if form is None:
            yield _refused(name, _nothing_in(head), keys_of(head))
        else:
            yield from _chunks(member.file, form, name)
    if empty:
        yield Tables(source).shard(EMPTY)


def _chunks(file: BinaryIO, form: str, source: str) -> Iterator[Shard]:
    """The shards of an open file of this form, the last with a reject if the file was damaged."""
    last = None
    if form in (EMPTY, OTHER):
        found = (Tables(source).shard(form),)
    else:
        module = FORMATS[form]
        found = module.chunks(file, source) if hasattr(module, "chunks") else (module.read(file, source),)
    for shard in found:
        if last is not None:
            yield last
        last = shard._replace(source=source)
    damage = streams.damage_of(file)
    yield last if damage is None else last.with_reject(None, damage, "", source)


def _refused(source: str, reason: str, what: str) -> Shard:
    tables = Tables(source)
    tables.records = 1
    tables.reject(None, reason, what, is_object=False)
    return tables.shard(UNKNOWN)


def files(paths: Iterable[str | Path]) -> list[tuple[Path, str]]:
    """(path, source) of every file in these files and folders, at any depth, each once, sorted by source.

    `source` is the path relative to the folder that was given, with `/`; where two would be the same, the
    name of the folder stands in front. Hidden files of a folder, and links that lead out of it, are left
    out, and so is what meshlogs wrote there itself (`written`). Raises InputError for a missing path, and for a folder
    without a file.
    """
    return listed(paths)[0]


def listed(paths: Iterable[str | Path]) -> tuple[list[tuple[Path, str]], list[str]]:
    """The `files`, and what was left out because meshlogs wrote it, in words."""
    left_out: list[str] = []
    found: dict[Path, tuple[Path, Path, str]] = {}  # the file itself -> path, root, source
    for root in map(storage.place, paths):
        inside, own = _inside(root)
        left_out += own
        for path in inside:
            source = path.name if path == root else path.relative_to(root).as_posix()
            found.setdefault(path.resolve(), (path, root if path != root else root.parent, source))
    shared = Counter(source for _, _, source in found.values())
    named = [
        (path, source if shared[source] == 1 else f"{root.absolute().name}/{source}")
        for path, root, source in found.values()
    ]
    named.sort(key=lambda item: (item[1], str(item[0])))
    return _told_apart(named), left_out


def _opened(path: Path) -> BinaryIO:
    try:
        return streams.open_text(path)
    except OSError as error:
        raise InputError(str(path), f"cannot be read: {error.strerror or error}") from error


def _form_of(head: bytes, name: str) -> str | None:
    if not head.strip(b"\0 \t\r\n\f\v"):
        return EMPTY
    return next((form for form, module in FORMATS.items() if module.sniff(head, name)), None)


def _unknown(head: bytes) -> str:
    return f"{_nothing_in(head)}; it begins with {keys_of(head)!r}"


def _nothing_in(head: bytes) -> str:
    """Why a file of no known form is none."""
    if _TABLE.match(head):
        return "a table that kubectl prints for people, whose ages are no times"
    return f"no known form (tried {', '.join(FORMATS)})"


def _advice(head: bytes) -> str:
    """What to do about it."""
    if _TABLE.match(head):
        return "Save it with '-o json', pods and events alike, or leave the file out."
    return "'meshlogs formats' shows what can be read; export it so, or leave the file out."


def _is_other(name: str) -> bool:
    """Whether a file belongs to a known kind of archive but holds nothing for us, or secrets."""
    return bool(_OTHER.search(name))


def _glimpse(path: Path) -> str:
    """What a file of no known form begins with."""
    try:
        with streams.open_text(path) as file:
            return keys_of(file.read(HEAD))
    except OSError:
        return ""


def _inside(root: Path) -> tuple[list[Path], list[str]]:
    """The file itself, or the visible files of a folder that are really in it; what of it meshlogs wrote."""
    if root.is_file():
        return [root], []
    if not root.is_dir():
        kind = "neither a file nor a folder" if root.exists() else "no such file or folder"
        raise InputError(str(root), kind, "Check the path.")
    home = root.resolve() if storage.is_local(root) else root
    found = list(storage.walk(root))
    if storage.is_local(root):  # links may lead out
        found = [path for path in found if path.is_file() and path.resolve().is_relative_to(home)]
    if not found:
        raise InputError(str(root), "a folder without any file", "Give the folder the export was written to.")
    others, own = written.apart(root, found)
    if not others:
        raise InputError(own[0], "there is no export besides", "Give the folder the export was written to.")
    return others, own


def _told_apart(named: list[tuple[Path, str]]) -> list[tuple[Path, str]]:
    seen: Counter[str] = Counter()
    result = []
    for path, source in named:
        seen[source] += 1
        result.append((path, source if seen[source] == 1 else f"{source}#{seen[source]}"))
    return result
