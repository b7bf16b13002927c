"""The bytes of an export file: gzip by its first bytes, UTF-16 by its mark, damage kept apart."""

import io
import zlib
from pathlib import Path
from typing import BinaryIO

GZIP = b"\x1f\x8b"
UTF8_MARK = b"\xef\xbb\xbf"
# What PowerShell writes when a command's output is redirected to a file.
UTF16_MARKS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
CHUNK = 1 << 18


class Gunzipped(io.RawIOBase):
    """What a gzip file holds, of several members, up to where it is cut off or damaged.

    `damage` says what was wrong, None if nothing was; `name` is the file's.
    """

    def __init__(self, raw: BinaryIO):
        self._raw, self._text, self._input = raw, b"", b""
        self._member = zlib.decompressobj(wbits=31)
        self.name, self.damage = raw.name, None

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer) -> int:
        """Fill the buffer with text; 0 at the end."""
        while not self._text and self._more():
            pass
        size = min(len(buffer), len(self._text))
        buffer[:size] = self._text[:size]
        self._text = self._text[size:]
        return size

    def close(self) -> None:
        """Close the file, too."""
        self._raw.close()
        super().close()

    def _more(self) -> bool:
        """Read on; whether there is more to come."""
        if self._member.eof:  # the next member, zeros that pad the end, or junk
            rest = self._member.unused_data.lstrip(b"\0") or self._raw.read(CHUNK).lstrip(b"\0")
            if not rest:
                return False
            self._member, self._input = zlib.decompressobj(wbits=31), rest
        data = self._member.unconsumed_tail or self._input or self._raw.read(CHUNK)
        self._input = b""
        if not data:
            self.damage = self.damage or "the gzip stream is cut off"
            return False
        return self._inflate(data)

    def _inflate(self, data: bytes) -> bool:
        try:
            self._text = self._member.decompress(data, CHUNK)
        except zlib.error as error:
            self.damage = f"the gzip stream is damaged: {error}"
            return False
        return True


def compressed(head: bytes) -> bool:
    """Whether a file that begins so is compressed or recoded, and so cannot be read from its middle."""
    return head[:2] == GZIP or head[:2] in UTF16_MARKS


def open_text(path: Path) -> BinaryIO:
    """A binary file of the text in a file: inflated, in UTF-8, without a byte order mark. Raises OSError."""
    file = path.open("rb")
    if file.peek(2)[:2] == GZIP:
        file = io.BufferedReader(Gunzipped(file), CHUNK)
    mark = file.peek(3)[:3]
    if mark == UTF8_MARK:
        file.read(3)
    elif mark[:2] in UTF16_MARKS:
        return _recoded(file, UTF16_MARKS[mark[:2]])
    return file


def damage_of(file: BinaryIO) -> str | None:
    """What was wrong with a compressed file, once it has been read to its end."""
    return getattr(getattr(file, "raw", file), "damage", None)


class _Recoded(io.BytesIO):
    """Bytes in memory that remember their file's name and damage."""

    name: str
    damage: str | None


def _recoded(file: BinaryIO, encoding: str) -> BinaryIO:
    with file:
        text = file.read()[2:].decode(encoding, "replace")
        recoded = _Recoded(text.encode())
        recoded.name, recoded.damage = file.name, damage_of(file)
        return recoded
