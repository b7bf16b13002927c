"""Texts and rows are told apart by their bytes, whatever their hashes."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshlogs.columnar import _hashes_plain, hashes


@pytest.fixture(params=["as installed", "without a compiler"], autouse=True)
def loops(request, monkeypatch):
    if request.param == "without a compiler":
        monkeypatch.setattr(hashes, "_hashes", _hashes_plain)


TEXTS = st.lists(st.text(alphabet="ab", max_size=20), max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_texts_have_one_hash_if_they_are_the_same(texts):
    found = hashes.of_texts(pa.array([None, *texts], pa.string()).slice(1)).tolist()
    assert [found.index(one) for one in found] == [texts.index(one) for one in texts]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_rows_have_one_number_if_their_texts_are_the_same(texts):
    ends = np.cumsum([0, *map(len, texts)])
    places = np.stack([ends[:-1], ends[1:], ends[:-1], ends[:-1]], axis=1)  # a text and an empty one
    data = np.frombuffer("".join(texts).encode(), np.uint8)
    numbers, firsts = hashes.told_apart(data, places, np.array([0, 2]))
    different = list(dict.fromkeys(texts))
    assert numbers.tolist() == [different.index(text) for text in texts]
    assert firsts.tolist() == [texts.index(text) for text in different]


def test_a_set_grows():
    marks = np.random.default_rng(1).integers(0, 1 << 64, 30_000, np.uint64)
    known, every = hashes.Set(), np.ones(len(marks), bool)
    assert not known.again(marks, every).any()
    assert known.again(marks, every).all()
    assert not known.again(marks + np.uint64(1), every).any()
    assert not known.again(marks, ~every).any()
