"""Arrow tables as bytes, for another process: one stream after another, each with its length before it."""

import struct
from collections.abc import Iterable

import pyarrow as pa

_LENGTH = struct.Struct("<Q")


def packed(tables: Iterable[pa.Table], head: bytes = b"") -> bytes:
    """The head and these tables as bytes, from which `unpacked` gives them back."""
    pieces = [head]
    for table in tables:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        pieces.append(sink.getvalue())
    return b"".join(part for piece in pieces for part in (_LENGTH.pack(len(piece)), piece))


def unpacked(data: bytes) -> tuple[bytes, list[pa.Table]]:
    """The head and the tables that `packed` wrote; they lie in `data`.

    >>> unpacked(packed([pa.table({"a": [1]})], b"head"))[0]
    b'head'
    """
    pieces, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        pieces.append(memoryview(data)[at + _LENGTH.size : at + _LENGTH.size + length])
        at += _LENGTH.size + length
    return bytes(pieces[0]), [pa.ipc.open_stream(piece).read_all() for piece in pieces[1:]]
