"""Joins by whole numbers say what plain loops over the rows say."""

from unittest import mock

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.columnar import joins

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


@given(ROWS)
def test_labels_are_among_the_categories_that_are_there(rows):
    keys = table(rows)["one"].astype("category")
    some = keys[: len(keys) // 2]
    labels = pd.Index(["a", "b", "ä", "", "elsewhere"])
    assert joins.among(labels, some).tolist() == [label in set(some.dropna()) for label in labels]


@given(ROWS)
def test_coded_rows_are_the_same_and_in_the_order_of_their_texts(rows):
    frame = table(rows)
    coded = joins.coded(frame, ["one", "two"])
    pd.testing.assert_frame_equal(joins.plain(coded), frame)
    texts = coded["one"].cat.categories.tolist()
    assert texts == sorted(set(texts)) == sorted(set(frame["one"].dropna()))


@given(ROWS, ROWS, st.data())
def test_coded_tables_one_after_another_keep_the_texts_that_some_row_has(one, other, data):
    tables = [joins.coded(table(rows), ["one", "two"]) for rows in (one, other)]
    masks = [data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))) for rows in tables]
    kept = [rows[np.array(mask, dtype=bool)] for rows, mask in zip(tables, masks, strict=True)]
    together = joins.stacked(kept)
    wanted = pd.concat([joins.plain(rows) for rows in kept], ignore_index=True)
    pd.testing.assert_frame_equal(joins.plain(together), wanted)
    assert together["one"].cat.categories.tolist() == sorted(set(wanted["one"].dropna()))
    pd.testing.assert_frame_equal(joins.stacked(kept, emptied=True), together)
    with mock.patch.object(joins, "MANY", -1):
        pd.testing.assert_frame_equal(joins.stacked(kept, emptied=True), together)
    assert all(rows.columns.empty for rows in kept)


@given(ROWS)
def test_ranks_of_several_columns_sort_as_the_columns_do(rows):
    frame = table(rows)
    rank = joins.ranked(joins.coded(frame, ["one", "two"])[name] for name in ("one", "two"))
    wanted = frame.fillna({"one": "", "two": ""}).sort_values(["one", "two"], kind="stable").index
    assert np.argsort(rank, kind="stable").tolist() == wanted.tolist()


PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 3)), max_size=20)


@given(PAIRS, PAIRS, st.booleans())
def test_the_last_before_and_the_first_after_are_those_of_a_plain_loop(asked, pairs, strictly):
    pairs = sorted(pairs)
    columns = (np.array([pair[at] for pair in some], dtype=np.int64) for some in (asked, pairs) for at in (0, 1))
    key, at, keys, times = columns
    before = joins.last_before(key, at, keys, times, strictly)
    after = joins.first_after(key, at, keys, times, strictly)
    for number, (name, time) in enumerate(asked):
        near = [place for place, (other, t) in enumerate(pairs) if other == name and (t != time or not strictly)]
        assert before[number] == max((place for place in near if pairs[place][1] <= time), default=-1)
        assert after[number] == min((place for place in near if pairs[place][1] >= time), default=-1)


@given(ROWS)
def test_what_is_asked_of_each_key_is_what_its_rows_say(rows):
    frame = table(rows)
    keys, at = frame["one"].astype("category"), pd.Series(pd.to_datetime(frame["number"], unit="s", utc=True))
    at = at.astype("datetime64[ns, UTC]").where(frame["number"] != 0)
    marks = (frame["number"] > 0).to_numpy()
    by_key = at.groupby(keys, observed=False)
    assert joins.earliest(at, keys).equals(by_key.min().set_axis(keys.cat.categories))
    assert joins.latest(at, keys).equals(by_key.max().set_axis(keys.cat.categories))
    for word in keys.cat.categories:
        mine = np.flatnonzero(frame["one"] == word)
        assert joins.places(keys)[word].tolist() == mine.tolist()
        assert joins.counted(keys, marks)[word] == marks[mine].sum()
        assert joins.firsts(keys.cat.codes.to_numpy())[keys.cat.categories.get_loc(word)] == mine[0]
    assert joins.is_one(keys, ["a", "ä"]).tolist() == frame["one"].isin(["a", "ä"]).tolist()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 2)), max_size=30))
def test_a_value_is_agreed_on_if_all_who_give_one_give_the_same(pairs):
    number, values = (np.array(column, np.int64) for column in ([n for n, _ in pairs], [v for _, v in pairs]))
    for at, told in enumerate(joins.agreed(number, values)):
        given_values = {value for one, value in pairs if one == at and value >= 0}
        assert told == (given_values.pop() if len(given_values) == 1 else -1)


def test_tables_are_stacked_though_no_row_has_any_of_the_texts():
    one = joins.coded(pd.DataFrame({"name": ["a", "b"]}, dtype="str"), ["name"])
    none = joins.coded(pd.DataFrame({"name": ["c", None]}, dtype="str"), ["name"]).tail(1)
    assert joins.plain(joins.stacked([one, none]))["name"].tolist()[:2] == ["a", "b"]
    assert joins.stacked([none, none])["name"].isna().all()
    assert joins.stacked([one.tail(1), one.tail(1)])["name"].cat.categories.tolist() == ["b"]
