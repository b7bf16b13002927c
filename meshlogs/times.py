"""Times as int64 nanoseconds UTC: parsing, printing, and the columns that hold them.

Nothing here passes through `datetime`, which would cut nanoseconds.
A missing time is `NAT` (the value pandas and NumPy use for NaT).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from meshlogs.later import Later

pd = Later("pandas")

NAT = np.iinfo(np.int64).min
SECOND = 1_000_000_000
MILLISECOND = 1_000_000
COLUMN = "datetime64[ns, UTC]"

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?"
    r"\s?(?:Z|z|UTC|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?$",
    re.ASCII,
)
# What is reckoned from a time, such as its hour, must fit into 64 bits of nanoseconds, too: a day is left. A time is
# nearer to 1970 than this. [s]
FARTHEST_S = 2**63 // SECOND - 86_400


def parse_ns(text: str | None) -> int:
    """Nanoseconds since the epoch (UTC) of an RFC 3339 time with 0 to 9 decimals; `NAT` if it is none.

    Digits past the ninth are cut. A time without a zone is taken as UTC. None, too, is one within a day of the first
    and last that 64 bits can hold (1677, 2262).

    >>> parse_ns("2020-09-07T14:36:48.03093257Z")
    1599489408030932570
    >>> parse_ns("2020-09-07 14:36:48+02:00") == parse_ns("2020-09-07T12:36:48Z")
    True
    >>> parse_ns("yesterday") == parse_ns("2020-09-07T14:36:48+25:00") == NAT
    True
    """
    match = _RFC3339.match(text.strip()) if isinstance(text, str) else None
    if not match:
        return NAT
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    days = _days(year, month, day)
    if days is None or hour > 23 or minute > 59 or second > 60:
        return NAT
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    sign, hours, minutes = match.group(8, 9, 10)
    if sign:
        offset = int(hours) * 3600 + int(minutes or 0) * 60
        seconds -= offset if sign == "+" else -offset
    fraction = int((match.group(7) or "").ljust(9, "0"))
    return seconds * SECOND + fraction if abs(seconds) < FARTHEST_S else NAT


def granularity(text: str | None) -> str | None:
    """How finely the text of a time was written: "ns", "us", "ms" or "s"; None if it is no time.

    Seven to nine decimals count as ns, because writers trim zeros.

    >>> granularity("2020-09-07T14:36:48.030Z"), granularity("2020-09-07T14:36:48Z")
    ('ms', 's')
    """
    match = _RFC3339.match(text.strip()) if isinstance(text, str) else None
    if not match:
        return None
    digits = len(match.group(7) or "")
    return "s" if digits == 0 else "ms" if digits <= 3 else "us" if digits <= 6 else "ns"


def second_interval(ns: int) -> tuple[int, int]:
    """Closed bounds of a time that was floored to its second: (T, T + 1 s - 1 ns)."""
    return (NAT, NAT) if ns == NAT else (ns, ns + SECOND - 1)


def column(values: Iterable[int]) -> pd.Series:
    """A `datetime64[ns, UTC]` series from nanoseconds, `NAT` as missing."""
    numbers = np.asarray(list(values) if not isinstance(values, np.ndarray) else values, dtype="int64")
    return pd.Series(pd.DatetimeIndex(numbers.view("datetime64[ns]"), tz="UTC"))


def stamps(series: pd.Series) -> np.ndarray:
    """The times of a series for NumPy, without their zone: no comparison with a missing one (NaT) holds."""
    return series.to_numpy("datetime64[ns]")


def to_ns(series: pd.Series) -> np.ndarray:
    """Nanoseconds (int64, `NAT` where missing) of a `datetime64[ns, UTC]` series."""
    return stamps(series).view("int64")


def text(ns: int) -> str:
    """RFC 3339 text with the digits that matter; empty for `NAT`.

    >>> text(1585651275552128897), text(1585651318000000000)
    ('2020-03-31T10:41:15.552128897Z', '2020-03-31T10:41:58Z')
    """
    if ns == NAT:
        return ""
    seconds, fraction = divmod(int(ns), SECOND)
    stamp = str(np.datetime64(seconds, "s"))
    return f"{stamp}.{fraction:09d}".rstrip("0") + "Z" if fraction else stamp + "Z"


@lru_cache(maxsize=4096)
def _days(year: int, month: int, day: int) -> int | None:
    try:
        return int(np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "D").astype("int64"))
    except ValueError:
        return None


# A date, or a time without its seconds.
_SHORT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(Z|z|[+-]\d\d:\d\d)?)?$", re.ASCII)


def moment(value) -> pd.Timestamp | None:
    """What anyone writes for a time, in UTC: RFC 3339, its seconds and zone (UTC) optional, or a date.

    What is no text may be anything `pandas.Timestamp` takes. Raises ValueError for all else, which pandas would make a
    time of year 1 or of today, and for what 64 bits of nanoseconds cannot hold.

    >>> moment("2020-03-31"), moment("2020-03-31T09:30+02:00"), moment(None)
    (Timestamp('2020-03-31 00:00:00+0000', tz='UTC'), Timestamp('2020-03-31 07:30:00+0000', tz='UTC'), None)
    """
    if value is None:
        return None
    if isinstance(value, str):
        short = _SHORT.match(value.strip())
        ns = parse_ns(f"{short[1]}T{short[2] or '00:00'}:00{short[3] or 'Z'}" if short else value)
        stamp = pd.Timestamp(ns, tz="UTC")
    else:
        stamp = pd.Timestamp(value)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")
    if pd.isna(stamp):
        raise ValueError(f"{value!r} is not a time such as 2026-03-02T09:00:00Z")
    return stamp.as_unit("ns")


def span(since, until) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """The moments of a first and a last time; either may be None. Raises ValueError unless since < until."""
    first, last = moment(since), moment(until)
    if first is not None and last is not None and not first < last:
        raise ValueError(f"since ({first}) is not before until ({last})")
    return first, last
