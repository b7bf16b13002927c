"""A fleet to share: names, addresses, hosts, e-mail addresses and secrets replaced, the same by the same everywhere.

Names are numbered in their order, so nothing of them is left to guess at; times, verdicts, ports, signatures, versions
and the mesh's own containers stay. What else a message says stays, too: read a report before you share it.
"""

import ipaddress
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

import pandas as pd

from meshlogs import schema
from meshlogs.columnar import joins
from meshlogs.engines import groups
from meshlogs.pipeline import Fleet
from meshlogs.text import secrets

# Containers of the mesh and of Vault's injector, whose names tell nothing about anyone.
_KEPT = {
    "istio-proxy", "istio-init", "istio-validation", "enable-core-dump", "install-cni", "ztunnel", "linkerd-proxy",
    "linkerd-init", "vault-agent", "vault-agent-init", "app", "default", "kube-system", "istio-system", "localhost",
}  # fmt: skip
# Columns of names, what they name, and in which order a text that is several things is called.
_NAMES = {
    "pod": ("pod",),
    "workload": ("workload",),
    "namespace": ("namespace",),
    "cluster": ("cluster",),
    "project": ("project",),
    "node": ("node",),
    "container": ("container", "app_container"),
    "host": ("host", "destination_host"),
    "revision": ("revision",),
    "file": ("source",),
}
_WORDS = {
    "kind", "reason", "outcome", "verdict", "certainty", "signature", "injection", "hold", "proxy_version", "treats",
    "container_kind", "controller", "remedy", "time_granularity", "phase", "insert_id", "cites", "location", "check",
}  # fmt: skip
_MESH_KEYS = (
    "sidecar.istio.io/",
    "proxy.istio.io/",
    "traffic.sidecar.istio.io/",
    "ambient.istio.io/",
    "vault.hashicorp.com/",
)

_EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?![\w:])")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_IMAGE = re.compile(r"(\"image\":\s*\")([^\"]+)\"")
_TOKEN = re.compile(r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?")
_HOST = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_-]*[a-z0-9])?\.)+(?:com|net|org|io|dev|cloud|internal|local|svc|app|ai|co|de|eu|uk|fr|us|info"
    r"|corp|lan|intra|localdomain|ch|at|nl|es|it|pl|se|in|jp|cn|br|ca|au)\.?",
    re.IGNORECASE,
)
_PUBLIC_HOST = re.compile(
    r"(?:.*\.)?(?:k8s\.io|kubernetes\.io|istio\.io|cloud\.google\.com|googleapis\.com|example\.invalid)\.?"
)
# Packages of public libraries are no one's secret; those of a company are told by the same form.
_PACKAGE = re.compile(r"(?:com|org|net|io|de|fr|ch|co)\.[a-z_]\w*(?:\.\w+)+")
_PUBLIC = re.compile(
    r"(?:com\.(?:mysql|zaxxer|rabbitmq|mongodb|datastax|google|microsoft|sun|fasterxml|amazonaws|lambdaworks)|net\.spy"
    r"|org\.(?:apache|postgresql|springframework|hibernate|redisson|elasticsearch|mariadb|eclipse|jboss|asynchttpclient|slf4j)"
    r"|io\.(?:netty|lettuce|grpc|vertx|envoyproxy|istio|k8s|quarkus|micronaut|r2dbc))\."
)


def redact(fleet: Fleet) -> Fleet:
    """The fleet with every name and address of its tables replaced; to be reported and shared, not analysed anew.

    The same fleet gives the same replacements; two fleets give different ones.
    """
    tables = {
        name: getattr(fleet, name)
        for name in ("starts", "errors", "evidence", "pods", "rejects", "coverage", "remedies")
    }
    replace = _Replacements(tables.values())
    shared = Fleet.__new__(Fleet)
    vars(shared).update({name: replace.table(table) for name, table in tables.items()})
    shared.facts = groups.alone(joins.coded(shared.evidence, [*schema.SHARED, "start_id"]), shared.pods)
    texts = [field.name for field in schema.ERRORS if field.type == schema.TEXT and field.name != "insert_id"]
    shared.judged = joins.coded(shared.errors, texts)
    return shared


class _Replacements:
    def __init__(self, tables: Iterable[pd.DataFrame]):
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._given: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}  # what a name is called in a text
        tables = list(tables)
        for kind, columns in _NAMES.items():
            found = {
                name for table in tables for column in columns if column in table for name in table[column].dropna()
            }
            for name in sorted(found):
                self._names.setdefault(name, self._name(kind, name))
        self.text = lru_cache(maxsize=200_000)(self._text)

    def table(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with every text in it replaced, but for words of ours."""
        kinds = {column: kind for kind, columns in _NAMES.items() for column in columns}
        columns = {}
        for name, values in table.items():
            if name in _WORDS or values.dtype not in ("object", "str"):
                columns[name] = values
            elif name in kinds:
                columns[name] = _mapped(values, lambda value, kind=kinds[name]: self._named(kind, value))
            else:
                columns[name] = _mapped(
                    values, {"labels": _nothing, "annotations": self._annotations}.get(name, self.text)
                )
        return pd.DataFrame(columns, index=table.index)

    def _named(self, kind: str, value: str) -> str:
        return self.text(value) if kind == "host" else self._name(kind, value)

    def _name(self, kind: str, name: str) -> str:
        if name in _KEPT or (kind == "host" and _address(name)):
            return name if name in _KEPT else self._address_of(name)
        return self._numbered(kind, name, f"{kind}-{{}}")

    def _numbered(self, kind: str, value: str, form: str) -> str:
        if (kind, value) not in self._given:
            self._counts[kind] += 1
            self._given[kind, value] = form.format(self._counts[kind])
        return self._given[kind, value]

    def _text(self, text: str) -> str:
        if text in self._names:
            return self._names[text]
        text = secrets(text)
        text = _EMAIL.sub(lambda found: self._numbered("email", found[0], "someone-{}@example.invalid"), text)
        text = _UUID.sub(lambda found: self._numbered("uuid", found[0].lower(), "00000000-0000-4000-8000-{:012}"), text)
        text = _IMAGE.sub(self._image, text)
        for pattern in (_IPV6, _IPV4):
            text = pattern.sub(lambda found: self._address_of(found[0]), text)
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match) -> str:
        token = found[0]
        if token in self._names:
            return self._names[token]
        if token in _KEPT or _address(token) or token.startswith("someone-"):
            return token
        if _HOST.fullmatch(token) and not _PUBLIC.match(token) and not _PUBLIC_HOST.fullmatch(token):
            return self._numbered("host", token.lower(), "host-{}")
        if _PACKAGE.fullmatch(token) and not _PUBLIC.match(token):
            return self._numbered("package", token, "package-{}")
        return self._numbered("name", token, "name-{}") if self._holds_name(token) else token

    def _holds_name(self, token: str) -> bool:
        """Whether a known name is a part of this one, between hyphens, dots or underscores."""
        parts = re.split(r"[-._]", token)
        if len(parts) < 2 or len(parts) > 24:
            return False
        spans = ((begin, end) for begin in range(len(parts)) for end in range(begin + 1, len(parts) + 1))
        known = ("-".join(parts[begin:end]) for begin, end in spans if end - begin < len(parts))
        return any(name in self._names and name not in _KEPT and not name.isdecimal() for name in known)

    def _image(self, found: re.Match) -> str:
        name = found[2].rpartition("/")[2]
        mesh = name.startswith(("proxyv2", "vault", "pilot"))
        return f'{found[1]}{name if mesh else self._numbered("image", found[2], "image-{}")}"'

    def _annotations(self, text: str) -> str:
        """Only those of the mesh and of Vault's injector."""
        try:
            told = json.loads(text)
        except ValueError:
            return "{}"
        kept = {key: self.text(str(value)) for key, value in told.items() if key.startswith(_MESH_KEYS)}
        return json.dumps(kept, separators=(",", ":"))

    def _address_of(self, text: str) -> str:
        """An address of the ranges for documentation and tests; loopback, unspecified and link-local ones stay."""
        address = _address(text)
        if address is None or address.is_loopback or address.is_unspecified or address.is_link_local:
            return text
        if address.version == 6:
            return self._numbered("ipv6", str(address), "2001:db8::{:x}")
        self._numbered("ipv4", str(address), "{}")
        return str(ipaddress.ip_address("198.18.0.0") + int(self._given["ipv4", str(address)]))


def _address(text: str):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _nothing(_text: str) -> None:
    return None


def _mapped(values: pd.Series, replace) -> pd.Series:
    """The texts, or lists of texts, replaced."""

    def one(value):
        if isinstance(value, str):
            return replace(value)
        return [replace(item) for item in value] if hasattr(value, "__len__") else value

    return values.map(one).astype(values.dtype)
