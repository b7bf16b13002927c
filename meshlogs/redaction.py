"""A fleet to share: names, addresses, hosts, e-mail addresses and secrets replaced, the same by the same everywhere.

Names are numbered in their order, so nothing of them is left to guess at; times, verdicts, ports, signatures, versions
and the mesh's own containers stay. Commands, messages of conditions, excerpts and annotations that nothing rests on are
left out. What else a message says stays: read a report before you share it.
"""

import ipaddress
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache

import pandas as pd
import yaml

from meshlogs import remedies, schema
from meshlogs.columnar import joins
from meshlogs.engines import groups
from meshlogs.formats.redirect import ANNOTATIONS
from meshlogs.formats.shapes import HIDDEN
from meshlogs.formats.tables import compact
from meshlogs.pipeline import Fleet
from meshlogs.remedies.workloads import CONFIG
from meshlogs.text import secrets

# Containers of the mesh and of Vault's injector, whose names tell nothing about anyone.
_KEPT = {
    "istio-proxy", "istio-init", "istio-validation", "enable-core-dump", "install-cni", "ztunnel", "linkerd-proxy",
    "linkerd-init", "vault-agent", "vault-agent-init", "app", "default", "kube-system", "istio-system", "localhost",
}  # fmt: skip
_IPS = ("ip", "pod_ip", "destination_ip")
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
# Annotations, and settings of the proxy in one of them, that a verdict or a remedy rests on.
_ANNOTATIONS = {
    *ANNOTATIONS, "ambient.istio.io/redirection", "sidecar.istio.io/inject", "sidecar.istio.io/nativeSidecar",
    "sidecar.istio.io/proxyCPU", "sidecar.istio.io/proxyCPULimit", "sidecar.istio.io/proxyMemory",
    "sidecar.istio.io/proxyMemoryLimit", "status.sidecar.istio.io/port", "vault.hashicorp.com/agent-init-first",
    "vault.hashicorp.com/agent-inject",
}  # fmt: skip
_STATUS = "sidecar.istio.io/status"
_SETTINGS = {
    "concurrency", "drainDuration", "holdApplicationUntilProxyStarts", "terminationDrainDuration", "proxyMetadata",
    "EXIT_ON_ZERO_ACTIVE_CONNECTIONS", "ISTIO_META_DNS_CAPTURE", "MINIMUM_DRAIN_DURATION",
}  # fmt: skip

_EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?![\w:])")
_UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
# An image in a message of the kubelet or in JSON.
_IMAGE = re.compile(r"(\bimage\\?\"?:?\s?\\?\")([^\"\\]+)")
# Escapes of URLs and of JSON, after which a name is not told from their digits.
_ESCAPE = re.compile(r"(?:%|\\u00)([0-7][0-9A-Fa-f])|\\[nrt]")
_HOOKS = {"exec", "httpGet", "tcpSocket", "sleep"}  # what a hook without a command is called
_JSON = ("redirect", "annotations", "conditions", "container_states", "spec")
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
    pods = _needed(fleet.pods)
    told = fleet.facts.those(lambda rows: rows["kind"].isin(remedies.KINDS))
    tables = {
        "starts": fleet.starts,
        "errors": fleet.errors,
        "evidence": _without_hooks(fleet.evidence),
        "pods": pods,
        "rejects": fleet.rejects.assign(
            reason=_mapped(fleet.rejects["reason"], lambda reason: reason.partition(":")[0]),  # after it others' words
            excerpt=_mapped(fleet.rejects["excerpt"], _nothing),
        ),
        "coverage": fleet.coverage,
        "remedies": remedies.advise(fleet.starts, fleet.judged, pods, told),  # patches of what pods have left
    }
    replace = _Replacements(tables.values())
    shared = Fleet.__new__(Fleet)
    shared.limits = fleet.limits
    vars(shared).update({name: replace.table(table) for name, table in tables.items()})
    shared.facts = groups.alone(joins.coded(shared.evidence, [*schema.SHARED, "start_id"]), shared.pods)
    texts = [field.name for field in schema.ERRORS if field.type == schema.TEXT and field.name != "insert_id"]
    shared.judged = joins.coded(shared.errors, texts)
    return shared


def _needed(pods: pd.DataFrame) -> pd.DataFrame:
    """The pods without what no verdict or remedy needs and what may hold secrets or names that no table tells."""
    change = {"spec": _spec, "conditions": _conditions, "annotations": _annotations}
    return pods.assign(
        **{name: _mapped(pods[name], lru_cache(maxsize=20_000)(_of_json(of))) for name, of in change.items()}
    )


def _of_json(change: Callable) -> Callable[[str], str]:
    """The function for JSON texts; a text that is none becomes null."""

    def changed(text: str) -> str | None:
        try:
            return compact(change(json.loads(text)))
        except ValueError:
            return None

    return changed


def _spec(spec: dict) -> dict:
    """Hooks without their commands, paths of probes without their queries."""
    for container in spec.get("containers", []):
        for hook in ("post_start", "pre_stop"):
            container[hook] = _hook(container.get(hook))
        for probe in ("readiness", "startup"):
            if path := (container.get(probe) or {}).get("path"):
                container[probe]["path"] = path.partition("?")[0]
    return spec


def _hook(command: str | None) -> str | None:
    if not command or command in _HOOKS:
        return command
    return "pilot-agent wait" if "pilot-agent" in command and "wait" in command.split() else HIDDEN


def _conditions(conditions: list[dict]) -> list[dict]:
    return [{key: value for key, value in one.items() if key != "message"} for one in conditions]


def _annotations(told: dict) -> dict:
    kept = {key: value for key, value in told.items() if key in _ANNOTATIONS}
    if "asm-managed" in told.get(_STATUS, ""):
        kept[_STATUS] = '{"revision":"asm-managed"}'
    if CONFIG in told:
        kept[CONFIG] = _config(told[CONFIG])
    return kept


def _config(text: str) -> str:
    """The proxy's configuration with known settings only; one that cannot be read stays so."""
    words = sorted(word for word in _SETTINGS if word in text)  # a remedy asks for them wherever they stand
    try:
        told = yaml.safe_load(text) or {}
    except (yaml.YAMLError, ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return "{" + ", ".join(words)
    kept = _settings(told)
    if isinstance(metadata := told.get("proxyMetadata"), dict):
        kept["proxyMetadata"] = _settings(metadata)
    left = yaml.safe_dump(kept, default_flow_style=True, width=100_000).strip()
    elsewhere = [word for word in words if word not in left]
    return f"{left} # {', '.join(elsewhere)}" if elsewhere else left


def _settings(told: dict) -> dict:
    return {key: value for key, value in told.items() if key in _SETTINGS and isinstance(value, str | int | float)}


def _without_hooks(evidence: pd.DataFrame) -> pd.DataFrame:
    """The evidence without messages that repeat the command of a hook and what it printed."""
    failed = (evidence["kind"] == "hold_failed") | (evidence["value"] == "post_start")
    return evidence.assign(message=evidence["message"].mask(failed, HIDDEN))


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
                self._names.setdefault(name.lower(), self._name(kind, name))
        addresses = {ip for table in tables for name in _IPS if name in table for ip in table[name].dropna()}
        for address in sorted(addresses):  # as in the names of nodes
            self._names.setdefault(address.replace(".", "-"), self._address_of(address).replace(".", "-"))
        self.text = lru_cache(maxsize=200_000)(self._text)
        self.json = lru_cache(maxsize=20_000)(_of_json(self._value))

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
                    values, {"labels": _nothing, **dict.fromkeys(_JSON, self.json)}.get(name, self.text)
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

    def _value(self, value, key: str | None = None):
        """A value of JSON with the texts in it replaced."""
        if isinstance(value, dict):
            return {name: self._value(item, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, key) for item in value]
        if not isinstance(value, str):
            return value
        return self._image(value) if key == "image" else self.text(value)

    def _text(self, text: str) -> str:
        if text.lower() in self._names:
            return self._named_in(text)
        plain, read = self._replaced(text), _read(text)
        if read != text and (told := self._replaced(read)) != _read(plain):
            return told  # behind an escape there is more
        return plain

    def _replaced(self, text: str) -> str:
        text = secrets(text)
        text = _EMAIL.sub(lambda found: self._numbered("email", found[0], "someone-{}@example.invalid"), text)
        text = _UUID.sub(lambda found: self._numbered("uuid", found[0].lower(), "00000000-0000-4000-8000-{:012}"), text)
        text = _IMAGE.sub(lambda found: found[1] + self._image(found[2]), text)
        for pattern in (_IPV6, _IPV4):
            text = pattern.sub(lambda found: self._address_of(found[0]), text)
        return _TOKEN.sub(self._token, text)

    def _token(self, found: re.Match) -> str:
        token = found[0]
        if token.lower() in self._names:
            return self._named_in(token)
        if token.lower() in _KEPT or _address(token) or token.startswith("someone-"):
            return token
        if _HOST.fullmatch(token) and not _PUBLIC.match(token) and not _PUBLIC_HOST.fullmatch(token):
            return self._numbered("host", token.lower(), "host-{}")
        if _PACKAGE.fullmatch(token) and not _PUBLIC.match(token):
            return self._numbered("package", token, "package-{}")
        return self._numbered("name", token, "name-{}") if self._holds_name(token) else token

    def _named_in(self, text: str) -> str:
        """What a name is called in a text, however it is spelt there."""
        return text if text.lower() in _KEPT else self._names[text.lower()]

    def _holds_name(self, token: str) -> bool:
        """Whether a known name is a part of this one, between hyphens, dots or underscores."""
        parts = re.split(r"[-._]", token.lower())
        if len(parts) < 2 or len(parts) > 24:
            return False
        spans = ((begin, end) for begin in range(len(parts)) for end in range(begin + 1, len(parts) + 1))
        known = ("-".join(parts[begin:end]) for begin, end in spans if end - begin < len(parts))
        return any(name in self._names and name not in _KEPT and not name.isdecimal() for name in known)

    def _image(self, image: str) -> str:
        name = image.rpartition("/")[2]
        mesh = name.startswith(("proxyv2", "vault", "pilot"))
        return name if mesh else self._numbered("image", image, "image-{}")

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
    if _IPV4.fullmatch(text):  # its numbers may begin with zeros
        text = ".".join(str(int(number)) for number in text.split("."))
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _read(text: str) -> str:
    """The text as whoever it was escaped for reads it; one URL may be in another."""
    if "%" in text or "\\" in text:
        for _ in range(3):
            text = _ESCAPE.sub(lambda found: chr(max(int(found[1] or "20", 16), 32)), text)
    return text


def _nothing(_text: str) -> None:
    return None


def _mapped(values: pd.Series, replace) -> pd.Series:
    """The texts, or lists of texts, replaced."""

    def one(value):
        if isinstance(value, str):
            return replace(value)
        return [replace(item) for item in value] if hasattr(value, "__len__") else value

    return values.map(one).astype(values.dtype)
