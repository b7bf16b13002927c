"""The prefilter changes how long matching takes, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.evidence import prefilter, signatures
from meshlogs.evidence.prefilter import Prefilter

EXAMPLES = [row.example for row in (*signatures.SIGNATURES, *signatures.VETOES, *signatures.WEAK_VETOES)]


@pytest.fixture(scope="module")
def eager():
    """The prefilter of the signatures, at work from the first text on."""
    made = Prefilter(map(re.compile, signatures._PREFILTER._patterns))
    made._search = prefilter._search(made._patterns, (signatures._A,))
    return made


def matched(text, chosen, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(signatures, "_PREFILTER", chosen)
        return signatures._matched(text)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_matched_alike_with_and_without(text, eager, monkeypatch):
    for spelled in (text, text.upper(), f"2020-01-01 ERROR x\n{text}\ny", text.replace(" ", "\n")):
        plain = Prefilter(map(re.compile, eager._patterns))
        assert matched(spelled, eager, monkeypatch) == matched(spelled, plain, monkeypatch)


@given(st.lists(st.sampled_from(EXAMPLES), min_size=1, max_size=3), st.sampled_from([" ", "\n", ": ", "é"]))
def test_whatever_matches_may_match(texts, between):
    made = test_whatever_matches_may_match.made
    text = between.join(texts)
    may_match = made.of(text)
    for pattern in map(re.compile, made._patterns):
        assert may_match(pattern) or not pattern.search(text)


test_whatever_matches_may_match.made = Prefilter(map(re.compile, signatures._PREFILTER._patterns))
test_whatever_matches_may_match.made._search = prefilter._search(signatures._PREFILTER._patterns, (signatures._A,))


def test_the_search_is_built_only_for_many_texts(monkeypatch):
    monkeypatch.setattr(prefilter, "WORTHWHILE", 3)
    made = Prefilter([re.compile("a b"), re.compile("c")])
    assert [made.of("c")(re.compile("a b")) for _ in range(4)] == [True, True, False, False]
