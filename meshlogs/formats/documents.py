"""JSON and YAML documents of a file, one by one with their line; what cannot be read is a `Broken`."""

import gzip
import json
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import yaml

EXCERPT = 200


class Broken(NamedTuple):
    """A stretch of a file that could not be read, and why."""

    reason: str
    excerpt: str


Document = tuple[int, object]  # line, value or Broken


def load(path: Path) -> tuple[bytes, str | None]:
    """The bytes of a file, decompressed if they are gzip (found by content), and what broke, if anything.

    A truncated or damaged member keeps what came before the damage.
    """
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data, None
    try:
        return gzip.decompress(data), None
    except (EOFError, OSError, zlib.error) as error:
        return _salvaged(data), f"gzip stream is damaged: {error}"


def _salvaged(data: bytes) -> bytes:
    parts = []
    while data.startswith(b"\x1f\x8b"):
        stream = zlib.decompressobj(wbits=31)
        try:
            parts.append(stream.decompress(data))
        except zlib.error:
            parts.append(_piecewise(data))
            break
        if not stream.eof:
            break
        data = stream.unused_data
    return b"".join(parts)


def _piecewise(data: bytes) -> bytes:
    stream, parts = zlib.decompressobj(wbits=31), []
    with suppress(zlib.error):  # everything before the damage is kept
        for at in range(0, len(data), 64):
            parts.append(stream.decompress(data[at : at + 64]))
    return b"".join(parts)


def head(path: Path, size: int = 4096) -> bytes:
    """The first bytes of a file's text, decompressed if need be."""
    with path.open("rb") as file:
        data = file.read(size)
    if data.startswith(b"\x1f\x8b"):
        try:
            return zlib.decompressobj(wbits=31).decompress(data, size)
        except zlib.error:
            return b""
    return data


def json_documents(data: bytes) -> Iterator[Document]:
    """The values of JSON text in any wrapping: lines, concatenated or indented objects, one array.

    A broken line is one `Broken`, the lines around it are read; of a truncated array the elements
    before the break are.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if data.lstrip()[:1] == b"[":
        yield from _scanned(_text(data), array=True)
        return
    lines = data.split(b"\n")
    first = next((line for line in lines if line.strip()), b"")
    if isinstance(_decoded(first), Broken) and len(list(_scanned(_text(first), array=False))) == 1:
        yield from _scanned(_text(data), array=False)
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = _decoded(line)
        if not isinstance(value, Broken):
            yield number, value
            continue
        for _, part in _scanned(_text(line), array=False):  # two objects on one line
            yield number, part


def _decoded(line: bytes):
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.decode(line)
    try:  # it may still be JSON of a laxer kind
        return json.loads(_text(line))
    except (ValueError, RecursionError) as error:
        return Broken(f"not JSON: {error}", _text(line)[:EXCERPT])


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


_SPACE = re.compile(r"[\s,]*")
_NEXT_OBJECT = re.compile(r"^[ \t]{0,2}\{", re.M)


def _scanned(text: str, *, array: bool) -> Iterator[Document]:
    """Values that follow each other in a text, with their lines; after a break, on from the next line with `{`."""
    scan = json.JSONDecoder().raw_decode
    newlines = [match.start() for match in re.finditer("\n", text)]
    at = text.index("[") + 1 if array else 0
    while True:
        at = _SPACE.match(text, at).end()
        if at >= len(text):
            if array:
                yield len(newlines) + 1, Broken("the array ends without its closing bracket", "")
            return
        if array and text[at] == "]":
            rest = text[at + 1 :].strip()
            if rest:
                yield bisect_right(newlines, at) + 1, Broken("text after the array's end", rest[:EXCERPT])
            return
        line = bisect_right(newlines, at) + 1
        try:
            value, at = scan(text, at)
        except (ValueError, RecursionError) as error:
            following = _NEXT_OBJECT.search(text, at + 1)
            end = following.start() if following else len(text)
            reason = f"not JSON at character {at}: {str(error).split(':')[0]}"
            yield line, Broken(reason, text[at : min(end, at + EXCERPT)])
            at = end
            if array and not following:
                return
        else:
            yield line, value


class _Loader(yaml.CSafeLoader):
    """Safe YAML that leaves times as text, so that their nanoseconds stay."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def yaml_documents(data: bytes) -> Iterator[Document]:
    """The documents of a YAML stream, each with the line it starts on; a broken one does not stop the rest."""
    text = _text(data.removeprefix(b"\xef\xbb\xbf"))
    line = 1
    for part in re.split(r"^---[ \t]*$", text, flags=re.M):
        start = line + len(part) - len(part.lstrip("\n"))
        line += part.count("\n")
        try:
            value = yaml.load(part, Loader=_Loader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = str(error).split("\n")[0]
            yield start, Broken(f"not YAML: {reason}", part.strip()[:EXCERPT])
            continue
        if value is not None:
            yield start, value
