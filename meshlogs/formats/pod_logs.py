"""Plain logs of containers: `kubectl logs`, with or without --timestamps, cluster snapshots, bug reports."""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO, NamedTuple

import msgspec

from meshlogs import times
from meshlogs.formats.names import workload_of
from meshlogs.formats.tables import Shard, Tables, compact, moment, text_of, tidy, without_newline

EXAMPLE = "2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready\n"

# Where a JSON line keeps its time, first come first served; seconds since the epoch as a number, too.
TIME_KEYS = ("time", "timestamp", "ts", "@timestamp")
MESSAGE_KEYS = ("message", "msg")
# Names of files that lie in the folder of their pod, and the container they mean.
FILES = {
    "logs.txt": None,
    "logs": None,
    "istio-proxy.log": "istio-proxy",
    "istio-proxy-previous.log": "istio-proxy",
    "discovery.log": "discovery",
}

_STAMP = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_LEADING = re.compile(rf"\[?({_STAMP})(?=[\s\],|]|$)")
_KUBECTL = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d)) ")
_KLOG = re.compile(r"[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6})\s")
_BLOCK = re.compile(r"==== (START|END) logs for container (\S+) of pod (\S+)/(\S+) ====")
# Only pilot-agent, Envoy under it, and Istio's access log write so.
_PROXY = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\t(?:trace|debug|info|warn|warning|error|critical|fatal)\t"
    r'|\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "[^"]*" \d+ '
)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SUFFIXES = (".log", ".txt", "")
_PACKED = (".gz", ".zst", ".bz2", ".xz")
_LOOK, _SHARE, _KUBECTL_SHARE, _NULS = 200, 0.2, 0.9, 10
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Whose(NamedTuple):
    """Whose line it is, as far as a path or the heading of a block says."""

    namespace: str | None = None
    pod: str | None = None
    container: str | None = None


def sniff(head: bytes, name: str) -> bool:
    """Whether this is a log: by the kind of its name, and times at the start of a fair share of lines.

    In a file named `….log` one such line is enough, and none in a pod's `logs.txt`.
    """
    path = _unpacked(PurePath(name))
    if path.suffix.lower() not in _SUFFIXES or _NULS * head.count(b"\x00") > len(head):
        return False
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:_LOOK]
    stamped = sum(_is_stamped(line) for line in lines)
    if _owner_of(path).pod or any(_BLOCK.match(line) for line in lines):
        return True
    return stamped > 0 if path.suffix.lower() == ".log" else stamped > _SHARE * len(lines)


def is_proxy_line(text: str) -> bool:
    """Whether only the proxy, or Istio's access log, writes such a line."""
    return bool(_PROXY.match(text))


def read(file: BinaryIO, source: str) -> Shard:
    """The lines of one file as log entries; none is ever rejected.

    Namespace and pod are the last folders of the path, the container its file's name or the block of a
    snapshot (`==== START logs for container …`), else istio-proxy for lines that only it writes.
    A line's time is its own leading stamp, else that of the line before (`time_granularity` null), null
    while there is none. klog's stamps lack the year: it is taken from the file's other stamps.
    """
    tables = Tables(source)
    owner = _owner_of(_unpacked(PurePath(str(getattr(file, "name", source)))))
    texts = [data.decode("utf-8", "replace").rstrip("\r\n") for data in file]
    strip = _has_kubectl_stamps(texts)
    anchor = next((ns for text in texts if (ns := _stamp(text)[0]) is not None), None)
    last, before = None, None
    for number, text, block in _lines(tables, texts):
        if block != before:  # the containers of a snapshot stand one after another, each from its start
            last, before = None, block
        ns, granularity = _stamp(text)
        if ns is None:
            ns, granularity = _klog(text, anchor)
        last = ns if ns is not None else last
        whose = _merged(owner, block)
        tables.entry(_entry(number, _KUBECTL.sub("", text, count=1) if strip else text, whose, last, granularity))
    return tables.shard("pod_logs")


def _lines(tables: Tables, texts: list[str]) -> Iterator[tuple[int, str, Whose | None]]:
    """(number, text, block) of the lines that are not blank and not the heading or end of a block."""
    block = None
    for number, text in enumerate(texts, 1):
        heading = _BLOCK.fullmatch(text.strip())
        if heading:
            block = Whose(heading[3], heading[4], heading[2]) if heading[1] == "START" else None
        elif text.strip():
            tables.records += 1
            yield number, text, block


def _merged(owner: Whose, block: Whose | None) -> Whose:
    """The path names the pod (snapshots may rename a namespace in it), the block the container."""
    if block is None:
        return owner
    return owner._replace(container=block.container) if owner.pod == block.pod else block


def _entry(number: int, text: str, whose: Whose, ns: int | None, granularity: str | None) -> tuple:
    value = _object(text)
    message = next((value[key] for key in MESSAGE_KEYS if text_of(value.get(key))), text) if value else text
    row = {
        "time": ns,
        "time_granularity": granularity,
        "severity": "DEFAULT",
        "resource_type": "k8s_container",
        "namespace": whose.namespace,
        "pod": whose.pod,
        "container": whose.container or ("istio-proxy" if _PROXY.match(text) else None),
        "message": without_newline(message),
        "payload": compact(value) if value else None,
        "line": number,
    }
    return tuple(row.get(name) for name in Tables.ENTRY)


def _owner_of(path: PurePath) -> Whose:
    """Namespace, pod and container that a path names: `…/NAMESPACE/POD/logs.txt`, `…/NAMESPACE/POD/NAME.log`.

    Another file's folders count only if the inner one is named like a generated pod.
    """
    folders = path.parts[:-1]
    container = FILES.get(path.name, path.stem if path.suffix == ".log" else None)
    if len(folders) < 2 or not all(map(_NAME.fullmatch, folders[-2:])):
        return Whose(container=FILES.get(path.name))
    if path.name in FILES or (container and workload_of(folders[-1]).controller != "Pod"):
        return Whose(folders[-2], folders[-1], container)
    return Whose()


def _unpacked(path: PurePath) -> PurePath:
    """The path without the ending that a compressor gave it."""
    return path.with_suffix("") if path.suffix.lower() in _PACKED else path


def _has_kubectl_stamps(texts: list[str]) -> bool:
    """Whether nearly every line begins with a stamp of the container runtime, in nanoseconds."""
    filled = [text for text in texts[:_LOOK] if text.strip()]
    found = [match for text in filled if (match := _KUBECTL.match(text))]
    fine = sum(len(match[2] or "") > 6 for match in found)
    return bool(filled) and len(found) >= _KUBECTL_SHARE * len(filled) and 2 * fine >= len(found)


def _is_stamped(text: str) -> bool:
    return _stamp(text)[0] is not None or bool(_KLOG.match(text))


def _stamp(text: str) -> tuple[int | None, str | None]:
    """Time and granularity of a line's own stamp, at its start or in its JSON; (None, None) without one."""
    match = _LEADING.match(text)
    written = match[1].replace(",", ".") if match else None
    if written is None and (value := _object(text)):
        written = next((value[key] for key in TIME_KEYS if isinstance(value.get(key), str | int | float)), None)
        if isinstance(written, int | float):
            return _epoch(written)
    ns = moment(written)
    return (None, None) if ns is None else (ns, times.granularity(written))


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
