"""The prefilter changes how long matching takes, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs.evidence import prefilter, signatures
from meshlogs.evidence.prefilter import Patterns, needed

EXAMPLES = [row.example for row in (*signatures.SIGNATURES, *signatures.VETOES, *signatures.WEAK_VETOES)]
CHOSEN = ("_VETOED", "_UPSTREAM", "_REFUSED", "_SUSPECTED", "_STATING", "_NAMING")
PATTERNS = [pattern for name in CHOSEN for _, pattern, _ in getattr(signatures, name)._rows]


def may_match(text):
    return [pattern for name in CHOSEN for _, pattern, _ in getattr(signatures, name).of(text)]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_matched_alike_with_and_without(text, monkeypatch):
    for spelled in (text, text.upper(), f"2020-01-01 ERROR x\n{text}\ny", text.replace(" ", "\n")):
        with monkeypatch.context() as patch:
            patch.setattr(prefilter.Patterns, "of", lambda self, _text, begin=0: self._rows[begin:])
            expected = signatures._matched(spelled)
        assert signatures._matched(spelled) == expected


@given(st.lists(st.sampled_from(EXAMPLES), min_size=1, max_size=3), st.sampled_from([" ", "\n", ": ", "é"]))
def test_whatever_matches_may_match(texts, between):
    text = between.join(texts)
    likely = may_match(text)
    for pattern in PATTERNS:
        assert pattern in likely or not pattern.search(text)


@given(st.data())
def test_whatever_a_pattern_generates_may_match(data):
    pattern = data.draw(st.sampled_from(PATTERNS))
    text = data.draw(st.from_regex(pattern))
    assert [*Patterns([(pattern, 7)]).of(text)] == [(0, pattern, 7)]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"a b|c", ()),
        (r"(?:ab)?cd*ef{2}gh", ("gh",)),
        (r"(?:ab)+(?=xyz)(?!zzz)(?<!yyy)[cC]d\.e", ("d.e",)),
        (r"(?i:AB\b)c|(?:x|yz)de", ("ab", "de")),
        (r"connection (?:to|from) x", ("to", "from")),
    ],
)
def test_what_a_pattern_needs(pattern, expected):
    assert needed(re.compile(pattern)) == expected


def test_letters_beyond_ascii_may_stand_for_others():
    pattern = re.compile("kiss", re.IGNORECASE)
    assert pattern.search("\u212aiss")
    assert [*Patterns([(pattern, None)]).of("\u212aiss")]
