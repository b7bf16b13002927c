"""Logs of containers as text: `kubectl logs`, files of a node, cluster snapshots, bug reports.

Files of a node are those of containerd and CRI-O (`TIME stdout F text`) and of Docker (JSON: log, stream, time): long
lines come in parts there, which are joined. What is in their frame is read like any other line, as is what follows the
name of a pod that `kubectl logs --prefix` or stern wrote.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import PurePath
from typing import BinaryIO, NamedTuple

import msgspec

from meshlogs import schema, times
from meshlogs.formats.tables import Shard, Tables, compact, dated, joined, moment, text_of, tidy, without_newline
from meshlogs.formats.whose import Told, Whose, is_status, owner_of, style_of, unpacked

TITLE = (
    "Logs of containers as text: `kubectl logs` with `--timestamps` and `--prefix` or not, `stern`, "
    "files of a node (CRI, Docker), cluster snapshots, bug reports"
)
LOSES = (
    "the cluster's name; without the runtime's stamps all times but those that the program wrote itself; "
    "where neither the path nor the lines name them, namespace, pod and container"
)
EXAMPLE = "2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready\n"

# Where a JSON line keeps its time, first come first served; seconds since the epoch as a number, too.
TIME_KEYS = ("time", "timestamp", "ts", "@timestamp")
MESSAGE_KEYS = ("message", "msg")

_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_LEADING = re.compile(rf"\[?({_STAMP})(?=[\s\],|]|$)")
_KUBECTL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)) ")
_KLOG = re.compile(r"[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6})\s")
_BLOCK = re.compile(r"==== START logs for container (\S+) of pod (\S+)/(\S+) ====")
# It follows the last line at once if that had no end. (kubernetes/kubectl pkg/cmd/clusterinfo)
_BLOCK_END = re.compile(r"==== END logs for container \S+ of pod \S+/\S+ ====$")
# What kubectl writes in place of a log that it could not get; "connection refused" in it is not the container's.
_NO_LOG = re.compile(r"(?:Create log request|Request log) error: ")
# (kubernetes pkg/kubelet/kuberuntime/logs: parseCRILog; tags are separated by colons)
_CRI = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::\S*)? ?(.*)", re.DOTALL
)
_DOCKER = ("log", "stream", "time")
# Only pilot-agent, Envoy under it, and Istio's access log write so.
_PROXY = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\t(?:trace|debug|info|warn|warning|error|critical|fatal)\t"
    r'|\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "[^"]*" \d+ '
)
_SUFFIXES = (".log", ".txt", "")
_LOOK, _SHARE, _KUBECTL_SHARE, _NULS = 200, 0.2, 0.9, 10
# So much may be held until a line tells the year, and of a line in parts. [characters]
_HELD, _LONGEST = 32_000_000, 4_000_000
_CONTAINERS = 10_000  # whose lines one file may mix, of which the last time is known
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Framed(NamedTuple):
    """A line in the frame of a container runtime."""

    time: str
    stream: str
    text: str
    is_whole: bool


def sniff(head: bytes, name: str) -> bool:
    """Whether this is a log: by the kind of its name, and times at the start of a fair share of lines.

    In a file named `….log` one such line is enough, or one that says "refused", and none in a pod's `logs.txt`. Frames
    of a container runtime are enough whatever the name, and so are pods' names before the lines.
    """
    path = unpacked(PurePath(name))
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:_LOOK]
    whole = lines[:-1] or lines
    if lines and sum(map(_is_framed, whole)) >= _KUBECTL_SHARE * len(whole) or style_of(whole, owner_of(path).pod):
        return True
    if path.suffix.lower() not in _SUFFIXES or _NULS * head.count(b"\x00") > len(head):
        return False
    if owner_of(path).pod or any(_BLOCK.match(line) for line in lines):
        return True
    stamped = sum(_is_stamped(line) for line in lines)
    if path.suffix.lower() == ".log":
        return stamped > 0 or any("refused" in line.lower() for line in lines)
    return stamped > _SHARE * len(lines)


def named(shard: Shard, pod: str | None) -> Shard:
    """The same rows, of a log those whose pod nothing names as this pod's, if one is given."""
    if pod is None or shard.form != "pod_logs":
        return shard
    rows = schema.conform(shard.log_entries, schema.LOG_ENTRIES)
    return shard._replace(log_entries=rows.assign(pod=rows["pod"].fillna(pod)))


def is_proxy_line(text: str) -> bool:
    """Whether only the proxy, or Istio's access log, writes such a line."""
    return bool(_PROXY.match(text))


def read(file: BinaryIO, source: str) -> Shard:
    """The lines of one file as log entries; only what kubectl wrote in place of a log is a reject.

    Namespace, pod and container are those of the path: `…/NAMESPACE/POD/CONTAINER.log` or `logs.txt`, or as a node
    names its files; the container also that of the block of a snapshot (`==== START logs for container …`), else
    istio-proxy for lines that only it writes. Where each line names its pod, it is that pod's. A line's time is its own
    leading stamp, else that of the container's line before (`time_granularity` null), null while there is none. klog's
    stamps lack the year: it is taken from other stamps.
    """
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    owner = owner_of(unpacked(PurePath(str(getattr(file, "name", source)))))
    return tables.chunks("pod_logs", steps(tables, enumerate(file, 1), owner))


def steps(tables: Tables, lines: Iterator[tuple[int, bytes]], owner: Whose) -> Iterator[None]:
    """Add numbered lines to the tables, a step for each."""
    texts = ((number, _decoded(data)) for number, data in lines)
    first = list(islice(texts, _LOOK))
    style = style_of([text for _, text in first], owner.pod)
    told = _told_by(style, owner)
    marked = ((number, *told(text)) for number, text in chain(first, texts) if not (style and is_status(text)))
    ahead = _look_ahead(marked)
    form = _Form.of([text for _, _, text in ahead])
    logs: dict[Whose, _Log] = {}
    for number, whose, text in chain(ahead, marked):
        if whose not in logs:
            if len(logs) == _CONTAINERS:
                logs.pop(next(iter(logs))).end()
            logs[whose] = _Log(tables, whose, form)
        logs[whose].line(number, text)
        yield
    for log in logs.values():
        log.end()


def _told_by(style: Told | None, owner: Whose) -> Callable[[str], tuple[Whose, str]]:
    """Whose each line is, and its text: as the lines tell it, else by the path."""
    if style is None:
        return lambda text: (owner, text)

    def told(text: str) -> tuple[Whose, str]:
        whose, rest = style(text) or (owner, text)
        return whose if whose.namespace else whose._replace(namespace=owner.namespace), rest

    return told


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace").rstrip("\r\n")


def _look_ahead(lines: Iterator[tuple[int, Whose, str]]) -> list[tuple[int, Whose, str]]:
    """The first lines: enough to know the form, and the year if klog's stamps need one."""
    found, held, wanted, known = [], 0, False, False
    for number, whose, text in lines:
        found.append((number, whose, text))
        held += len(text)
        wanted = wanted or bool(_KLOG.match(text))
        known = known or _stamp(text, None)[0] is not None
        if len(found) >= _LOOK and (known or not wanted or held > _HELD):
            break
    return found


class _Form(NamedTuple):
    """How the lines of a log look: in a runtime's frame, after its stamp; and the first time that is known."""

    framed: bool
    stamped: bool
    anchor: int | None

    @classmethod
    def of(cls, ahead: list[str]) -> "_Form":
        filled = [text for text in ahead if text.strip()]
        framed = sum(map(_is_framed, filled)) * 2 > len(filled)
        anchor = next((ns for text in ahead if (ns := _stamp(text, _object(text))[0]) is not None), None)
        return cls(framed, not framed and _has_kubectl_stamps(filled), anchor)


class _Log:
    """Lines of a log one after another: whose they are, what time it is, which parts wait for their end."""

    def __init__(self, tables: Tables, owner: Whose, form: _Form):
        self._tables, self._owner = tables, owner
        self._block: Whose | None = None
        self._last: int | None = None
        self._parts: dict[str, tuple[int, list[Framed]]] = {}  # stream -> number of the first, parts
        self._framed, self._strip, self._anchor = form

    def line(self, number: int, text: str) -> None:
        """Add a line, unless it is blank or the heading of a block."""
        heading = _BLOCK.fullmatch(text.strip()) if text.startswith("====") else None
        if heading:  # the containers of a snapshot stand one after another, each from its start
            self._block, self._last = Whose(heading[2], heading[3], heading[1]), None
            return
        closed = _BLOCK_END.search(text) if self._block and text.endswith("====") else None
        text = text[: closed.start()] if closed else text
        if self._block and _NO_LOG.match(text):
            self._tables.records += 1
            self._tables.reject(number, "kubectl could not get this log", text)
        elif text.strip():
            framed = _framed(text) if self._framed else None
            if framed:
                self._part(number, framed)
            else:
                self._add(number, text)
        if closed:
            self._block, self._last = None, None

    def end(self) -> None:
        """Add what still waited for its end."""
        for number, parts in sorted(self._parts.values()):
            self._join(number, parts)
        self._parts = {}

    def _part(self, number: int, framed: Framed) -> None:
        start, parts = self._parts.pop(framed.stream, (number, []))
        parts.append(framed)
        if framed.is_whole or sum(len(part.text) for part in parts) > _LONGEST:
            self._join(start, parts)
        else:
            self._parts[framed.stream] = start, parts

    def _join(self, number: int, parts: list[Framed]) -> None:
        text = "".join(part.text for part in parts)
        self._add(number, text, parts[0])

    def _add(self, number: int, text: str, frame: Framed | None = None) -> None:
        value = _object(text)
        ns, granularity = _dated(frame.time) if frame else _stamp(text, value)
        if ns is None:
            ns, granularity = _klog(text, self._anchor)
        elif self._anchor is None:
            self._anchor = ns
        self._last = ns if ns is not None else self._last
        if self._strip:
            text = _KUBECTL.sub("", text, count=1)
            value = _object(text)
        self._tables.records += 1
        stream = frame.stream if frame else None
        self._tables.entry(
            _entry(number, text, value, _merged(self._owner, self._block), self._last, granularity, stream)
        )


def _is_framed(text: str) -> bool:
    return _framed(text) is not None


def _framed(text: str) -> Framed | None:
    """The parts of a line that a container runtime has framed, None if it has not."""
    match = _CRI.fullmatch(text)
    if match:
        return Framed(match[1], match[2], match[4], match[3] == "F")
    value = _object(text) if text.startswith('{"') and '"stream"' in text else None
    if value is None or not all(isinstance(value.get(key), str) for key in _DOCKER):
        return None
    if value["stream"] not in ("stdout", "stderr") or moment(value["time"]) is None:
        return None
    whole = value["log"].endswith("\n")
    return Framed(value["time"], value["stream"], value["log"].rstrip("\r\n") if whole else value["log"], whole)


def _merged(owner: Whose, block: Whose | None) -> Whose:
    """The path names the pod (snapshots may rename a namespace in it), the block the container."""
    if block is None:
        return owner
    return owner._replace(container=block.container) if owner.pod == block.pod else block


# Where what stands in an entry's tuple: to build it from a dictionary takes as long as all the rest.
_TIME, _GRANULARITY, _SEVERITY, _TYPE = map(
    Tables.ENTRY.index, ["time", "time_granularity", "severity", "resource_type"]
)
_NAMESPACE, _POD, _CONTAINER, _STREAM = map(Tables.ENTRY.index, ["namespace", "pod", "container", "stream"])
_MESSAGE, _PAYLOAD, _LABELS, _LINE = map(Tables.ENTRY.index, ["message", "payload", "labels", "line"])


def _entry(number, text, value, whose: Whose, ns, granularity, stream) -> tuple:
    message = next((value[key] for key in MESSAGE_KEYS if text_of(value.get(key))), text) if value else text
    row: list = [None] * len(Tables.ENTRY)
    row[_TIME], row[_GRANULARITY] = ns, granularity
    row[_SEVERITY], row[_TYPE] = "DEFAULT", "k8s_container"
    row[_NAMESPACE], row[_POD] = whose.namespace, whose.pod
    row[_CONTAINER] = whose.container or ("istio-proxy" if _PROXY.match(text) else None)
    row[_STREAM], row[_LABELS], row[_LINE] = stream, _labels(whose.uid), number
    row[_MESSAGE] = without_newline(message)
    row[_PAYLOAD] = compact(value) if value else None
    return tuple(row)


@lru_cache(maxsize=1024)
def _labels(uid: str | None) -> str | None:
    return compact({"pod_uid": uid}) if uid else None


def _has_kubectl_stamps(texts: list[str]) -> bool:
    """Whether nearly every line begins with a stamp of the container runtime, in nanoseconds."""
    filled = texts[:_LOOK]
    found = [match for text in filled if (match := _KUBECTL.match(text))]
    fine = sum(len(match[2] or "") > 6 for match in found)
    return bool(filled) and len(found) >= _KUBECTL_SHARE * len(filled) and 2 * fine >= len(found)


def _is_stamped(text: str) -> bool:
    return _stamp(text, _object(text))[0] is not None or bool(_KLOG.match(text))


def _stamp(text: str, value: dict | None) -> tuple[int | None, str | None]:
    """Time and granularity of a line's own stamp, at its start or in its JSON; (None, None) without one."""
    match = _LEADING.match(text)
    written = match[1].replace(",", ".") if match else None
    if written is None and value:
        written = next((value[key] for key in TIME_KEYS if isinstance(value.get(key), str | int | float)), None)
        if isinstance(written, int | float):
            return _epoch(written)
    return _dated(written)


def _dated(written: str | None) -> tuple[int | None, str | None]:
    ns, granularity = dated(written)
    return (None, None) if ns == times.NAT else (ns, granularity)


def _epoch(seconds: float) -> tuple[int | None, str | None]:
    """A time given as seconds since the epoch (zap's `ts`), of this century; to the microsecond."""
    if isinstance(seconds, bool) or not 946_684_800 <= seconds < 4_102_444_800:
        return None, None
    return round(seconds * 1_000_000) * 1_000, "us"


def _klog(text: str, anchor: int | None) -> tuple[int | None, str | None]:
    """Time of a klog line, its year such that it comes nearest to the anchor; none without an anchor."""
    match = _KLOG.match(text)
    if not match or anchor is None:
        return None, None
    year = int(times.text(anchor)[:4])
    stamps = [moment(f"{year + shift}-{match[1]}-{match[2]}T{match[3]}Z") for shift in (-1, 0, 1)]
    ns = min((ns for ns in stamps if ns is not None), key=lambda ns: abs(ns - anchor), default=None)
    return (None, None) if ns is None else (ns, "us")


def _object(text: str) -> dict | None:
    if not text.startswith("{"):
        return None
    try:
        value = msgspec.json.decode(text)
    except _WRONG:
        return None
    return tidy(value) if isinstance(value, dict) else None
