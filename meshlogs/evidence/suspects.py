"""What the raw bytes of a log entry's line must hold to matter: patterns for a search before anything is parsed.

They are made from the tables that decide (`signatures.TRIGGER`, `connected.TRIGGER`) and from the lines that belong to
a failure (`refused`), as JSON spells them. A hit is a suspicion, the parsed entry decides; so a pattern may match too
much, never too little. All are matched without regard to case, none spans lines.
"""

import re
from functools import cache

from meshlogs.evidence import connected, signatures

# The beginning of a value that is a text, as usual writers set it, and how unusual ones would: short literals, which a
# search engine finds several times as fast as a gap between the colon and the quote.
_TEXT = r":[ ]?\""
_UNUSUAL = r"\":(?:[ ][ \t]|\t)"

# refused._CONTEXT, inside the quotes of a JSON value: texts that begin with a blank or a closing bracket, and words.
CONTEXT = (
    rf"{_TEXT}(?:[ \t]|\\t|\\u0009|[\]}})])",
    _UNUSUAL,
    r"Traceback \(most recent|During handling of|The above exception was|Caused by: |Suppressed: |Wrapped by: "
    r"|\.\.\. \d+ (?:more|common)|Is the server running on|TCP\\?/IP connections on port",
    r"connect:(?:[ \t]|\\t|\\u0009|\\[rn])*\"",
)
# Letters, digits and signs of ours that someone wrote as escapes; <, >, &, = and quotes are often written so and are
# in no pattern. Of other alphabets only those in which we know a spelling.
ESCAPED = (r"\\u00(?:[4-7][0-9a-f]|3[0-9]|2[013-5890-9a-f])", r"\\u04[0-9a-f][0-9a-f]", r"\\u62d2")
# Russian capitals, which a search of bytes does not know for the same letters.
_RUSSIAN = "\\xd0[\\x9e\\xbe](?:\\xd0\\xa2|\\xd1\\x82)\\xd0[\\x9a\\xba]"
# The parts of an entry that was split are put together first.
SPLIT = r"\"split\"[ \t]*:"
# A warehouse may hold payloads as JSON in a text, whose quotes are escaped, and says of all entries whether they were
# split.
NESTED = (
    r":[ ]?\\\"(?:[ \t]|\\\\t|\\\\u0009|[\]}})])",
    r"connect:(?:[ \t]|\\\\t|\\\\u0009|\\\\[rn])*\\\"",
)
SPLIT_ROW = SPLIT + r"[ \t]*[{\"]"


def _in_bytes(pattern: str) -> bytes:
    """A pattern for texts as one for lines of bytes: it does not span lines, and quotes may be escaped.

    To count signs would double the time that hyperscan takes to prepare all patterns.
    """
    return pattern.replace(r"\W{0,5}", r"[^\w\n]*").encode()


SUSPECTS: tuple[bytes, ...] = (
    _in_bytes(signatures.TRIGGER),
    _in_bytes(connected.TRIGGER),
    *(pattern.encode() for pattern in (*CONTEXT, *ESCAPED, SPLIT, _RUSSIAN)),
)
ROW_SUSPECTS = (*(each for each in SUSPECTS if each != SPLIT.encode()), SPLIT_ROW.encode(), *map(str.encode, NESTED))


def suspect(line: bytes) -> bool:
    """Whether a line may matter; slow, one line at a time.

    >>> suspect(b'{"textPayload":"Connection Refused"}'), suspect(b'{"textPayload":"GET / 200"}')
    (True, False)
    """
    return any(pattern.search(line) for pattern in _compiled())


@cache
def _compiled() -> tuple[re.Pattern[bytes], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in SUSPECTS)
