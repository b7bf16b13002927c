"""Joins and orders of large tables by whole numbers: each text is looked at once, then compared no more.

Nothing here knows what the columns mean.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa


def numbered(columns: Iterable[pd.Series]) -> np.ndarray:
    """A number for each row, the same for rows that agree in all columns; missing agrees with missing.

    Numbers run from 0 by first appearance.

    >>> numbered([pd.Series(["a", "b", "a"]), pd.Series([1, 1, 1])])
    array([0, 1, 0])
    """
    number = None
    for column in columns:
        codes, values = pd.factorize(column, use_na_sentinel=False)
        number = codes if number is None else pd.factorize(number * max(len(values), 1) + codes)[0]
    return number


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


def ordered(rows: pd.DataFrame, keys: Sequence[str], cheap: int) -> np.ndarray:
    """The positions of the rows in the order of these columns, missing values last, equal rows as they stand.

    The first `cheap` columns (numbers, times, categories in their order) sort all rows; the others, texts, only
    those that are equal so far.
    """
    order = np.lexsort([_sortable(rows[key]) for key in reversed(keys[:cheap])])
    tied = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for key in keys[:cheap]:
        values = _sortable(rows[key])[order]
        tied &= values[1:] == values[:-1]
    among = np.concatenate([tied, [False]])[: len(rows)] | np.concatenate([[False], tied])[: len(rows)]
    if among.any():
        group = np.cumsum(np.concatenate([[True], ~tied]))[among]
        part = rows[list(keys[cheap:])].iloc[order[among]].assign(**{"": group}).reset_index(drop=True)
        order[among] = order[among][part.sort_values(["", *keys[cheap:]], kind="stable").index.to_numpy()]
    return order


def within(rows: pd.DataFrame, others: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Whether each of these rows agrees with some other row in all these columns."""
    number = numbered(pd.concat([rows[name], others[name]]) for name in names)
    return pd.Series(np.isin(number[: len(rows)], number[len(rows) :]), rows.index)


def distinct(rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """The different rows of these columns, in the order of their first appearance."""
    return rows.loc[~pd.Series(numbered(rows[name] for name in names), rows.index).duplicated(), names]


def taken(rows: pd.DataFrame, at: np.ndarray) -> pd.DataFrame:
    """The rows at these positions, with a new index.

    Texts gathered from many parts are put together first: to pick from pieces takes several times as long.
    """
    texts = [name for name in rows if rows[name].dtype == "str"]
    others = rows.drop(columns=texts).take(at).reset_index(drop=True)
    return pd.concat([others, pa.table({name: _picked(rows[name], at) for name in texts}).to_pandas()], axis=1)[
        list(rows)
    ]


def _picked(texts: pd.Series, at: np.ndarray) -> pa.Array:
    return pa.chunked_array(pa.array(texts)).combine_chunks().take(pa.array(at))


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
    return np.where(missing, np.iinfo(np.int64).max, values)


def coded(rows: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The rows with these columns as categories in the order of their texts; those that are so already stay."""
    texts = [name for name in names if not isinstance(rows[name].dtype, pd.CategoricalDtype)]
    return rows.assign(**{name: rows[name].astype("category") for name in texts}) if texts else rows
