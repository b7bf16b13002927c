"""One made-up fleet in each form that kubectl, nodes and istioctl give."""

import io
import json
import tarfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from meshlogs import simulate, times
from meshlogs.simulate.kubernetes import pod_object

NEWER = {
    "involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp", "lastTimestamp": "deprecatedLastTimestamp",
    "reportingComponent": "reportingController",
}  # fmt: skip
WIDE = ("LAST SEEN", "TYPE", "REASON", "OBJECT", "SUBOBJECT", "SOURCE", "MESSAGE", "FIRST SEEN", "COUNT", "NAME")


@dataclass
class Story:
    """What there is to be written: log entries of containers, events at their last update, pods that still live."""

    entries: list[dict]
    events: list[dict]
    pods: list[dict]
    now: int
    uids: dict[tuple[str, str], str]


def story(pods: int, seed: int) -> Story:
    """A fleet of so many pods, each with another story, as it was recorded."""
    rng = np.random.default_rng(seed)
    fleet = simulate._fleet(pods, simulate.MIX, times.parse_ns("2026-03-02T09:00:00Z"), rng)
    known = simulate._record(fleet, rng, without=(), lost_events=0.0, legacy=False, kubelet="1.28")
    logs = [row for row in known.entries if row["resource"]["type"] == "k8s_container"]
    return Story(
        logs,
        known.events,
        [pod_object(pod) for pod in fleet if pod.stopped is None],
        max(pod.ends for pod in fleet) + 7_654_321_987,
        {(pod.workload.namespace, pod.name): pod.uid for pod in fleet},
    )


def put(path: Path, text: str) -> None:
    """Write a text, its folders too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def as_json(value) -> str:
    return json.dumps(value, indent=4) + "\n"


def listed(kind: str, items: list[dict]) -> dict:
    """A list of the API: its items do not say what they are."""
    bare = [{key: value for key, value in item.items() if key not in ("kind", "apiVersion")} for item in items]
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": bare}


def whole_list(items: list[dict]) -> dict:
    return {"apiVersion": "v1", "items": items, "kind": "List", "metadata": {"resourceVersion": ""}}


# Logs


def cloud_logs(out: Path, told: Story) -> None:
    """As a Cloud Storage sink writes them."""
    put(out / "stdout/2026/03/02/09_00_00_09_59_59_S0.json", "".join(json.dumps(row) + "\n" for row in told.entries))


def containers(told: Story) -> dict[tuple[str, str, str], list[tuple[str, str, str]]]:
    """(namespace, pod, container) -> (time, stream, line) of each line."""
    found = defaultdict(list)
    for row in sorted(told.entries, key=lambda row: times.parse_ns(row["timestamp"])):
        where = row["resource"]["labels"]
        text = row["textPayload"] if "textPayload" in row else json.dumps(row["jsonPayload"])
        stream = row["logName"].rpartition("/")[2]
        for line in text.rstrip("\n").split("\n"):
            key = where["namespace_name"], where["pod_name"], where["container_name"]
            found[key].append((row["timestamp"], stream, line))
    return found


def node_logs(out: Path, told: Story) -> None:
    """As containerd writes them on the nodes, long lines in parts."""
    for (namespace, pod, container), lines in containers(told).items():
        framed = []
        for stamp, stream, line in lines:
            parts = [line[at : at + 160] for at in range(0, len(line), 160)] or [""]
            framed += [f"{stamp} {stream} P {part}\n" for part in parts[:-1]] + [f"{stamp} {stream} F {parts[-1]}\n"]
        put(out / f"pods/{namespace}_{pod}_{told.uids[namespace, pod]}/{container}/0.log", "".join(framed))


def kubectl_logs(out: Path, told: Story) -> None:
    """As `kubectl logs --timestamps` prints them."""
    for (namespace, pod, container), lines in containers(told).items():
        put(out / f"logs/{namespace}/{pod}/{container}.log", "".join(f"{stamp} {line}\n" for stamp, _, line in lines))


def mixed_logs(out: Path, told: Story) -> None:
    """As `kubectl logs --all-containers --timestamps --prefix` prints those of all pods of a namespace."""
    for (namespace, pod, container), lines in containers(told).items():
        (out / namespace).mkdir(parents=True, exist_ok=True)
        with (out / namespace / "all.log").open("a", encoding="utf-8") as file:
            file.writelines(f"[pod/{pod}/{container}] {stamp} {line}\n" for stamp, _, line in lines)


def stern_logs(out: Path, told: Story) -> None:
    """As `stern --all-namespaces --timestamps` prints them."""
    with (out / "all.log").open("w", encoding="utf-8") as file:
        for (namespace, pod, container), lines in containers(told).items():
            file.writelines(f"{namespace} {pod} {container} {stamp} {line}\n" for stamp, _, line in lines)


def dumped_logs(told: Story, namespace: str, pod: str) -> str:
    """The logs of a pod as `kubectl cluster-info dump` writes them."""
    blocks = []
    for (of, name, container), lines in containers(told).items():
        if (of, name) == (namespace, pod):
            about = f"logs for container {container} of pod {namespace}/{pod} ====\n"
            blocks.append(f"==== START {about}" + "".join(line + "\n" for _, _, line in lines) + f"==== END {about}")
    return "".join(blocks)


# Events and pods


def events_json(out: Path, told: Story) -> None:
    put(out / "events.json", as_json(whole_list(told.events)))


def events_yaml(out: Path, told: Story) -> None:
    put(out / "events.yaml", yaml.safe_dump(whole_list(told.events)))


def events_newer(out: Path, told: Story) -> None:
    """As the API events.k8s.io/v1 lists them."""
    newer = [{NEWER.get(key, key): value for key, value in event.items()} for event in told.events]
    put(out / "events.json", as_json({**listed("EventList", newer), "apiVersion": "events.k8s.io/v1"}))


def pods_json(out: Path, told: Story) -> None:
    put(out / "pods.json", as_json(whole_list(told.pods)))


def pods_yaml(out: Path, told: Story) -> None:
    put(out / "pods.yaml", yaml.safe_dump(whole_list(told.pods)))


def age(seconds: int) -> str:
    """As kubectl writes it. (k8s.io/apimachinery duration.HumanDuration)"""
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    return f"{hours}h" + (f"{minutes % 60}m" if hours < 8 and minutes % 60 else "")


def ages(event: dict, now: int) -> tuple[str, str]:
    """(last seen, first seen) of an event."""
    first, last = (event[key] or event["eventTime"] for key in ("firstTimestamp", "lastTimestamp"))
    return tuple(age((now - times.parse_ns(stamp)) // times.SECOND) for stamp in (last, first))


def table(rows: list[tuple], padding: int) -> str:
    widths = [max(len(str(row[at])) for row in rows) + padding for at in range(len(rows[0]))]
    return "".join(
        "".join(f"{cell!s:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def events_wide(out: Path, told: Story, is_one: bool = False) -> None:
    """As `kubectl get events --all-namespaces -o wide` prints them; of one namespace, without that column."""
    rows = [("NAMESPACE", *WIDE)]
    for event in told.events:
        about, source = event["involvedObject"], event["source"]
        last, first = ages(event, told.now)
        component = source.get("component") or event["reportingComponent"]
        host = f", {source['host']}" if "host" in source else ""
        rows.append((
            about["namespace"], last, event["type"], event["reason"], f"pod/{about['name']}",
            about.get("fieldPath", ""), component + host,
            event["message"].strip(), first, event["count"] or 1, event["metadata"]["name"],
        ))  # fmt: skip
    put(out / "cluster/events", table([row[1:] for row in rows] if is_one else rows, 3))


def events_table(out: Path, told: Story) -> None:
    """As `kubectl get events --all-namespaces` prints them."""
    rows = [("NAMESPACE", *WIDE[:4], "MESSAGE")]
    for event in told.events:
        about = event["involvedObject"]
        rows.append((about["namespace"], ages(event, told.now)[0], event["type"], event["reason"],
                     f"pod/{about['name']}", event["message"].strip()))  # fmt: skip
    put(out / "events.txt", table(rows, 3))


def described(out: Path, told: Story) -> None:
    """As `kubectl describe pods --all-namespaces` prints pods and their events."""
    put(out / "describe.txt", "\n\n".join(_described(pod, told) for pod in told.pods))


def _described(pod: dict, told: Story) -> str:
    meta, spec, status = pod["metadata"], pod["spec"], pod["status"]
    owner = meta["ownerReferences"][0]
    lines = [
        f"Name:             {meta['name']}", f"Namespace:        {meta['namespace']}",
        f"Node:             {spec['nodeName']}/10.0.0.1",
        *_pairs("Labels", [f"{key}={value}" for key, value in sorted(meta["labels"].items())]),
        *_pairs("Annotations", _annotations(meta["annotations"])),
        f"Status:           {status['phase']}", f"IP:               {status.get('podIP', '')}",
        f"Controlled By:  {owner['kind']}/{owner['name']}",
    ]  # fmt: skip
    for title, key in (("Init Containers", "initContainers"), ("Containers", "containers")):
        states = {state["name"]: state for state in status.get(f"{key[:-1]}Statuses", [])}
        lines += [f"{title}:"] if spec[key] else []
        for container in spec[key]:
            lines += _container(container, states.get(container["name"]))
    mine = [event for event in told.events if event["involvedObject"]["uid"] == meta["uid"]]
    rows = [("", "Type", "Reason", "Age", "From", "Message"), ("", "----", "------", "----", "----", "-------")]
    for event in mine:
        last, first = ages(event, told.now)
        many = f"{last} (x{event['count']} over {first})" if (event["count"] or 1) > 1 else first
        component = event["source"].get("component") or event["reportingComponent"]
        rows.append(("", event["type"], event["reason"], many, component, event["message"].strip()))
    return "\n".join(lines) + "\n" + ("Events:\n" + table(rows, 2) if mine else "Events:  <none>\n")


def _pairs(title: str, pairs: list[str]) -> list[str]:
    return [f"{title + ':' if not at else '':18}{pair}" for at, pair in enumerate(pairs or ["<none>"])]


def _annotations(annotations: dict[str, str]) -> list[str]:
    lines = []
    for key, value in sorted(annotations.items()):
        short = len(key) + len(value) + 2 <= 140
        lines += [f"{key}: {value}"] if short else [f"{key}:", "  " + value[:138] + ("..." if value[138:] else "")]
    return lines


def _container(container: dict, state: dict | None) -> list[str]:
    lines = [f"  {container['name']}:", f"    Image:  {container['image']}"]
    if "args" in container:
        lines += ["    Args:", *(f"      {word}" for word in container["args"])]
    if state:
        for title, key in (("State", "state"), ("Last State", "lastState")):
            for word, found in (state.get(key) or {}).items():
                lines.append(f"    {title}:  {word.capitalize()}")
                lines += [f"      Reason:  {found['reason']}"] if found.get("reason") else []
                lines += [f"      Exit Code:  {found['exitCode']}"] if "exitCode" in found else []
                lines += [f"      Started:  {_rfc1123(found['startedAt'])}"] if found.get("startedAt") else []
                lines += [f"      Finished:  {_rfc1123(found['finishedAt'])}"] if found.get("finishedAt") else []
        lines += [f"    Ready:  {state['ready']}", f"    Restart Count:  {state['restartCount']}"]
    for title, key in (("Readiness", "readinessProbe"), ("Startup", "startupProbe")):
        probe = container.get(key)
        if probe:
            get, delay = probe["httpGet"], probe.get("initialDelaySeconds", 0)
            lines.append(
                f"    {title}:  http-get http://:{get['port']}{get['path']} delay={delay}s "
                f"timeout={probe.get('timeoutSeconds', 1)}s period={probe.get('periodSeconds', 10)}s #success=1 "
                f"#failure={probe.get('failureThreshold', 3)}"
            )
    return lines


def _rfc1123(stamp: str) -> str:
    months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
    return f"Mon, {stamp[8:10]} {months[int(stamp[5:7]) - 1]} {stamp[:4]} {stamp[11:19]} +0000"


# Dumps


def _namespaces(told: Story) -> list[str]:
    return sorted({pod["metadata"]["namespace"] for pod in told.pods} | {of for of, _, _ in containers(told)})


def _of(items: list[dict], namespace: str) -> list[dict]:
    return [item for item in items if item["metadata"]["namespace"] == namespace]


NODES = {"kind": "NodeList", "apiVersion": "v1", "metadata": {}, "items": [{"metadata": {"name": "node-1"}}]}


def printed_dump(out: Path, told: Story) -> None:
    """As `kubectl cluster-info dump --all-namespaces` prints it."""
    parts = [as_json(NODES)]
    for namespace in _namespaces(told):
        parts.append(as_json(listed("EventList", _of(told.events, namespace))))
        parts.append(as_json({"kind": "ServiceList", "apiVersion": "v1", "metadata": {}, "items": []}))
        parts.append(as_json(listed("PodList", _of(told.pods, namespace))))
        names = dict.fromkeys(pod for of, pod, _ in containers(told) if of == namespace)
        parts += [dumped_logs(told, namespace, pod) for pod in names]
    put(out / "dump.txt", "".join(parts))


def dumped_folder(out: Path, told: Story) -> None:
    """As `kubectl cluster-info dump --all-namespaces --output-directory` writes it."""
    put(out / "nodes.json", as_json(NODES))
    for namespace in _namespaces(told):
        put(out / namespace / "events.json", as_json(listed("EventList", _of(told.events, namespace))))
        put(out / namespace / "pods.json", as_json(listed("PodList", _of(told.pods, namespace))))
        for pod in dict.fromkeys(pod for of, pod, _ in containers(told) if of == namespace):
            put(out / namespace / pod / "logs.txt", dumped_logs(told, namespace, pod))


def bug_report(out: Path, told: Story) -> None:
    """As `istioctl bug-report` packs it: pods, a wide table of events, the proxies' logs, none of the applications."""
    folder = out / "unpacked"
    events_wide(folder, told)
    put(folder / "cluster/k8s-resources", yaml.safe_dump(whole_list(told.pods)))
    put(folder / "cluster/secrets", "NAMESPACE   NAME   TYPE     DATA   AGE\nshop        db     Opaque   1      5d\n")
    put(folder / "versions", "1.16.1\n")
    for (namespace, pod, container), lines in containers(told).items():
        if container == "istio-proxy":
            put(folder / f"proxies/{namespace}/{pod}/istio-proxy.log", "".join(f"{line}\n" for _, _, line in lines))
            put(folder / f"proxies/{namespace}/{pod}/certs", '{"certificates": []}\n')
    with tarfile.open(out / "bug-report.tar.gz", "w:gz") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                info = tarfile.TarInfo(f"bug-report/{path.relative_to(folder).as_posix()}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
                path.unlink()
