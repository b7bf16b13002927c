"""Text of `kubectl describe pod`: a pod's row, and the events below it.

It shows neither hooks nor users nor the times of conditions, cuts long annotations, and gives its events ages only.
What it does not show is unknown in the row, not absent. Environment variables are passed over: they hold secrets.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO

from meshlogs import times
from meshlogs.formats.k8s_pods import pod_row
from meshlogs.formats.kubectl_tables import event_row, ours_of, row_cells
from meshlogs.formats.printed import layout_of
from meshlogs.formats.redirect import PROXY
from meshlogs.formats.tables import Shard, Tables, compact, integer, moment

TITLE = "Text of `kubectl describe pods`, of one pod or many, with their events"
LOSES = "the events' times, which are ages; hooks, users, uids, the times of conditions; long annotations; the cluster"
EXAMPLE = """\
Name:             web-67d56cdd-g7fvb
Namespace:        shop
Node:             node-1/10.0.0.2
Start Time:       Tue, 31 Mar 2020 10:41:05 +0000
Status:           Running
IP:               10.4.0.7
Controlled By:    ReplicaSet/web-67d56cdd
Containers:
  web:
    Image:          shop/web:1.0
    State:          Running
      Started:      Tue, 31 Mar 2020 10:41:15 +0000
    Ready:          True
    Restart Count:  0
Events:
  Type    Reason   Age   From     Message
  ----    ------   ----  ----     -------
  Normal  Started  5m2s  kubelet  Started container web
"""

# Heading of a part -> where its containers belong in the object.
PARTS = {
    "Init Containers": ("initContainers", "initContainerStatuses"),
    "Containers": ("containers", "containerStatuses"),
    "Ephemeral Containers": ("ephemeralContainers", "ephemeralContainerStatuses"),
}
PROBES = {"Readiness": "readinessProbe", "Startup": "startupProbe"}
STATES = {"State": "state", "Last State": "lastState"}
# Annotations are cut at 138 characters, in old versions with their key at 140, and end in "...". (kubernetes/kubectl
# pkg/describe maxAnnotationLen)
LONG = 100

_MONTHS = {
    name: f"{number:02}" for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)
}
_RFC1123 = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d:\d\d:\d\d) ([+-]\d{4}|UTC|GMT)")
_NAME = re.compile(r"Name:\s+(\S+)")
_LOST = re.compile(r"Pod '([^']+)': error '.*', but found events\.")
_FIELD = re.compile(r"([A-Z][\w /()-]*):(?:\s+(.*))?")
_PAIR = re.compile(r"([\w./-]+)(?:: ?|=)(.*)")
_SNIFF = re.compile(rb"^(?:Name:[ \t]+\S+\s*\r?\nNamespace:[ \t]+\S+|Pod '[^'\n]+': error ')", re.MULTILINE)
_PROBE = re.compile(r"(?:http-get \w+://[^:/\s]*:(\w+)(/\S*)?|tcp-socket [^:\s]*:(\w+)|grpc <pod>:(\d+)\S*|(exec) )?")
_NUMBER = re.compile(r"\b(delay|timeout|period)=(\d+)s|#(failure)=(\d+)")
_NUMBERS = {"delay": "initialDelaySeconds", "timeout": "timeoutSeconds", "period": "periodSeconds",
            "failure": "failureThreshold"}  # fmt: skip
_TABLE = re.compile(r"\s+(?:Type|FirstSeen)\s+\S.*\bMessage\s*")


def sniff(head: bytes, _name: str) -> bool:
    """Whether these lines are of an object that kubectl describes, and of a pod, as far as they go."""
    return bool(_SNIFF.search(head)) and (b"\nContainers:" in head or b"\nEvents:" in head or b"\nNode:" in head)


def read(file: BinaryIO, source: str) -> Shard:
    """Pods and events of one file; other objects count as records only, lines before the first are rejects."""
    tables = Tables(source)
    for start, lines in _blocks(tables, file):
        tables.records += 1
        _add(tables, start, lines)
    return tables.shard("kubectl_describe")


def _blocks(tables: Tables, file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """(line, lines) of each object; lines before the first become rejects."""
    start, lines = 0, None
    for number, data in enumerate(file, 1):
        text = data.decode("utf-8", "replace").expandtabs(8).rstrip()
        if _NAME.fullmatch(text) or _LOST.fullmatch(text):
            if lines is not None:
                yield start, lines
            start, lines = number, []
        if lines is not None:
            lines.append(text)
        elif text:
            tables.records += 1
            tables.reject(number, "not a line of kubectl describe", text, is_object=True)
    if lines is not None:
        yield start, lines


def _add(tables: Tables, start: int, lines: list[str]) -> None:
    """Add the pod and the events of one object, if it is a pod or what is left of one."""
    lost = _LOST.fullmatch(lines[0])
    if lost:
        namespace, pod = None, lost[1]
    else:
        found = _object(lines)
        if not found:
            return
        tables.pod(_row(found) | {"line": start})
        namespace, pod = found["metadata"]["namespace"], found["metadata"]["name"]
    for number, cells in _events(lines):
        tables.records += 1
        tables.event(event_row(cells | {"object": f"Pod/{pod}"}, {}, namespace) | {"line": start + number})


def _row(found: dict) -> dict:
    """The row of a pod, with null for what the text does not show."""
    row = pod_row(found)
    if row.get("redirect"):
        # A container that runs as the proxy's user bypasses it: not shown, so not known.
        row["redirect"] = compact({**_parsed(row["redirect"]), "users": "unknown"})
    if row.get("injection") == "sidecar" and row["containers"][0] == PROXY:
        row["hold_hook"] = None
    return row


def _parsed(text: str) -> dict:
    import msgspec

    return msgspec.json.decode(text)


def _object(lines: list[str]) -> dict | None:
    """The pod as the API would give it, as far as it is shown; None for other kinds of objects."""
    fields, parts = _sections(lines)
    if "Containers" not in parts or "Namespace" not in fields or "Node" not in fields:
        return None
    spec, status = {}, {"podIP": _said(fields.get("IP")), "conditions": _conditions(parts.get("Conditions", []))}
    phase = _said(fields.get("Status"))
    status["phase"] = phase if phase and not phase.startswith("Terminating") else None
    for part, (containers, statuses) in PARTS.items():
        found = [_container(name, body) for name, body in _named(parts.get(part, []))]
        spec[containers] = [container for container, _ in found]
        status[statuses] = [state for _, state in found if state]
    for container in spec["initContainers"]:
        if container["name"] == PROXY:  # it never ends, so it can only be one that is restarted
            container["restartPolicy"] = "Always"
    spec["nodeName"] = _said(fields["Node"].partition("/")[0])
    return {"kind": "Pod", "metadata": _metadata(fields, parts), "spec": spec, "status": status}


def _metadata(fields: dict[str, str], parts: dict[str, list[str]]) -> dict:
    kind, slash, name = (fields.get("Controlled By") or fields.get("Controllers") or "").partition("/")
    return {
        "name": fields["Name"],
        "namespace": fields["Namespace"],
        "labels": _pairs(fields.get("Labels"), parts.get("Labels", [])),
        "annotations": _pairs(fields.get("Annotations"), parts.get("Annotations", [])),
        "ownerReferences": [{"kind": kind, "name": name, "controller": True}] if slash else [],
    }


def _sections(lines: list[str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """(field -> its text, field -> the indented lines under it) of an object, up to its events."""
    fields, parts, current = {}, {}, []
    for text in lines:
        match = _FIELD.fullmatch(text)
        if match and match[1] == "Events":
            break
        if match:
            fields.setdefault(match[1], match[2] or "")
            current = parts.setdefault(match[1], [])
        else:
            current.append(text)
    return fields, parts


def _pairs(first: str | None, more: list[str]) -> dict[str, str]:
    """Labels `key=value`, annotations `key: value` or with the value on lines of its own, further to the right."""
    found: dict[str, str] = {}
    key, indent = None, None
    for text in [first or "", *more]:
        depth = len(text) - len(text.lstrip())
        indent = depth if indent is None and text is not first else indent
        match = _PAIR.fullmatch(text.strip())
        if key is not None and indent is not None and text is not first and depth > indent:
            found[key] = f"{found[key]}\n{text.strip()}" if found[key] else text.strip()
        elif match:
            key, found[match[1]] = match[1], match[2]
    return {key: text for key, text in found.items() if not _is_cut(text)}


def _is_cut(text: str) -> bool:
    return any(line.endswith("...") and len(line) >= LONG for line in text.splitlines())


def _named(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """(name, lines) of each container of a part."""
    name, body = None, []
    for text in lines:
        if text.startswith("  ") and not text.startswith("   ") and text.endswith(":"):
            if name is not None:
                yield name, body
            name, body = text.strip()[:-1], []
        else:
            body.append(text)
    if name is not None:
        yield name, body


def _container(name: str, lines: list[str]) -> tuple[dict, dict | None]:
    """(container, its status or None) as the API would give them."""
    fields, below = {}, {}
    current: list[str] = []
    for text in lines:
        match = _FIELD.fullmatch(text[4:]) if text.startswith("    ") and text[4:5].strip() else None
        if match:
            fields[match[1]] = match[2] or ""
            current = below.setdefault(match[1], [])
        else:
            current.append(text[6:])
    ports = [port.partition("/")[0].strip() for port in (fields.get("Ports") or fields.get("Port") or "").split(",")]
    container = {
        "name": name,
        "image": _said(fields.get("Image")),
        "command": below.get("Command", []),
        "args": below.get("Args", []),
        "ports": [{"containerPort": integer(port)} for port in ports if integer(port)],
    }
    container |= {key: _probe(fields[shown]) for shown, key in PROBES.items() if shown in fields}
    if "State" not in fields:
        return container, None
    status = {key: _state(fields[shown], below[shown]) for shown, key in STATES.items() if shown in fields}
    ready = {"True": True, "False": False}.get(fields.get("Ready", ""))
    return container, {"name": name, "ready": ready, "restartCount": fields.get("Restart Count"), **status}


def _state(word: str, lines: list[str]) -> dict:
    """The state of a container: {running|terminated|waiting: {...}}, without its message."""
    told = {match[1]: match[2] or "" for text in lines if (match := _FIELD.fullmatch(text.strip()))}
    state = {
        "startedAt": rfc3339(told.get("Started")),
        "finishedAt": rfc3339(told.get("Finished")),
        "exitCode": integer(told.get("Exit Code")),
        "reason": _said(told.get("Reason")),
    }
    return {word.lower(): {key: value for key, value in state.items() if value is not None}}


def _probe(text: str) -> dict:
    """A probe as the API would give it, its command left out."""
    found = {}
    for words in _NUMBER.findall(text):
        name, number = [word for word in words if word]
        found[_NUMBERS[name]] = int(number)
    http, path, tcp, grpc, command = _PROBE.match(text).groups()
    if http:
        found["httpGet"] = {"port": integer(http) or http, "path": path}
    elif tcp or grpc:
        found["tcpSocket" if tcp else "grpc"] = {"port": integer(tcp or grpc) or tcp}
    elif command:
        found["exec"] = {}
    return found


def rfc3339(text: str | None) -> str | None:
    """The time of `Mon, 02 Mar 2026 09:00:00 +0100` as RFC 3339 in UTC, None if it is none.

    >>> rfc3339("Sat, 07 Jan 2023 15:52:22 -0500")
    '2023-01-07T20:52:22Z'
    """
    match = _RFC1123.fullmatch(text or "")
    if not match or match[2] not in _MONTHS:
        return None
    zone = match[5] if match[5][0] in "+-" else "Z"
    ns = moment(f"{match[3]}-{_MONTHS[match[2]]}-{match[1]}T{match[4]}{zone}")
    return None if ns is None else times.text(ns)


def _conditions(lines: list[str]) -> list[dict]:
    words = [text.split() for text in lines]
    return [{"type": pair[0], "status": pair[1]} for pair in words if len(pair) == 2 and pair[0] != "Type"]


def _said(text: str | None) -> str | None:
    return text if text and text not in ("<none>", "<unknown>", "<unset>") else None


def _events(lines: list[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(number of the line in the object, cells) of each event."""
    layout, ours, found = None, {}, []
    for number, text in enumerate(lines):
        if layout is None:
            if _TABLE.fullmatch(text) and number and lines[number - 1].startswith("Events:"):
                layout = layout_of(text)
                ours = ours_of(layout.names)
            continue
        if not text or set(text) <= {" ", "-"}:
            continue
        cells = row_cells(layout, ours, text)
        if cells and cells.get("type") in ("Normal", "Warning"):
            found.append((number, cells))
        elif found:  # a message of several lines
            found[-1][1]["message"] = f"{found[-1][1].get('message', '')}\n{text}"
    yield from found
