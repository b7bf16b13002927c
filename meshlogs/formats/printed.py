"""Tables as kubectl prints them: columns that stand under their headings, ages, and when such a table was made."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from meshlogs import times

# A cell ends where two blanks begin; kubectl pads with two or three. (k8s.io/cli-runtime printers, text/tabwriter)
_CELL = re.compile(r"\S+(?: \S+)*")
_GAP = re.compile(r" {2,}")
_AGE = re.compile(r"(?:\d{1,6}y)?(?:\d{1,6}d)?(?:\d{1,6}h)?(?:\d{1,6}m)?(?:\d{1,6}s)?")
_PART = re.compile(r"(\d+)([ydhms])")
_REPEATED = re.compile(r"(\S+) \(x(\d{1,9}) over (\S+)\)")
_UNITS = {"y": 365 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
# An event that a clock running ahead has stamped is `0s` old until it is two seconds in the future.
_AHEAD = 2 * times.SECOND

_LONGEST = 200 * 365 * 86_400 * times.SECOND

NOTHING = ("<none>", "<unknown>", "<invalid>", "<nil>", "")


class Age(NamedTuple):
    """How long ago something was, as bounds in ns: at least `least`, less than `below`."""

    least: int
    below: int


class Layout(NamedTuple):
    """The headings of a table and where their columns begin, in characters."""

    names: tuple[str, ...]
    starts: tuple[int, ...]

    def cells(self, line: str) -> dict[str, str] | None:
        """Heading -> text of one row; None where the row does not fit under the headings.

        >>> layout_of("LAST SEEN   REASON").cells("7m          Started")
        {'LAST SEEN': '7m', 'REASON': 'Started'}
        """
        if all(start == 0 or line[start - 1 : start] in ("", " ") for start in self.starts):
            ends = [*self.starts[1:], len(line)]
            parts = [line[start:end].strip() for start, end in zip(self.starts, ends, strict=True)]
        else:  # each row of `kubectl get --watch` is as wide as it likes
            parts = _GAP.split(line.strip(), maxsplit=len(self.names) - 1)
            if len(parts) < len(self.names):
                return None
        return dict(zip(self.names, parts, strict=True))


def layout_of(heading: str) -> Layout:
    """The columns of a line of headings."""
    found = list(_CELL.finditer(heading))
    return Layout(tuple(cell[0] for cell in found), tuple(cell.start() for cell in found))


def age_of(text: str) -> Age | None:
    """The bounds of an age as kubectl writes it, None if it is none.

    The smallest unit that is shown may be cut off below: old versions wrote `5m` for all of that minute.
    (k8s.io/apimachinery duration.HumanDuration)

    >>> age_of("7m17s"), age_of("<unknown>")
    (Age(least=437000000000, below=438000000000), None)
    """
    if not text or not _AGE.fullmatch(text):
        return None
    parts = _PART.findall(text)
    least = sum(int(number) * _UNITS[unit] for number, unit in parts) * times.SECOND
    below = least + _UNITS[parts[-1][1]] * times.SECOND
    return Age(least or -_AHEAD, below) if below < _LONGEST else None


def repeated(text: str) -> tuple[str, int | None, str]:
    """(last, count, first) of `5s (x3 over 2m)`; one age stands for both, its count None.

    >>> repeated("5s (x3 over 2m)"), repeated("5s")
    (('5s', 3, '2m'), ('5s', None, '5s'))
    """
    match = _REPEATED.fullmatch(text)
    return (match[1], int(match[2]), match[3]) if match else (text, None, text)


def made_at(moments: Iterable[tuple[int, Age]]) -> tuple[int, int] | None:
    """When a table was made, as closed bounds in ns, from the times that are known of some of its ages.

    `moments` are (time in ns, age); the time of an age may have been cut to its second. Where not all agree,
    what most of them say; None if there are none.
    """
    ends = []
    for ns, age in moments:
        lower, upper = capture(ns, age)
        ends += [(lower, 0, upper), (upper, 1, upper)]
    best, depth, found = 0, 0, None
    for at, is_end, _ in (ordered := sorted(ends)):
        depth += -1 if is_end else 1
        if depth > best:
            best, found = depth, at
    if found is None:
        return None
    return found, min(at for at, is_end, _ in ordered if is_end and at >= found)


def capture(ns: int, age: Age) -> tuple[int, int]:
    """Closed bounds of now, when something of this time was of this age."""
    return ns - ns % times.SECOND + age.least, ns + age.below - 1
