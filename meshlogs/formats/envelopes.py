"""Records in a JSON file, whatever wraps them: lines, one array, pages, lists, values one after another.

Damage costs as little as possible: reading goes on at the next place that looks like a record.
"""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import NamedTuple

import msgspec

# Keys of a top-level object that hold records: pages of entries.list, lists of kubectl and the API.
WRAPPERS = ("entries", "items")

_BLANK = re.compile(r"[\s,\x1e]*", re.ASCII)  # a record separator, too (RFC 7464)
_KIND = re.compile(r'[{,]\s*"kind"\s*:\s*"(\w*List)"')
_REST = re.compile(r'\s*(?:,\s*"(?:[^"\\]|\\.)*"\s*:\s*(?:"(?:[^"\\]|\\.)*"|\{[^{}]*\}|[\w.+-]+)\s*)*\}')
_NEXT_VALUE = re.compile(r"[\n\x1e](?=[{\[])")
_WRAPPER = re.compile(r'"(?:entries|items)"\s*:\s*\[')
_ENTRY = re.compile(r'[,\n]\s*\{\s*"insertId"\s*:')
_FIRST_KEY = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"')


class Record(NamedTuple):
    """The JSON text of one record, and the number of the line it starts on."""

    line: int
    data: bytes
    kind: str | None = None  # of the list it stood in, such as PodList


class Damage(NamedTuple):
    """A stretch of text that is no JSON."""

    line: int
    reason: str
    data: bytes


class _Wrapper(msgspec.Struct, gc=False):
    kind: str | None = None
    entries: list[msgspec.Raw] | None = None
    items: list[msgspec.Raw] | None = None
    nextPageToken: msgspec.Raw = msgspec.Raw()


def _float(text: str) -> float | str:
    number = float(text)
    return number if isfinite(number) else text


# What JSON cannot write back (NaN, 1e999) stays a text.
_lenient = json.JSONDecoder(strict=False, parse_constant=str, parse_float=_float)


def parse(text: str):
    """The value of a JSON text that a strict reader refused; raises ValueError or RecursionError."""
    return _lenient.decode(text)


def records(data: bytes) -> Iterator[Record | Damage]:
    """The records of a whole document: elements of its arrays and wrappers, other values themselves."""
    quick = _quickly(data)
    if quick is not None:
        yield from _placed(data, *quick)
    else:
        yield from _carefully(data)


def values(text: str) -> Iterator[tuple[str, str | None]]:
    """JSON texts of the values that stand one after another in a text: (text, None), or (rest, reason).

    Numbers and texts that damage follows are a part of it: the rest of an object whose beginning was cut off.
    """
    at = _BLANK.match(text).end()
    scalars: list[tuple[int, int]] = []
    while at < len(text):
        end, reason = _value_end(text, at)
        if reason is not None:
            yield text[scalars[0][0] if scalars else at :], reason
            return
        scalars.append((at, end))
        if text[at] in "{[":
            yield from ((text[begin:end], None) for begin, end in scalars)
            scalars = []
        at = _BLANK.match(text, end).end()
    yield from ((text[begin:end], None) for begin, end in scalars)


def _quickly(data: bytes) -> tuple[list, str | None] | None:
    """Elements and kind of one array or one wrapper; None if the document is anything else."""
    try:
        if data.lstrip()[:1] == b"[":
            return msgspec.json.decode(data, type=list[msgspec.Raw]), None
        wrapper = msgspec.json.decode(data, type=_Wrapper)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError):
        return None
    if wrapper.items is not None:
        return wrapper.items, wrapper.kind
    if wrapper.entries is not None or wrapper.nextPageToken:
        return wrapper.entries or [], None
    return None


def _placed(data: bytes, elements: list, kind: str | None) -> Iterator[Record]:
    at, line, counted = 0, 1, 0
    for element in elements:
        raw = bytes(element)
        at = data.find(raw, at)
        line += data.count(b"\n", counted, at)
        counted = at
        yield Record(line, raw, kind)
        at += len(raw)


def _carefully(data: bytes) -> Iterator[Record | Damage]:
    # surrogateescape keeps invalid bytes apart, so that positions in bytes can be told.
    text = data.decode("utf-8", "surrogateescape")
    line, counted, at = 1, 0, 0
    for start, end, reason, kind in _stretches(text):
        line += text.count("\n", counted, start)
        counted = start
        piece = text[start:end].encode("utf-8", "surrogateescape")
        if reason is None:
            yield Record(line, piece, kind)
        else:
            at = len(text[:start].encode("utf-8", "surrogateescape"))
            yield Damage(line, f"{reason}, from byte {at}", piece)


def _stretches(text: str) -> Iterator[tuple[int, int, str | None, str | None]]:
    """(start, end, reason, kind) of each record (reason None) and each damaged stretch."""
    at = _BLANK.match(text).end()
    while at < len(text):
        inside = _inside(text, at)
        if inside is not None:
            at = yield from _elements(text, inside, _kind(text, at))
        else:
            end, reason = _value_end(text, at)
            if reason is not None:
                found = _NEXT_VALUE.search(text, at + 1)
                end = found.end() if found else len(text)
            yield at, end, reason, None
            at = end
        at = _BLANK.match(text, at).end()


def _inside(text: str, at: int) -> int | None:
    """Where the elements begin, if an array or a wrapper starts here."""
    if text[at] == "[":
        return at + 1
    if text[at] != "{":
        return None
    found = _WRAPPER.search(text, at, at + 2_000)
    # Only blanks, short values and no nested object may stand before the key: it must be a top-level one.
    if found and _depth_is_one(text[at : found.start()]):
        return found.end()
    return None


def _depth_is_one(before: str) -> bool:
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", before)
    return bare.count("{") - bare.count("}") == 1 and bare.count("[") == bare.count("]")


def _kind(text: str, at: int) -> str | None:
    found = _KIND.search(text, at, at + 2_000)
    return found[1] if found else None


def _elements(text: str, at: int, kind: str | None) -> Iterator:
    """The elements of an array that began before `at`; returns where its text ends."""
    resume = None
    while True:
        at = _BLANK.match(text, at).end()
        if at >= len(text):
            yield len(text), len(text), "the array is cut off", None
            return len(text)
        if text[at] == "]":
            return _after_wrapper(text, at + 1)
        end, reason = _value_end(text, at)
        if reason is None:
            resume = resume or _beginning(text, at)
            yield at, end, None, kind
            at = end
            continue
        found = (resume or _ENTRY).search(text, at + 1)
        end = found.start() if found else len(text)
        yield at, end, reason, None
        if not found:
            return len(text)
        at = end


def _beginning(text: str, at: int) -> re.Pattern | None:
    """What the next element begins with, if it begins like this one: indentation, brace and first key."""
    key = _FIRST_KEY.match(text, at)
    if not key:
        return None
    blanks = re.search(r"\s*$", text[max(at - 100, 0) : at])[0]
    before = re.escape(blanks) if "\n" in blanks else r",\s*"
    return re.compile(before + r"\{\s*" + re.escape(key[0][1:].strip()))


def _after_wrapper(text: str, at: int) -> int:
    """Past the rest of a wrapper: `, "kind": "List", "metadata": {…} }`, if that is what follows."""
    found = _REST.match(text, at)
    return found.end() if found else at


def _value_end(text: str, at: int) -> tuple[int, str | None]:
    """Where the JSON value at this place ends, or why there is none."""
    try:
        return _lenient.raw_decode(text, at)[1], None
    except RecursionError:
        return len(text), "nested too deeply"
    except ValueError as error:
        return len(text), f"not JSON: {str(error).split(': line')[0].split(' (char')[0]}"
