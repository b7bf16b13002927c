"""The bytes of an export file: compressed ones by their first bytes, UTF-16 by its mark, damage kept apart."""

import bz2
import codecs
import io
import lzma
import tarfile
import zipfile
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from zlib_ng import zlib_ng

from meshlogs import storage

GZIP, ZSTD, BZIP2, XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"
UTF8_MARK = b"\xef\xbb\xbf"
# What PowerShell writes when a command's output is redirected to a file.
UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
CHUNK = 1 << 18
# A stream that has become so large, and so many times as large as its file, is a bomb and read no further.
LARGE, RATIO = 1 << 30, 300

# What a damaged compressed stream or archive raises.
BROKEN = (
    OSError,
    EOFError,
    zlib.error,
    zlib_ng.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,
)

# A decompressor for each member of a stream, by what it begins with. zlib_ng's is the same as zlib's, twice as fast.
_PACKED = (
    (GZIP, "gzip stream", lambda: zlib_ng.decompressobj(wbits=31)),
    (BZIP2, "bzip2 stream", bz2.BZ2Decompressor),
    (XZ, "xz stream", lzma.LZMADecompressor),
)


class Inflated(io.RawIOBase):
    """What a compressed stream holds, up to where it is cut off, damaged or blown up beyond reason.

    `read` gives some bytes of it, none at its end; `packed` tells how many compressed bytes that took.
    `damage` says what was wrong, None if nothing was; `name` is the file's.
    """

    def __init__(self, read: Callable[[int], bytes], raw: BinaryIO, what: str, packed: Callable[[], int]):
        self._ahead, self._raw, self._what, self._packed = _Ahead(read), raw, what, packed
        self._size, self.name, self.damage = 0, str(raw.name), None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer) -> int:
        """Fill the buffer with text, fewer bytes only at the end."""
        filled = 0
        while filled < len(buffer) and (data := self._some(len(buffer) - filled)):
            buffer[filled : filled + len(data)] = data
            filled += len(data)
        return filled

    def close(self) -> None:
        """Close the file, too."""
        self._ahead.close()
        self._raw.close()
        super().close()

    def _some(self, size: int) -> bytes:
        if self.damage:
            return b""
        try:
            data = self._ahead.read(size)
        except BROKEN as error:
            cut = isinstance(error, EOFError) or "ended before" in str(error) or "truncated" in str(error).lower()
            self.damage = f"the {self._what} is cut off" if cut else f"the {self._what} is damaged: {error}"
            return b""
        self._size += len(data)
        if self._size > LARGE and self._size > RATIO * self._packed():
            self.damage = f"the {self._what} grows to more than {RATIO} times its size: read no further"
        return data


class Members:
    """`read` for a compressed stream of several members, padded with zeros perhaps; raises EOFError where cut off.

    `begin` gives a decompressor for each.
    """

    def __init__(self, raw: BinaryIO, begin: Callable[[], Any]):
        self._raw, self._begin, self._member = raw, begin, begin()
        self._text, self._input, self.packed = b"", b"", 0
        self._error: Exception | None = None

    def read(self, size: int) -> bytes:
        """Some bytes of text, none at the end."""
        while not self._text and self._more():
            pass
        text, self._text = self._text[:size], self._text[size:]
        return text

    def _more(self) -> bool:
        """Read on; whether there is more to come."""
        if self._error:
            raise self._error
        if self._member.eof:  # the next member, zeros that pad the end, or junk
            rest = self._member.unused_data.lstrip(b"\0") or self._next().lstrip(b"\0")
            if not rest:
                return False
            self._member, self._input = self._begin(), rest
        data = getattr(self._member, "unconsumed_tail", b"") or self._input
        if not data and getattr(self._member, "needs_input", True):
            data = self._next()
            if not data:
                raise EOFError
        self._input = b""
        # A decompressor that fails gives nothing of what it had decoded; not all can be copied.
        before = self._member.copy() if hasattr(self._member, "copy") else None
        try:
            self._text = self._member.decompress(data, CHUNK)
        except BROKEN as error:
            self._error = error
            self._text = _bytewise(before, data) if before else b""
        return True

    def _next(self) -> bytes:
        data = self._raw.read(CHUNK)
        self.packed += len(data)
        return data


def _bytewise(member: Any, data: bytes) -> bytes:
    """What can be decoded of a piece before its damage."""
    found = []
    try:
        for at in range(len(data)):
            found.append(member.decompress(data[at : at + 1]))
    except BROKEN:
        pass  # it is told already
    return b"".join(found)


class Unzstd:
    """`read` for a zstd stream; raises OSError where it is cut off or damaged."""

    def __init__(self, raw: BinaryIO):
        import pyarrow as pa

        self._stream = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")
        self._error: OSError | None = None

    def read(self, size: int) -> bytes | memoryview:
        """Some bytes of text, none at the end."""
        if self._error:
            raise self._error
        buffer = bytearray(size)
        try:
            return memoryview(buffer)[: self._stream.readinto(buffer)]
        except OSError as error:  # it does not tell how much it had read; texts do not end with zeros
            self._error = error
            return bytes(buffer.rstrip(b"\0")) or self.read(size)


class _Ahead:
    """`read` for a stream of which a thread reads on while the last bytes are worked on.

    It begins when much has been read: most files are opened for a look at their beginning only.
    """

    PIECE, PIECES, BEGIN = 1 << 20, 8, 4 << 20  # bytes of a piece, pieces that wait, bytes read before

    def __init__(self, read: Callable[[int], bytes]):
        self._read, self._size, self._rest = read, 0, memoryview(b"")
        self._waiting: deque[Future] = deque()
        self._error: Exception | None = None
        self._thread: ThreadPoolExecutor | None = None

    def read(self, size: int) -> bytes | memoryview:
        """Some bytes, none at the end; raises what the stream raises there."""
        if self._size < self.BEGIN:
            data = self._read(size)
            self._size += len(data)
            return data
        if not self._rest:
            self._thread = self._thread or ThreadPoolExecutor(1)
            while len(self._waiting) < self.PIECES:
                self._waiting.append(self._thread.submit(self._piece))
            if self._error is None:
                piece, self._error = self._waiting.popleft().result()
                self._rest = memoryview(piece)
            if not self._rest and self._error:
                raise self._error
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Read no further."""
        if self._thread:
            self._thread.shutdown(cancel_futures=True)

    def _piece(self) -> tuple[bytes, Exception | None]:
        """The next bytes, and what was raised after them."""
        found, size = [], 0
        try:
            while size < self.PIECE and (data := self._read(self.PIECE - size)):
                found.append(data)
                size += len(data)
        except BROKEN as error:
            return b"".join(found), error
        return b"".join(found), None


class _Recoded(io.RawIOBase):
    """UTF-8 of a text in another encoding."""

    def __init__(self, file: BinaryIO, encoding: str):
        self._file, self._decoder, self._text = file, codecs.getincrementaldecoder(encoding)("replace"), b""
        self.name = file.name

    def close(self) -> None:
        """Close the file, too."""
        self._file.close()
        super().close()

    @property
    def damage(self) -> str | None:
        """What was wrong with the file below."""
        return damage_of(self._file)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer) -> int:
        """Fill the buffer with text; 0 at the end."""
        while not self._text:
            data = self._file.read(CHUNK)
            self._text = self._decoder.decode(data, final=not data).encode()
            if not data:
                break
        size = min(len(buffer), len(self._text))
        buffer[:size], self._text = self._text[:size], self._text[size:]
        return size


class _Named(io.BufferedReader):
    """A buffered reader whose name can be told."""

    def __init__(self, raw: io.RawIOBase, name: str):
        super().__init__(raw, CHUNK)
        self._name = name

    @property
    def name(self) -> str:
        """The file's."""
        return self._name


def compressed(head: bytes) -> bool:
    """Whether a file with these first bytes (six at least) is compressed or recoded: not readable from its middle."""
    return head.startswith((GZIP, ZSTD, BZIP2, XZ)) or head[:2] in UTF16_MARKS


def open_text(path: Path) -> BinaryIO:
    """A binary file of the text in a file: inflated, in UTF-8, without a byte order mark. Raises OSError."""
    return text_in(storage.open_binary(path, CHUNK), str(path))


def text_in(raw: BinaryIO, name: str) -> BinaryIO:
    """The same for an open file that can `peek`, called by this name."""
    file = inflated(raw, name)
    mark = file.peek(3)[:3]
    if mark == UTF8_MARK:
        file.read(3)
    elif mark[:2] in UTF16_MARKS:
        file.read(2)
        return _Named(_Recoded(file, UTF16_MARKS[mark[:2]]), name)
    return file


def inflated(raw: BinaryIO, name: str) -> BinaryIO:
    """What a file holds, decompressed if its first bytes say that it is compressed."""
    head = raw.peek(6)[:6]
    if head.startswith(ZSTD):
        return _Named(Inflated(Unzstd(raw).read, raw, "zstd stream", raw.tell), name)
    what, begin = next((kind for magic, *kind in _PACKED if head.startswith(magic)), ("", None))
    if begin is None:
        return raw
    members = Members(raw, begin)
    return _Named(Inflated(members.read, raw, what, lambda: members.packed), name)


def damage_of(file: BinaryIO) -> str | None:
    """What was wrong with a compressed file, once it has been read to its end."""
    return getattr(getattr(file, "raw", file), "damage", None)


def named(raw: io.RawIOBase, name: str) -> BinaryIO:
    """A buffered reader that can `peek` and tells this name."""
    return _Named(raw, name)
