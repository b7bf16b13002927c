"""The prefilter changes how long matching takes, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.evidence import signatures
from meshlogs.evidence.prefilter import Prefilter, needs

EXAMPLES = [row.example for row in (*signatures.SIGNATURES, *signatures.VETOES, *signatures.WEAK_VETOES)]
PATTERNS = [
    *(pattern for _, pattern in signatures._COMPILED),
    *(pattern for pattern, _ in signatures._VETOES),
    *signatures._WEAK,
    *signatures.DESTINATIONS,
    *signatures.STATED,
]


class Everything(Prefilter):
    """May match anything."""

    def of(self, _text):
        return lambda _pattern: True


def matched(text, chosen, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(signatures, "_PREFILTER", chosen)
        return signatures._matched(text)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_matched_alike_with_and_without(text, monkeypatch):
    for spelled in (text, text.upper(), f"2020-01-01 ERROR x\n{text}\ny", text.replace(" ", "\n")):
        assert matched(spelled, Prefilter(PATTERNS), monkeypatch) == matched(spelled, Everything([]), monkeypatch)


@given(st.lists(st.sampled_from(EXAMPLES), min_size=1, max_size=3), st.sampled_from([" ", "\n", ": ", "é"]))
def test_whatever_matches_may_match(texts, between):
    text = between.join(texts)
    may_match = signatures._PREFILTER.of(text)
    for pattern in PATTERNS:
        assert may_match(pattern) or not pattern.search(text)


@given(st.data())
def test_whatever_a_pattern_generates_may_match(data):
    pattern = data.draw(st.sampled_from(PATTERNS))
    text = data.draw(st.from_regex(pattern))
    assert Prefilter([pattern]).of(text)(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"a b|c", ()),
        (r"(?:ab)?cd*ef{2}gh", (("gh",),)),
        (r"(?:ab)+(?=xy)(?!zz)(?<!yy)[cC]d\.e", (("d.e",), ("ab",))),
        (r"(?i:AB\b)c|(?:x|yz)de", (("ab", "de"),)),
    ],
)
def test_what_a_pattern_needs(pattern, expected):
    assert needs(re.compile(pattern)) == expected


def test_letters_beyond_ascii_may_stand_for_others():
    pattern = re.compile("kiss", re.IGNORECASE)
    assert pattern.search("\u212aiss")
    assert Prefilter([pattern]).of("\u212aiss")(pattern)
