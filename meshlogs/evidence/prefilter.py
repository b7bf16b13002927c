"""Which of many patterns may match a text: those whose words it holds.

Most patterns match only where certain letters stand, and to look for those takes a tenth of a search for the pattern.
"""

import re
from collections.abc import Callable, Iterable
from re import _constants as codes
from re import _parser as parser

# A pattern needs, of each of these groups, at least one.
Needs = tuple[tuple[str, ...], ...]

_SHORTEST = 2  # letters that tell something
_OFTEN = ("refus", "conn")  # in nearly every text that is asked about
_REPEATS = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}


class Prefilter:
    """Tells which patterns may match a text; never too few.

    Texts beyond ASCII, where two letters may be one to a pattern that ignores case, get all patterns.
    """

    def __init__(self, patterns: Iterable[re.Pattern]):
        self._needs = {pattern.pattern: needs(pattern) for pattern in patterns}

    def of(self, text: str) -> Callable[[re.Pattern], bool]:
        """Whether a pattern may match this text, one of those that the prefilter was made of."""
        if not text.isascii():
            return _any
        text, needed = text.lower(), self._needs

        def may_match(pattern: re.Pattern) -> bool:
            for words in needed[pattern.pattern]:
                for word in words:
                    if word in text:
                        break
                else:
                    return False
            return True

        return may_match


def _any(_pattern: re.Pattern) -> bool:
    return True


def needs(pattern: re.Pattern) -> Needs:
    r"""What any match of a pattern holds, in small letters, what is rare first.

    >>> needs(re.compile(r"(?:dial|listen) tcp[46]? \S+ refused"))
    (('dial', 'listen'), (' tcp',), (' refused',))
    """
    found = _groups(parser.parse(pattern.pattern, pattern.flags))
    return tuple(sorted(filter(_tells, dict.fromkeys(found)), key=_worth, reverse=True))


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
