# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled loops of `hashes`: SipHash with one and three rounds, and tables of hashes.

(Aumasson and Bernstein 2012, "SipHash: a fast short-input PRF")
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

import numpy as np

from meshlogs._texts cimport Text


def of_texts(const uint8_t[::1] letters, const int32_t[::1] places, const uint64_t[::1] key):
    """A hash (uint64) of each text; they stand one after another, each begins at a place and the last ends at one."""
    cdef uint64_t[::1] found = np.empty(places.shape[0] - 1, np.uint64)
    cdef Text data = &letters[0]
    cdef int64_t text
    with nogil:
        for text in range(found.shape[0]):
            found[text] = _hash(data + places[text], places[text + 1] - places[text], key[0], key[1])
    return np.asarray(found)


def told_apart(
    const uint8_t[::1] letters, const int64_t[:, ::1] found, const int64_t[::1] columns, const uint64_t[::1] key
):
    """(a number for each row of `found`, the first row of each number), from a hash table. (`hashes`)"""
    cdef int64_t rows = found.shape[0], last = (1 << (2 * rows + 1).bit_length()) - 1
    cdef int64_t[::1] numbers = np.empty(rows, np.int64), firsts = np.empty(rows, np.int64)
    cdef int64_t[::1] table = np.full(last + 1, -1, np.int64)
    cdef Text data = &letters[0]
    cdef int64_t row, at, slot, begin, end, count = 0
    cdef uint64_t mark
    with nogil:
        for row in range(rows):
            mark = 0
            for at in range(columns.shape[0]):
                begin, end = found[row, columns[at]], found[row, columns[at] + 1]
                mark = mark * 8 + _hash(data + begin, end - begin, key[0] ^ mark, key[1])
            slot = mark & last
            while table[slot] >= 0 and not _alike(data, found, columns, row, firsts[table[slot]]):
                slot = (slot + 1) & last
            if table[slot] < 0:
                table[slot] = count
                firsts[count] = row
                count += 1
            numbers[row] = table[slot]
    return np.asarray(numbers), np.asarray(firsts)[:count]


def add(uint64_t[::1] table, const uint64_t[::1] marks, const uint8_t[::1] wanted, uint8_t[::1] again):
    """How many of the wanted marks were not in the table, where they are now; which were is written to `again`."""
    cdef int64_t row, slot, count = 0, last = table.shape[0] - 1
    with nogil:
        for row in range(marks.shape[0]):
            again[row] = False
            if not wanted[row]:
                continue
            slot = marks[row] & last
            while table[slot] and table[slot] != marks[row]:
                slot = (slot + 1) & last
            again[row] = table[slot] > 0
            count += not again[row]
            table[slot] = marks[row]
    return count


cdef bint _alike(
    Text data, const int64_t[:, ::1] found, const int64_t[::1] columns, int64_t one, int64_t other
) noexcept nogil:
    cdef int64_t at, column, size
    for at in range(columns.shape[0]):
        column = columns[at]
        size = found[one, column + 1] - found[one, column]
        if size != found[other, column + 1] - found[other, column]:
            return False
        if memcmp(data + found[one, column], data + found[other, column], size):
            return False
    return True


cdef uint64_t _hash(Text at, int64_t size, uint64_t low, uint64_t high) noexcept nogil:
    """SipHash of so many letters."""
    cdef uint64_t[4] state
    cdef uint64_t word, last = <uint64_t> size << 56
    cdef Text end = at + size
    state[0], state[1] = low ^ 0x736F6D6570736575ULL, high ^ 0x646F72616E646F6DULL
    state[2], state[3] = low ^ 0x6C7967656E657261ULL, high ^ 0x7465646279746573ULL
    while end - at >= 8:
        memcpy(&word, at, 8)
        _take(state, word, 1)
        at += 8
    word = 0
    memcpy(&word, at, end - at)
    _take(state, word | last, 1)
    state[2] ^= 0xFF
    _take(state, 0, 3)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


cdef inline void _take(uint64_t* state, uint64_t word, int rounds) noexcept nogil:
    """Mix a word into the state."""
    cdef uint64_t a = state[0], b = state[1], c = state[2], d = state[3] ^ word
    for _ in range(rounds):
        a += b
        b = _turned(b, 13) ^ a
        a = _turned(a, 32)
        c += d
        d = _turned(d, 16) ^ c
        a += d
        d = _turned(d, 21) ^ a
        c += b
        b = _turned(b, 17) ^ c
        c = _turned(c, 32)
    state[0], state[1], state[2], state[3] = a ^ word, b, c, d


cdef inline uint64_t _turned(uint64_t word, int bits) noexcept nogil:
    return word << bits | word >> (64 - bits)
