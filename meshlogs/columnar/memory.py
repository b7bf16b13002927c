"""Memory between large steps."""

import ctypes
import sys
from functools import lru_cache

import pyarrow as pa


def give_back() -> None:
    """Return to the system what is not in use: after a large step that is as much as what stays."""
    pa.default_memory_pool().release_unused()
    _trim()(0)


@lru_cache
def _trim():
    """What makes the C library return what it keeps for later, if it can: `malloc_trim` of glibc."""
    if sys.platform != "linux":
        return lambda _: 0
    return getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)
