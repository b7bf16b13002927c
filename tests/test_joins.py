"""Joins by whole numbers say what plain loops over the rows say."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import joins

WORDS = st.one_of(st.none(), st.sampled_from(["a", "b", "ä", "", "b\x00", "😀", "é"]))
ROWS = st.lists(st.tuples(WORDS, WORDS, st.integers(-2, 2)), max_size=30)


def table(rows) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["one", "two", "number"])
    return frame.astype({"one": "str", "two": "str", "number": "int64"})


def plain(frame, names) -> list[tuple]:
    """The rows as tuples, None for what is missing."""
    return [tuple(None if pd.isna(value) else value for value in row) for row in frame[names].itertuples(index=False)]


@given(ROWS)
def test_rows_have_the_same_number_just_if_they_agree(rows):
    frame, seen = table(rows), {}
    told = joins.numbered(frame[name] for name in frame)
    assert told.tolist() == [seen.setdefault(row, len(seen)) for row in plain(frame, list(frame))]


@given(ROWS)
def test_each_different_question_is_asked_once(rows):
    frame, asked = table(rows), []

    def answer(*question):
        asked.append(question)
        return repr(question)

    told = joins.asked_once(answer, frame["one"], frame["number"])
    assert told.tolist() == [repr((row.one, row.number)) for row in frame.itertuples()]
    assert len(asked) == len(set(map(repr, asked)))


@given(ROWS)
def test_the_order_is_that_of_sorting_by_all_columns(rows):
    frame = table(rows).astype({"one": "category"})
    wanted = frame.sort_values(["one", "number", "two"], kind="stable").index
    assert joins.ordered(frame, ["one", "number", "two"], cheap=2).tolist() == wanted.tolist()


@given(ROWS, ROWS)
def test_a_row_is_within_others_if_one_agrees(rows, others):
    one, other = table(rows), table(others)
    told = joins.within(one, other, ["one", "two"])
    assert told.tolist() == [row in set(plain(other, ["one", "two"])) for row in plain(one, ["one", "two"])]


@given(ROWS, st.data())
def test_rows_are_taken_as_they_are(rows, data):
    parts = [table(rows[: len(rows) // 2]), table(rows[len(rows) // 2 :])]
    frame = pd.concat(parts, ignore_index=True)
    at = np.array(data.draw(st.permutations(range(len(frame)))), dtype=np.int64)
    pd.testing.assert_frame_equal(joins.taken(frame, at), frame.iloc[at].reset_index(drop=True))


@given(ROWS)
def test_labels_are_among_the_categories_that_are_there(rows):
    keys = table(rows)["one"].astype("category")
    some = keys[: len(keys) // 2]
    labels = pd.Index(["a", "b", "ä", "", "elsewhere"])
    assert joins.among(labels, some).tolist() == [label in set(some.dropna()) for label in labels]
