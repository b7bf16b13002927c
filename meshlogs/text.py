"""Strings from an input, made harmless for a terminal or a page."""

import re
from functools import cache

# Words that name a secret, also within a longer name: DB_PASSWORD, clientSecret, X-Api-Key. Patterns of names and of
# what follows them are for lower case, and begin with a letter: so they are found ten times as fast.
_NAMES = (
    r"password|passwd|passphrase|passcode|pass(?<!bypass)(?![a-z])|pwd|secret|token|credential|authorization|cookie"
    r"|sess(?:ion)?[_-]?id|sid(?<![a-z]sid)(?![a-z])|(?:api|access|account|app|auth|client|deploy|encryption|license"
    r"|master|private|service|shared|signing|ssh|storage)[_. -]?key"
)
_QUOTE = r"\\{0,15}+[\"'`]"  # \" is one of JSON in a JSON string; one string deeper it is \\\"
# What a secret follows: its name and a sign ("password": …, {"name": "DB_PASSWORD", "value": …}, <password>…), an
# argument (--password …, -u user:…), or a word and a blank. After a mere colon a short number is a port.
_HEAD = rf"""
    (?P<name>{_NAMES})(?P<more>[\w-]{{0,24}}+)
        (?: (?P<sign>
                (?:\]|%5d)? (?:(?:{_QUOTE})?[\s,]{{0,40}}+(?:{_QUOTE})?value)? (?:{_QUOTE})?[ \t]*+
                (?: => | :=?(?!:) | ==? | %3[ad] | \\u003d | > )[ \t]*+ (?!(?<=[:a])\d{{1,5}}+(?!\w))
                (?:(?:bearer|basic|negotiate|apikey|token|aws4-hmac-sha256)(?:[ \t]++|%20|\+))? )
          | [ \t]++ | {_QUOTE}[ \t]*+,[ \t]*+(?={_QUOTE}) )
    | (?P<login>-(?:u|-user|-proxy-user)(?:[ =]|{_QUOTE},[ ]?)(?:{_QUOTE})?[\w.+-]{{1,64}}+:(?!\d+\b)
        | identified[ ]by[ ](?:password[ ])?)
    | (?:bearer|basic|auth(?:[ ]default)?)[ \t]++
"""
# What may be left as it is: a URL, in which there may be other heads, a variable, a placeholder.
_LEFT = rf"(?:{_QUOTE})?(?:\[secret\]|[a-z][a-z0-9+.-]{{1,11}}+://|\$[{{(]|<[\w -]{{1,30}}+>)"
_QUOTED = rf"(?P<quote>{_QUOTE})(?P<value>(?:(?!(?<!\\)(?P=quote)).)*+)"
# Up to a blank, or to a sign that another name, or nothing, follows.
_LETTER = r"""(?: [^\s"'`\\&,;:)}\]<] | \\(?![nrtu"'`\\]) | <(?!/) | :(?=\S)
    | [&,;)}\]"'`] (?=[^\s&,;:)}\]"'`\\]) (?![\w.%\[\] -]{1,40}[=:]) )"""
_PLAIN = rf"(?P<value> \[[^\]\n]*+ | (?:\{{\w{{1,40}}\}} | (?!\{{){_LETTER}) {_LETTER}*+ )"
# Values that are none, and how the sentence goes on after "token: ".
_NOTHING = frozenset(
    "null nil none true false undefined empty unset missing invalid expired required redacted n/a".split()
)
_SENTENCE = _NOTHING | frozenset(
    """
    a an the this that it its is was are were be been has have had no not could couldn't can cannot can't unable
    failed failure failing error errors exception denied rejected refused reset closed aborted canceled cancelled
    incorrect wrong bad malformed illegal mismatch mismatched unexpected unknown unsupported unavailable
    unauthorized forbidden unauthenticated revoked rotated renewed refreshed updated created deleted found loaded ok
    get post put patch head delete request response rpc dial read write lookup connect connecting connection
    connections context deadline timeout timed time http https tls ssl x509 certificate io i/o eof server client
    host network socket service internal permission access authentication authorization login user username open
    file stat path json yaml parse parsing decode decoding decrypt unmarshal object string type field for from in of
    on to by with and or while during when if as at using use must should will would please retry retrying waiting
    wait trying attempt too code status caused exceeded reached returned got received expected key name value secret
    secrets token tokens password credential credentials
    """.split()
)
_TOLD = re.compile(r"[1-5]\d\d|[\w.$]+(?:exception|error)")  # a status of HTTP, a class

_COOKIES = rf"(cookie2?(?:{_QUOTE})?[ \t]*+[=:][ \t]*+(?:{_QUOTE})?)[^\s;\"'\\]++(?:;[ \t]*+[^\s;\"'\\]++)*+"
# The login of a URL: all before the last @ of its authority, or of the URL if what follows the first colon is no port.
_LOGIN = (
    r"(?<=://)(?:[^\s/?#@\"'`<>]*+@)+|(?<=://)[^\s/?#@\"'`<>:\[]*+:(?!\d{1,5}(?:[/?#,]|$))(?:[^\s@\"'`<>:]|:(?!//))*+@"
    r"|(?<![\w.%+/@-])[\w.%+-]{1,64}+:(?!//)[^\s\"'`@<>]{1,64}@(?=(?:tcp6?|unix)?\(|[\w.-]{1,253}(?::\d|/))"
)
# What tells a key or a token by its form, and what must be in a text for one to be there.
_FORMS = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|\Z)"
    r"|(?<![A-Za-z0-9])(?:eyJ[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+)?|(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])|AIza[\w-]{35}"
    r"|ya29\.[\w.-]++|1//0[\w-]{20,}+|GOCSPX-[\w-]{20,}+|github_pat_\w{20,}+|gh[pousr]_\w{20,}+|glpat-[\w-]{20,}+"
    r"|xox[abeprs]-[\w-]{10,}+|hv[sbr]\.[\w-]{20,}+|s\.\w{24}(?!\w)|[sr]k_(?:live|test)_\w{10,}+|sk-[\w-]{20,}+"
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+|npm_\w{30,}+|pypi-[\w-]{20,}+)"
    r"|(?<=[Ss]ignature=)[\w%+/=-]{16,}+|(?<=[?&;]sig=)[\w%+/=-]{16,}+"
)
_MARKS = (
    "PRIVATE KEY", "eyJ", "AKIA", "ASIA", "AIza", "ya29.", "1//0", "GOCSPX-", "github_pat_", "ghp_", "gho_", "ghu_",
    "ghs_", "ghr_", "glpat-", "xox", "hvs.", "hvb.", "hvr.", "s.", "k_live_", "k_test_", "sk-", "SG.", "npm_", "pypi-",
    "ignature=", "sig=",
)  # fmt: skip
_WORDS = (
    "pass", "pwd", "secret", "token", "credential", "auth", "cookie", "sess", "sid", "key", "bearer", "basic", "-u",
    "identified by",
)  # fmt: skip
# Data of a Secret object, in base64.
_IS_SECRET = r"kind\\*\"\s*:\s*\\*\"Secret|/secrets\b|core\.v1\.secrets"
_DATA = r"[A-Za-z0-9+/_-]{20,}={0,2}"


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

    >>> secrets("connect redis://user:hunter2@redis:6379 Authorization: Bearer abc.def-123 DB_PASSWORD=x")
    'connect redis://[secret]@redis:6379 Authorization: Bearer [secret] DB_PASSWORD=[secret]'
    """
    if any(mark in text for mark in _MARKS):
        text = _pattern(_FORMS).sub("[secret]", text)
    if "@" in text:
        text = _pattern(_LOGIN).sub("[secret]@", text)
    small = text.lower()
    if "cookie" in small:
        text = _pattern(_COOKIES, re.IGNORECASE).sub(r"\1[secret]", text)
    if any(word in small for word in _WORDS):
        text = _unsaid(text)
    if "ecret" in text and _pattern(_IS_SECRET).search(text):
        text = _pattern(_DATA).sub("[secret]", text)
    return text


@cache
def _pattern(pattern: str, flags: int = 0) -> re.Pattern:
    """Compiled when it is first needed: these take longer than a short command."""
    return re.compile(pattern, flags)


def _unsaid(text: str) -> str:
    """The text without the values that follow a name of a secret."""
    heads, quoted = _pattern(_HEAD, re.VERBOSE), _pattern(_QUOTED)
    left, plain = (_pattern(pattern, re.IGNORECASE | re.VERBOSE) for pattern in (_LEFT, _PLAIN))
    small = text.lower()
    if len(small) != len(text):  # a letter that is two in lower case
        small = "".join(letter.lower()[0] for letter in text)
    parts, done = [], 0
    for head in heads.finditer(small):
        at = head.end()
        if at < done or left.match(text, at):
            continue
        value = quoted.match(text, at) or plain.match(text, at)
        if value and _is_secret(text, head, value):
            parts += [text[done : value.start("value")], "[secret]"]
            done = value.end("value")
    return "".join(parts) + text[done:]


def _is_secret(text: str, head: re.Match, found: re.Match) -> bool:
    value, sign = found["value"], head["sign"]
    told = value.strip(".,:;!?()*").lower()
    if not told or told in _NOTHING:
        return False
    before = text[max(head.start() - 40, 0) : head.start()]
    if sign or head["login"] or re.search(r"--[\w-]*\Z", before):
        is_sentence = (not sign or sign.endswith(": ")) and "quote" not in found.groupdict()
        return not (is_sentence and (told in _SENTENCE or _TOLD.fullmatch(told)))
    # "token expired", "password authentication failed": a word that follows is no secret unless it looks like one.
    is_word = head["more"] in (None, "", "s") and not before[-1:].isalnum()
    if not is_word or (head[0].startswith("auth ") and not text.startswith("AUTH", head.start())):
        return False
    looks = len(value) >= 24 or (len(value) >= 6 and any(letter.isdigit() for letter in value))
    return looks and not re.match(r"[A-Za-z_]+=[^=]|(?:\d{1,3}\.){3}\d", value)
