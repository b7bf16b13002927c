# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""A compiled loop over a JSON array of objects, that writes each object as a line.

Nothing is read beyond the bytes given; `nogil` proves that no Python object is touched on the way.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from meshlogs._texts cimport Text, find

cpdef enum:
    # What must come next: the array, its first element or its end, another one, a comma or the end, nothing.
    ARRAY = 0
    FIRST = 1
    ELEMENT = 2
    COMMA = 3
    NOTHING = 4
    # It did not.
    DAMAGED = -1

cdef enum:
    DEEPEST = 63  # levels of nesting, of which each is a bit

    WHOLE = 1
    CUT = 0
    BROKEN = -1

cdef struct Copied:
    Text at
    uint8_t* to
    int64_t newlines


def lines(
    const uint8_t[::1] data, int64_t begin, int64_t end, uint8_t[::1] out, int64_t[::1] starts, int64_t state, int64_t line
):
    """Write the elements in a part of a document to `out`, a line each, without the blanks between their parts.

    (begin, written, elements, state, line) come back: where to go on, how many bytes and elements were written, what
    must come next, and on which line of the document. `starts` gets the lines on which they begin; `out` needs room for
    as many bytes as there are. An element that is cut off is left for the next call. Whatever is no array of objects
    with sound brackets and texts that end on their line is damaged.
    """
    cdef Text stop = &data[0] + end
    cdef int64_t count = 0, came
    cdef uint8_t letter
    cdef Copied place = Copied(&data[0] + begin, &out[0], 0)
    cdef Text before
    with nogil:
        while state != DAMAGED:
            line += _blanks(&place.at, stop)
            if place.at == stop:
                break
            letter = place.at[0]
            if letter == c"{" and (state == FIRST or state == ELEMENT):
                if count == starts.shape[0]:
                    break
                before = place.at
                place.newlines = 0
                came = _element(&place, stop)
                if came == CUT:
                    place.at = before
                    break
                starts[count] = line
                count += came == WHOLE
                line += place.newlines
                state = COMMA if came == WHOLE else DAMAGED
                continue
            if letter == c"[" and state == ARRAY:
                state = FIRST
            elif letter == c"," and state == COMMA:
                state = ELEMENT
            elif letter == c"]" and (state == COMMA or state == FIRST):
                state = NOTHING
            else:
                state = DAMAGED
            place.at += 1
    return place.at - &data[0], place.to - &out[0], count, state, line


cdef inline int64_t _blanks(Text* at, Text stop) noexcept nogil:
    """Pass blanks; how many of them are newlines."""
    cdef int64_t newlines = 0
    while at[0] < stop and (at[0][0] == c" " or at[0][0] == c"\n" or at[0][0] == c"\t" or at[0][0] == c"\r"):
        newlines += at[0][0] == c"\n"
        at[0] += 1
    return newlines


cdef int64_t _element(Copied* place, Text stop) noexcept nogil:
    """Copy the object at this place, and a newline after it; what became of that. Only if it is whole, `to` moves."""
    cdef Text at = place.at, close
    cdef uint8_t* to = place.to
    cdef uint8_t letter, last = 0
    cdef uint64_t kinds = 0  # of the open brackets: 1 for braces, the lowest bit the innermost
    cdef int64_t depth = 0, newlines
    while at < stop:
        letter = at[0]
        if letter == c'"':
            close = _quote(at + 1, stop)
            if close == stop:
                return CUT
            if find(at, close, c"\n") < close:
                return BROKEN
            memcpy(to, at, close + 1 - at)
            to += close + 1 - at
            at = close + 1
            last = c'"'
            continue
        if letter == c" " or letter == c"\n" or letter == c"\t" or letter == c"\r":
            place.newlines += _blanks(&at, stop)
            if at == stop:
                return CUT
            # Parts that only blanks keep apart would become one.
            if not _apart(last) and not _apart(at[0]):
                return BROKEN
            continue
        if letter == c"{" or letter == c"[":
            if depth == DEEPEST:
                return BROKEN
            kinds = kinds << 1 | (letter == c"{")
            depth += 1
        elif letter == c"}" or letter == c"]":
            if (kinds & 1) != (letter == c"}"):
                return BROKEN
            kinds >>= 1
            depth -= 1
        to[0] = last = letter
        to += 1
        at += 1
        if depth == 0:
            to[0] = c"\n"
            place.at, place.to = at, to + 1
            return WHOLE
    return CUT


cdef inline bint _apart(uint8_t letter) noexcept nogil:
    """Whether nothing else can be a part of what this letter is."""
    return (
        letter == c"," or letter == c":" or letter == c"{" or letter == c"}" or letter == c"[" or letter == c"]"
    )


cdef Text _quote(Text at, Text stop) noexcept nogil:
    """The quote that ends a text which begins here; `stop` if it does not come."""
    cdef Text quote = find(at, stop, c'"'), back
    while quote < stop:
        back = quote
        while back > at and (back - 1)[0] == c"\\":
            back -= 1
        if not (quote - back) & 1:
            return quote
        quote = find(quote + 1, stop, c'"')
    return stop
