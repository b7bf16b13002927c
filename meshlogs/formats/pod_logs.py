"""Plain logs of pods: `kubectl logs`, with `--timestamps` or not, and the `logs.txt` of cluster snapshots.

Namespace and pod come from the last folders of the path (`…/NAMESPACE/POD/logs.txt`); the container from a line
that says whose logs follow (`==== START logs for container NAME of pod NAMESPACE/POD ====`), from the file's name,
else from lines that only istio-proxy writes. A line without a time of its own has that of the line before.
"""

import json
import re
from pathlib import Path

from meshlogs import times
from meshlogs.formats.documents import load
from meshlogs.formats.shards import Collector, Shard

EXAMPLE = "2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready"

_STAMP = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\]?(?=[\s\t,\]]|$)")
_KUBECTL = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) ")
# klog of Kubernetes components writes month, day and time, no year: that of the file's first full date.
_KLOG = re.compile(r"^[IWEF](\d\d)(\d\d) (\d\d:\d\d:\d\d\.\d{6})\s")
_YEAR = re.compile(r"^\[?(\d{4})-\d\d-\d\d[T ]\d\d:\d\d", re.M)
# Lines of pilot-agent and Envoy under Istio, and of Envoy's access log.
_PROXY = re.compile(
    r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\t(?:trace|debug|info|warn|warning|error|critical|fatal)\t"
    r"|^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] \""
)
_PROXY_FILE = re.compile(r"istio-proxy|istio_proxy")
_SECTION = re.compile(r"^=+ (START|END) logs for container (\S+) of pod (?:(\S+)/)?(\S+) =+$")
_NAMES = ("logs", "log", "previous", "current")
_JSON_TIMES = ("time", "timestamp", "ts", "@timestamp")


def sniff(head: bytes, name: str) -> bool:
    """Whether this is a log: by its name, and by times at the start of a fair share of its first lines."""
    suffix = Path(name).suffix
    if suffix not in (".log", ".txt", "") or b"\x00" in head:
        return False
    lines = [line for line in head.decode("utf-8", "replace").splitlines() if line.strip()][:50]
    dated = sum(_written(line) is not None or bool(_KLOG.match(line)) for line in lines)
    known = Path(name).name == "logs.txt" and len(Path(name).parts) >= 3
    first = bool(lines) and _written(lines[0]) is not None
    return bool(lines) and (known or first or dated >= max(1, len(lines) // 3))


def read(path: Path, source: str) -> Shard:
    """The lines of a log as log entries; an empty line is none."""
    data, damage = load(path)
    collector = Collector("pod_logs", source)
    namespace, pod, container = _named(Path(path))
    last = None
    content = data.decode("utf-8", "replace")
    year = _YEAR.search(content)
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        collector.records += 1
        section = _SECTION.match(line)
        if section:
            container = section.group(2) if section.group(1) == "START" else None
            last = None
        written = _written(line) or _klog(line, year)
        kubectl = _KUBECTL.match(line)
        stamp = times.parse_ns(written)
        last = last if stamp == times.NAT else stamp
        text = line[kubectl.end() :] if kubectl else line
        collector.add(
            "log_entries",
            number,
            {
                "time": last,
                "time_granularity": times.granularity(written),
                "severity": "DEFAULT",
                "resource_type": "k8s_container",
                "namespace": namespace,
                "pod": pod,
                "container": container or ("istio-proxy" if _PROXY.match(text) else None),
                "message": _message(text),
                "payload": text if _object(text) else None,
            },
        )
    if damage:
        collector.reject(data.count(b"\n") + 1, damage)
    return collector.shard()


def _named(path: Path) -> tuple[str | None, str | None, str | None]:
    """(namespace, pod, container) as the path names them."""
    parts = [part for part in path.parts if part not in ("/", "")]
    container = "istio-proxy" if _PROXY_FILE.search(path.stem) else None
    if len(parts) >= 3 and (path.stem in _NAMES or container):
        return parts[-3], parts[-2], container
    return None, None, container


def _written(line: str) -> str | None:
    """The time at the start of a line, or in the time field of a JSON line."""
    match = _STAMP.match(line)
    if match:
        return match.group(1).replace(",", ".")
    value = _object(line)
    found = next((value[key] for key in _JSON_TIMES if isinstance(value.get(key), str)), None) if value else None
    return found if times.granularity(found) else None


def _klog(line: str, year: re.Match | None) -> str | None:
    match = _KLOG.match(line)
    return f"{year[1]}-{match[1]}-{match[2]}T{match[3]}Z" if match and year else None


def _message(text: str) -> str:
    value = _object(text)
    told = next((value[key] for key in ("message", "msg") if isinstance(value.get(key), str)), None) if value else None
    return told if told is not None else text


def _object(line: str) -> dict | None:
    if not line.startswith("{"):
        return None
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
