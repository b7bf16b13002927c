"""Usual lines of log entries, read where they stand: a compiled reader of JSON that is stricter than any other.

A line is usual if it is one entry as nearly all writers spell it, that becomes one row and nothing else. Of such a line
it is told where its texts begin and end, and when it was written; of any other, that it is not usual.

The bytes to read end with a newline. No part of a usual line holds one, and nothing here steps over a byte that was not
looked at: so each search ends, at the latest, at the newline of its own line.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from meshlogs import times
from meshlogs.compiled import kernel
from meshlogs.formats import entry

# Columns of what is found of a line. A text has two, the places where it begins and ends (-1: there is none), without
# its quotes; those of resource, labels and payload are the places of JSON.
INSERT_ID, LOG_NAME, SEVERITY, RESOURCE, LABELS, NODE, MESSAGE, PAYLOAD = range(0, 16, 2)
# How the text is spelled.
LABELS_SPELLED, MESSAGE_SPELLED, PAYLOAD_SPELLED = range(16, 19)
# Times [ns], how many decimals the first has; the line's number, and where it begins and ends.
TIME, DECIMALS, RECEIVED, LINE = range(19, 23)
WHOLE = slice(LINE, LINE + 3)
WIDTH = LINE + 3

PLAIN, ESCAPED, SPACED = range(3)  # spelled: as meant; with escapes; as JSON with blanks between its parts

# More than so many bytes in a line, levels of nesting, labels, or characters in a number are not usual. Such a number,
# with two digits of exponent at most, is one to every reader.
_LONGEST, _DEEPEST, _LONGEST_NUMBER, MOST_LABELS = 1 << 24, 60, 24, 64
# So many bytes at most are read at a time, and one line more: their places fit the offsets of Arrow's texts.
_AT_ONCE = 1 << 26

_BLANK, _TAB, _NEWLINE, _RETURN = b" \t\n\r"
_QUOTE, _BACKSLASH, _COMMA, _COLON, _MINUS, _PLUS, _POINT = b'"\\,:-+.'
_BRACE, _BRACE_END, _BRACKET, _BRACKET_END = b"{}[]"
_ZERO, _NINE, _T, _Z, _A, _E, _F, _U = b"09TZaefu"

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_QUOTES, _BACKSLASHES, _BLANKS = (_ONES * np.uint64(letter) for letter in (_QUOTE, _BACKSLASH, _BLANK))


def _names(*names: str) -> tuple[np.ndarray, np.ndarray]:
    """Names one after another (uint8), and where each begins and the last ends."""
    return np.frombuffer("".join(names).encode(), np.uint8), np.cumsum([0, *map(len, names)])


_IS_INSERT_ID, _IS_LOG_NAME, _IS_SEVERITY, _IS_RESOURCE, _IS_LABELS, _IS_TEXT, _IS_PAYLOAD = range(7)
_IS_TIME, _IS_RECEIVED, _IS_ODD = range(7, 10)
_FIELDS, _FIELD_AT = _names(
    *("insertId", "logName", "severity", "resource", "labels", "textPayload", "jsonPayload"),
    *("timestamp", "receiveTimestamp"),
    *("protoPayload", "split", "entries", "nextPageToken"),  # whatever they hold
)
_SAID, _SAID_AT = _names(*entry.MESSAGE_KEYS)
_EVENT, _EVENT_AT = _names(*entry.EVENT_KEYS)
_WORDS, _WORDS_AT = _names("true", "false", "null")
_ESCAPES = np.frombuffer(b'"\\/bfnrt', np.uint8)
_NODE, _NODE_AT = _names(entry.NODE_LABEL)
_LEGACY, _LEGACY_NODE = (np.frombuffer(text.encode(), np.uint8) for text in (entry.LEGACY, entry.LEGACY_NODE))
# The days from 1970 to the beginning of each month whose times surely fit int64.
_FIRST_YEAR, _END_YEAR = 1678, 2262
_MONTHS = np.arange(f"{_FIRST_YEAR}-01", f"{_END_YEAR}-02", dtype="M8[M]").astype("M8[D]").astype(np.int64)
_SECOND, _NAT = times.SECOND, times.NAT


@intrinsic
def _trailing_zeros(_context, _word):
    """How many zero bits end a word that is not zero."""

    def code(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.uint64), code


@kernel
def read(data, words, at, found, odd, scratch):
    """Read lines of `data` (uint8) from the one that begins at `at`, whose number is 0, until a table is full.

    `words` (uint64) are the eight bytes from each place on. What is found of usual lines is written to `found`
    (n, `WIDTH`), the number, begin and end of the others to `odd` (n, 3); `scratch` is room for the places of
    `MOST_LABELS` keys. Gives how many there are of each, the number of lines read, and where the next one begins.
    """
    usual, others, number, limit = 0, 0, 0, at + _AT_ONCE
    while at < min(len(data), limit) and usual < len(found) and others < len(odd):
        end = _entry_end(data, words, at, found[usual], scratch)
        if end >= 0 and end - at <= _LONGEST:
            found[usual, LINE], found[usual, LINE + 1], found[usual, LINE + 2] = number, at, end
            usual += 1
        else:
            end = _line_end(data, words, at)
            odd[others, 0], odd[others, 1], odd[others, 2] = number, at, end
            others += 1
        at = end + 1
        number += 1
    return usual, others, number, at


@kernel
def _line_end(data, words, at):
    """The place of the next newline."""
    while at < len(words):
        word = words[at] ^ (_ONES * np.uint64(_NEWLINE))
        hit = (word - _ONES) & ~word & _HIGH
        if hit:
            return at + (_trailing_zeros(hit) >> 3)
        at += 8
    while data[at] != _NEWLINE:
        at += 1
    return at


@kernel
def _entry_end(data, words, at, row, scratch):
    """The newline after the entry that begins at `at`, -1 if it is not usual; what is found is written to `row`."""
    row[:LABELS_SPELLED] = -1
    row[LABELS_SPELLED:] = 0
    row[TIME], row[RECEIVED] = _NAT, _NAT
    at = _blanks_end(data, at)
    if data[at] != _BRACE:
        return -1
    at, seen = _blanks_end(data, at + 1), 0
    while True:
        begin = at + 1
        at, end = _key_end(data, words, at)
        if at < 0:
            return -1
        field = _which(data, begin, end, _FIELDS, _FIELD_AT)
        if field >= 0:
            if field >= _IS_ODD or seen >> field & 1:
                return -1
            seen |= 1 << field
        at = _field_end(data, words, at, field, row, scratch)
        if at < 0:
            return -1
        at = _blanks_end(data, at)
        if data[at] == _BRACE_END:
            break
        if data[at] != _COMMA:
            return -1
        at = _blanks_end(data, at + 1)
    at = _blanks_end(data, at + 1)
    if data[at] != _NEWLINE or row[TIME] == _NAT or row[LOG_NAME] < 0:
        return -1
    two = 1 << _IS_TEXT | 1 << _IS_PAYLOAD
    return at if seen & two != two else -1


@kernel
def _field_end(data, words, at, field, row, scratch):
    """The end of a field's value, -1 if it is not usual."""
    if field == _IS_PAYLOAD:
        return _payload_end(data, words, at, row)
    if field == _IS_LABELS:
        return _labels_end(data, words, at, row, scratch)
    if field < 0 or field == _IS_RESOURCE:
        end, _ = _value_end(data, words, at)
        if field == _IS_RESOURCE:
            row[RESOURCE], row[RESOURCE + 1] = at, end
        return end
    if data[at] != _QUOTE:
        return -1
    begin = at + 1
    end, escaped = _text_end(data, words, begin)
    if end < 0 or (escaped and field != _IS_TEXT):
        return -1
    if field == _IS_TEXT:
        row[MESSAGE], row[MESSAGE + 1], row[MESSAGE_SPELLED] = begin, end, ESCAPED if escaped else PLAIN
    elif field == _IS_TIME or field == _IS_RECEIVED:
        moment, decimals = _moment(data, begin, end)
        if moment == _NAT:
            return -1
        if field == _IS_TIME:
            row[TIME], row[DECIMALS] = moment, decimals
        else:
            row[RECEIVED] = moment
    else:  # insertId, logName, severity: in the order of their columns
        row[2 * field], row[2 * field + 1] = begin, end
    return end + 1


@kernel
def _payload_end(data, words, at, row):
    """The end of a JSON payload that is an object; where it keeps what a person would read is written to `row`."""
    row[PAYLOAD] = at
    if data[at] != _BRACE:
        return -1
    best, seen, spaced = len(_SAID_AT), 0, False
    after = _blanks_end(data, at + 1)
    spaced |= after > at + 1
    at = after
    first = True
    while not (first and data[at] == _BRACE_END):
        first = False
        begin, before = at + 1, at
        at, end = _key_end(data, words, at)
        if at < 0 or _which(data, begin, end, _EVENT, _EVENT_AT) >= 0:
            return -1
        spaced |= at - end > 2
        key = _which(data, begin, end, _SAID, _SAID_AT)
        if key >= 0:
            if seen >> key & 1:
                return -1
            seen |= 1 << key
        before = at
        if data[at] == _QUOTE:
            end, escaped = _text_end(data, words, at + 1)
            if end < 0 or _which(data, at + 1, end, _EVENT, _EVENT_AT) >= 0:
                return -1
            at = end + 1
            if 0 <= key < best:
                best = key
                row[MESSAGE], row[MESSAGE + 1], row[MESSAGE_SPELLED] = before + 1, end, ESCAPED if escaped else PLAIN
        else:
            at, inner = _value_end(data, words, at)
            if at < 0:
                return -1
            spaced |= inner
        after = _blanks_end(data, at)
        spaced |= after > at
        at = after
        if data[at] == _BRACE_END:
            break
        if data[at] != _COMMA:
            return -1
        after = _blanks_end(data, at + 1)
        spaced |= after > at + 1
        at = after
    at += 1
    row[PAYLOAD + 1], row[PAYLOAD_SPELLED] = at, SPACED if spaced else PLAIN
    size = row[MESSAGE + 1] - row[MESSAGE]
    if size == 0:  # no text there, or an empty one: the payload itself is told
        row[MESSAGE], row[MESSAGE + 1], row[MESSAGE_SPELLED] = row[PAYLOAD], at, row[PAYLOAD_SPELLED]
    elif row[MESSAGE_SPELLED] == ESCAPED and size <= 6:  # perhaps a newline alone, which counts as empty
        return -1
    return at


@kernel
def _labels_end(data, words, at, row, keys):
    """The end of labels, an object of texts without escapes of which no two have one key; `keys` is room for these."""
    row[LABELS] = at
    if data[at] != _BRACE:
        return -1
    count, spaced = 0, False
    after = _blanks_end(data, at + 1)
    if data[after] == _BRACE_END:
        row[LABELS] = -1  # none
        return after + 1
    spaced |= after > at + 1
    at = after
    while True:
        begin = at + 1
        at, end = _key_end(data, words, at)
        if at < 0 or data[at] != _QUOTE or count == len(keys) or _starts(data, begin, end, _LEGACY):
            return -1
        spaced |= at - end > 2
        keys[count, 0], keys[count, 1] = begin, end
        for other in range(count):
            size = keys[other, 1] - keys[other, 0]
            if size == end - begin and _same(data, keys[other, 0], data, begin, size):
                return -1
        count += 1
        is_node = _which(data, begin, end, _NODE, _NODE_AT) == 0
        begin = at + 1
        end, escaped = _text_end(data, words, begin)
        if end < 0 or escaped:
            return -1
        if is_node:
            if _starts(data, begin, end, _LEGACY_NODE):
                return -1
            row[NODE], row[NODE + 1] = (begin, end) if end > begin else (-1, -1)
        at = _blanks_end(data, end + 1)
        spaced |= at > end + 1
        if data[at] == _BRACE_END:
            break
        if data[at] != _COMMA:
            return -1
        after = _blanks_end(data, at + 1)
        spaced |= after > at + 1
        at = after
    row[LABELS + 1], row[LABELS_SPELLED] = at + 1, SPACED if spaced else PLAIN
    return at + 1


@kernel
def _key_end(data, words, at):
    """Where the value begins that belongs to the key at `at`, -1 if there is no such key; and where the key ends."""
    if data[at] != _QUOTE:
        return -1, at
    end, escaped = _text_end(data, words, at + 1)
    if end < 0 or escaped:
        return -1, end
    at = _blanks_end(data, end + 1)
    if data[at] != _COLON:
        return -1, end
    return _blanks_end(data, at + 1), end


@kernel
def _value_end(data, words, at):
    """The end of any JSON value, -1 if it is none or unusual; and whether there are blanks in it."""
    depth, objects, spaced = 0, np.uint64(0), False  # the last bit of `objects`: whether the innermost is one
    while True:
        opened = data[at] == _BRACE or data[at] == _BRACKET
        if opened:
            depth += 1
            if depth > _DEEPEST:
                return -1, spaced
            objects = objects << np.uint64(1) | np.uint64(data[at] == _BRACE)
            at += 1
        else:
            at = _scalar_end(data, words, at)
            if at < 0:
                return -1, spaced
        while depth:
            after = _blanks_end(data, at)
            spaced |= after > at
            at = after
            if data[at] == (_BRACE_END if objects & np.uint64(1) else _BRACKET_END):
                objects >>= np.uint64(1)
                depth -= 1
                opened = False
                at += 1
                continue
            if not opened:
                if data[at] != _COMMA:
                    return -1, spaced
                after = _blanks_end(data, at + 1)
                spaced |= after > at + 1
                at = after
            break
        if not depth:
            return at, spaced
        if objects & np.uint64(1):
            begin = at + 1
            at, end = _key_end(data, words, at)
            if at < 0 or _which(data, begin, end, _EVENT, _EVENT_AT) >= 0:
                return -1, spaced
            spaced |= at - end > 2


@kernel
def _scalar_end(data, words, at):
    """The end of a text, number, true, false or null; -1 if it is none of these, or may belong to an event."""
    letter = data[at]
    if letter == _QUOTE:
        end, _ = _text_end(data, words, at + 1)
        return -1 if end < 0 or _which(data, at + 1, end, _EVENT, _EVENT_AT) >= 0 else end + 1
    if letter == _MINUS or _is_digit(letter):
        return _number_end(data, at)
    for word in range(3):
        size = _WORDS_AT[word + 1] - _WORDS_AT[word]
        if _same(data, at, _WORDS, _WORDS_AT[word], size):
            return at + size
    return -1


@kernel
def _number_end(data, at):
    begin = at
    if data[at] == _MINUS:
        at += 1
    if data[at] == _ZERO:
        at += 1
    else:
        at = _digits_end(data, at)
    if at >= 0 and data[at] == _POINT:
        at = _digits_end(data, at + 1)
    if at >= 0 and data[at] | 32 == _E:
        at += 1
        if data[at] == _MINUS or data[at] == _PLUS:
            at += 1
        exponent = at
        at = _digits_end(data, at)
        if at > exponent + 2:
            return -1
    return at if at - begin <= _LONGEST_NUMBER else -1


@kernel
def _digits_end(data, at):
    """The end of one digit or more, -1 if there is none."""
    if not _is_digit(data[at]):
        return -1
    while _is_digit(data[at]):
        at += 1
    return at


@kernel
def _text_end(data, words, at):
    """The quote that ends the text which begins at `at`, -1 if it is not valid; and whether it has escapes."""
    escaped = False
    while True:
        # Eight bytes at a time, to the next that is a quote, a backslash, a control character or not ASCII.
        while at < len(words):
            word = words[at]
            quotes, backslashes = word ^ _QUOTES, word ^ _BACKSLASHES
            hit = (quotes - _ONES) & ~quotes | (backslashes - _ONES) & ~backslashes | (word - _BLANKS) & ~word | word
            hit &= _HIGH
            if hit:
                at += _trailing_zeros(hit) >> 3
                break
            at += 8
        letter = data[at]
        if letter == _QUOTE:
            return at, escaped
        if letter == _BACKSLASH:
            escaped = True
            at = _escape_end(data, at)
        elif letter >= 0x80:
            at = _wide_end(data, at)
        else:
            at = at + 1 if letter >= _BLANK else -1
        if at < 0:
            return -1, escaped


@kernel
def _escape_end(data, at):
    """The end of the escape that begins with the backslash at `at`; -1 if it is none or half of a pair."""
    letter = data[at + 1]
    if letter == _U:
        first = _hexadecimal(data, at + 2)
        if first < 0 or 0xDC00 <= first < 0xE000:
            return -1
        if not 0xD800 <= first < 0xDC00:
            return at + 6
        if data[at + 6] != _BACKSLASH or data[at + 7] != _U:
            return -1
        return at + 12 if 0xDC00 <= _hexadecimal(data, at + 8) < 0xE000 else -1
    for known in _ESCAPES:
        if letter == known:
            return at + 2
    return -1


@kernel
def _hexadecimal(data, at):
    """The value of four hexadecimal digits, -1 if there are none."""
    value = 0
    for place in range(at, at + 4):
        letter, small = data[place], data[place] | 32
        if _is_digit(letter):
            value = value * 16 + (letter - _ZERO)
        elif _A <= small <= _F:
            value = value * 16 + (small - _A + 10)
        else:
            return -1
    return value


@kernel
def _wide_end(data, at):
    """The end of the character of several bytes at `at`, -1 if it is no UTF-8 (Unicode 15, table 3-7)."""
    first, second = data[at], data[at + 1]
    low, high = 0x80, 0xBF
    if 0xC2 <= first <= 0xDF:
        size = 2
    elif 0xE0 <= first <= 0xEF:
        size = 3
        low, high = 0xA0 if first == 0xE0 else low, 0x9F if first == 0xED else high
    elif 0xF0 <= first <= 0xF4:
        size = 4
        low, high = 0x90 if first == 0xF0 else low, 0x8F if first == 0xF4 else high
    else:
        return -1
    if not low <= second <= high:
        return -1
    for place in range(at + 2, at + size):
        if data[place] & 0xC0 != 0x80:
            return -1
    return at + size


@kernel
def _moment(data, begin, end):
    """The time [ns] of a text such as 2020-03-31T10:41:15.55Z, and how many decimals it has; NAT if it is no such."""
    size = end - begin
    decimals = size - 21 if size > 20 else 0
    if size < 20 or size == 21 or decimals > 9 or data[end - 1] != _Z:
        return _NAT, 0
    for place in range(size - 1):
        letter = data[begin + place]
        if place == 4 or place == 7:
            good = letter == _MINUS
        elif place == 13 or place == 16:
            good = letter == _COLON
        elif place == 10:
            good = letter == _T
        elif place == 19:
            good = letter == _POINT
        else:
            good = _is_digit(letter)
        if not good:
            return _NAT, 0
    month = (_number(data, begin, 4) - _FIRST_YEAR) * 12 + _number(data, begin + 5, 2) - 1
    day, hour = _number(data, begin + 8, 2), _number(data, begin + 11, 2)
    minute, second = _number(data, begin + 14, 2), _number(data, begin + 17, 2)
    if not 1 <= _number(data, begin + 5, 2) <= 12 or not 0 <= month < len(_MONTHS) - 1:
        return _NAT, 0
    if not 1 <= day <= _MONTHS[month + 1] - _MONTHS[month] or hour > 23 or minute > 59 or second > 59:
        return _NAT, 0
    seconds = (((_MONTHS[month] + day - 1) * 24 + hour) * 60 + minute) * 60 + second
    fraction = _number(data, begin + 20, decimals)
    for _ in range(decimals, 9):
        fraction *= 10
    return seconds * _SECOND + fraction, decimals


@kernel
def _number(data, begin, size):
    """The value of so many digits."""
    value = 0
    for place in range(begin, begin + size):
        value = value * 10 + (data[place] - _ZERO)
    return value


@kernel
def _blanks_end(data, at):
    while data[at] == _BLANK or data[at] == _TAB or data[at] == _RETURN:
        at += 1
    return at


@kernel
def _is_digit(letter):
    return _ZERO <= letter <= _NINE


@kernel
def _which(data, begin, end, names, starts):
    """Which of these names stands there, -1 for none."""
    for name in range(len(starts) - 1):
        size = starts[name + 1] - starts[name]
        if size == end - begin and _same(data, begin, names, starts[name], size):
            return name
    return -1


@kernel
def _starts(data, begin, end, name):
    return end - begin >= len(name) and _same(data, begin, name, 0, len(name))


@kernel
def _same(data, begin, others, at, size):
    for place in range(size):
        if data[begin + place] != others[at + place]:
            return False
    return True
