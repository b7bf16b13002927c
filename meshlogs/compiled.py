"""Loops over bytes, compiled when first called; what the compiler made is kept for the next process.

Kernels that call each other stand in one file: the kept code is made anew when that file changes, and only then.
"""

from collections.abc import Callable

import numba


def kernel(function: Callable) -> Callable:
    """A function of arrays and numbers, compiled by numba; other threads go on while it runs."""
    try:
        return numba.njit(function, cache=True, nogil=True)
    except RuntimeError:  # there is no folder to keep it in
        return numba.njit(function, nogil=True)
