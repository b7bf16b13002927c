# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled loops over the lines of a block: whose they are, and when, and how many each container wrote.

Nothing is read outside the line that is looked at; `nogil` proves that no Python object is touched on the way.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

import numpy as np

from meshlogs._texts cimport Text, find, moment

cdef enum:
    LONGEST = 1024  # a resource's spelling up to its first closing brace; a longer one is unusual


def look(const uint8_t[::1] block, const uint64_t[:, ::1] factors):
    """(ends, usual, keys, times, places, sizes) of the lines of a block.

    `ends`: of every line, without its newline. Of each usual line, as `blocks` says what that is: its number, a hash of
    its resource, its time [ns], where its resource is, and how long. The factors, of shape (128, 2), are secret.
    """
    cdef Text text = &block[0], begin = text, stop = text + block.shape[0], end
    cdef int64_t line = 0, found = 0, lines = _count(text, stop)
    cdef int64_t[::1] ends = np.empty(lines, np.int64), usual = np.empty(lines, np.int64)
    cdef uint64_t[::1] keys = np.empty(lines, np.uint64)
    cdef int64_t[::1] times = np.empty(lines, np.int64)
    cdef int64_t[::1] places = np.empty(lines, np.int64), sizes = np.empty(lines, np.int64)
    cdef Text resource
    cdef int64_t size, time
    with nogil:
        while begin < stop:
            end = find(begin, stop, c"\n")
            ends[line] = end - text
            resource = _resource(begin, end)
            if resource != NULL:
                size = find(resource, end, c"}") - resource
                time = _time(begin, end)
                if time >= 0 and size < LONGEST and resource + size < end:
                    usual[found], times[found], places[found], sizes[found] = line, time, resource - text, size
                    keys[found] = _hash(resource, size, factors)
                    found += 1
            line += 1
            begin = end + 1
    told = [np.asarray(usual), np.asarray(keys), np.asarray(times), np.asarray(places), np.asarray(sizes)]
    return np.asarray(ends), *(values[:found] for values in told)


cdef int64_t _count(Text begin, Text stop) noexcept nogil:
    """How many lines there are."""
    cdef int64_t lines = 0
    while begin < stop:
        begin = find(begin, stop, c"\n") + 1
        lines += 1
    return lines


cdef Text _resource(Text begin, Text end) noexcept nogil:
    """The one brace in an object's line that opens a resource with labels or a type; NULL if there is none, or two."""
    cdef Text found = NULL, at = begin
    if begin == end or begin[0] != c"{" or _last(begin, end)[0] != c"}":
        return NULL
    while at < end:
        at = find(at, end, c"{")
        if _opens_resource(begin, at, end):
            if found != NULL:
                return NULL
            found = at
        at += 1
    return found


cdef inline Text _last(Text begin, Text end) noexcept nogil:
    """The last letter of a line that is not empty, without a carriage return."""
    return end - 2 if end - begin > 1 and (end - 1)[0] == c"\r" else end - 1


cdef inline bint _opens_resource(Text begin, Text at, Text end) noexcept nogil:
    if at - begin < 12 or end - at < 9:
        return False
    if memcmp(at - 11, b'"resource":', 11) and memcmp(at - 12, b'"resource": ', 12):
        return False
    return not memcmp(at + 1, b'"labels"', 8) or not memcmp(at + 1, b'"type":', 7)


cdef int64_t _time(Text begin, Text end) noexcept nogil:
    """The time [ns] of an object's line; -1 if it is not told by one `"timestamp"`, in UTC.

    One right before the last brace is the entry's own, whatever others the line holds.
    """
    cdef Text last = _last(begin, end), at = begin
    cdef int64_t found = -1, time = -1
    if last - begin > 2 and (last - 1)[0] == c'"' and (last - 2)[0] == c"Z":
        found = _stamp(begin, last - 2, &time)
    if found > 0:
        return time
    found = 0
    while at < last:
        at = find(at, last, c"Z")
        if at + 1 < last and at[1] == c'"':
            found += _stamp(begin, at, &time)
        at += 1
    return time if found == 1 else -1


cdef int64_t _stamp(Text begin, Text zulu, int64_t* time) noexcept nogil:
    """Whether a `"timestamp"` ends with this letter Z; its time [ns], -1 if it is none, is then set."""
    cdef Text at = zulu
    while at - begin > 14 and zulu - at < 30 and (at - 1)[0] != c'"':
        at -= 1
    if at - begin < 14 or (memcmp(at - 13, b'"timestamp":"', 13) and memcmp(at - 14, b'"timestamp": "', 14)):
        return 0
    time[0] = moment(at, zulu - at)
    return 1


cdef uint64_t _hash(Text at, int64_t size, const uint64_t[:, ::1] factors) noexcept nogil:
    """Two multilinear hashes, 32 bits of each (Lemire and Kaser 2014, "Strongly universal string hashing is fast")."""
    cdef uint64_t high = 0, low = 0, word
    cdef int64_t place = 0
    while 8 * place < size:
        word = 0
        memcpy(&word, at + 8 * place, min(size - 8 * place, 8))
        high += word * factors[place, 0]
        low += word * factors[place, 1]
        place += 1
    return (high >> 32) << 32 | low >> 32


def distinct(const uint64_t[::1] keys, uint64_t factor):
    """(where each different key stands first; for every key its number among those), from a hash table.

    The factor is odd and secret, so that nobody can choose keys that meet (Dietzfelbinger et al. 1997, multiply-shift).
    """
    cdef int bits = 4
    while 1 << bits < 2 * keys.shape[0]:
        bits += 1
    cdef int64_t[::1] table = np.full(1 << bits, -1, np.int64)
    cdef int64_t[::1] firsts = np.empty(len(keys), np.int64), numbers = np.empty(len(keys), np.int64)
    cdef int64_t at, slot, found = 0
    for at in range(keys.shape[0]):
        slot = (keys[at] * factor) >> (64 - bits)
        while table[slot] >= 0 and keys[firsts[table[slot]]] != keys[at]:
            slot = (slot + 1) & ((1 << bits) - 1)
        if table[slot] < 0:
            table[slot] = found
            firsts[found] = at
            found += 1
        numbers[at] = table[slot]
    return np.asarray(firsts)[:found], np.asarray(numbers)


def tally(const int64_t[::1] groups, const int64_t[::1] times, int64_t count):
    """(how many, where the earliest is, where the latest is) of each group of times; of equals the first, the last."""
    cdef int64_t[::1] counts = np.zeros(count, np.int64)
    cdef int64_t[::1] early = np.zeros(count, np.int64), late = np.zeros(count, np.int64)
    cdef int64_t at, group
    for at in range(groups.shape[0]):
        group = groups[at]
        if not counts[group] or times[at] < times[early[group]]:
            early[group] = at
        if not counts[group] or times[at] >= times[late[group]]:
            late[group] = at
        counts[group] += 1
    return np.asarray(counts), np.asarray(early), np.asarray(late)
