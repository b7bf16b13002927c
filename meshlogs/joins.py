"""Joins and orders of large tables by whole numbers: each text is looked at once, then compared no more.

Nothing here knows what the columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs.later import Later
from meshlogs.memory import give_back

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


def asked_once(function: Callable, *columns: pd.Series) -> np.ndarray:
    """What `function` answers for each row of these columns, asked once for each different row.

    The values must be hashable; a missing one is given as it is.

    >>> asked_once(max, pd.Series(["a", "b", "a"]), pd.Series(["b", "a", "b"]))
    array(['b', 'b', 'b'], dtype=object)
    """
    which = numbered(columns)
    first = np.flatnonzero(~pd.Series(which).duplicated())
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
    return rows.loc[~pd.Series(which, rows.index).duplicated(), list(names)].reset_index(drop=True), which


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
        return np.argsort(values, kind="stable")
    known = values[values != _LAST]
    low = int(known.min()) if len(known) else 0
    spread = (int(known.max()) - low if len(known) else 0) + 2
    if int(group[-1]) * spread >= 2**62:
        return np.lexsort([values, group])
    return np.argsort(group * spread + np.where(values == _LAST, spread - 1, values - low), kind="stable")


def within(rows: pd.DataFrame, others: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Whether each of these rows agrees with some other row in all these columns."""
    number = numbered(pd.concat([rows[name], others[name]]) for name in names)
    return pd.Series(np.isin(number[: len(rows)], number[len(rows) :]), rows.index)


def distinct(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The different rows of these columns, in the order of their first appearance."""
    return rows.loc[~pd.Series(numbered(rows[name] for name in names), rows.index).duplicated(), names]


def among(labels: pd.Index, keys: pd.Series) -> np.ndarray:
    """Whether each of these labels is there among the keys, a column of categories."""
    there = np.zeros(len(keys.cat.categories), dtype=bool)
    there[keys.cat.codes[keys.notna()]] = True
    return pd.Series(there, keys.cat.categories).reindex(labels, fill_value=False).to_numpy()


def _sortable(column: pd.Series) -> np.ndarray:
    """Whole numbers in the order of the column, the largest for missing values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        values, missing = column.cat.codes.to_numpy().astype(np.int64), column.isna().to_numpy()
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
    return rows.astype({name: "str" for name in rows if is_coded(rows[name])})


def is_coded(column: pd.Series) -> bool:
    """Whether a column holds categories."""
    return isinstance(column.dtype, pd.CategoricalDtype)


def stacked(tables: Sequence[pd.DataFrame], *, emptied: bool = False) -> pd.DataFrame:
    """The rows of tables with the same columns, one table after another, with a new index.

    Coded columns stay so, in the order of their texts; texts that no row has any more are dropped. `emptied`: take the
    columns out of the tables one after another, so that all is never there twice.
    """
    columns = {}
    for name in list(tables[0]):
        parts = [table.pop(name) if emptied else table[name] for table in tables]
        columns[name] = _united(parts) if is_coded(parts[0]) else _whole(pd.concat(parts, ignore_index=True))
        if emptied and len(columns[name]) > MANY:
            give_back()
    return pd.DataFrame(columns)


def texts_of(column: pd.Series) -> pd.Series:
    """The texts of a coded column, or of one that is not."""
    return column.astype("str") if is_coded(column) else column


def ranks(column: pd.Series) -> np.ndarray:
    """Whole numbers in the order of a coded column's texts, the same for a missing one as for an empty one: -1."""
    codes = column.cat.codes.to_numpy().astype(np.int64)
    return np.where(codes == 0, -1, codes) if "" in column.cat.categories[:1] else codes


def ranked(columns: Iterable[pd.Series]) -> np.ndarray:
    """Whole numbers from 0 for the rows of coded columns, in the order of their texts; missing and empty agree."""
    return _folded((ranks(column) + 1, len(column.cat.categories) + 1) for column in columns)


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
        return column.cat.codes.to_numpy().astype(np.int64) + 1, len(column.cat.categories) + 1
    if column.dtype == bool:
        return column.to_numpy(), 2
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes, max(len(values), 1)


def last_before(key: np.ndarray, at: np.ndarray, keys: np.ndarray, times: np.ndarray, strictly=False) -> np.ndarray:
    """For each (key, at) the position of the last of the pairs (keys, times) with this key and time <= at, else -1.

    Keys are small whole numbers from 0, times int64; the pairs are sorted by both. Strictly: time < at.

    >>> last_before(np.array([0, 0, 1]), np.array([4, 1, 9]), np.array([0, 0, 2]), np.array([2, 4, 5]))
    array([ 1, -1, -1])
    """
    first, place, _ = _bisected(key, at, keys, times, with_equal=not strictly)
    return np.where(place > first, place - 1, -1)


def first_after(key: np.ndarray, at: np.ndarray, keys: np.ndarray, times: np.ndarray, strictly=False) -> np.ndarray:
    """As `last_before`, the first with time >= at; strictly: time > at."""
    _, place, end = _bisected(key, at, keys, times, with_equal=strictly)
    return np.where(place < end, place, -1)


def _bisected(key, at, keys, times, *, with_equal: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each (key, at) where the key's pairs begin, where those before `at` (or equal) end, and where all end.

    All are bisected at once: as many steps as the longest run of one key has binary digits.
    """
    count = max(key.max(initial=-1), keys.max(initial=-1)) + 1
    bounds = np.searchsorted(keys, np.arange(count + 1))
    first, end = bounds[key], bounds[key + 1]
    low, high = first, end
    for _ in range(int((end - first).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        value = times[np.minimum(middle, len(times) - 1)]
        before = (middle < high) & ((value <= at) if with_equal else (value < at))
        low, high = np.where(before, middle + 1, low), np.where(before, high, np.minimum(middle, high))
    return first, low, end


def marked(keys: pd.Series, others: pd.Series) -> np.ndarray:
    """Whether each of these keys is there among the others; both are coded by the same categories."""
    there = np.zeros(len(keys.cat.categories) + 1, dtype=bool)
    there[others.cat.codes] = True
    there[-1] = False
    return there[keys.cat.codes]


def _coded(column: pd.Series) -> pd.Categorical:
    return _categories(pa.chunked_array(pa.array(column, pa.large_string())).combine_chunks().dictionary_encode())


def _categories(values: pa.DictionaryArray) -> pd.Categorical:
    """The same values as categories in the order of their texts."""
    order = pc.sort_indices(values.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, np.int32)
    rank[order], rank[-1] = np.arange(len(order), dtype=np.int32), -1  # the last stands for what is missing
    codes = rank[values.indices.fill_null(-1).to_numpy()]
    return categorical(codes, pd.Index(values.dictionary.take(pa.array(order)), dtype="str"))


def _united(columns: list[pd.Series]) -> pd.Categorical:
    """The values of these coded columns, one after another, as one; the list is empty afterwards."""
    pieces = []
    while columns:
        column = columns.pop(0)
        codes, texts = column.cat.codes.to_numpy(), pa.array(column.cat.categories, pa.large_string())
        used = np.zeros(len(texts) + 1, dtype=bool)
        used[codes] = True
        if not used[:-1].all():
            texts = texts.filter(pa.array(used[:-1]))
            codes = np.where(codes < 0, codes, (np.cumsum(used, dtype=np.int32) - 1)[codes])
        pieces.append(pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), texts))
    values = pa.chunked_array(pieces)
    del pieces, column, texts
    return _categories(values.unify_dictionaries().combine_chunks())


def _whole(column: pd.Series) -> pd.Series:
    """The same column, its texts in one piece: to pick from pieces takes several times as long."""
    if column.dtype != "str":
        return column
    return pa.table({"": pa.chunked_array(pa.array(column, pa.large_string())).combine_chunks()}).to_pandas()[""]
