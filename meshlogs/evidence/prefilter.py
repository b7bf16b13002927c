"""Which of many patterns may match a text: one pass of a search engine instead of a search for each of them."""

import re
from collections.abc import Callable, Iterable

# Building the search takes longer than so many questions (some four for each text) take without it.
WORTHWHILE = 12_000
_GROUP_NAME = re.compile(r"\(\?P<\w+>")
# Long counted repeats take long to build; without the count they match more, which is no harm here.
_REPEAT = re.compile(r"\{([01]),\d{2,}\}")


class Prefilter:
    """Tells which patterns may match a text; never too few. All of them until many questions have been asked.

    The search is hyperscan's prefilter mode, which takes lookarounds for matching; texts beyond ASCII, where its
    letters and Python's might differ, get all patterns, and so do platforms without it.

    `wide` are parts of patterns that take long to build; with anything but blanks instead more matches.
    """

    def __init__(self, patterns: Iterable[re.Pattern], wide: Iterable[str] = ()):
        self._patterns = list(dict.fromkeys(pattern.pattern for pattern in patterns))
        self._wide = tuple(wide)
        self._asked = 0
        self._search = None
        self._last: tuple[str, Callable] = ("", _any)

    def of(self, text: str) -> Callable[[re.Pattern], bool]:
        """Whether a pattern may match this text, one of those that the prefilter was made of."""
        self._asked += 1
        if self._asked == WORTHWHILE:
            self._search = _search(self._patterns, self._wide)
        if self._search is None or not text.isascii():
            return _any
        if text != self._last[0]:
            hits = self._search(text.encode())
            self._last = text, lambda pattern: pattern.pattern in hits
        return self._last[1]


def _any(_pattern: re.Pattern) -> bool:
    return True


def _search(patterns: list[str], wide: tuple[str, ...] = ()):
    """A function from a text to the patterns that may match it; None without hyperscan."""
    try:
        import hyperscan
    except ImportError:
        return None
    flags = (
        hyperscan.HS_FLAG_PREFILTER
        | hyperscan.HS_FLAG_CASELESS
        | hyperscan.HS_FLAG_MULTILINE
        | hyperscan.HS_FLAG_ALLOWEMPTY
        | hyperscan.HS_FLAG_SINGLEMATCH
    )
    database = hyperscan.Database()
    database.compile(
        expressions=[_spelled(pattern, wide) for pattern in patterns],
        ids=list(range(len(patterns))),
        flags=[flags] * len(patterns),
    )
    scratch = hyperscan.Scratch(database)

    def hits(text: bytes) -> set[str]:
        found: set[str] = set()
        database.scan(text, match_event_handler=lambda number, *_: found.add(patterns[number]), scratch=scratch)
        return found

    return hits


def _spelled(pattern: str, wide: tuple[str, ...]) -> bytes:
    """The pattern as the engine takes it: without names of groups, and perhaps a wider one."""
    for part in wide:
        pattern = pattern.replace(part, r"\S+")
    return _REPEAT.sub(lambda found: "+" if found[1] == "1" else "*", _GROUP_NAME.sub("(", pattern)).encode()
