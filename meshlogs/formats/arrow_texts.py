"""Arrow columns of texts that stand somewhere in a block of lines: copied by compiled loops, no Python object for each.

JSON texts with escapes are written as what they mean, JSON with blanks between its parts without these.
"""

import numpy as np
import pyarrow as pa

from meshlogs.columnar.arrow import validity
from meshlogs.formats import _arrow_texts


def texts(data: np.ndarray, found: np.ndarray, column: int, spelled: int = -1) -> pa.StringArray:
    """The texts of `data` (uint8) whose places are in two columns of `found`, null where they are -1.

    `spelled` is the column that tells how; -1 if all are plain. (`_usual_lines`)
    """
    room = int((found[:, column + 1] - found[:, column]).sum())  # a text never becomes longer
    # Arrow's memory is used again; other memory would be new, and be cleared by the system, each time.
    buffer, offsets = pa.allocate_buffer(room), np.empty(len(found) + 1, np.int32)
    _arrow_texts.write(data, found, column, spelled, np.frombuffer(buffer, np.uint8), offsets)
    valid = validity(found[:, column] >= 0)
    return pa.StringArray.from_buffers(len(found), pa.py_buffer(offsets), buffer, valid)
