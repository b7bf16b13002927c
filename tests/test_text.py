"""No secret is left in a text, and little else goes with it."""

import string
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from meshlogs.formats.tables import excerpt
from meshlogs.text import secrets
from tests.spellings import KEYS, SENTENCES, SPELLINGS

PLANTED = "hunter2Xz9Qw7Lp4"


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_hidden_however_it_is_named(spelling):
    text = spelling.format(PLANTED)
    assert PLANTED in text
    for before, after in (("", ""), ("connection refused, ", " and more"), ("{'a': \"b\"} ", "\n")):
        told = secrets(before + text + after)
        assert PLANTED not in told and "[secret]" in told
        assert told.startswith(before)
    assert secrets(secrets(text)) == secrets(text)
    assert PLANTED not in excerpt(text) and PLANTED not in excerpt(text.encode())


def test_the_data_of_a_secret_object_are_hidden():
    text = '"resourceName":"core/v1/namespaces/n/secrets/s","data":{"k":"aHVudGVyMmh1bnRlcjJodW50ZXIy"}'
    assert "aHVudGVy" not in secrets(text) and "aHVudGVy" not in excerpt(text)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_told_by_its_form(key):
    assert secrets(f"with {key}, refused") == "with [secret], refused"
    assert key not in secrets(f"x_{key}") and key not in secrets(f'"{key}"')


@pytest.mark.parametrize("text", SENTENCES)
def test_words_are_no_secrets(text):
    assert secrets(text) == text


@pytest.mark.parametrize(
    "text, left",
    [
        ("password=h7!x, user=bob", "password=[secret], user=bob"),
        ("f(password=abc9) failed", "f(password=[secret]) failed"),
        ('"https://h/?pwd=a&x=1"', '"https://h/?pwd=[secret]&x=1"'),
        ("Password=a;User Id=x", "Password=[secret];User Id=x"),
        ("amqp://user:pw/3x@mq:5672", "amqp://[secret]@mq:5672"),
        ("mongodb://u:p@h1:27017,h2:27017/db", "mongodb://[secret]@h1:27017,h2:27017/db"),
        ('{"token":"a b","user":"c"}', '{"token":"[secret]","user":"c"}'),
        ('["--token","x","--port","80"]', '["--token","[secret]","--port","80"]'),
        ("password: İ9", "password: [secret]"),
    ],
)
def test_what_stands_around_a_secret_stays(text, left):
    assert secrets(text) == left


ODD = st.text(string.ascii_letters + string.digits + "!#$%^*_-+./~", min_size=6, max_size=40)


@given(
    st.sampled_from(["DB_PASSWORD={}", '{{"apiToken":"{}"}}', "--client-secret {}", "?pwd={}&x=1", "pass: '{}'"]), ODD
)
def test_any_value_after_a_name_is_hidden(spelling, value):
    assume(value[0].isalnum() and any(letter.isdigit() for letter in value[1:]) and "://" not in value)
    assume(not value.strip(".!*").isdigit() and not value.lower().endswith(("exception", "error")))
    assert value not in secrets(f"refused {spelling.format(value)} again")


PIECES = [
    "password", "password=", "token: ", "secret", "--password ", "-u a:", "cookie: a=b; ", 'password="', "\\", '\\"', "://",
    "https://a:", "a:", "@", "a@", "a.", "eyJ", "s.", "-----BEGIN ", ";a", "=,;)", "<password>", "pass value ", " ",
    "https://?token=", "password: [", "AUTH default ", '"--token","', "key", "_", "%3D", "x",
]  # fmt: skip


@given(st.sampled_from(PIECES), st.sampled_from(PIECES))
def test_a_hostile_text_takes_no_longer_than_its_length(piece, before):
    text = before + piece * (50_000 // len(piece))
    begin = time.process_time()
    secrets(text)
    assert time.process_time() - begin < 2  # some 0.05 s; by the square of its length it would be minutes
