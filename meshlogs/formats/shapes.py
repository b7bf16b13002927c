"""What may be shown of a record that could not be read: of objects the keys, not the values, which may be secrets."""

import re

from meshlogs.text import clean, secrets

EXCERPT = 200
HIDDEN = "(not shown: it may hold secrets)"

# Values under these keys say what an object is, and are no secrets.
TELLING = {
    "apiVersion", "kind", "name", "namespace", "reason", "type", "fieldPath", "insertId", "logName", "methodName",
    "resourceName", "serviceName", "severity", "timestamp", "receiveTimestamp", "firstTimestamp", "lastTimestamp",
    "eventTime", "creationTimestamp", "pod_name", "namespace_name", "container_name", "cluster_name",
}  # fmt: skip

# Objects of Kubernetes and audit entries: environment variables, data of Secrets, bodies of calls.
_OBJECT = re.compile(
    r"protoPayload|apiVersion|stringData|last-applied-configuration|\bmetadata['\"]?\s*:|\benv['\"]?\s*:"
    r"|\bdata['\"]?\s*:|\bkind['\"]?\s*:\s*['\"]?[A-Z]"
)
# Where the bodies of audited calls, and the environment of containers, begin: what follows is never shown.
_BODY = re.compile(
    r"""\\*"?(?:proto_?[Pp]ayload\w*|AuditLog|methodName|method_name)|['"](?:request|response|env)(?:Json)?\\*['"]\s*:"""
)
_TOKEN = re.compile(
    r'"((?:[^"\\]|\\.)*)("?)(\s*:)?|([{}\[\],:\s]+|-?\d[\d.eE+-]*\b|true\b|false\b|null\b)|[^"{}\[\],:\s]+'
)
_KEY = re.compile(r"[\w./$@-]{1,80}")
_YAML_KEY = re.compile(r"(\s*(?:- )*)([\w./$@-]{1,80}):(?:\s+(.*))?")
_HIDDEN = "…"
# A name that a value follows, in JSON, in a file of variables, in YAML; base64 ends in "=" and names nothing.
_NAMED = re.compile(
    r'"([\w./$@-]{1,80})"\s*:|^[ \t]*(?:- )?(?:export[ \t]+)?([A-Za-z_][\w.-]{0,79})(?:[ \t]*=(?=[^=\s])|:(?=\s))',
    re.MULTILINE,
)


def excerpt(what: str | bytes, limit: int = EXCERPT, is_object: bool | None = None) -> str:
    """The first characters on one line, control characters made visible, secrets hidden.

    Of an object (None: if it looks like one) only keys and the values that tell what it is.

    >>> excerpt('{"kind":"Secret","data":{"user":"aHVudGVyMg=="}}')
    '{"kind":"Secret","data":{"user":"…"}}'
    """
    start = what[: 1 << 20]
    text = start.decode("utf-8", "replace") if isinstance(start, bytes) else start
    if is_object is None:
        is_object = bool(_OBJECT.search(text))
    text = text[: 8 * limit]
    if is_object:
        text = shape(text)
    elif found := _BODY.search(text):
        text = text[: found.start()] + HIDDEN
    return clean(secrets(text)[:limit], limit)[:limit]


def keys_of(what: bytes, limit: int = 100) -> str:
    """The names of values that a file of no known form begins with: it may be anything, also a file of secrets.

    >>> keys_of(b"DB_USER=web" + bytes([10]) + b"DB_PASSWORD=hunter2")
    'DB_USER, DB_PASSWORD'
    """
    found = _NAMED.finditer(what[: 20 * limit].decode("utf-8", "replace"))
    return clean(secrets(", ".join(dict.fromkeys(match[1] or match[2] for match in found))), limit) or HIDDEN


def shape(text: str) -> str:
    """The text of a JSON or YAML object, maybe cut or damaged, with its values hidden.

    >>> print(shape(chr(10).join(["- name: PASSWORD", "  value: hunter2"])))
    - name: PASSWORD
      value: …
    """
    return _json_shape(text) if text.lstrip()[:1] in ("{", "[", '"') else _yaml_shape(text)


def _json_shape(text: str) -> str:
    parts, key = [], None
    for token in _TOKEN.finditer(text):
        inside, closed, colon, plain = token.groups()
        if inside is None:
            parts.append(plain or _HIDDEN)
        elif colon and _KEY.fullmatch(inside):
            key = inside
            parts.append(token[0])
        else:
            tells = key in TELLING and closed and not colon
            parts.append(token[0] if tells else f'"{_HIDDEN}"{colon or ""}')
            key = None
    return "".join(parts)


def _yaml_shape(text: str) -> str:
    parts = []
    for line in text.splitlines():
        match = _YAML_KEY.fullmatch(line)
        if not match:
            parts.append(line if not line.strip() or line.strip() in ("---", "...") else _HIDDEN)
        elif match[3] is None or match[2] in TELLING:
            parts.append(line)
        else:
            parts.append(f"{match[1]}{match[2]}: {_HIDDEN}")
    return "\n".join(parts)
