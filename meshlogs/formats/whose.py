"""Whose a line of a log is: by the file's path, or by what the tool that mixed several logs wrote before it."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import PurePath
from typing import NamedTuple

import msgspec

from meshlogs.formats.names import workload_of


class Whose(NamedTuple):
    """Whose line it is, as far as a path, the heading of a block or the line itself says."""

    namespace: str | None = None
    pod: str | None = None
    container: str | None = None
    uid: str | None = None


# Names of files that lie in the folder of their pod, and the container they mean.
FILES = {
    "logs.txt": None,
    "logs": None,
    "istio-proxy.log": "istio-proxy",
    "istio-proxy-previous.log": "istio-proxy",
    "discovery.log": "discovery",
}
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
# On a node: /var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log, /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log; a
# rotated file ends in its time. (kubernetes pkg/kubelet/kuberuntime/helpers.go, legacy.go, logs)
_POD_FOLDER = re.compile(r"([a-z0-9-]+)_([a-z0-9][a-z0-9.-]*)_([0-9a-f-]{32,36})")
_CONTAINER_LINK = re.compile(r"([a-z0-9][a-z0-9.-]*)_([a-z0-9-]+)_([a-z0-9-]+)-[0-9a-f]{64}\.log")
_ROTATED = re.compile(r"(\d+\.log|.+\.log)\.(?:\d{8}-\d{6}|\d{1,3})")
_PACKED = (".gz", ".zst", ".bz2", ".xz")
_OWN = (".log", ".txt")  # how somebody's own files of one pod's log end


def owner_of(path: PurePath) -> Whose:
    """Namespace, pod and container that a path names: `…/NAMESPACE/POD/logs.txt`, `…/NAMESPACE/POD/NAME.log`.

    Another file's folders count only if the inner one is named like a generated pod. A node's files name all; a file
    that is itself named like a generated pod (`POD.log`, `POD_CONTAINER.log`, `NAMESPACE_POD_CONTAINER.log`) is its.

    >>> owner_of(PurePath("log/pods/shop_web-0_12345678-1234-1234-1234-123456789012/web/0.log"))[:3]
    ('shop', 'web-0', 'web')
    >>> owner_of(PurePath("web-67d56cdd-g7fvb_app.log"))[:3]
    (None, 'web-67d56cdd-g7fvb', 'app')
    """
    folders, name = path.parts[:-1], path.name
    on_node = _POD_FOLDER.fullmatch(folders[-2]) if len(folders) > 1 else None
    if on_node and name.partition(".")[0].isdigit():
        return Whose(on_node[1], on_node[2], folders[-1], on_node[3])
    link = _CONTAINER_LINK.fullmatch(name)
    if link:
        return Whose(link[2], link[1], link[3])
    container = FILES.get(name, path.stem if path.suffix == ".log" else None)
    if len(folders) >= 2 and all(map(_NAME.fullmatch, folders[-2:])):
        if name in FILES or (container and workload_of(folders[-1]).controller != "Pod"):
            return Whose(folders[-2], folders[-1], container)
    named = _named(path.stem) if path.suffix in _OWN else None
    return named or Whose(container=FILES.get(name))


def _named(stem: str) -> Whose | None:
    """Whose the file is that somebody named after its pod."""
    parts = stem.split("_")
    at = next((at for at, part in enumerate(parts) if _is_generated(part)), None)
    if at is None or at > 1 or len(parts) > at + 2 or not all(map(_NAME.fullmatch, parts)):
        return None
    return Whose(parts[0] if at else None, parts[at], parts[at + 1] if len(parts) > at + 1 else None)


def _is_generated(name: str) -> bool:
    """Whether a controller made up this name's end: letters that make no words."""
    return bool(_NAME.fullmatch(name)) and workload_of(name).controller not in ("Pod", "StatefulSet")


def unpacked(path: PurePath) -> PurePath:
    """The path without the endings that a compressor and a rotation gave it."""
    path = path.with_suffix("") if path.suffix.lower() in _PACKED else path
    rotated = _ROTATED.fullmatch(path.name)
    return path.with_name(rotated[1]) if rotated else path


# What is told of a line: whose it is, and its text; None: nothing.
Told = Callable[[str], tuple[Whose, str] | None]

# (kubernetes/kubectl pkg/cmd/logs: addPrefixIfNeeded)
_KUBECTL = re.compile(r"\[pod/([a-z0-9][a-z0-9.-]*)/([a-z0-9-]+)\] ")
# Its default, with several namespaces and with one; only pods whose names a controller made: else any words would do.
# (stern/stern cmd/cmd.go: generateTemplate)
_POD_AND_CONTAINER = r"([a-z0-9][a-z0-9.-]*-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|\d+)) ([a-z0-9-]+) "
_STERN = (re.compile(f"([a-z0-9-]+) {_POD_AND_CONTAINER}"), re.compile(f"(){_POD_AND_CONTAINER}"))
# On which containers it looks, told on the other stream.
_STERN_STATUS = re.compile(r"[+-] (?:[a-z0-9-]+ )?[a-z0-9][a-z0-9.-]* › [a-z0-9-]+$")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# The keys of its JSON and of its JSON in which the message is JSON where it can be.
_STERN_KEYS = {"podName": ("namespace", "podName", "containerName"), "pod": ("namespace", "pod", "container")}
_WRONG = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_SHARE = 0.9  # of the lines that tell whose they are, where all should


def _by_kubectl(text: str) -> tuple[Whose, str] | None:
    match = _KUBECTL.match(text)
    return (Whose(None, match[1], match[2]), text[match.end() :]) if match else None


def _by_stern(text: str, pattern: re.Pattern) -> tuple[Whose, str] | None:
    plain = _COLOR.sub("", text) if "\x1b" in text else text
    match = pattern.match(plain)
    return (Whose(match[1] or None, match[2], match[3]), plain[match.end() :]) if match else None


def _by_stern_json(text: str, key: str) -> tuple[Whose, str] | None:
    if not text.startswith("{") or f'"{key}"' not in text:
        return None
    try:
        value = msgspec.json.decode(_COLOR.sub("", text))
    except _WRONG:
        return None
    names = [value.get(name) for name in _STERN_KEYS[key]]
    if "message" not in value or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names[1:]):
        return None
    message = value["message"]
    message = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return Whose(names[0] if isinstance(names[0], str) and names[0] else None, *names[1:]), message.rstrip("\r\n")


_STYLES = (
    _by_kubectl,
    *(partial(_by_stern, pattern=pattern) for pattern in _STERN),
    *(partial(_by_stern_json, key=key) for key in _STERN_KEYS),
)


def style_of(lines: list[str], pod: str | None = None) -> Told | None:
    """How nearly all of these lines tell whose they are, as `kubectl logs --prefix` and `stern` write it; else None.

    `pod`: that of the path, of which they must be then.
    """
    lines = [line for line in lines if line.strip() and not is_status(line)]

    def tells(told: Told, line: str) -> bool:
        found = told(line)
        return found is not None and pod in (None, found[0].pod)

    return next((told for told in _STYLES if sum(tells(told, line) for line in lines) > _SHARE * len(lines)), None)


def is_status(line: str) -> bool:
    """Whether a line is no container's, but tells that stern begins or ends to follow one."""
    return "›" in line and bool(_STERN_STATUS.match(_COLOR.sub("", line).rstrip()))
