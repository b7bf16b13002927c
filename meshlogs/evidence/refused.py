"""Refused connections that programs report in their logs, and the log entries of one failure as one.

`extract` looks at one log entry at a time; `group` joins what belongs together, because a runtime writes
a stack trace as one entry a line. What a text means is said in `meshlogs.evidence.signatures`.

| kind | the entry says |
|---|---|
| refused | a connection was refused |
| suspected | connecting failed, not why |
| upstream_refused | a proxy was refused by the destination |
| refused_context | nothing alone: a stack frame, an address, another cause of the failure beside it |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.signatures import (
    OTHER_CAUSE,
    SENDS,
    SPECIFICITY,
    TRIGGER,
    Destination,
    address,
    destination,
    ip_of,
    match,
)
from meshlogs.later import Later

pd = Later("pandas")

FAILURES = ("refused", "suspected", "upstream_refused")
KINDS = (*FAILURES, "refused_context")

# Containers of the mesh itself: their refusals are evidence about the proxy, read elsewhere.
MESH = (PROXY, "istio-init", "istio-validation", "enable-core-dump", "install-cni", "ztunnel", "linkerd-proxy")

# Lines that belong to what stands above or below them. (RE2: linear, `^` is the start of the text)
_CONTEXT = (
    r"^(?:[ \t]+\S|[\]})]+[,;]?\s*$|Traceback \(most recent|During handling of|The above exception was|Caused by: "
    r"|Suppressed: |Wrapped by: |\.\.\. \d+ (?:more|common)|Is the server running on|TCP/IP connections on port)"
    r"|dial tcp[46]? \S+:\s*connect:\s*$"
)
_OBJECT = re.compile(
    r"\s*[\"']?(?:code|errno|syscall|address|port|hostname)[\"']?\s*:\s*[\"']?[\w.:\-]+[\"']?,?\s*[\]}]*,?\s*$"
)
_PART = re.compile(
    r"\s*(?:[\"']?address[\"']?: *[\"'](?P<host>[\w.:\-]+)|[\"']?port[\"']?: *(?P<port>\d+)\b"
    r"|.*TCP/IP connections on port (?P<libpq>\d+))"
)
_NAMES_ADDRESS = re.compile(r"dial tcp|host \"")
_CAUSE = re.compile(r"\s*(?:Caused by:|\[cause\]:|Suppressed:)")

# Envoy's access log: `"UPSTREAM" CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL DOWNSTREAM_REMOTE`. The cluster names the
# destination; of one without a name the upstream is what the application dialled, and so is the downstream's local
# address, which in a gateway is its own.
_ENVOY = r"delayed[ _]connect[ _]error:[ _](?:111|Connection[ _]refused)"
_OUTBOUND = r"\boutbound\|\d|\bPassthroughCluster"  # not InboundPassthroughCluster
_ACCESS = re.compile(
    r"\"(?P<upstream>[^\"\s]*)\" (?:outbound\|(?P<port>\d+)\|[^|\s]*\|(?P<host>[\w.\-]+)|PassthroughCluster) \S+ "
    r"(?P<dialled>\S+:\d+) \S+:\d+"
)
_ACCESS_CLUSTER = re.compile(
    r"\"upstream_cluster\":\s*\"(?:outbound\|(?P<port>\d+)\|[^|\"]*\|(?P<host>[\w.\-]+)|Passthrough)"
)
_ACCESS_UPSTREAM = re.compile(r"\"upstream_host\":\s*\"(?P<upstream>[^\"]+:\d+)\"")
_ACCESS_DIALLED = re.compile(r"\"downstream_local_address\":\s*\"(?P<dialled>[^\"]+:\d+)\"")
_START_TIME = re.compile(r"(?:^\[|\"start_time\":\s*\")(\d{4}-\d\d-\d\dT[\d:.]+Z)")
# A request that lasted longer is not dated by its start.
_LONGEST_REQUEST = 3600 * times.SECOND

_LONGEST_MESSAGE = 2000
# Lines of failures that are put together at a time: as Python objects they take a kilobyte each.
MANY_LINES = 20_000


class _Found(NamedTuple):
    kind: str
    value: str
    where: Destination = Destination()
    late_s: float = 0.0


def extract(log_entries: pd.DataFrame) -> pd.DataFrame:
    """What single log entries say of refused connections, in their order (`schema.EVIDENCE`, kinds `KINDS`).

    Only entries of containers count, the mesh's own left out but for its access log of outbound requests.
    `time_lower` lies before `time_upper`, the entry's time, by what the client says it had tried (`late_s`).
    """
    readable = (_of_containers(log_entries) & log_entries["time"].notna()).to_numpy(bool, na_value=False)
    app = readable & ~log_entries["container"].isin(MESH).to_numpy(bool)
    by_proxy = readable & log_entries["container"].eq(PROXY).to_numpy(bool, na_value=False)
    message, payload = _strings(log_entries["message"]), _strings(log_entries["payload"])
    text = pc.coalesce(payload, message)
    # The message shows letters that JSON may have written as escapes.
    told = app & (_hits(payload, TRIGGER) | _hits(message, TRIGGER))
    context = app & _hits(message, _CONTEXT)
    if by_proxy.any():
        by_proxy &= _hits(text, _ENVOY) & _hits(text, _OUTBOUND)
    chosen = np.flatnonzero(told | context | by_proxy)
    if not len(chosen):
        return schema.empty(schema.EVIDENCE)
    rows, told, access = log_entries.iloc[chosen], told[chosen], by_proxy[chosen]
    texts, messages = text.take(chosen).to_pylist(), message.take(chosen).to_pylist()
    stamps = times.to_ns(rows["time"])
    found = [
        _of_access(text, stamp) if envoy else _of_line(line or "", text or "", tell)
        for text, line, tell, envoy, stamp in zip(texts, messages, told, access, stamps, strict=True)
    ]
    return _evidence(rows, found)


def undated(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`refused_undated` rows: lines of applications without any time that report a refused connection.

    No verdict can be given of them; they tell that a log without dated refusals is not one without refusals.
    """
    rows = log_entries[log_entries["time"].isna() & _of_containers(log_entries)]
    rows = rows[~rows["container"].isin(MESH)]
    if rows.empty:
        return schema.empty(schema.EVIDENCE)
    texts = rows["payload"].fillna(rows["message"]).fillna("")
    rows, texts = rows[hit := _hits(_strings(texts), TRIGGER)], texts[hit]
    found = [match(text) for text in texts]
    kept = [refusal is not None and not refusal.upstream for refusal in found]
    values = [refusal.signature for refusal, keep in zip(found, kept, strict=True) if keep]
    return schema.conform(rows[kept].assign(kind="refused_undated", value=values), schema.EVIDENCE)


def _of_containers(log_entries: pd.DataFrame) -> pd.Series:
    """Whether each entry is a container's. Those of Cloud Logging name its pod; a text log may not."""
    whose = log_entries["pod"].notna() | log_entries["log_name"].isna()
    return log_entries["resource_type"].eq("k8s_container") & whose


def _strings(series: pd.Series) -> pa.Array:
    # Offsets of 64 bits: a column of a large export holds more than 2 GiB of text.
    array = pa.array(series, pa.large_string(), from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _hits(text: pa.Array, pattern: str) -> np.ndarray:
    """Whether each text holds the pattern; Arrow's engine, linear in the text."""
    return np.asarray(pc.fill_null(pc.match_substring_regex(text, pattern), False))


def _of_line(message: str, text: str, tell: bool) -> _Found | None:
    """What one entry of an application says; None if it says nothing of a connection."""
    message = message[:_LONGEST_MESSAGE]
    if _OBJECT.match(message):
        part = _PART.match(message)
        where = Destination(part["host"], ip_of(part["host"]), _port(part["port"])) if part else Destination()
        return _Found("refused_context", "object", where)
    if tell:
        refusal = match(text)
        if refusal:
            kind = "upstream_refused" if refusal.upstream else "suspected" if refusal.suspected else "refused"
            where = Destination(refusal.host, refusal.ip, refusal.port)
            return _Found(kind, refusal.signature, where, refusal.late_s)
    if not _CONTEXT_LINE.search(message):
        return None
    if _CAUSE.match(message) and OTHER_CAUSE.search(message):
        return _Found("refused_context", "other_cause")
    if _SENDS.search(message):
        return _Found("refused_context", "datagram")
    where = destination(message, len(message)) if _NAMES_ADDRESS.search(message) else Destination()
    part = _PART.match(message)
    if part and where == Destination():
        where = Destination(None, None, _port(part["libpq"]))
    return _Found("refused_context", "line", where)


_CONTEXT_LINE = re.compile(_CONTEXT)
_SENDS = re.compile(SENDS)


def _port(text: str | None) -> int | None:
    return int(text) if text and 0 < int(text) < 65536 else None


def _of_access(text: str, stamp: int) -> _Found:
    """What a line of the proxy's access log says: the destination, and when its request began."""
    line = _ACCESS.search(text)
    cluster = line or _ACCESS_CLUSTER.search(text)
    if cluster and cluster["host"]:
        where = Destination(cluster["host"], None, _port(cluster["port"]))
    else:
        upstream, dialled = line or _ACCESS_UPSTREAM.search(text), line or _ACCESS_DIALLED.search(text)
        told = [upstream and address(upstream["upstream"]), dialled and address(dialled["dialled"])]
        where = next(filter(None, told), Destination())
    began = _START_TIME.search(text)
    lasted = stamp - times.parse_ns(began.group(1)) if began and times.parse_ns(began.group(1)) != times.NAT else 0
    late = lasted / times.SECOND if 0 < lasted < _LONGEST_REQUEST else 0.0
    return _Found("upstream_refused", "envoy_upstream", where, late)


def _evidence(rows: pd.DataFrame, found: list[_Found | None]) -> pd.DataFrame:
    keep = np.array([one is not None for one in found], dtype=bool)
    rows, found = rows[keep], [one for one in found if one is not None]
    late = np.array([one.late_s for one in found], dtype=float)
    lower = times.to_ns(rows["time"]) - (late * times.SECOND).astype("int64")
    facts = rows.assign(
        kind=_text([one.kind for one in found]),
        value=_text([one.value for one in found]),
        time_lower=times.column(lower).set_axis(rows.index),
        time_upper=rows["time"],
        host=_text([one.where.host for one in found]),
        ip=_text([one.where.ip for one in found]),
        port=pd.array([one.where.port for one in found], dtype="Int64"),
        late_s=late,
        suspected=pd.array([one.kind == "suspected" for one in found], dtype="boolean"),
        message=rows["message"].str.slice(0, _LONGEST_MESSAGE),
        entries=1,
        insert_ids=rows["insert_id"],
    )
    return schema.conform(facts.drop(columns=["time", "payload", "labels"]), schema.EVIDENCE)


def _text(values: list[str | None]) -> np.ndarray:
    return np.array(values, dtype=object)


# Grouping: which line continues which failure.

# Lines of one failure follow each other at once; in our recordings within 3 ms.
GAP = 50 * times.MILLISECOND
# Two attempts of one failure are written together.
_SAME_WRITE = times.MILLISECOND

_CONTINUES = re.compile(
    r"[ \t]+\S|Caused by: |Suppressed: |Wrapped by: |\.\.\. \d+|at \S|[\]})]|--->|--- |\[errors\]|\[cause\]"
    r"|connection refused\W*$|Is the server running on|TCP/IP connections on port",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[ \t~^]+$")  # Python's, below the part of a source line that raised
_TRACEBACK = re.compile(r"Traceback \(most recent")
_CHAIN = re.compile(r"During handling of|The above exception was")
_EXCEPTION = re.compile(
    r"(?:Uncaught )?(?P<name>[\w.$:]*(?:Error|Exception|Refused|Failure|Unavailable))(?: \[[^\]]*\])?(?::|\s*$)"
)
_RAISED = re.compile(r"\S+:\d+:in [`'][^']+': (?P<told>.*)")  # Ruby's uncaught exception; below it its cause
_ERRORS = re.compile(r"([ \t]*)\[errors\]: \[$")  # Node's list of the attempts at each address of a name
_LIBPQ = re.compile(r"(?:connection to server at \"(?P<host>[^\"]*)\"|could not connect to server: Connection refused)")
_HALF = re.compile(r"dial tcp[46]? \S+:\s*connect:\s*$")

_IDENTITY = ["project", "location", "cluster", "namespace", "pod", "pod_uid", "container", "log_name"]
_READ = ["kind", "value", "message", "host", "ip", "port", "late_s"]


def group(evidence: pd.DataFrame) -> pd.DataFrame:
    """One row per failed connection from rows of `KINDS` (`schema.EVIDENCE`, coded), in the order of place and time.

    Time and origin are those of the first entry; `entries` counts the entries that were recognised and
    `insert_ids` names them; the destination is put together from all of them. It does not matter in which
    order the rows come; each entry must come once. Lines that belong to no failure are dropped.
    """
    told = evidence["kind"].isin(KINDS)
    rows = joins.coded(evidence if told.all() else evidence[told], schema.SHARED)
    alone, merged, places = _failures_in(rows)
    single = rows.take(alone)
    together = joins.stacked([_single(single, np.ones(len(single), dtype=bool)), merged])
    return together.take(np.argsort(places)).reset_index(drop=True)


def grouped(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence, coded, with the log lines of one failed connection one row, as `group` says."""
    evidence = joins.coded(evidence, schema.SHARED)
    told = np.flatnonzero(evidence["kind"].isin(KINDS))
    alone, merged, _ = _failures_in(evidence.take(told))
    single, kept = np.zeros(len(evidence), dtype=bool), np.ones(len(evidence), dtype=bool)
    kept[told] = False
    single[told[alone]] = kept[told[alone]] = True
    facts = _single(evidence, single)
    facts = facts if kept.all() else facts[kept]
    return joins.stacked([facts, merged]) if len(merged) else facts.reset_index(drop=True)


def _failures_in(rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame, np.ndarray]:
    """The positions of failures of one line; a row for each of several lines; the places of both in their order."""
    order, number = _near_failures(rows)
    alone = np.bincount(number)[number] == 1 if len(number) else np.zeros(0, dtype=bool)
    others = np.flatnonzero(~alone)
    merged, firsts = [], []
    for begin, end in _stretches(number[others]):
        part = rows.take(order[others[begin:end]]).reset_index(drop=True)
        failures = _failures_of(part, number[others[begin:end]])
        merged.append(_merged(part, failures))
        firsts += [others[begin + lines[0].at] for lines in failures]
    single = np.flatnonzero(alone)
    single = single[~_explained_alone(rows[["kind", "value"]].take(order[single]))]
    return order[single], joins.stacked(merged), np.concatenate([single, np.array(firsts, np.int64)])


def _stretches(number: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where whole runs begin and end, about `MANY_LINES` lines at a time; at least one pair."""
    ends = np.flatnonzero(np.diff(number, append=-1)) + 1
    begin, end = 0, -1
    while end < len(number):
        end = int(ends[min(np.searchsorted(ends, begin + MANY_LINES), len(ends) - 1)]) if len(ends) else 0
        yield begin, end
        begin = end


def _failures_of(rows: pd.DataFrame, number: np.ndarray) -> list[list[_Line]]:
    """The failures of several lines among these rows, each of which has the number of its run, as they begin."""
    stamps = times.to_ns(rows["time_upper"])
    columns = [rows[name].astype(object).where(rows[name].notna(), None).tolist() for name in _READ]
    lines = [_Line(at, int(stamp), *values) for at, (stamp, *values) in enumerate(zip(stamps, *columns, strict=True))]
    failures, start = [], 0
    for end in np.flatnonzero(np.diff(number, append=-1)) + 1:
        failures += _failures(lines[start:end])
        start = end
    # Failures of threads that wrote in turns end in another order than they began.
    return sorted(failures, key=lambda lines: lines[0].at)


def _single(rows: pd.DataFrame, single: np.ndarray) -> pd.DataFrame:
    """The rows, with what failures of one line each, which are marked, tell besides."""
    late = rows["late_s"].mask(single & rows["late_s"].isna().to_numpy(), 0.0)
    lower = times.to_ns(rows["time_lower"]).copy()
    lower[single] = times.to_ns(rows["time_upper"])[single] - (late.to_numpy()[single] * times.SECOND).astype("int64")
    return rows.assign(
        time_lower=times.column(lower).set_axis(rows.index),
        late_s=late,
        suspected=rows["suspected"].mask(single, rows["kind"].eq("suspected").astype("boolean")),
        entries=rows["entries"].mask(single, 1),
        insert_ids=rows["insert_ids"].mask(single, rows["insert_id"]),
    )


def _explained_alone(rows: pd.DataFrame) -> np.ndarray:
    return (rows["kind"].eq("suspected") & rows["value"].eq("other_cause")).to_numpy(bool, na_value=False)


def _near_failures(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The rows' positions by place and time, and each one's number of its run of close lines.

    Runs without a failure are left out.
    """
    place = joins.ranked(rows[name] for name in _IDENTITY)
    keys = {
        "place": place,
        "stamp": rows["time_upper"],
        "id": rows["insert_id"].fillna(""),
        "source": joins.ranks(rows["source"]),
        "line": rows["line"].fillna(-1).astype("int64"),
        "message": joins.ranks(rows["message"]),
        "kind": joins.ranks(rows["kind"]),
    }
    order = joins.ordered(pd.DataFrame(keys, index=rows.index), list(keys), cheap=2)
    moved = np.diff(place[order], prepend=-1) != 0
    stamps = times.to_ns(rows["time_upper"])[order]
    paused = np.diff(stamps, prepend=stamps[:1]) > GAP
    number = np.cumsum(moved | paused)
    failed = (rows["kind"] != "refused_context").to_numpy()[order]
    kept = np.bincount(number, failed)[number] > 0
    return order[kept], number[kept]


class _Line(NamedTuple):
    at: int  # position in the table
    stamp: int
    kind: str
    value: str
    message: str | None
    host: str | None
    ip: str | None
    port: int | None
    late_s: float | None


class _Words(NamedTuple):
    """What a line's words say of its place in a failure."""

    traceback: bool
    awaits: bool  # an exception is still to come
    begins: bool  # though it may say nothing alone
    exception: str | None  # that stands at its start
    continues: bool
    libpq: bool
    raised: str | None  # what an uncaught exception of Ruby says


@lru_cache(maxsize=10_000)
def _words(message: str) -> _Words:
    traceback, half = bool(_TRACEBACK.match(message)), bool(_HALF.search(message))
    named, raised = _EXCEPTION.match(message), _RAISED.match(message)
    return _Words(
        traceback,
        traceback or half or bool(_CHAIN.match(message)),
        traceback or half,
        named["name"] if named else None,
        bool(_CONTINUES.match(message)),
        bool(_LIBPQ.match(message)),
        raised["told"] if raised else None,
    )


class _Failure:
    """The lines of one failure so far, and what may still follow them."""

    def __init__(self, line: _Line):
        self.lines: list[_Line] = []
        self.places: list[_Line] = []  # those that name a destination
        self.names: set[str] = set()  # exceptions that stand at the start of a line
        self.awaits = False  # a traceback began: its exception is still to come
        self.framed = False  # the last line was a frame of a stack
        self.raised: set[str] = set()  # what Ruby's exception and its causes say
        self.errors: str | None = None  # how far Node's list of attempts is indented, until it ends
        self.add(line)

    def add(self, line: _Line) -> None:
        words = _words(line.message or "")
        if words.awaits:
            self.awaits = True
        elif words.exception:
            self.names.add(words.exception)
            self.awaits = False
        self.framed = line.kind == "refused_context"
        if words.raised:
            self.raised.add(words.raised)
        if listed := _ERRORS.match(line.message or ""):
            self.errors = listed[1]
        elif self.errors is not None and not self.lists(line):
            self.errors = None
        self.lines.append(line)
        if line.host or line.port:
            self.places.append(line)

    @property
    def last(self) -> int:
        return self.lines[-1].stamp

    @property
    def failed(self) -> bool:
        return any(line.kind != "refused_context" for line in self.lines)

    def lists(self, line: _Line) -> bool:
        """Whether the line stands in Node's list of attempts, each at another address."""
        return self.errors is not None and (line.message or "").startswith((self.errors + " ", self.errors + "\t"))

    def may_hold(self, line: _Line) -> bool:
        """Whether the line's destination may be this failure's."""
        return all(_compatible(line, other) for other in self.places)

    def may_continue_with(self, name: str) -> bool:
        """Whether an exception at the start of a line is this failure's cause or wrapper, not the next failure."""
        if self.awaits or not self.names:
            return True
        return name not in self.names and not self.framed


def _compatible(one: _Line, other: _Line) -> bool:
    if one.port and other.port and one.port != other.port:
        return False
    if one.ip and other.ip and one.ip != other.ip:
        return _named_alike(one, other) or (_loopback(one.ip) and _loopback(other.ip))
    if one.host and other.host and one.host != other.host:
        # A name and an address may be the same place; two names are not.
        return bool(one.ip) != bool(other.ip) or one.ip == other.ip and one.ip is not None
    return True


def _named_alike(one: _Line, other: _Line) -> bool:
    return one.host == other.host and one.host is not None and ip_of(one.host) is None


def _loopback(ip: str) -> bool:
    return ip == "::1" or ip.startswith("127.")


def _failures(lines: list[_Line]) -> list[list[_Line]]:
    """The lines of one container that lie close together, parted into failures."""
    done: list[_Failure] = []
    latest: list[_Failure] = []  # those that may go on, last touched first
    for line in lines:
        latest = [one for one in latest if line.stamp - one.last <= GAP]
        home = _home(line, latest)
        if home:
            home.add(line)
            latest.remove(home)
        elif line.kind != "refused_context" or _words(line.message or "").begins:
            home = _Failure(line)
            done.append(home)
        if home:
            latest.insert(0, home)
    return [one.lines for one in done if one.failed and not _explained(one)]


def _home(line: _Line, near: list[_Failure]) -> _Failure | None:
    """The failure that a line continues, the latest first; None if it begins another one."""
    if line.kind == "upstream_refused":
        return None
    near = [one for one in near if one.lines[0].kind != "upstream_refused"]
    words = _words(line.message or "")
    if words.traceback:
        # A second traceback belongs to the first only if the line between them says so.
        return next((one for one in near if one.awaits or not one.names), None)
    if listing := next((one for one in near if one.lists(line)), None):
        return listing
    near = [one for one in near if one.may_hold(line)]
    if words.raised:
        return next((one for one in near if one.raised and words.raised not in one.raised), None)
    if words.libpq:
        return next((one for one in near if _next_attempt(one, line)), None)
    if line.kind == "refused_context" or words.continues:
        return near[0] if near else None
    if words.exception:
        return next((one for one in near if one.may_continue_with(words.exception)), None)
    return None


def _next_attempt(failure: _Failure, line: _Line) -> bool:
    """Whether libpq tried the next address of the same name: it writes all attempts of one failure together."""
    tried = [
        one for one in failure.lines if "server at" in (one.message or "") or "connect to server" in (one.message or "")
    ]
    return (
        bool(tried)
        and line.stamp - failure.last <= _SAME_WRITE
        and all(one.ip != line.ip or not line.ip for one in tried)
    )


def _explained(failure: _Failure) -> bool:
    """Whether nothing states a refused connect and a line names another cause, or a traceback ends in sending."""
    lines = [line for line in failure.lines if not _MARKS.match(line.message or "")]
    stated = any(line.kind in ("refused", "upstream_refused") for line in lines)
    if not stated:
        return any(line.value == "other_cause" for line in lines)
    before = [earlier.value for earlier, line in pairwise(lines) if line.kind != "refused_context"]
    return set(before) == {"datagram"}


def _merged(rows: pd.DataFrame, failures: list[list[_Line]]) -> pd.DataFrame:
    """A row, coded, for each of these failures of several lines."""
    first = rows.take([lines[0].at for lines in failures]).reset_index(drop=True)
    telling = [_telling(lines) for lines in failures]
    late = np.array([max(line.late_s or 0.0 for line in lines) for lines in failures])
    where = [_destination(lines) for lines in failures]
    ids = rows["insert_id"].fillna("").tolist()
    lower = times.to_ns(first["time_upper"]) - (late * times.SECOND).astype("int64")
    told = first.assign(
        kind=_texts([best.kind for best in telling]),
        value=_texts([_signature(lines, best) for lines, best in zip(failures, telling, strict=True)]),
        time_lower=times.column(lower),
        host=_texts([one.host for one in where]),
        ip=_texts([one.ip for one in where]),
        port=pd.array([one.port for one in where], dtype="Int64"),
        late_s=late,
        suspected=pd.array([best.kind == "suspected" for best in telling], dtype="boolean"),
        message=_texts([best.message for best in telling]),
        entries=pd.array([len(lines) for lines in failures], dtype="Int64"),
        insert_ids=_texts([";".join(filter(None, (ids[line.at] for line in lines))) or None for lines in failures]),
    )
    return joins.coded(told, schema.SHARED)


def _texts(values: list[str | None]) -> pd.Series:
    return pd.Series(values, dtype="str")


def _telling(lines: list[_Line]) -> _Line:
    """The line that tells most: states the refusal, names the destination, comes first."""
    said = [line for line in lines if line.kind != "refused_context"]
    return min(said, key=lambda line: (line.kind == "suspected", line.host is None, line.at))


def _signature(lines: list[_Line], best: _Line) -> str:
    return min((line.value for line in lines if line.kind == best.kind), key=lambda name: SPECIFICITY.get(name, 0))


def _destination(lines: list[_Line]) -> Destination:
    hosts = [line.host for line in lines if line.host]
    name = next((host for host in hosts if ip_of(host) is None), hosts[0] if hosts else None)
    ip = next((line.ip for line in lines if line.ip), None)
    port = next((int(line.port) for line in lines if line.port), None)
    return Destination(name, ip, port)
