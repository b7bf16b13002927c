"""Arrow columns of values of NumPy and Python.

`pa.array`, `pa.scalar` and whatever calls them load pandas, which takes as long as to scan half a gigabyte.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa


def numbers(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Whole numbers, null where they are missing.

    >>> numbers(np.array([3, 4]), np.array([False, True])).to_pylist()
    [3, None]
    """
    valid = None if missing is None else validity(~missing)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, pa.py_buffer(values)])


def validity(valid: np.ndarray) -> pa.Buffer | None:
    """Arrow's bitmap of what is valid; None if all is."""
    return None if valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def texts(values: Sequence[str | None]) -> pa.StringArray:
    """Texts, null where they are None.

    >>> texts(["é", None, ""]).to_pylist()
    ['é', None, '']
    """
    spelled = [(value or "").encode() for value in values]
    offsets = np.cumsum([0, *map(len, spelled)], dtype=np.int32)
    valid = validity(np.array([value is not None for value in values], bool))
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(b"".join(spelled)), valid)


def text(value: str) -> pa.StringScalar:
    """One text, to compare with."""
    return texts([value])[0]


def repeated(values: Sequence[str | None], which: np.ndarray) -> pa.DictionaryArray:
    """The values with these numbers, as a dictionary of those that differ.

    >>> repeated(["a", None], np.array([1, 0, 0])).to_pylist()
    [None, 'a', 'a']
    """
    different = dict.fromkeys(values)
    different.pop(None, None)
    places = {value: place for place, value in enumerate(different)} | {None: -1}
    found = np.array([places[value] for value in values], np.int32)[which]
    return pa.DictionaryArray.from_arrays(numbers(found, found < 0), texts(list(different)))


def empty(layout: pa.Schema) -> pa.Table:
    """A table of no rows."""
    return pa.Table.from_arrays([pa.nulls(0, field.type) for field in layout], schema=layout)


FALSE = pa.Array.from_buffers(pa.bool_(), 1, [None, pa.py_buffer(b"\0")])[0]
