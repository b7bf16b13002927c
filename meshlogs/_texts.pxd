"""What the compiled modules know of texts: a letter's place, numbers and times. Nothing beyond their ends is read."""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memchr

ctypedef const uint8_t* Text


cdef inline Text find(Text begin, Text end, uint8_t letter) noexcept nogil:
    """Where a letter is next; the end, if it does not come."""
    cdef Text found = <Text> memchr(begin, letter, end - begin)
    return end if found == NULL else found


cdef inline int64_t moment(Text at, int64_t length) noexcept nogil:
    """Nanoseconds since the epoch of `YYYY-MM-DDThh:mm:ss[.digits]` of so many letters; -1 if it is none.

    So are times before 1970 or after 2261 and leap seconds, which are left to whoever is careful.
    """
    if length != 19 and not 21 <= length <= 29:
        return -1
    if at[4] != c"-" or at[7] != c"-" or at[10] != c"T" or at[13] != c":" or at[16] != c":":
        return -1
    cdef int64_t day = days(number(at, 4), number(at + 5, 2), number(at + 8, 2))
    cdef int64_t hour = number(at + 11, 2), minute = number(at + 14, 2), second = number(at + 17, 2)
    cdef int64_t fraction = 0, place
    if length > 19:
        fraction = number(at + 20, length - 20) if at[19] == c"." else -1
        for place in range(length, 29):
            fraction *= 10
    if day < 0 or not 0 <= hour < 24 or not 0 <= minute < 60 or not 0 <= second < 60 or fraction < 0:
        return -1
    return (day * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000_000 + fraction


cdef inline int64_t number(Text at, int64_t length) noexcept nogil:
    """The number that so many digits spell; -1 if one of them is none."""
    cdef int64_t value = 0, place
    for place in range(length):
        if not c"0" <= at[place] <= c"9":
            return -1
        value = value * 10 + at[place] - c"0"
    return value


cdef inline int64_t days(int64_t year, int64_t month, int64_t day) noexcept nogil:
    """Days since the epoch of a date (Hinnant, "chrono-compatible low-level date algorithms"); -1 if it is none."""
    cdef int64_t longest = 31
    if month == 2:
        longest = 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    elif month == 4 or month == 6 or month == 9 or month == 11:
        longest = 30
    if not 1970 <= year <= 2261 or not 1 <= month <= 12 or not 1 <= day <= longest:
        return -1
    year -= month <= 2
    cdef int64_t of_era = year % 400, of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year // 400 * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
