"""Strings from an input, made harmless for a terminal or a page."""


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
