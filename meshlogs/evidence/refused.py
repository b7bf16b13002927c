"""Refused connections that programs report: found, read for their destination, grouped one row a failure."""

import ipaddress
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.evidence.signatures import DESTINATIONS, FIRM, LINKS, NAMED, SIGNATURES, STATED, VETOES

# Their lines are evidence about the proxy, read in `proxy`, or about the redirection.
MESH = ("istio-proxy", "istio-init", "istio-validation", "install-cni", "ztunnel")
MESSAGE_LIMIT = 2_000
SEARCHED = 20_000  # of a text that long, the beginning is searched

KINDS = ["refused", "suspected", "upstream_refused", "refused_context"]

# Whatever can be a refused connect holds one of these; the rules above decide.
CANDIDATE = (
    r"(?i)refused|\b111\b|\b10061\b|errno 61\b|couldn'?t connect to server|curl error 7|java\.net\.connectexception"
    r"|failed to connect to|fetch failed|all connection attempts failed|could not be established|unabletoconnect"
    r"|not possible to connect to the redis|communications link failure|no servers available|connect call failed"
)
_UPSTREAM = re.compile(r"delayed[_ ]connect[_ ]error:[_ ]?111\b")
_OUTBOUND = re.compile(r"outbound\|\d|PassthroughCluster")
_UPSTREAM_HOST = re.compile(r'"(\d+\.\d+\.\d+\.\d+):(\d+)" (?:outbound\||PassthroughCluster)')

# Lines that only add to a failure told by their neighbours.
CONTEXT = (
    r"(?m)^\s*(?:address|port): ['\"]?[\w.:]+['\"]?,?\s*$|Is the server running on host \""
    r"|^\s*TCP/IP connections on port \d+|dial tcp \S+: connect:\s*$"
)
_NEAR = 50 * times.MILLISECOND
_CONTINUES = re.compile(
    r"\s|at |Caused by|\.\.\. \d+ more|During handling|Suppressed:|code: |errno: |\[?(?:cause|errors)\]?"
    r"|(?:[\w$]+\.)*[\w$]*(?:Error|Exception)\b"
)
_WRAPPED = re.compile(r"\s|Caused by|Suppressed:")
_STATED_LATE = re.compile(r"[Tt]ime(?:out:|d out after) (\d+(?:\.\d+)?) ?(ms|s)\b")


class Refusal(NamedTuple):
    """What a text says of a failed connect: its spelling, the destination, and what it leaves open."""

    signature: str
    host: str | None  # the name or address as dialled
    ip: str | None
    port: int | None
    suspected: bool = False
    late_s: float = 0.0
    upstream: bool = False


_SIGNATURES = [(row, re.compile(row.pattern, re.I if row.name == "connection_refused" else 0)) for row in SIGNATURES]
_VETOES = [re.compile(veto.pattern) for veto in VETOES]
_DESTINATIONS = [re.compile(pattern) for pattern in DESTINATIONS]


@lru_cache(maxsize=20_000)
def match(text: str) -> Refusal | None:
    """The refused connect that a text reports, None if it reports none.

    The text may span lines and may be JSON, also JSON inside a string.

    >>> match("dial tcp 192.168.9.16:19209: connect: connection refused")[:4]
    ('go_dial', '192.168.9.16', '192.168.9.16', 19209)
    """
    text = readable(text[:SEARCHED])
    if _UPSTREAM.search(text):
        return Refusal("envoy_upstream", *destination(text), upstream=True)
    if _vetoed(text):
        return None
    joined = text.replace("\n", " ")
    for row, pattern in _SIGNATURES:
        if pattern.search(text) or pattern.search(joined):
            return Refusal(row.name, *destination(text), row.suspected, late_by(text, row.late_s))
    return None


def _vetoed(text: str) -> bool:
    stated = bool(STATED.search(text))
    return any(veto.search(text) for veto in (_VETOES[:FIRM] if stated else _VETOES))


def late_by(text: str, default: float) -> float:
    """Seconds by which a failure may be reported late: as the text states them, else the client's default."""
    told = _STATED_LATE.search(text) if default else None
    return float(told.group(1)) / (1000 if told.group(2) == "ms" else 1) if told else default


def destination(text: str) -> tuple[str | None, str | None, int | None]:
    """(host as dialled, ip if it is stated, port) of the first destination in a text.

    >>> destination('connection to server at "db" (10.0.0.3), port 5432 failed: Connection refused')
    ('db', '10.0.0.3', 5432)
    >>> destination("Error: connect ECONNREFUSED ::1:5001")
    ('::1', '::1', 5001)
    """
    text = LINKS.sub("", text)
    for pattern in _DESTINATIONS:
        found = pattern.search(text)
        if found:
            host, ip, port = _named(found.groupdict())
            return (_name_of(text, port) or host) if host == ip else host, ip, port
    return None, None, None


def _name_of(text: str, port: int | None) -> str | None:
    """The name that a text gives to a destination of which only the address was dialled."""
    if port is None:
        return None
    for pattern in NAMED:
        found = re.search(pattern.format(port=port), text)
        if found:
            return found.group("host")
    return None


def _named(groups: dict[str, str | None]) -> tuple[str | None, str | None, int | None]:
    def first(prefix: str) -> str | None:
        return next((value for key, value in groups.items() if key.startswith(prefix) and value), None)

    host, ip, port = first("host"), _ip(first("ip")), first("port")
    number = int(port) if port and 0 < int(port) < 65_536 else None
    ip = ip or _ip(host)
    return (_ip(host) or host or ip), ip, number


def _ip(text: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip("[]"))) if text else None
    except ValueError:
        return None


def readable(text: str) -> str:
    """The text with the fields of JSON in it spelled out, one `key: 'value'` a line, best fields first."""
    start = text.lstrip()
    if not start.startswith("{"):
        return text
    try:
        value = json.loads(start)
    except (ValueError, RecursionError):
        return text
    return "\n".join(_fields(value)) if isinstance(value, dict) else text


def _fields(value, key: str = "", depth: int = 0) -> Iterator[str]:
    if isinstance(value, dict) and depth < 8:
        # The address stands before its port, whatever the order of the keys.
        order = sorted(
            value, key=lambda name: ("address", "host", "hostname", "port").index(name) if name in _PLACES else -1
        )
        for name in order:
            yield from _fields(value[name], str(name), depth + 1)
    elif isinstance(value, list) and depth < 8:
        for item in value:
            yield from _fields(item, key, depth + 1)
    elif isinstance(value, str):
        inner = readable(value)
        yield f"{key}: '{value}'" if key in _PLACES else inner
    elif isinstance(value, int | float) and key in _PLACES:
        yield f"{key}: {value}"


_PLACES = ("address", "host", "hostname", "port")


def extract(log_entries: pd.DataFrame) -> pd.DataFrame:
    """Evidence of failed connects in the lines of applications, one row an entry (`schema.EVIDENCE`).

    Kinds: refused, suspected, upstream_refused (the proxy told so) and refused_context (see `group`).
    """
    rows = log_entries[
        (log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna() & log_entries["time"].notna()
    ]
    searched = rows["message"].fillna("").where(rows["payload"].isna(), rows["payload"].fillna(""))
    text = pa.array(searched, pa.string())
    wanted = pc.or_(pc.match_substring_regex(text, CANDIDATE), pc.match_substring_regex(text, CONTEXT))
    wanted = pc.or_(wanted, pc.match_substring(text, "\\u"))  # an escaped spelling
    rows, searched = rows[wanted.to_numpy(zero_copy_only=False)], searched[wanted.to_numpy(zero_copy_only=False)]
    facts = []
    for row, text in zip(rows.to_dict("records"), searched, strict=True):
        fact = _proxy_report(row, text) if row["container"] in MESH else _report(text)
        if fact:
            lower = row["time"] - pd.Timedelta(round(fact["late_s"] * times.SECOND), "ns")
            message = str(row["message"] or "")[:MESSAGE_LIMIT]
            facts.append({**_texts(row), **fact, "time_lower": lower, "time_upper": row["time"], "message": message})
    return schema.conform(facts, schema.EVIDENCE)


def _texts(row: dict) -> dict:
    names = ("project", "location", "cluster", "namespace", "pod", "container", "log_name", "insert_id", "source")
    kept = {name: row[name] if isinstance(row[name], str) else None for name in names}
    return kept | {"line": None if pd.isna(row["line"]) else int(row["line"])}


def _report(text: str) -> dict | None:
    found = match(text)
    if found:
        kind = "upstream_refused" if found.upstream else "suspected" if found.suspected else "refused"
        return {
            "kind": kind,
            "value": found.signature,
            "host": found.host,
            "ip": found.ip,
            "port": found.port,
            "late_s": found.late_s,
            "suspected": found.suspected,
        }
    if re.search(CONTEXT, text):
        host, ip, port = destination(text)
        return {"kind": "refused_context", "host": host, "ip": ip, "port": port, "late_s": 0.0}
    return None


def _proxy_report(row: dict, text: str) -> dict | None:
    """A line of the proxy's access log: its upstream, outside the pod, refused it."""
    if row["container"] != "istio-proxy" or not _UPSTREAM.search(text) or not _OUTBOUND.search(text):
        return None
    told = _UPSTREAM_HOST.search(text)
    ip, port = (told.group(1), int(told.group(2))) if told else (None, None)
    return {"kind": "upstream_refused", "value": "access_log", "host": ip, "ip": ip, "port": port, "late_s": 0.0}


def grouped(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with its reports of failed connects replaced by `group` of them."""
    told = evidence["kind"].isin(KINDS)
    return pd.concat([evidence[~told], group(evidence[told])], ignore_index=True)


def group(evidence: pd.DataFrame) -> pd.DataFrame:
    """One row a failure (`schema.EVIDENCE` with `entries` and `insert_ids`), from rows of single entries.

    Lines belong together when they follow each other in one container within 50 ms, the later one
    continues the earlier (a stack trace, a cause, a field of a printed error) and no other
    destination is named. The order of the rows does not matter.
    """
    rows = evidence[evidence["kind"].isin(KINDS)]
    order = [
        "project",
        "location",
        "cluster",
        "namespace",
        "pod",
        "container",
        "time_upper",
        "insert_id",
        "source",
        "line",
    ]
    rows = rows.sort_values(order, kind="stable")
    failures: list[list[dict]] = []
    near: list[list[dict]] = []  # failures of this container that a next line may continue
    before: list[dict] = []  # context that came before its failure
    last_container = None
    for row in rows.to_dict("records"):
        container = tuple(row[name] if isinstance(row[name], str) else "" for name in order[:6])
        if container != last_container:
            near, before, last_container = [], [], container
        now = row["time_upper"].value
        near = [failure for failure in near if now - failure[-1]["time_upper"].value <= _NEAR]
        before = [context for context in before if now - context["time_upper"].value <= _NEAR]
        home = next((failure for failure in reversed(near) if _continues(failure, row)), None)
        if home is not None:
            home.append(row)
        elif row["kind"] == "refused_context":
            before.append(row)
        else:
            failure = [*before, row] if _where(row) is None else [row]
            before = []
            failures.append(failure)
            near.append(failure)
    return schema.conform([_merged(failure) for failure in failures], schema.EVIDENCE)


def _continues(failure: list[dict], row: dict) -> bool:
    """Whether a line belongs to a failure that was told just before."""
    if row["kind"] == "refused_context":
        return _where(failure[0]) is None or any(part["kind"] == "refused_context" for part in failure)
    head = next(part for part in failure if part["kind"] != "refused_context")
    text = row["message"]
    if not _CONTINUES.match(text) or (text == head["message"] and not _WRAPPED.match(text)):
        return False
    if row["kind"] == "upstream_refused" or head["kind"] == "upstream_refused":
        return False
    mine = _where(row)
    return mine is None or all(_compatible(mine, _where(part)) for part in failure)


def _where(row: dict) -> tuple | None:
    host, ip = (row[name] if isinstance(row[name], str) else None for name in ("host", "ip"))
    port = None if pd.isna(row["port"]) else int(row["port"])
    return (host, ip, port) if host or ip or port else None


def _compatible(a: tuple, b: tuple | None) -> bool:
    """Whether two destinations can be one: no part of them differs, but that a name goes with any address."""
    if b is None:
        return True
    (host_a, ip_a, port_a), (host_b, ip_b, port_b) = a, b
    if port_a and port_b and port_a != port_b:
        return False
    if ip_a and ip_b:
        return ip_a == ip_b or {ip_a, ip_b} <= {"127.0.0.1", "::1"}
    named = {host for host, ip in ((host_a, ip_a), (host_b, ip_b)) if host and host != ip}
    return len(named) < 2


def _merged(failure: list[dict]) -> dict:
    """One row: identity and time of the first entry, the destination and the spelling of the best."""
    told = [part for part in failure if part["kind"] != "refused_context"]
    best = min(told, key=lambda part: (part["kind"] == "suspected", part["value"] == "connection_refused"))
    row = {name: value for name, value in failure[0].items() if not (isinstance(value, float) and pd.isna(value))}
    row |= {"kind": best["kind"], "value": best["value"], "message": told[0]["message"]}
    row["suspected"] = best["kind"] == "suspected"
    late = max(part["late_s"] for part in told)
    row["late_s"] = late
    row["time_lower"] = failure[0]["time_upper"] - pd.Timedelta(round(late * times.SECOND), "ns")
    for name in ("host", "ip", "port"):
        row[name] = next((part[name] for part in (best, *failure) if not pd.isna(part[name])), None)
    named = next(
        (part["host"] for part in failure if isinstance(part["host"], str) and part["host"] != part["ip"]), None
    )
    row["host"] = named or row["host"]
    row["port"] = None if row["port"] is None else int(row["port"])
    row["line"] = None if pd.isna(failure[0]["line"]) else int(failure[0]["line"])
    row["entries"] = len(failure)
    ids = [part["insert_id"] for part in failure if isinstance(part["insert_id"], str)]
    row["insert_ids"] = ";".join(ids) or None
    return row
