"""Joins and orders of large tables by whole numbers: each text is looked at once, then compared no more.

Nothing here knows what the columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import times
from meshlogs.columnar.memory import give_back
from meshlogs.later import Later

pd = Later("pandas")

_LAST = np.iinfo(np.int64).max  # stands for a missing value
MANY = 100_000  # rows from which on a table is made with little memory rather than fast


def numbered(columns: Iterable[pd.Series]) -> np.ndarray:
    """A number for each row, the same for rows that agree in all columns; missing agrees with missing.

    Numbers run from 0 by first appearance.

    >>> numbered([pd.Series(["a", "b", "a"]), pd.Series([1, 1, 1])])
    array([0, 1, 0])
    """
    return pd.factorize(_folded(map(_codes, columns)))[0]


def firsts(number: np.ndarray, count: int | None = None) -> np.ndarray:
    """Where each of the numbers from 0 to `count` - 1 stands first, -1: nowhere; without `count` to the largest.

    >>> firsts(np.array([0, 1, 0, 2, 1])), firsts(np.array([1, -1, 1]), 3)
    (array([0, 1, 3]), array([-1,  0, -1]))
    """
    count = number.max(initial=-1) + 1 if count is None else count
    first = np.full(count + 1, -1)  # the last is for numbers that are none: -1
    first[number[::-1]] = np.arange(len(number))[::-1]  # of several the last that is written stays
    return first[:count]


def asked_once(function: Callable, *columns: pd.Series) -> np.ndarray:
    """What `function` answers for each row of these columns, asked once for each different row.

    The values must be hashable; a missing one is given as it is.

    >>> asked_once(max, pd.Series(["a", "b", "a"]), pd.Series(["b", "a", "b"]))
    array(['b', 'b', 'b'], dtype=object)
    """
    which = numbered(columns)
    first = firsts(which)
    questions = zip(*(column.iloc[first].astype(object) for column in columns), strict=True)
    answers = np.empty(len(first), dtype=object)
    for at, question in enumerate(questions):
        answers[at] = function(*question)
    return answers[which]


def questions(rows: pd.DataFrame, names: Sequence[str]) -> tuple[pd.DataFrame, np.ndarray]:
    """The different rows of these columns, with a new index, and for each row the number of its own.

    >>> questions(pd.DataFrame({"a": [1, 2, 1], "b": [4, 5, 6]}), ["a"])[1]
    array([0, 1, 0])
    """
    which = numbered(rows[name] for name in names)
    return rows[list(names)].take(firsts(which)).reset_index(drop=True), which


def ordered(rows: pd.DataFrame, keys: Sequence[str], cheap: int) -> np.ndarray:
    """The positions of the rows in the order of these columns, missing values last, equal rows as they stand.

    The first `cheap` columns (numbers, times, categories in their order) sort all rows, one after another those that
    are equal so far; the others, texts, only what is equal then.
    """
    order, group = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
    tied = np.arange(len(rows))  # positions in `order`; `group` has the same number for rows that are equal so far
    for key in keys[:cheap]:
        values = _sortable(rows[key])[order[tied]]
        inner = _packed_order(group, values)
        order[tied], values, group = order[tied][inner], values[inner], group[inner]
        changed = (np.diff(group, prepend=-1) != 0) | np.concatenate([[True], values[1:] != values[:-1]])[: len(values)]
        several = ~(changed & np.append(changed, True)[1:])
        tied, group = tied[several], np.cumsum(changed)[several]
    if len(tied):
        texts = {key: _sortable(rows[key]) if is_coded(rows[key]) else rows[key].array for key in keys[cheap:]}
        part = pd.DataFrame({"": group} | {key: values.take(order[tied]) for key, values in texts.items()})
        order[tied] = order[tied][part.sort_values(["", *keys[cheap:]], kind="stable").index.to_numpy()]
    return order


def _packed_order(group: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The stable order by group (which never falls), then by value: one sort of one number, where both fit in it."""
    if not len(values) or group[0] == group[-1]:
        return np.argsort(_narrow(values), kind="stable")
    known = values[values != _LAST]
    low = int(known.min()) if len(known) else 0
    spread = (int(known.max()) - low if len(known) else 0) + 2
    if int(group[-1]) * spread >= 2**62:
        return np.lexsort([values, group])
    return np.argsort(group * spread + np.where(values == _LAST, spread - 1, values - low), kind="stable")


def _narrow(values: np.ndarray) -> np.ndarray:
    """The same whole numbers, in 16 bits if they fit: those are counted instead of compared."""
    small = np.min_scalar_type(int(values.max(initial=0))) if values.min(initial=0) >= 0 else values.dtype
    return values.astype(small) if small.itemsize <= 2 else values


def agreed(number: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The one value that stands with each number from 0 on, -1 where none or several do; -1 among the values is none.

    >>> agreed(np.array([0, 0, 1, 1, 2]), np.array([7, -1, 7, 8, -1]))
    array([ 7, -1, -1])
    """
    least, most = np.full((2, number.max(initial=-1) + 1), [[_LAST], [-1]])
    told = values >= 0
    np.minimum.at(least, number[told], values[told])
    np.maximum.at(most, number[told], values[told])
    return np.where(least == most, most, -1)


def within(rows: pd.DataFrame, others: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Whether each of these rows agrees with some other row in all these columns."""
    number = numbered(pd.concat([rows[name], others[name]]) for name in names)
    return pd.Series(np.isin(number[: len(rows)], number[len(rows) :]), rows.index)


def distinct(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The different rows of these columns, in the order of their first appearance."""
    return rows[list(names)].take(firsts(numbered(rows[name] for name in names)))


def among(labels: pd.Index, keys: pd.Series) -> np.ndarray:
    """Whether each of these labels is there among the keys, a column of categories."""
    names = keys.dtype.categories
    there = np.zeros(len(names) + 1, dtype=bool)
    there[keys.array.codes] = True  # the last for a missing one
    return pd.Series(there[:-1], names).reindex(labels, fill_value=False).to_numpy()


def _sortable(column: pd.Series) -> np.ndarray:
    """Whole numbers in the order of the column, the largest for missing values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values, missing = column.array.codes.astype(np.int64), column.isna().to_numpy()
    elif isinstance(column.dtype, pd.DatetimeTZDtype):
        values, missing = column.to_numpy("datetime64[ns]").view(np.int64), column.isna().to_numpy()
    else:
        values, missing = column.to_numpy(), None
    if missing is None or not missing.any():
        return values
    return np.where(missing, _LAST, values)


def coded(rows: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The rows with these columns as categories in the order of their texts; those that are so already stay."""
    return rows.assign(**{name: _coded(rows[name]) for name in names if not is_coded(rows[name])})


def categorical(codes: np.ndarray, texts: pd.Index) -> pd.Categorical:
    """Categories of texts that all differ, by their places (-1: missing)."""
    # By the public road pandas proves that the texts differ with a table of Python texts, and keeps it: several times
    # the memory of the texts.
    dtype = getattr(pd.CategoricalDtype, "_from_fastpath", pd.CategoricalDtype)
    return pd.Categorical.from_codes(codes, dtype=dtype(texts), validate=False)


def plain(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the texts themselves in place of categories."""
    return rows.assign(**{name: texts_of(rows[name]) for name in rows if is_coded(rows[name])})


def is_coded(column: pd.Series) -> bool:
    """Whether a column holds categories."""
    return isinstance(column.dtype, pd.CategoricalDtype)


def stacked(tables: Sequence[pd.DataFrame], *, emptied: bool = False) -> pd.DataFrame:
    """The rows of tables with the same columns, one table after another, with a new index.

    Coded columns stay so, in the order of their texts; texts that no row has any more are dropped. `emptied`: take the
    columns out of the tables one after another, if they are many, so that all is never there twice.
    """
    columns, emptied = {}, emptied and sum(map(len, tables)) > MANY
    for name in list(tables[0]):
        parts = [table.pop(name) if emptied else table[name] for table in tables]
        columns[name] = _united(parts) if is_coded(parts[0]) else _whole(pd.concat(parts, ignore_index=True))
        if emptied and len(columns[name]) > MANY:
            give_back()
    return pd.DataFrame(columns)


def reordered(rows: pd.DataFrame, order: np.ndarray) -> pd.DataFrame:
    """The rows at these positions, with a new index; many rows are emptied, so that all is never there twice."""
    if len(rows) <= MANY:
        return rows.take(order).reset_index(drop=True)
    columns = {}
    for name in list(rows):
        columns[name] = rows.pop(name).array.take(order)
    return pd.DataFrame(columns)


def recoded(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the categories of coded columns in the order of their texts, as Arrow may not give them."""
    return rows.assign(**{name: _in_order(rows[name].array) for name in rows if is_coded(rows[name])})


def _in_order(values: pd.Categorical) -> pd.Categorical:
    if values.categories.is_monotonic_increasing:
        return values
    texts = in_one_piece(values.categories)
    return _categories(pa.DictionaryArray.from_arrays(pa.array(values.codes, mask=values.codes < 0), texts))


def texts_of(column: pd.Series) -> pd.Series:
    """The texts of a coded column, or of one that is not."""
    if not is_coded(column):
        return column
    texts, codes = column.cat.categories.astype("str").array, column.cat.codes.to_numpy()
    return pd.Series(texts.take(codes, allow_fill=True), column.index, name=column.name)


def ranks(column: pd.Series) -> np.ndarray:
    """Whole numbers in the order of a coded column's texts, the same for a missing one as for an empty one: -1."""
    codes = column.array.codes.astype(np.int64)
    return np.where(codes == 0, -1, codes) if "" in column.dtype.categories[:1] else codes


def ranked(columns: Iterable[pd.Series]) -> np.ndarray:
    """Whole numbers from 0 for the rows of coded columns, in the order of their texts; missing and empty agree."""
    return _folded((ranks(column) + 1, len(column.dtype.categories) + 1) for column in columns)


def _folded(columns: Iterable[tuple[np.ndarray, int]]) -> np.ndarray:
    """One whole number for each row of these columns of (codes from 0, how many there may be), in their order."""
    number, count = np.zeros(1, dtype=np.int64), 1
    for codes, several in columns:
        if count * several >= 2**62:
            found, number = np.unique(number, return_inverse=True)
            count = len(found)
        number, count = number * several + codes, count * several
    return number


def _codes(column: pd.Series) -> tuple[np.ndarray, int]:
    """A code from 0 for each value, a missing one too, and how many there may be."""
    if is_coded(column):
        return column.array.codes.astype(np.int64) + 1, len(column.dtype.categories) + 1
    if column.dtype == bool:
        return column.to_numpy(), 2
    if column.dtype == np.int64 and len(column):
        codes, low = column.to_numpy(), int(column.min())
        several = int(column.max()) - low + 1
        if several < 2**31:
            return codes - low, several
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes, max(len(values), 1)


def is_one(column: pd.Series, texts: Sequence[str]) -> np.ndarray:
    """Whether each value of a coded column is one of these texts.

    >>> is_one(pd.Series(["a", "b", None], dtype="category"), ["b", "c"])
    array([False,  True, False])
    """
    found = np.append(column.dtype.categories.isin(texts), False)  # the last for a missing one
    return found[column.array.codes]


def standing(keys: pd.Series, labels: pd.Index) -> np.ndarray:
    """Where each key of a coded column stands among these labels, which all differ; -1: nowhere.

    >>> standing(pd.Series(["b", "a", None], dtype="category"), pd.Index(["c", "b"]))
    array([ 1, -1, -1])
    """
    return np.append(labels.get_indexer(keys.dtype.categories), -1)[keys.array.codes]


def places(column: pd.Series) -> dict[str, np.ndarray]:
    """Where each text of a coded column stands.

    >>> places(pd.Series(["b", "a", "b"], dtype="category"))
    {'a': array([1]), 'b': array([0, 2])}
    """
    codes, texts = column.array.codes, column.dtype.categories
    order = np.argsort(codes, kind="stable")
    bounds = np.searchsorted(codes[order], np.arange(len(texts) + 1))
    return {text: order[begin:end] for text, begin, end in zip(texts, bounds, bounds[1:], strict=False)}


def counted(keys: pd.Series, marks: np.ndarray) -> pd.Series:
    """How many rows of each key, a coded column, are marked: by category.

    >>> counted(pd.Series(["a", "b", "a"], dtype="category"), np.array([True, False, True])).to_dict()
    {'a': 2, 'b': 0}
    """
    names = keys.dtype.categories
    return pd.Series(np.bincount(keys.array.codes[marks] + 1, minlength=len(names) + 1)[1:], names)


def earliest(time: pd.Series, keys: pd.Series) -> pd.Series:
    """The earliest of the times of each key, a coded column: by category, missing where it has none.

    >>> at = pd.Series(pd.to_datetime(["2026-03-02", "2026-03-01"], utc=True).as_unit("ns"))
    >>> earliest(at, pd.Series(["a", "a"], dtype="category")).to_dict()
    {'a': Timestamp('2026-03-01 00:00:00+0000', tz='UTC')}
    """
    return _by_category(earliest_of, time, keys)


def latest(time: pd.Series, keys: pd.Series) -> pd.Series:
    """As `earliest`, the latest."""
    return _by_category(latest_of, time, keys)


def _by_category(extreme: Callable, time: pd.Series, keys: pd.Series) -> pd.Series:
    names = keys.dtype.categories
    return extreme(time, keys.array.codes, len(names)).set_axis(names)


def earliest_of(time: pd.Series, number: np.ndarray, count: int) -> pd.Series:
    """The earliest of the times of each number from 0 to `count` - 1, missing where it has none; -1 is none of them."""
    first, stamps = np.full(count + 1, _LAST), times.to_ns(time)
    np.minimum.at(first, number, np.where(stamps == times.NAT, _LAST, stamps))
    return times.column(np.where(first == _LAST, times.NAT, first)[:count])


def latest_of(time: pd.Series, number: np.ndarray, count: int) -> pd.Series:
    """As `earliest_of`, the latest."""
    last = np.full(count + 1, times.NAT)
    np.maximum.at(last, number, times.to_ns(time))
    return times.column(last[:count])


def last_before(key: np.ndarray, at: np.ndarray, keys: np.ndarray, stamps: np.ndarray, strictly=False) -> np.ndarray:
    """For each (key, at) the position of the last of the pairs (keys, stamps) with this key and stamp <= at, else -1.

    Keys are small whole numbers from 0, stamps int64; the pairs are sorted by both. Strictly: stamp < at.

    >>> last_before(np.array([0, 0, 1]), np.array([4, 1, 9]), np.array([0, 0, 2]), np.array([2, 4, 5]))
    array([ 1, -1, -1])
    """
    first, place, _ = _bisected(key, at, keys, stamps, with_equal=not strictly)
    return np.where(place > first, place - 1, -1)


def first_after(key: np.ndarray, at: np.ndarray, keys: np.ndarray, stamps: np.ndarray, strictly=False) -> np.ndarray:
    """As `last_before`, the first with stamp >= at; strictly: stamp > at."""
    _, place, end = _bisected(key, at, keys, stamps, with_equal=strictly)
    return np.where(place < end, place, -1)


def _bisected(key, at, keys, stamps, *, with_equal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each (key, at) where the key's pairs begin, where those before `at` (or equal) end, and where all end.

    All are bisected at once: as many steps as the longest run of one key has binary digits.
    """
    count = max(key.max(initial=-1), keys.max(initial=-1)) + 1
    bounds = np.searchsorted(keys, np.arange(count + 1))
    first, end = bounds[key], bounds[key + 1]
    low, high = first, end
    for _ in range(int((end - first).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        value = stamps[np.minimum(middle, len(stamps) - 1)]
        before = (middle < high) & ((value <= at) if with_equal else (value < at))
        low, high = np.where(before, middle + 1, low), np.where(before, high, np.minimum(middle, high))
    return first, low, end


def marked(keys: pd.Series, others: pd.Series) -> np.ndarray:
    """Whether each of these keys is there among the others; both are coded by the same categories."""
    there = np.zeros(len(keys.dtype.categories) + 1, dtype=bool)
    there[others.array.codes] = True
    there[-1] = False
    return there[keys.array.codes]


def _coded(column: pd.Series) -> pd.Categorical:
    return _categories(in_one_piece(column).dictionary_encode())


def _categories(values: pa.DictionaryArray) -> pd.Categorical:
    """The same values as categories in the order of their texts."""
    order = pc.sort_indices(values.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(order), dtype=np.int32), -1  # the last stands for what is missing
    codes = rank[values.indices.fill_null(-1).to_numpy()]
    return categorical(codes, pd.Index(values.dictionary.take(pa.array(order)), dtype="str"))


def _united(columns: list[pd.Series]) -> pd.Categorical:
    """The values of these coded columns, one after another, as one; the list is empty afterwards."""
    texts = columns[0].cat.categories
    if all(column.cat.categories is texts for column in columns):
        codes = np.concatenate([column.cat.codes.to_numpy() for column in columns])
        columns.clear()
        return _of_used(codes, texts)
    pieces = []
    while columns:
        column = columns.pop(0)
        codes, texts = column.array.codes, in_one_piece(column.dtype.categories)
        used = np.zeros(len(texts) + 1, dtype=bool)
        used[codes] = True
        if not used[:-1].all():
            texts = texts.filter(pa.array(used[:-1]))
            codes = np.where(codes < 0, codes, (np.cumsum(used, dtype=np.int32) - 1)[codes])
        pieces.append(pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), texts))
    values = pa.chunked_array(pieces)
    del pieces, column, texts
    return _categories(values.unify_dictionaries().combine_chunks())


def _of_used(codes: np.ndarray, texts: pd.Index) -> pd.Categorical:
    """Categories of those texts that are used."""
    used = np.zeros(len(texts) + 1, dtype=bool)
    used[codes] = True
    if used[:-1].all():
        return categorical(codes, texts)
    place = np.cumsum(used, dtype=np.int32) - 1
    place[-1] = -1  # the last stands for what is missing
    return categorical(place[codes], texts[used[:-1]])


def _whole(column: pd.Series) -> pd.Series:
    """The same column, its texts in one piece: to pick from pieces takes several times as long."""
    if column.dtype != "str":
        return column
    return pa.table({"": in_one_piece(column)}).to_pandas()[""]


def in_one_piece(texts: pd.Series | pd.Index) -> pa.LargeStringArray:
    """The same texts as Arrow's, in one piece."""
    array = pa.array(texts, pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
