"""Refused connections that programs report: found, read for their destination, grouped one row a failure."""

import re

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.evidence.signatures import SPECIFICITY, TRIGGER, destination, match

# Their lines are evidence about the proxy, read in `proxy`, or about the redirection.
MESH = ("istio-proxy", "istio-init", "istio-validation", "install-cni", "ztunnel")
MESSAGE_LIMIT = 2_000

KINDS = ["refused", "suspected", "upstream_refused", "refused_context"]

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


def extract(log_entries: pd.DataFrame) -> pd.DataFrame:
    """Evidence of failed connects in the lines of applications, one row an entry (`schema.EVIDENCE`).

    Kinds: refused, suspected, upstream_refused (the proxy told so) and refused_context (see `group`).
    """
    rows = log_entries[
        (log_entries["resource_type"] == "k8s_container") & log_entries["pod"].notna() & log_entries["time"].notna()
    ]
    searched = rows["message"].fillna("").where(rows["payload"].isna(), rows["payload"].fillna(""))
    text = pa.array(searched, pa.string())
    wanted = pc.or_(pc.match_substring_regex(text, TRIGGER), pc.match_substring_regex(text, CONTEXT))
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
        where = destination(text)
        return {"kind": "refused_context", "host": where.host, "ip": where.ip, "port": where.port, "late_s": 0.0}
    return None


def _proxy_report(row: dict, text: str) -> dict | None:
    """A line of the proxy's access log: its upstream, outside the pod, refused it."""
    if row["container"] != "istio-proxy" or not _UPSTREAM.search(text) or not _OUTBOUND.search(text):
        return None
    told = _UPSTREAM_HOST.search(text)
    ip, port = (told.group(1), int(told.group(2))) if told else (None, None)
    return {"kind": "upstream_refused", "value": "access_log", "host": ip, "ip": ip, "port": port, "late_s": 0.0}


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
    best = min(told, key=lambda part: (part["kind"] == "suspected", SPECIFICITY.get(part["value"], 0)))
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
