"""Files inside archives (tar, zip, compressed or not), read one after another without unpacking them.

Names inside an archive are only ever text: nothing is written, links are not followed, `..` is dropped.
"""

import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from meshlogs.formats import streams

ZIP, TAR = (b"PK\x03\x04", b"PK\x05\x06"), b"ustar"
TAR_MAGIC_AT = 257
MOST_FILES = 200_000
LARGEST_INNER = 1 << 28  # bytes of a zip inside another archive, which must be held to be read
_MISSING = "The rest of the archive is not read."


class Member(NamedTuple):
    """A file of an archive: its name, and its text or why there is none."""

    name: str
    file: BinaryIO | None
    reason: str | None = None


def is_archive(file: BinaryIO) -> bool:
    """Whether an inflated file that can `peek` is a tar or zip archive."""
    head = file.peek(TAR_MAGIC_AT + 5)
    return head.startswith(ZIP) or head[TAR_MAGIC_AT : TAR_MAGIC_AT + 5] == TAR


def members(file: BinaryIO, depth: int = 0) -> Iterator[Member]:
    """The visible files of an archive in its order, those of archives inside it as `inner.zip!name`.

    Each must be read before the next is asked for. What cannot be read has a reason instead of a file.
    """
    found = _zipped(file, depth) if file.peek(4)[:4].startswith(ZIP) else _tarred(file)
    seen: Counter[str] = Counter()
    for number, (path, raw, reason) in enumerate(found):
        if number >= MOST_FILES:
            yield Member(path, None, f"more than {MOST_FILES:,} files. {_MISSING}")
            return
        name = _tidy(path)
        if _is_hidden(name):
            continue
        seen[name] += 1
        name = name if seen[name] == 1 else f"{name}#{seen[name]}"
        if raw is None:
            yield Member(name, None, reason)
            continue
        yield from _inside(name, raw, depth)


def _inside(name: str, raw: BinaryIO, depth: int) -> Iterator[Member]:
    inner = streams.text_in(streams.named(raw, name), name)
    if not is_archive(inner):
        yield Member(name, inner)
    elif depth:
        yield Member(name, None, "an archive inside an archive inside an archive")
    else:
        for member in members(inner, depth + 1):
            yield member._replace(name=f"{name}!{member.name}")


def _tarred(file: BinaryIO) -> Iterator[tuple[str, io.RawIOBase | None, str | None]]:
    seen = _Seen(file)
    try:
        with tarfile.open(fileobj=seen, mode="r|") as archive:
            for member in archive:
                if member.isdir():
                    continue
                if member.isreg() and not member.issparse():
                    yield member.name, _guarded(archive.extractfile(member), member.size), None
                else:
                    yield member.name, None, "a link or device inside an archive"
    except streams.BROKEN as error:
        reason = streams.damage_of(file) or f"the archive is damaged: {error}"
        yield "", None, f"{reason}. {_MISSING}"
        return
    damage = streams.damage_of(file)
    if damage or seen.last.strip(b"\0"):  # an archive ends in two blocks of zeros
        damage = damage or "the archive is cut off"
        yield "", None, f"{damage}. {_MISSING}"


class _Seen:
    """A reader that remembers the last bytes it gave."""

    def __init__(self, file: BinaryIO):
        self.file, self.last, self.name = file, b"", file.name

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self.file.read(size)
        self.last = (self.last + data[-512:])[-512:]
        return data


def _zipped(file: BinaryIO, depth: int) -> Iterator[tuple[str, io.RawIOBase | None, str | None]]:
    if depth or not file.seekable():
        data = file.read(LARGEST_INNER + 1)
        if len(data) > LARGEST_INNER:
            yield "", None, f"a zip of more than {LARGEST_INNER >> 20} MB inside another file"
            return
        file = io.BytesIO(data)
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if info.flag_bits & 1:
                    yield info.filename, None, "encrypted with a password"
                    continue
                try:
                    stream = archive.open(info)
                except streams.BROKEN as error:
                    yield info.filename, None, f"cannot be read: {error}"
                    continue
                yield info.filename, _guarded(stream, max(info.compress_size, 1)), None
    except (*streams.BROKEN, UnicodeDecodeError, ValueError) as error:
        yield "", None, f"the archive is damaged: {error}. {_MISSING}"


def _guarded(stream: BinaryIO, packed: int) -> io.RawIOBase:
    return streams.Inflated(stream.read, stream, "file in the archive", lambda: packed)


def _tidy(path: str) -> str:
    parts = path.replace("\\", "/").replace("\0", "").split("/")
    return "/".join(part for part in parts if part not in ("", ".", ".."))


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/") if part)
