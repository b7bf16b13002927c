"""Which of many patterns may match a text: those whose words it holds.

Most patterns match only where certain words stand, and to look for all words at once takes less than one pattern.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from re import _constants as codes
from re import _parser as parser
from typing import TypeVar

from ahocorasick_rs import AhoCorasick

_SHORTEST = 2  # letters that tell something
_OFTEN = ("refus", "conn")  # in nearly every text that is asked about
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}

Value = TypeVar("Value")


class Patterns:
    """Patterns in their order, each with what it stands for; they are compiled when a text is first asked about."""

    def __init__(self, rows: Iterable[tuple[re.Pattern | str, Value]], flags: int = 0):
        self._given, self._flags = list(rows), flags

    @cached_property
    def _rows(self) -> list[tuple[int, re.Pattern, Value]]:
        return [(place, re.compile(pattern, self._flags), value) for place, (pattern, value) in enumerate(self._given)]

    @cached_property
    def _words(self) -> tuple[AhoCorasick, list[list[int]], list[int]]:
        """All words, the places of the patterns that need each, and the places of those that need none."""
        places = defaultdict(list)
        for place, pattern, _ in self._rows:
            for word in needed(pattern) or ("",):
                places[word].append(place)
        always = places.pop("", [])
        return AhoCorasick(list(places)), list(places.values()), always

    def of(self, text: str, begin: int = 0) -> Iterator[tuple[int, re.Pattern, Value]]:
        """Place, pattern and value of those from a place on that may match a text; never too few.

        Texts beyond ASCII, where two letters may be one to a pattern that ignores case, get all patterns.
        """
        if not text.isascii():
            yield from self._rows[begin:]
            return
        words, places, always = self._words
        chosen = set(always)
        for word, _, _ in words.find_matches_as_indexes(text.lower(), overlapping=True):
            chosen.update(places[word])
        for place in sorted(chosen):
            if place >= begin:
                yield self._rows[place]


def needed(pattern: re.Pattern) -> tuple[str, ...]:
    r"""Words, in small letters, of which any match of a pattern holds one, rare ones if possible; () if none are known.

    >>> needed(re.compile(r"(?:dial|listen) tcp[46]? \S+ refused"))
    ('dial', 'listen')
    """
    found = max(_groups(parser.parse(pattern.pattern, pattern.flags)), key=_worth, default=())
    return found if found and _tells(found) else ()


def _tells(words: tuple[str, ...]) -> bool:
    return min(map(len, words)) >= _SHORTEST


def _worth(words: tuple[str, ...]) -> tuple[bool, bool, int]:
    """How much a group of words tells."""
    often = any(part in word for word in words for part in _OFTEN)
    return _tells(words), not often, min(map(len, words))


def _groups(tree) -> list[tuple[str, ...]]:
    """The groups of words of a parsed pattern: letters in a row are a word, branches are a group."""
    found, word = [], ""
    for code, value in tree:
        if code is codes.LITERAL:
            word += chr(value).lower()
            continue
        if code is codes.AT:  # takes no room
            continue
        found, word = [*found, (word,)] if word else found, ""
        if code is codes.SUBPATTERN:
            found += _groups(value[-1])
        elif code is codes.ATOMIC_GROUP:
            found += _groups(value)
        elif code in _REPEATS and value[0]:
            found += _groups(value[2])
        elif code is codes.BRANCH:
            best = [max(_groups(branch), key=_worth, default=()) for branch in value[1]]
            if all(best):
                found.append(tuple(word for group in best for word in group))
    return [*found, (word,)] if word else found
