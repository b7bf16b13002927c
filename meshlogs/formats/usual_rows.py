"""Rows of usual lines, a block of lines at a time, without a Python object for each line or text."""

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from meshlogs import schema, times
from meshlogs.columnar import hashes
from meshlogs.columnar.arrow import repeated, validity
from meshlogs.formats import _usual_lines as usual_lines
from meshlogs.formats import entry
from meshlogs.formats.arrow_texts import texts
from meshlogs.formats.tables import GRANULARITY

_MOST = 1 << 14  # lines at most that become rows at a time
_NEWLINE = ord("\n")
_ORIGIN = (usual_lines.RESOURCE, usual_lines.LOG_NAME, usual_lines.SEVERITY)
_NO_ORIGIN = (None,) * (len(entry.ORIGIN) + 2)


class Found(NamedTuple):
    """What some lines hold: rows of the usual ones, without `line`, and the lines' numbers from 0; the other lines."""

    rows: pa.Table
    numbers: np.ndarray
    odd: list[tuple[int, bytes]]  # number and text
    lines: int  # how many there are
    resources: np.ndarray  # where the resources of the usual ones begin
    times: np.ndarray  # [ns]


class Reader:
    """Reads blocks of lines of one source."""

    def __init__(self, source: str):
        self._source = source
        self._found = np.empty((_MOST, usual_lines.WIDTH), np.int64)
        self._odd = np.empty((_MOST, 3), np.int64)

    def read(self, block: bytes | np.ndarray) -> Iterator[Found]:
        """What the lines of a block (of uint8, if an array) hold, some after others."""
        letters = np.frombuffer(block, np.uint8)
        if letters[-1] != _NEWLINE:
            letters = np.append(letters, np.uint8(_NEWLINE))
        at = 0
        while at < len(letters):
            usual, odd, lines, at = usual_lines.read(letters, at, self._found, self._odd)
            yield self._rows(letters, self._found[:usual], self._odd[:odd], lines)

    def _rows(self, letters: np.ndarray, found: np.ndarray, odd: np.ndarray, lines: int) -> Found:
        of_origin, firsts = hashes.told_apart(letters, found, np.array(_ORIGIN))
        origins = [_origin(letters.data, row) for row in found[firsts, : usual_lines.LABELS].tolist()]
        known = np.array([origin is not None for origin in origins], bool)[of_origin]
        if not known.all():  # only the careful road tells these
            odd = np.concatenate([odd, found[~known, usual_lines.LINE :]])
            odd = odd[np.argsort(odd[:, 0])]
            found, of_origin = found[known], of_origin[known]
        rows = pa.table(_columns(letters, found, origins, of_origin, self._source))
        others = [(number, letters[begin:end].tobytes()) for number, begin, end in odd.tolist()]
        told = (usual_lines.LINE, usual_lines.RESOURCE, usual_lines.TIME)
        numbers, resources, moments = (found[:, column].copy() for column in told)
        return Found(rows, numbers, others, lines, resources, moments)


def _origin(letters: memoryview, row: list[int]) -> tuple | None:
    resource, name, severity = (bytes(letters[row[at] : row[at + 1]]) for at in _ORIGIN)
    return _known_origin(resource, name, severity)


@lru_cache(maxsize=16_384)
def _known_origin(resource: bytes, name: bytes, severity: bytes) -> tuple | None:
    return entry.origin(resource, name.decode(), severity.decode())


def _columns(letters: np.ndarray, found: np.ndarray, origins: list, of_origin: np.ndarray, source: str) -> dict:
    columns = {
        "time": _times(found, usual_lines.TIME),
        "time_granularity": repeated(GRANULARITY, found[:, usual_lines.DECIMALS]),
        "receive_time": _times(found, usual_lines.RECEIVED),
        "insert_id": texts(letters, found, usual_lines.INSERT_ID),
        "node": texts(letters, found, usual_lines.NODE),
        "message": texts(letters, found, usual_lines.MESSAGE, usual_lines.MESSAGE_SPELLED),
        "payload": texts(letters, found, usual_lines.PAYLOAD, usual_lines.PAYLOAD_SPELLED),
        "labels": texts(letters, found, usual_lines.LABELS, usual_lines.LABELS_SPELLED),
        "source": repeated([source], np.zeros(len(found), np.int64)),
    }
    values = zip(*(origin or _NO_ORIGIN for origin in origins), strict=True) if origins else [()] * len(_NO_ORIGIN)
    for name, texts_of_origins in zip((*entry.ORIGIN, "its node", "stream"), values, strict=True):
        columns[name] = repeated(texts_of_origins, of_origin)
    its_node = columns.pop("its node")
    if its_node.null_count < len(found):
        columns["node"] = columns["node"].fill_null(its_node.cast(pa.string()))
    return columns


def _times(found: np.ndarray, column: int) -> pa.Array:
    moments = found[:, column].copy()
    valid = validity(moments != times.NAT)
    return pa.Array.from_buffers(schema.TIME, len(moments), [valid, pa.py_buffer(moments)])
