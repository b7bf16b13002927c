# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Compiled loops of `arrow_texts`: texts of usual lines, copied or written as what they mean."""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from meshlogs._texts cimport Text, find
from meshlogs.formats import _usual_lines

cdef int64_t PLAIN = _usual_lines.PLAIN, ESCAPED = _usual_lines.ESCAPED


def write(
    const uint8_t[::1] block,
    const int64_t[:, ::1] found,
    int64_t column,
    int64_t spelled,
    uint8_t[::1] letters,
    int32_t[::1] offsets,
):
    """Write texts of a block one after another to `letters`, where each begins and the last ends to `offsets`.

    Their places are in two columns of `found`; how they are spelled is in the column `spelled`, all are plain if that
    is -1. No text becomes longer.
    """
    cdef Text data = &block[0], begin, end
    cdef uint8_t* to = &letters[0]
    cdef int64_t row, how
    offsets[0] = 0
    with nogil:
        for row in range(found.shape[0]):
            begin, end = data + found[row, column], data + found[row, column + 1]
            how = found[row, spelled] if spelled >= 0 else PLAIN
            if how == PLAIN:
                memcpy(to, begin, end - begin)
                to += end - begin
            elif how == ESCAPED:
                to = _write_meant(begin, end, to)
            else:
                to = _write_tight(begin, end, to)
            offsets[row + 1] = to - &letters[0]


cdef uint8_t* _write_tight(Text begin, Text end, uint8_t* to) noexcept nogil:
    """Write valid JSON without the blanks between its parts; gives where that ends."""
    cdef bint inside = False
    while begin < end:
        if inside and begin[0] == c"\\":
            to[0] = c"\\"
            to += 1
            begin += 1
        elif begin[0] == c'"':
            inside = not inside
        if inside or begin[0] > c" ":
            to[0] = begin[0]
            to += 1
        begin += 1
    return to


cdef uint8_t* _write_meant(Text begin, Text end, uint8_t* to) noexcept nogil:
    """Write what a valid JSON text means, without one newline at its end; gives where that ends."""
    cdef uint8_t* first = to
    cdef Text escape
    cdef int64_t code
    while begin < end:
        escape = find(begin, end, c"\\")
        memcpy(to, begin, escape - begin)
        to += escape - begin
        if escape == end:
            break
        begin = escape + 2
        if escape[1] != c"u":
            to[0] = _meant(escape[1])
            to += 1
            continue
        code = _hexadecimal(begin)
        begin += 4
        if 0xD800 <= code < 0xDC00:
            code = 0x10000 + (code - 0xD800 << 10) + _hexadecimal(begin + 2) - 0xDC00
            begin += 6
        to = _write_character(code, to)
    return to - 1 if to > first and (to - 1)[0] == c"\n" else to


cdef inline uint8_t _meant(uint8_t letter) noexcept nogil:
    """What a letter after a backslash means."""
    if letter == c"n":
        return c"\n"
    if letter == c"t":
        return c"\t"
    if letter == c"r":
        return c"\r"
    if letter == c"b":
        return c"\b"
    return c"\f" if letter == c"f" else letter


cdef int64_t _hexadecimal(Text at) noexcept nogil:
    """The value of four hexadecimal digits."""
    cdef int64_t value = 0, place
    for place in range(4):
        value = value * 16 + ((at[place] | 32) - c"a" + 10 if at[place] >= c"A" else at[place] - c"0")
    return value


cdef uint8_t* _write_character(int64_t code, uint8_t* to) noexcept nogil:
    """Write a character as UTF-8; gives where that ends."""
    cdef int64_t size = 2 if code < 0x800 else 3 if code < 0x10000 else 4, place
    if code < 0x80:
        to[0] = code
        return to + 1
    for place in range(size - 1, 0, -1):
        to[place] = 0x80 | code & 0x3F
        code >>= 6
    to[0] = 0xF00 >> size & 0xFF | code  # as many ones as bytes, and a zero
    return to + size
