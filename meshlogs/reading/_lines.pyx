# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled loops over the lines of a block: whose they are, and when, and how many each container wrote.

Nothing is read outside the line that is looked at; `nogil` proves that no Python object is touched on the way.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

import numpy as np

from meshlogs._texts cimport Text, find, moment

cdef enum:
    LONGEST = 1024  # a resource's spelling up to its first closing brace; a longer one is unusual
    LONGEST_STAMP = 30  # a time in nanoseconds, or in microseconds with UTC, up to the last letter of its zone
    USUALLY = 200  # letters that lines have at least, on average: to count lines of shorter ones takes a further look


def look(const uint8_t[::1] block, const uint64_t[:, ::1] factors, bint stored):
    """(ends, usual, keys, times, places, sizes) of the lines of a block.

    `ends`: of every line, without its newline. Of each usual line, as `blocks` says what that is: its number, a hash of
    its resource, its time [ns], where its resource is, and how long. The factors, of shape (128, 2), are secret.
    `stored`: times may be written as a warehouse does, too: `2020-03-31 10:41:15.552128 UTC`.
    """
    cdef Text text = &block[0], stop = text + block.shape[0]
    found = _looked_at(text, stop, factors, stored, block.shape[0] // USUALLY + 1)
    return _looked_at(text, stop, factors, stored, _count(text, stop)) if found is None else found


cdef _looked_at(Text text, Text stop, const uint64_t[:, ::1] factors, bint stored, int64_t room):
    """What `look` tells of up to so many lines; None if there are more."""
    cdef Text begin = text, end, resource
    cdef int64_t line = 0, found = 0, size, time
    cdef int64_t[::1] ends = np.empty(room, np.int64), usual = np.empty(room, np.int64)
    cdef uint64_t[::1] keys = np.empty(room, np.uint64)
    cdef int64_t[::1] times = np.empty(room, np.int64)
    cdef int64_t[::1] places = np.empty(room, np.int64), sizes = np.empty(room, np.int64)
    with nogil:
        while begin < stop and line < room:
            end = find(begin, stop, c"\n")
            ends[line] = end - text
            resource = _resource(begin, end)
            if resource != NULL:
                size = find(resource, end, c"}") - resource
                time = _time(begin, end, stored)
                if time >= 0 and size < LONGEST and resource + size < end:
                    usual[found], times[found], places[found], sizes[found] = line, time, resource - text, size
                    keys[found] = _hash(resource, size, factors)
                    found += 1
            line += 1
            begin = end + 1
    if begin < stop:
        return None
    told = [np.asarray(usual), np.asarray(keys), np.asarray(times), np.asarray(places), np.asarray(sizes)]
    return np.asarray(ends)[:line], *(values[:found] for values in told)


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


cdef int64_t _time(Text begin, Text end, bint stored) noexcept nogil:
    """The time [ns] of an object's line; -1 if it is not told by one `"timestamp"`, in UTC.

    One right before the last brace is the entry's own, whatever others the line holds.
    """
    cdef Text last = _last(begin, end)
    cdef int64_t found = 0, time = -1
    if last - begin > 2 and (last - 1)[0] == c'"' and ((last - 2)[0] == c"Z" or stored and (last - 2)[0] == c"C"):
        found = _stamp(begin, last - 2, &time)
    if found > 0:
        return time
    found = _stamps(begin, last, c"Z", &time)
    if stored:
        found += _stamps(begin, last, c"C", &time)
    return time if found == 1 else -1


cdef int64_t _stamps(Text begin, Text last, uint8_t zone, int64_t* time) noexcept nogil:
    """How many `"timestamp"` end with this letter of their zone; the time [ns] of the last one is set."""
    cdef Text at = begin
    cdef int64_t found = 0
    while at < last:
        at = find(at, last, zone)
        if at + 1 < last and at[1] == c'"':
            found += _stamp(begin, at, time)
        at += 1
    return found


cdef int64_t _stamp(Text begin, Text zone, int64_t* time) noexcept nogil:
    """Whether a `"timestamp"` ends with this letter, Z or the last of UTC; its time [ns], -1 if it is none, is set."""
    cdef Text at = zone
    cdef uint8_t[LONGEST_STAMP] spelled
    while at - begin > 14 and zone - at < LONGEST_STAMP and (at - 1)[0] != c'"':
        at -= 1
    if at - begin < 14 or (memcmp(at - 13, b'"timestamp":"', 13) and memcmp(at - 14, b'"timestamp": "', 14)):
        return 0
    if zone[0] == c"Z":
        time[0] = moment(at, zone - at)
    elif 10 < zone - at < 30 and not memcmp(zone - 3, b" UT", 3) and at[10] == c" ":
        memcpy(spelled, at, zone - 3 - at)
        spelled[10] = c"T"
        time[0] = moment(spelled, zone - 3 - at)
    else:
        time[0] = -1
    return 1


cdef uint64_t _hash(Text at, int64_t size, const uint64_t[:, ::1] factors) noexcept nogil:
    """Two multilinear hashes, 32 bits of each (Lemire and Kaser 2014, "Strongly universal string hashing is fast")."""
    cdef uint64_t high = 0, low = 0, word
    cdef int64_t place = 0
    while 8 * place + 8 <= size:
        memcpy(&word, at + 8 * place, 8)
        high += word * factors[place, 0]
        low += word * factors[place, 1]
        place += 1
    word = 0
    memcpy(&word, at + 8 * place, size - 8 * place)
    high += word * factors[place, 0]
    low += word * factors[place, 1]
    return (high >> 32) << 32 | low >> 32


def texts(const uint8_t[::1] block, const int64_t[::1] ends, const int64_t[::1] lines):
    """These lines of a block, by number from 0, without their ends."""
    cdef int64_t line, begin
    cdef const char* text = <const char*> &block[0]
    found = []
    for line in lines:
        begin = ends[line - 1] + 1 if line else 0
        found.append(PyBytes_FromStringAndSize(text + begin, ends[line] - begin))
    return found


cdef class Numbers:
    """Numbers from 0 for keys of 64 bits, in a hash table that grows.

    The factor is odd and secret, so that nobody can choose keys that meet (Dietzfelbinger et al. 1997, multiply-shift).
    """

    cdef uint64_t factor
    cdef int bits
    cdef int64_t count
    cdef int64_t[::1] table  # of slots: a number, -1 where there is none
    cdef uint64_t[::1] keys  # by number

    def __init__(self, uint64_t factor):
        self.factor, self.bits, self.count = factor, 4, 0
        self.table, self.keys = np.full(1 << 4, -1, np.int64), np.zeros(1 << 3, np.uint64)

    def of(self, const uint64_t[::1] keys):
        """(the number of every key, where each that is new stands first); new ones have the next numbers."""
        cdef int64_t[::1] numbers = np.empty(len(keys), np.int64), new = np.empty(len(keys), np.int64)
        cdef int64_t at, slot, known = self.count
        for at in range(keys.shape[0]):
            slot = self._slot(keys[at])
            if self.table[slot] < 0:
                if 2 * self.count == 1 << self.bits:
                    self._grow()
                    slot = self._slot(keys[at])
                self.table[slot], self.keys[self.count] = self.count, keys[at]
                new[self.count - known] = at
                self.count += 1
            numbers[at] = self.table[slot]
        return np.asarray(numbers), np.asarray(new)[:self.count - known]

    cdef int64_t _slot(self, uint64_t key) noexcept:
        """Where a key is in the table, or would be."""
        cdef int64_t slot = (key * self.factor) >> (64 - self.bits)
        while self.table[slot] >= 0 and self.keys[self.table[slot]] != key:
            slot = (slot + 1) & ((1 << self.bits) - 1)
        return slot

    cdef _grow(self):
        cdef int64_t number
        self.bits += 1
        self.table = np.full(1 << self.bits, -1, np.int64)
        self.keys = np.append(self.keys, np.zeros(len(self.keys), np.uint64))
        for number in range(self.count):
            self.table[self._slot(self.keys[number])] = number


def tally(
    const int64_t[::1] cells, const int64_t[::1] times, const int64_t[::1] numbers, int64_t[::1] counts,
    int64_t[:, ::1] first, int64_t[:, ::1] last,
):
    """Count lines, in their order, in their cells, whose first and last (times, numbers) they may be.

    Of equal times the first line counts as the first and the last as the last; the number is 0 before there is any.
    """
    cdef int64_t at, cell
    for at in range(cells.shape[0]):
        cell = cells[at]
        if not first[1, cell] or times[at] < first[0, cell]:
            first[0, cell], first[1, cell] = times[at], numbers[at]
        if not last[1, cell] or times[at] >= last[0, cell]:
            last[0, cell], last[1, cell] = times[at], numbers[at]
        counts[cell] += 1
