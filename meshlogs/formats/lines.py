"""Lines of a file of JSON: none is held that is too long, and noise before the first value is told apart.

Noise is what a command said beside its output, or the rest of a value whose beginning was cut off.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import BinaryIO

HEAD = 1 << 16  # bytes in which the first value must begin
LOOK = 64  # lines that tell lines from documents
LARGEST = 1 << 26  # bytes of a line; of a longer one only the beginning is kept
BLOCK = 1 << 23
_SHOWN = 1 << 16  # bytes of that beginning

_BEGIN = re.compile(rb'[\s\x1e]*(?:\[\s*(?:[\[\]{n]|\Z)|\{\s*(?:["}]|\Z))')
# After noise an entry's first key must follow, and no deep indentation: objects may be nested in what was cut off.
_VALUE = re.compile(
    rb"[\n\x1e] {0,2}(?=(?:\[\s{0,99}+)?\{\s{0,99}+"
    rb'"(?:insertId|insert_id|logName|log_name|(?:text|json|proto)Payload|httpRequest|resource|severity|'
    rb'(?:receiveT|receive_t|t)imestamp|entries)"\s*:)'
    rb'|,\s{0,99}+(?=\{\s{0,99}+"insertId"\s*:)'
)
_OF_ARRAY = re.compile(rb"\}\s*,\s*\Z")


class Overlong(bytes):
    """The beginning of a line that is too long to be read; `reason` says so."""

    reason = ""

    @classmethod
    def of(cls, begin: bytes, size: int) -> "Overlong":
        """The line that begins so and has so many bytes."""
        line = cls(begin[:_SHOWN])
        line.reason = (
            f"a line of {size:,} bytes, of which no more than {LARGEST:,} are read: write each entry on its own line"
        )
        return line


def head_of(file: BinaryIO) -> bytes:
    """The first lines of a file, enough of them to tell how it holds its values; of a long one the beginning."""
    pieces = iter(partial(file.readline, HEAD), b"")
    head = b"".join(islice(pieces, LOOK))
    while len(head) < HEAD and noise_in(head) is None and (more := b"".join(islice(pieces, LOOK))):
        head += more
    return head


def lines_of(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file whose first bytes were read, with their ends; one that is too long is an `Overlong`."""
    *whole, begun = head.split(b"\n")
    for line in whole:
        yield line + b"\n" if len(line) < LARGEST else Overlong.of(line, len(line) + 1)
    while line := begun + file.readline(max(LARGEST - len(begun), 0)):
        if len(line) >= LARGEST and line[-1:] != b"\n":
            yield Overlong.of(line, len(line) + pass_line(file))
        else:
            yield line
        begun = b""


def pass_line(file: BinaryIO, enough: int | None = None) -> int:
    """Read to the end of a line, or so many bytes at least, and how many bytes that took."""
    size = 0
    while (enough is None or size < enough) and (piece := file.readline(BLOCK)):
        size += len(piece)
        if piece[-1:] == b"\n":
            break
    return size


def noise_in(head: bytes) -> bytes | None:
    """What stands before the first value of JSON; None if there is none."""
    if _BEGIN.match(head):
        return b""
    found = _VALUE.search(head, 0, HEAD)
    return head[: found.end()] if found else None


def is_cut_array(noise: bytes) -> bool:
    """Whether noise is what an array has before an element: its beginning was cut off."""
    return bool(_OF_ARRAY.search(noise))


def without_noise(head: bytes, refuse: Callable[[int, str, bytes], None]) -> bytes:
    """The first bytes of a document with blanks in place of noise; each line of that is refused.

    An array whose beginning is cut off begins anew, which is one reject.
    """
    noise = noise_in(head)
    if not noise:
        return head
    blanks = re.sub(rb"[^\n]", b" ", noise)
    if is_cut_array(noise):
        refuse(1, "the beginning of the array is cut off", noise)
        at = noise.rindex(b",")
        blanks = blanks[:at] + b"[" + blanks[at + 1 :]
    else:
        for number, line in enumerate(noise.split(b"\n"), 1):
            if line.strip():
                refuse(number, "not a log entry: no object begins on this line", line)
    return blanks + head[len(noise) :]
