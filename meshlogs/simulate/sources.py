"""What each source records of a pod's life: container logs, Kubernetes events, pod objects."""

import json

import numpy as np

from meshlogs import times
from meshlogs.simulate.clients import CHATTER, CLIENTS, LOOK_ALIKES
from meshlogs.simulate.process import METADATA, SECOND, Container, Pod, minor, ns

PROJECT, LOCATION = "made-up", "europe-west1"
# The kubelet's spam filter: a burst of 25 events a pod, then one every 300 s. (client-go events_cache.go)
BURST, REFILL = 25, 300 * SECOND


def stamp(at: int) -> str:
    """RFC 3339 with nanoseconds."""
    return times.text(at)


def second(at: int) -> str:
    """RFC 3339, floored to the second, as Kubernetes writes times."""
    return times.text(at // SECOND * SECOND)


def micro(at: int) -> str:
    """RFC 3339 with microseconds, as the proxy writes."""
    return times.text(at // 1000 * 1000).rstrip("Z").ljust(26, "0")[:26] + "Z" if at % SECOND else second(at)


class Ids:
    """Insert ids, unique and in the order of writing."""

    def __init__(self, rng: np.random.Generator):
        self._prefix, self._count = f"{int(rng.integers(36**4)):x}", 0

    def next(self) -> str:
        """The next id."""
        self._count += 1
        return f"{self._prefix}{self._count:010d}"


def entry(pod: Pod, at: int, ids: Ids, log: str, container: str | None, *, legacy: bool, lag: float) -> dict:
    """A LogEntry without its payload."""
    labels = {"project_id": PROJECT, "cluster_name": pod.workload.cluster}
    if legacy and container:
        kind = "container"
        labels |= {
            "zone": LOCATION,
            "namespace_id": pod.workload.namespace,
            "pod_id": pod.name,
            "container_name": container,
        }
    elif legacy:
        kind, labels["location"] = "gke_cluster", LOCATION
    else:
        kind = "k8s_container" if container else "k8s_pod"
        labels |= {"location": LOCATION, "namespace_name": pod.workload.namespace, "pod_name": pod.name}
        labels |= {"container_name": container} if container else {}
    log_id = container if legacy and container else log
    return {
        "insertId": ids.next(),
        "logName": f"projects/{PROJECT}/logs/{log_id}",
        "receiveTimestamp": stamp(at + ns(lag)),
        "resource": {"labels": labels, "type": kind},
        "severity": "ERROR" if log == "stderr" else "INFO",
        "timestamp": stamp(at),
        **({"labels": {"container.googleapis.com/stream": log}} if legacy and container else {}),
    }


def app_logs(pod: Pod, rng: np.random.Generator, ids: Ids, *, legacy: bool) -> tuple[list[dict], list[list[str]]]:
    """(entries, the insert ids of each attempt's entries) of the pod's application and init containers."""
    entries, told = [], []

    def write(container: str, at: int, text: str, log: str = "stdout", payload: dict | None = None) -> str:
        row = entry(pod, at, ids, log, container, legacy=legacy, lag=rng.uniform(0.2, 4))
        row |= {"jsonPayload": payload} if payload else {"textPayload": text + "\n"}
        entries.append(row)
        return row["insertId"]

    for attempt in pod.attempts:
        client = CLIENTS[attempt.client]
        lines = client.refused(attempt.target, micro(attempt.logged))
        if client.structured:
            payload = {"level": "error", "msg": "redis ping failed", "error": lines[0]}
            told.append([write(attempt.container, attempt.logged, "", "stderr", payload)])
            continue
        at = attempt.logged
        ours = []
        for line in lines:
            ours.append(write(attempt.container, at, line, "stderr"))
            at += int(rng.integers(5_000, 400_000))
        told.append(ours)
    if not pod.has("app") or not pod.container("app").runs:
        return entries, told
    run = pod.container("app").runs[0]
    write("app", run.started + ns(rng.uniform(0.005, 0.2)), "starting")
    until = run.ended or pod.ends
    for _ in range(6):
        words = CHATTER if rng.random() < 0.7 else LOOK_ALIKES
        write("app", int(rng.integers(run.started + ns(0.3), until)), words[int(rng.integers(len(words)))])
    for at in pod.successes[:8]:
        write("app", at + ns(0.002), CLIENTS[pod.workload.client].ok)
    for at, target in pod.upstream_reports:
        text = (
            f"GET http://{target.host}/ -> 503 upstream connect error or disconnect/reset before headers. "
            "reset reason: remote connection failure, transport failure reason: delayed connect error: 111"
        )
        told.append([write("app", at, text, "stderr")])
    return entries, told


def proxy_logs(pod: Pod, rng: np.random.Generator, ids: Ids, *, legacy: bool) -> list[dict]:
    """The lines of the proxy's agent and of Envoy, in the words of its version."""
    if not pod.meshed or not pod.has("istio-proxy"):
        return []
    entries: list[dict] = []
    version = minor(pod.workload.version)
    as_json, info = rng.random() < 0.2 and version >= (1, 6), rng.random() < 0.3 and version >= (1, 6)

    def write(at: int, text: str, level: str = "info", log: str = "stdout") -> None:
        row = entry(pod, at + ns(0.0003), ids, log, "istio-proxy", legacy=legacy, lag=rng.uniform(0.2, 4))
        if as_json:
            row["jsonPayload"] = {"level": level, "time": micro(at), "msg": text}
        else:
            row["textPayload"] = f"{micro(at)}\t{level}\t{text}\n"
        entries.append(row)

    for run in pod.container("istio-proxy").runs:
        opened = next((time for time in pod.ready if run.started <= time <= (run.ended or pod.ends)), None)
        begun = run.started + ns(0.03)
        write(begun, 'FLAG: --concurrency="2"')
        write(begun + ns(0.002), f"Version {pod.workload.version}-0a1b2c-Clean")
        write(begun + ns(0.05), "Starting proxy agent")
        write(begun + ns(0.09), "Epoch 0 starting" if version <= (1, 14) else "starting")
        write(begun + ns(0.1), "Envoy command: [-c etc/istio/proxy/envoy-rev0.json --drain-time-s 45]")
        if info and opened:
            write(
                opened - ns(rng.uniform(0.0001, 0.0017)), "envoy main\tall dependencies initialized. starting workers"
            )
        for at, answer in pod.probes:
            if not run.started <= at <= (run.ended or pod.ends):
                continue
            if answer == "503":
                write(at, "Envoy proxy is NOT ready: config not received from Pilot (is Pilot running?): cds updates: "
                      "0 successful, 0 rejected; lds updates: 0 successful, 0 rejected")  # fmt: skip
            elif answer == "ok":
                if version >= (1, 12):
                    write(at - ns(0.0004), f"Readiness succeeded in {(at - begun) / SECOND:.9f}s")
                write(at, "Envoy proxy is ready")
        if run.reason == "Completed" and pod.stopped:
            write(pod.stopped + ns(0.01), "Status server has successfully terminated")
            write(pod.stopped + ns(0.02), "Agent draining Proxy")
            write(run.ended - ns(0.03), "Graceful termination period complete, terminating remaining proxies.", "warn")
            write(run.ended, "Agent has successfully terminated")
    return entries


def events(pod: Pod, rng: np.random.Generator, ids: Ids, *, kubelet: str, legacy: bool, lost: float) -> list[dict]:
    """The pod's events as log entries: counted, filtered for spam, lost, as the kubelet and the exporter do."""
    told: dict[tuple, dict] = {}
    tokens, last = float(BURST), None
    entries = []
    for at, reason, container, message, kind in sorted(_happenings(pod, kubelet), key=lambda item: (item[0], item[1])):
        if reason != "Scheduled":
            tokens = min(BURST, tokens + (at - last) / REFILL) if last is not None else tokens
            last = at
            if tokens < 1:
                continue
            tokens -= 1
        key = (reason, container and container.name, message)
        first = told.setdefault(key, {"at": at, "uid": f"{int(rng.integers(2**48)):012x}", "count": 0})
        first["count"] += 1
        if rng.random() < lost:
            continue
        entries.append(_event(pod, at, first, reason, container, message, kind, rng, ids, legacy))
    return entries


def _happenings(pod: Pod, kubelet: str):
    """(time, reason, container, message, type) of everything that makes an event."""
    newest = kubelet >= "1.35"
    where = f"{pod.workload.namespace}/{pod.name}"
    yield pod.scheduled, "Scheduled", None, f"Successfully assigned {where} to {pod.node}", "Normal"
    for item in pod.containers:
        for at in item.pull_failures:
            yield at, "Failed", item, f'Failed to pull image "{item.image}": not found', "Warning"
        for run in item.runs:
            present = f'Container image "{item.image}" already present on machine'
            yield min(item.pulled or run.created, run.created), "Pulled", item, present, "Normal"
            created = "Container created" if newest else f"Created container {item.name}"
            begun = "Container started" if newest else f"Started container {item.name}"
            yield run.created, "Created", item, created, "Normal"
            yield run.started + ns(0.004), "Started", item, begun, "Normal"
    if pod.has("istio-proxy"):
        proxy = pod.container("istio-proxy")
        native = minor(pod.workload.version) >= (1, 20)
        for at, answer in pod.probes:
            if answer == "ok":
                continue
            what = "Startup" if native else "Readiness"
            url = f'Get "http://{pod.ip}:15021/healthz/ready": dial tcp {pod.ip}:15021: connect: connection refused'
            text = "HTTP probe failed with statuscode: 503" if answer == "503" else url
            yield at + ns(0.002), "Unhealthy", proxy, f"{what} probe failed: {text}", "Warning"
        if pod.hold_failed:
            yield pod.hold_failed, "FailedPostStartHook", proxy, "PostStart hook failed", "Warning"
            yield pod.hold_failed + ns(0.01), "Killing", proxy, "FailedPostStartHook", "Normal"
    if pod.stopped:
        for item in pod.containers:
            if item.kind == "regular" and item.runs:
                yield pod.stopped, "Killing", item, f"Stopping container {item.name}", "Normal"


def _event(pod, at, first, reason, container, message, kind, rng, ids, legacy) -> dict:
    row = entry(pod, at // SECOND * SECOND, ids, "events", None, legacy=legacy, lag=rng.uniform(1, 10))
    path = "initContainers" if container and container.kind == "init" else "containers"
    about = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": pod.workload.namespace, "uid": pod.uid}
    row["jsonPayload"] = {
        "apiVersion": "v1",
        "eventTime": None,
        "involvedObject": about | ({"fieldPath": f"spec.{path}{{{container.name}}}"} if container else {}),
        "kind": "Event",
        "lastTimestamp": second(at),
        "message": message,
        "metadata": {
            "creationTimestamp": second(first["at"]),
            "name": f"{pod.name}.{first['at']:x}",
            "namespace": pod.workload.namespace,
            "uid": first["uid"],
        },
        "reason": reason,
        "source": {"component": "kubelet" if container else "default-scheduler", "host": pod.node},
        "type": kind,
    }
    row["severity"] = "WARNING" if kind == "Warning" else "INFO"
    return row


def pod_object(pod: Pod) -> dict:
    """The Pod as `kubectl get pods -o json` shows it at the end."""
    work = pod.workload
    arguments = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*"]
    arguments += ["-x", METADATA, "-b", "*", "-d", "15090,15021,15020"]
    arguments += ["-o", str(pod.excluded_port)] if pod.excluded_port else []
    arguments += ["--run-validation", "--skip-rule-apply"] if pod.cni else []
    spec = {"nodeName": pod.node, "restartPolicy": "Always"}
    for key, kind in (("initContainers", "init"), ("containers", "regular")):
        spec[key] = [_container(item, pod, arguments) for item in pod.containers if item.kind == kind]
    annotations = {}
    if pod.meshed:
        mine = [item["name"] for item in spec["initContainers"] if item["name"].startswith("istio")]
        annotations["sidecar.istio.io/status"] = json.dumps({"initContainers": mine, "containers": ["istio-proxy"]})
    if pod.hold:
        annotations["proxy.istio.io/config"] = '{ "holdApplicationUntilProxyStarts": true }'
    hashed = pod.name.rsplit("-", 2)[1] if work.controller == "Deployment" else None
    owner = {"Deployment": ("ReplicaSet", f"{work.name}-{hashed}"), "StatefulSet": ("StatefulSet", work.name)}
    kind, name = owner[work.controller]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": annotations,
            "creationTimestamp": second(pod.created),
            "labels": {"app": work.name} | ({"pod-template-hash": hashed} if hashed else {}),
            "name": pod.name,
            "namespace": work.namespace,
            "ownerReferences": [{"apiVersion": "apps/v1", "controller": True, "kind": kind, "name": name}],
            "uid": pod.uid,
        },
        "spec": spec,
        "status": _status(pod),
    }


def _container(item: Container, pod: Pod, arguments: list[str]) -> dict:
    spec = {"image": item.image, "name": item.name}
    if item.name in ("istio-init", "istio-validation"):
        spec["args"] = arguments
    if item.name == "istio-proxy":
        port = 15020 if minor(pod.workload.version) <= (1, 5) else 15021
        spec["readinessProbe"] = {"httpGet": {"path": "/healthz/ready", "port": port}, "periodSeconds": 2}
        if pod.hold:
            spec["lifecycle"] = {"postStart": {"exec": {"command": ["pilot-agent", "wait"]}}}
        if pod.native:
            spec["restartPolicy"] = "Always"
    return spec


def _status(pod: Pod) -> dict:
    ready = [at for at, answer in pod.probes if answer == "ok"]
    started = pod.has("app") and pod.container("app").runs
    stalled = not started
    conditions = [{"lastTransitionTime": second(pod.scheduled), "status": "True", "type": "PodScheduled"}]
    done = bool(started) and (not pod.meshed or bool(ready))
    if done:
        latest = max([pod.container("app").runs[0].started, *ready[-1:]]) + ns(0.05)
        conditions.append({"lastTransitionTime": second(latest), "status": "True", "type": "Ready"})
    return {
        "conditions": conditions,
        "containerStatuses": [_state(item) for item in pod.containers if item.kind == "regular"],
        "initContainerStatuses": [_state(item) for item in pod.containers if item.kind == "init"],
        "phase": "Pending" if stalled else "Running",
        "podIP": pod.ip,
    }


def _state(item: Container) -> dict:
    state: dict = {"waiting": {"reason": "PodInitializing" if not item.pull_failures else "ImagePullBackOff"}}
    last: dict = {}
    if item.runs:
        run = item.runs[-1]
        state = {"running": {"startedAt": second(run.started)}}
        if run.ended:
            state = {"terminated": _ended(run)}
        if len(item.runs) > 1:
            last = {"terminated": _ended(item.runs[-2])}
    return {
        "lastState": last,
        "name": item.name,
        "ready": "running" in state,
        "restartCount": max(len(item.runs) - 1, 0),
        "state": state,
    }


def _ended(run) -> dict:
    return {
        "exitCode": run.exit_code,
        "finishedAt": second(run.ended),
        "reason": run.reason,
        "startedAt": second(run.started),
    }
