"""Strings from an input, made harmless for a terminal or a page."""

import re

_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[\w-]{35}|\bya29\.[\w.-]+|\bgh[pousr]_\w{20,}|\bxox[abprs]-[\w-]{10,}"
               r"|\bhv[sbr]\.[\w-]{20,}|\bs\.\w{24}\b|\bsk_(?:live|test)_\w{10,}|\bglpat-[\w-]{20}"),
)  # fmt: skip
_SAID = re.compile(
    r"(?i:\b(authorization|bearer|basic|password|passwd|pwd|passphrase|secret|client[_-]?secret|api[_-]?key|access[_-]?key"
    r"|private[_-]?key|token|access[_-]?token|refresh[_-]?token|session[_-]?id|cookie|set-cookie|credential|credentials)"
    r"([\"']?\s*[=:]\s*(?:bearer |basic )?[\"']?|\s+))([^\s\"',;&}{)(]{6,})"
)
_LOGIN = re.compile(r"(?<=://)[^\s/@\"']+@")
# Data of a Secret object, in base64.
_IS_SECRET = re.compile(r"kind\\*\"\s*:\s*\\*\"Secret|/secrets\b|core\.v1\.secrets")
_DATA = re.compile(r"[A-Za-z0-9+/_-]{20,}={0,2}")


def clean(value, limit: int = 200) -> str:
    r"""The text on one line with control and direction characters made visible, cut to `limit` characters.

    >>> clean("a" + chr(27) + "[31mred" + chr(10) + "b")
    'a\\x1b[31mred\\nb'
    """
    if not isinstance(value, str):
        return "–"
    text = value[: limit + 1]
    if not text.isprintable():
        text = "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode()
            for letter in text
        )
    return text if len(text) <= limit else text[:limit] + "…"


def secrets(text: str) -> str:
    """The text without what looks like a password, a token or a key.

    >>> secrets("connect redis://user:hunter2@redis:6379 Authorization: Bearer abc.def-123")
    'connect redis://[secret]@redis:6379 Authorization: Bearer [secret]'
    """
    for pattern in _SECRETS:
        text = pattern.sub("[secret]", text)
    text = _SAID.sub(_unsaid, _LOGIN.sub("[secret]@", text))
    return _DATA.sub("[secret]", text) if _IS_SECRET.search(text) else text


def _unsaid(found: re.Match) -> str:
    word, between, value = found.groups()
    # "token expired", "password authentication failed": a word that follows is no secret unless it looks like one.
    plain = between.isspace() and (value.isalpha() or not re.search(r"\d", value))
    return found[0] if plain or value.startswith("[secret]") else f"{word}{between}[secret]"
