# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Usual lines of log entries, read where they stand: a compiled reader of JSON that is stricter than any other.

A line is usual if it is one entry as nearly all writers spell it, that becomes one row and nothing else. Of such a line
it is told where its texts begin and end, and when it was written; of any other, that it is not usual.

Each line ends with a newline. No part of a usual line holds one, and nothing here steps over a byte that was not looked
at, or beyond the `stop` that it is given, the newline: so whatever a line is, no byte behind it is read.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from meshlogs import times
from meshlogs._texts cimport Text, find, moment
from meshlogs.formats import entry

cpdef enum:
    # Columns of what is found of a line. A text has two, the places where it begins and ends (-1: there is none),
    # without its quotes; those of resource, labels and payload are the places of JSON.
    INSERT_ID = 0
    LOG_NAME = 2
    SEVERITY = 4
    RESOURCE = 6
    LABELS = 8
    NODE = 10
    MESSAGE = 12
    PAYLOAD = 14
    # How the text is spelled.
    LABELS_SPELLED = 16
    MESSAGE_SPELLED = 17
    PAYLOAD_SPELLED = 18
    # Times [ns], how many decimals the first has; the line's number, and where it begins and ends.
    TIME = 19
    DECIMALS = 20
    RECEIVED = 21
    LINE = 22
    WIDTH = 25

    # Spelled: as meant; with escapes; as JSON with blanks between its parts.
    PLAIN = 0
    ESCAPED = 1
    SPACED = 2

cdef enum:
    # More than so many bytes in a line, levels of nesting, labels, or characters in a number are not usual. Such a
    # number, with two digits of exponent at most, is one to every reader.
    LONGEST = 1 << 24
    DEEPEST = 60
    LONGEST_NUMBER = 24
    MOST_LABELS = 64
    # So many bytes at most are read at a time, and one line more: their places fit the offsets of Arrow's texts.
    AT_ONCE = 1 << 26

    # Fields, in the order of `FIELDS`; the first ones are in that of their columns, too.
    IS_RESOURCE = 3
    IS_LABELS = 4
    IS_TEXT = 5
    IS_PAYLOAD = 6
    IS_TIME = 7
    IS_RECEIVED = 8
    IS_ODD = 9  # this and all after it
    MOST_NAMES = 16

cdef struct Names:
    int64_t count
    Text[MOST_NAMES] texts
    int64_t[MOST_NAMES] sizes


cdef Names _names(tuple texts):
    """Names to look for; the bytes of the texts stay where they are, in `_KEPT`."""
    cdef Names found
    cdef int64_t place
    if len(texts) > MOST_NAMES:
        raise ValueError(texts)
    found.count = len(texts)
    for place in range(found.count):
        text = texts[place].encode()
        _KEPT.append(text)
        found.texts[place], found.sizes[place] = text, len(text)
    return found


_KEPT = []
cdef Names FIELDS = _names((
    *("insertId", "logName", "severity", "resource", "labels", "textPayload", "jsonPayload"),
    *("timestamp", "receiveTimestamp"),
    *("protoPayload", "split", "entries", "nextPageToken"),  # whatever they hold
))
cdef Names SAID = _names(entry.MESSAGE_KEYS)
cdef Names EVENT = _names(entry.EVENT_KEYS)
cdef Names NODES = _names((entry.NODE_LABEL,))
cdef Names LEGACY = _names((entry.LEGACY,))
cdef Names LEGACY_NODES = _names((entry.LEGACY_NODE,))
cdef int64_t NAT = times.NAT


def read(const uint8_t[::1] block, int64_t at, int64_t[:, ::1] found, int64_t[:, ::1] odd):
    """Read lines of a block from the one that begins at `at`, whose number is 0, until a table is full.

    What is found of usual lines is written to `found` (n, `WIDTH`), the number, begin and end of the others to `odd`
    (n, 3). Gives how many there are of each, the number of lines read, and where the next one begins.
    """
    cdef int64_t usual = 0, others = 0, line = 0, size = block.shape[0], limit = min(size, at + AT_ONCE), after
    cdef Text data = &block[0]
    if at < 0 or not size or data[size - 1] != c"\n" or found.shape[1] != WIDTH or odd.shape[1] != 3:
        raise ValueError("lines end with a newline, tables have their width")
    with nogil:
        while at < limit and usual < found.shape[0] and others < odd.shape[0]:
            after = find(data + at, data + size, c"\n") - data
            if after - at <= LONGEST and _is_usual(data, data + at, data + after, &found[usual, 0]):
                found[usual, LINE], found[usual, LINE + 1], found[usual, LINE + 2] = line, at, after
                usual += 1
            else:
                odd[others, 0], odd[others, 1], odd[others, 2] = line, at, after
                others += 1
            at = after + 1
            line += 1
    return usual, others, line, at


cdef bint _is_usual(Text data, Text at, Text stop, int64_t* row) noexcept nogil:
    """Whether a line is usual; what is found of it is written to `row`."""
    cdef int64_t column, field, seen = 0, both = 1 << IS_TEXT | 1 << IS_PAYLOAD
    cdef Text begin, end
    for column in range(WIDTH):
        row[column] = -1 if column < LABELS_SPELLED else 0
    row[TIME] = row[RECEIVED] = NAT
    at = _blanks_end(at)
    if at[0] != c"{":
        return False
    while True:
        at = _blanks_end(at + 1)
        begin = at + 1
        at = _key_end(at, stop, &end)
        if at == NULL:
            return False
        field = _which(begin, end, &FIELDS)
        if field >= 0:
            if field >= IS_ODD or seen >> field & 1:
                return False
            seen |= 1 << field
        at = _field_end(data, at, stop, field, row)
        if at == NULL:
            return False
        at = _blanks_end(at)
        if at[0] == c"}":
            break
        if at[0] != c",":
            return False
    return _blanks_end(at + 1) == stop and row[TIME] != NAT and row[LOG_NAME] >= 0 and seen & both != both


cdef Text _field_end(Text data, Text at, Text stop, int64_t field, int64_t* row) noexcept nogil:
    """The end of a field's value, NULL if it is not usual."""
    cdef bint escaped, spaced
    cdef Text begin = at + 1, end
    cdef int64_t time
    if field == IS_PAYLOAD:
        return _payload_end(data, at, stop, row)
    if field == IS_LABELS:
        return _labels_end(data, at, stop, row)
    if field < 0 or field == IS_RESOURCE:
        end = _value_end(at, stop, &spaced)
        if field == IS_RESOURCE:
            row[RESOURCE], row[RESOURCE + 1] = at - data, end - data
        return end
    if at[0] != c'"':
        return NULL
    end = _text_end(begin, stop, &escaped)
    if end == NULL or (escaped and field != IS_TEXT):
        return NULL
    if field == IS_TEXT:
        row[MESSAGE], row[MESSAGE + 1], row[MESSAGE_SPELLED] = begin - data, end - data, ESCAPED if escaped else PLAIN
    elif field == IS_TIME or field == IS_RECEIVED:
        time = moment(begin, end - begin - 1) if end > begin and (end - 1)[0] == c"Z" else -1
        if time < 0:
            return NULL
        if field == IS_TIME:
            row[TIME], row[DECIMALS] = time, max(end - begin - 21, 0)
        else:
            row[RECEIVED] = time
    else:
        row[2 * field], row[2 * field + 1] = begin - data, end - data
    return end + 1


cdef Text _payload_end(Text data, Text at, Text stop, int64_t* row) noexcept nogil:
    """The end of a JSON payload that is an object; where it keeps what a person would read is written to `row`."""
    cdef int64_t best = SAID.count, seen = 0, key, size
    cdef bint spaced = False, inner, escaped
    cdef Text begin, end
    row[PAYLOAD] = at - data
    if at[0] != c"{":
        return NULL
    at = _next(at + 1, &spaced)
    if at[0] != c"}":
        while True:
            begin = at + 1
            at = _key_end(at, stop, &end)
            if at == NULL or _which(begin, end, &EVENT) >= 0:
                return NULL
            spaced |= at - end > 2
            key = _which(begin, end, &SAID)
            if key >= 0:
                if seen >> key & 1:
                    return NULL
                seen |= 1 << key
            if at[0] == c'"':
                begin = at + 1
                end = _text_end(begin, stop, &escaped)
                if end == NULL or _which(begin, end, &EVENT) >= 0:
                    return NULL
                at = end + 1
                if 0 <= key < best:
                    best = key
                    row[MESSAGE], row[MESSAGE + 1] = begin - data, end - data
                    row[MESSAGE_SPELLED] = ESCAPED if escaped else PLAIN
            else:
                at = _value_end(at, stop, &inner)
                if at == NULL:
                    return NULL
                spaced |= inner
            at = _next(at, &spaced)
            if at[0] == c"}":
                break
            if at[0] != c",":
                return NULL
            at = _next(at + 1, &spaced)
    row[PAYLOAD + 1], row[PAYLOAD_SPELLED] = at + 1 - data, SPACED if spaced else PLAIN
    size = row[MESSAGE + 1] - row[MESSAGE]
    if size == 0:  # no text there, or an empty one: the payload itself is told
        row[MESSAGE], row[MESSAGE + 1], row[MESSAGE_SPELLED] = row[PAYLOAD], row[PAYLOAD + 1], row[PAYLOAD_SPELLED]
    elif row[MESSAGE_SPELLED] == ESCAPED and size <= 6:  # perhaps a newline alone, which counts as empty
        return NULL
    return at + 1


cdef Text _labels_end(Text data, Text at, Text stop, int64_t* row) noexcept nogil:
    """The end of labels, an object of texts without escapes of which no two have one key."""
    cdef Text[MOST_LABELS] keys
    cdef int64_t[MOST_LABELS] sizes
    cdef int64_t count = 0, other
    cdef bint spaced = False, escaped, is_node
    cdef Text labels = at, begin, end
    if at[0] != c"{":
        return NULL
    at = _next(at + 1, &spaced)
    if at[0] == c"}":
        return at + 1  # as if there were none
    while True:
        begin = at + 1
        at = _key_end(at, stop, &end)
        if at == NULL or at[0] != c'"' or count == MOST_LABELS or _begins(begin, end, &LEGACY):
            return NULL
        spaced |= at - end > 2
        keys[count], sizes[count] = begin, end - begin
        for other in range(count):
            if sizes[other] == sizes[count] and not memcmp(keys[other], begin, sizes[count]):
                return NULL
        count += 1
        is_node = _which(begin, end, &NODES) == 0
        begin = at + 1
        end = _text_end(begin, stop, &escaped)
        if end == NULL or escaped:
            return NULL
        if is_node:
            if _begins(begin, end, &LEGACY_NODES):
                return NULL
            if end > begin:
                row[NODE], row[NODE + 1] = begin - data, end - data
        at = _next(end + 1, &spaced)
        if at[0] == c"}":
            break
        if at[0] != c",":
            return NULL
        at = _next(at + 1, &spaced)
    row[LABELS], row[LABELS + 1], row[LABELS_SPELLED] = labels - data, at + 1 - data, SPACED if spaced else PLAIN
    return at + 1


cdef Text _key_end(Text at, Text stop, Text* end) noexcept nogil:
    """Where the value of the key at `at` begins, NULL if there is no such key; where the key ends is set."""
    cdef bint escaped
    if at[0] != c'"':
        return NULL
    end[0] = _text_end(at + 1, stop, &escaped)
    if end[0] == NULL or escaped:
        return NULL
    at = _blanks_end(end[0] + 1)
    return _blanks_end(at + 1) if at[0] == c":" else NULL


cdef Text _value_end(Text at, Text stop, bint* spaced) noexcept nogil:
    """The end of any JSON value, NULL if it is none or unusual; whether there are blanks in it is set."""
    cdef int64_t depth = 0
    cdef uint64_t objects = 0  # the last bit: whether the innermost is one
    cdef bint opened
    cdef Text begin, end
    spaced[0] = False
    while True:
        opened = at[0] == c"{" or at[0] == c"["
        if opened:
            depth += 1
            if depth > DEEPEST:
                return NULL
            objects = objects << 1 | (at[0] == c"{")
            at += 1
        else:
            at = _scalar_end(at, stop)
            if at == NULL:
                return NULL
        while depth:
            at = _next(at, spaced)
            if at[0] == (c"}" if objects & 1 else c"]"):
                objects >>= 1
                depth -= 1
                opened = False
                at += 1
                continue
            if not opened:
                if at[0] != c",":
                    return NULL
                at = _next(at + 1, spaced)
            break
        if not depth:
            return at
        if objects & 1:
            begin = at + 1
            at = _key_end(at, stop, &end)
            if at == NULL or _which(begin, end, &EVENT) >= 0:
                return NULL
            spaced[0] |= at - end > 2


cdef Text _scalar_end(Text at, Text stop) noexcept nogil:
    """The end of a text, number, true, false or null; NULL if it is none of these, or may belong to an event."""
    cdef bint escaped
    cdef Text end
    if at[0] == c'"':
        end = _text_end(at + 1, stop, &escaped)
        if end == NULL or _which(at + 1, end, &EVENT) >= 0:
            return NULL
        return end + 1
    if at[0] == c"-" or _is_digit(at[0]):
        return _number_end(at)
    if stop - at >= 4 and (not memcmp(at, b"true", 4) or not memcmp(at, b"null", 4)):
        return at + 4
    return at + 5 if stop - at >= 5 and not memcmp(at, b"false", 5) else NULL


cdef Text _number_end(Text at) noexcept nogil:
    cdef Text begin = at, exponent
    if at[0] == c"-":
        at += 1
    at = at + 1 if at[0] == c"0" else _digits_end(at)
    if at != NULL and at[0] == c".":
        at = _digits_end(at + 1)
    if at != NULL and (at[0] == c"e" or at[0] == c"E"):
        at += 1
        if at[0] == c"-" or at[0] == c"+":
            at += 1
        exponent = at
        at = _digits_end(at)
        if at > exponent + 2:
            return NULL
    return at if at != NULL and at - begin <= LONGEST_NUMBER else NULL


cdef Text _digits_end(Text at) noexcept nogil:
    """The end of one digit or more, NULL if there is none."""
    if not _is_digit(at[0]):
        return NULL
    while _is_digit(at[0]):
        at += 1
    return at


cdef Text _text_end(Text at, Text stop, bint* escaped) noexcept nogil:
    """The quote that ends the text which begins at `at`, NULL if it is not valid; whether it has escapes is set."""
    cdef uint64_t word, quotes, backslashes, hit
    escaped[0] = False
    while at != NULL:
        # Eight bytes at a time, to the next that is a quote, a backslash, a control character or not ASCII.
        while stop - at >= 8:
            word = _word(at)
            quotes, backslashes = word ^ _eight(c'"'), word ^ _eight(c"\\")
            hit = (quotes - _eight(1)) & ~quotes | (backslashes - _eight(1)) & ~backslashes
            hit = (hit | (word - _eight(c" ")) & ~word | word) & _eight(0x80)
            if hit:
                at += _first(hit)
                break
            at += 8
        if at[0] == c'"':
            return at
        if at[0] == c"\\":
            escaped[0] = True
            at = _escape_end(at)
        elif at[0] >= 0x80:
            at = _wide_end(at)
        else:
            at = at + 1 if at[0] >= c" " else NULL
    return NULL


cdef inline uint64_t _word(Text at) noexcept nogil:
    """Eight bytes, the first one lowest: one instruction, where the processor has them so."""
    return (
        at[0] | <uint64_t> at[1] << 8 | <uint64_t> at[2] << 16 | <uint64_t> at[3] << 24
        | <uint64_t> at[4] << 32 | <uint64_t> at[5] << 40 | <uint64_t> at[6] << 48 | <uint64_t> at[7] << 56
    )


cdef inline uint64_t _eight(uint64_t letter) noexcept nogil:
    """A letter eight times."""
    return letter * 0x0101010101010101ULL


cdef inline uint64_t _first(uint64_t hit) noexcept nogil:
    """The number, from 0, of the lowest byte whose highest bit is set; no other bits are."""
    return ((hit & (0 - hit)) >> 7) * 0x0001020304050607ULL >> 56


cdef Text _escape_end(Text at) noexcept nogil:
    """The end of the escape that begins with the backslash at `at`; NULL if it is none or half of a pair."""
    cdef uint8_t letter = at[1]
    cdef int64_t first
    if letter == c"u":
        first = _hexadecimal(at + 2)
        if first < 0 or 0xDC00 <= first < 0xE000:
            return NULL
        if not 0xD800 <= first < 0xDC00:
            return at + 6
        if at[6] != c"\\" or at[7] != c"u":
            return NULL
        return at + 12 if 0xDC00 <= _hexadecimal(at + 8) < 0xE000 else NULL
    if letter == c"n" or letter == c'"' or letter == c"\\" or letter == c"/":
        return at + 2
    return at + 2 if letter == c"t" or letter == c"r" or letter == c"b" or letter == c"f" else NULL


cdef int64_t _hexadecimal(Text at) noexcept nogil:
    """The value of four hexadecimal digits, -1 if there are none."""
    cdef int64_t value = 0, place
    cdef uint8_t small
    for place in range(4):
        small = at[place] | 32
        if _is_digit(at[place]):
            value = value * 16 + at[place] - c"0"
        elif c"a" <= small <= c"f":
            value = value * 16 + small - c"a" + 10
        else:
            return -1
    return value


cdef Text _wide_end(Text at) noexcept nogil:
    """The end of the character of several bytes at `at`, NULL if it is no UTF-8 (Unicode 15, table 3-7)."""
    cdef uint8_t first = at[0], low = 0x80, high = 0xBF
    cdef int64_t size, place
    if 0xC2 <= first <= 0xDF:
        size = 2
    elif 0xE0 <= first <= 0xEF:
        size = 3
        low, high = 0xA0 if first == 0xE0 else low, 0x9F if first == 0xED else high
    elif 0xF0 <= first <= 0xF4:
        size = 4
        low, high = 0x90 if first == 0xF0 else low, 0x8F if first == 0xF4 else high
    else:
        return NULL
    if not low <= at[1] <= high:
        return NULL
    for place in range(2, size):
        if at[place] & 0xC0 != 0x80:
            return NULL
    return at + size


cdef inline Text _next(Text at, bint* spaced) noexcept nogil:
    """What comes after blanks; that there were some is noted."""
    cdef Text after = _blanks_end(at)
    spaced[0] |= after > at
    return after


cdef inline Text _blanks_end(Text at) noexcept nogil:
    while at[0] == c" " or at[0] == c"\t" or at[0] == c"\r":
        at += 1
    return at


cdef inline bint _is_digit(uint8_t letter) noexcept nogil:
    return c"0" <= letter <= c"9"


cdef inline int64_t _which(Text begin, Text end, const Names* names) noexcept nogil:
    """Which of these names stands there, -1 for none."""
    cdef int64_t name
    for name in range(names.count):
        if names.sizes[name] == end - begin and not memcmp(begin, names.texts[name], end - begin):
            return name
    return -1


cdef inline bint _begins(Text begin, Text end, const Names* names) noexcept nogil:
    """Whether the first name stands at the beginning."""
    return end - begin >= names.sizes[0] and not memcmp(begin, names.texts[0], names.sizes[0])
