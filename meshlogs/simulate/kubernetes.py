"""What Kubernetes keeps of a pod: events, as the kubelet writes and the exporter exports them, and the pod object."""

import json
from collections import defaultdict
from dataclasses import dataclass

from meshlogs.simulate.entries import LOCATION, PROJECT, Writer, decimals, second, stamp
from meshlogs.simulate.process import METADATA, SECOND, Container, Pod, Pull, Run, minor, ns

# The kubelet's spam filter: a burst of 25 events a pod, then one every 300 s. Its aggregation: events of one reason
# that differ in their message only, from the tenth on within 600 s. (client-go tools/record/events_cache.go)
BURST, REFILL = 25, 300 * SECOND
SIMILAR, SIMILAR_WITHIN = 10, 600 * SECOND
COMBINED = "(combined from similar events): "


@dataclass(frozen=True)
class Happening:
    """Something that makes an event."""

    time: int
    reason: str
    container: Container | None
    message: str
    type: str = "Normal"


@dataclass
class Kept:
    """An event object: repeats of the same are counted on it."""

    first: int
    uid: str
    count: int = 0
    created: int | None = None


def event_objects(writer: Writer, kubelet: str) -> list[tuple[int, dict]]:
    """(time written, the Event as it then was) of the pod: counted, combined and filtered as client-go does."""
    kept: dict[tuple, Kept] = {}
    similar: dict[tuple, list[tuple[int, str]]] = defaultdict(list)
    tokens, last, written = float(BURST), None, []
    for happening in sorted(_happenings(writer, kubelet), key=lambda one: (one.time, one.reason)):
        place = happening.container and happening.container.name
        message, scheduled = happening.message, happening.reason == "Scheduled"
        recent = [one for one in similar[happening.reason, place] if happening.time - one[0] <= SIMILAR_WITHIN]
        similar[happening.reason, place] = [*recent, (happening.time, message)]
        combined = len({text for _, text in similar[happening.reason, place]}) >= SIMILAR
        key = (happening.reason, place, None if combined else message)
        new = Kept(happening.time, _uid(writer))
        event = kept.setdefault(key, new)
        event.count += 1
        if not scheduled:
            tokens = min(BURST, tokens + (happening.time - last) / REFILL) if last is not None else tokens
            last = happening.time
            if tokens < 1:
                continue
            tokens -= 1
        event.created = event.created or happening.time
        text = COMBINED + message if combined else message
        written.append((happening.time, _event(writer.pod, happening, event, text, kubelet)))
    return written


def event_entries(writer: Writer, objects: list[tuple[int, dict]], lost: float) -> list[dict]:
    """The events as entries of the log `events`, some of them lost; the exporter drops count and firstTimestamp."""
    entries = []
    for at, event in objects:
        lag = writer.rng.uniform(0.5, 10)
        if writer.rng.random() < lost:
            continue
        severity = "WARNING" if event["type"] == "Warning" else "INFO"
        # Without lastTimestamp there is no time for the entry, and the time of its arrival is taken.
        known = at // SECOND * SECOND if event["lastTimestamp"] else at + ns(lag)
        row = writer.entry(known, "events", None, lag if event["lastTimestamp"] else 0.0, severity)
        row["jsonPayload"] = {key: event[key] for key in event if key not in ("count", "firstTimestamp")}
        entries.append(row)
    return entries


def exporter_marker(at: int, cluster: str, insert_id: str) -> dict:
    """The entry by which an event exporter says that it has just begun to watch."""
    return {
        "insertId": insert_id,
        "logName": f"projects/{PROJECT}/logs/events",
        "receiveTimestamp": stamp(at + ns(1)),
        "resource": {
            "labels": {"cluster_name": cluster, "location": LOCATION, "project_id": PROJECT},
            "type": "k8s_cluster",
        },
        "severity": "WARNING",
        "textPayload": "Event exporter started watching. Some events may have been lost up to this point.",
        "timestamp": stamp(at),
    }


def _uid(writer: Writer) -> str:
    return "-".join(f"{int(writer.rng.integers(16**width)):0{width}x}" for width in (8, 4, 4, 4, 12))


def _event(pod: Pod, happening: Happening, kept: Kept, message: str, kubelet: str) -> dict:
    container, new_scheduler = happening.container, happening.reason == "Scheduled" and minor(kubelet) >= (1, 19)
    about = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "namespace": pod.workload.namespace, "uid": pod.uid}
    if container:
        path = "initContainers" if container.kind == "init" else "containers"
        about["fieldPath"] = f"spec.{path}{{{container.name}}}"
    component = "default-scheduler" if happening.reason == "Scheduled" else "kubelet"
    source = {"component": component} | ({} if component == "default-scheduler" else {"host": pod.node})
    return {
        "apiVersion": "v1",
        "count": None if new_scheduler else kept.count,
        "eventTime": decimals(happening.time, 6) if new_scheduler else None,
        "firstTimestamp": None if new_scheduler else second(kept.first),
        "involvedObject": about,
        "kind": "Event",
        "lastTimestamp": None if new_scheduler else second(happening.time),
        "message": message,
        "metadata": {
            "creationTimestamp": second(kept.created or happening.time),
            "name": f"{pod.name}.{kept.first:x}",
            "namespace": pod.workload.namespace,
            "resourceVersion": str(happening.time // 1_000_000 % 10**9),
            "uid": kept.uid,
        },
        "reason": happening.reason,
        "reportingComponent": component if new_scheduler or minor(kubelet) >= (1, 27) else "",
        "reportingInstance": pod.node if component == "kubelet" and minor(kubelet) >= (1, 27) else "",
        "source": {} if new_scheduler else source,
        "type": happening.type,
    }


def _happenings(writer: Writer, kubelet: str):
    """Everything that makes an event, in no order."""
    pod = writer.pod
    where = f"{pod.workload.namespace}/{pod.name}"
    yield Happening(pod.scheduled, "Scheduled", None, f"Successfully assigned {where} to {pod.node}")
    for container in pod.containers:
        yield from _pulling(container, minor(kubelet))
        for run in container.runs:
            yield from _starting(container, run, minor(kubelet))
        for at in container.back_offs:
            text = "Back-off restarting failed container"
            if minor(kubelet) >= (1, 27):
                text += f" {container.name} in pod {pod.name}_{pod.workload.namespace}({pod.uid})"
            yield Happening(at, "BackOff", container, text, "Warning")
    yield from _probing(writer, minor(kubelet))
    if pod.hold_failed:
        yield from _hook_failing(pod, minor(kubelet))
    if pod.stopped:
        for number, container in enumerate(pod.containers):
            if container.kind == "regular" and container.runs and (container.runs[-1].ended or 0) >= pod.stopped:
                # Never two at the same nanosecond: their names would be one.
                at = pod.stopped + number * 41_000
                yield Happening(at, "Killing", container, f"Stopping container {container.name}")


def _pulling(container: Container, kubelet: tuple[int, int]):
    image = container.image
    for pull in container.pulls:
        word = "pulling" if kubelet < (1, 14) else "Pulling"
        yield Happening(pull.begun, "Pulling", container, f'{word} image "{image}"')
        yield from _pulled(container, pull, kubelet)
    if not container.pulls:
        suffix = " and can be accessed by the pod" if kubelet >= (1, 35) else ""
        for run in container.runs:
            text = f'Container image "{image}" already present on machine{suffix}'
            yield Happening(run.created - ns(0.012), "Pulled", container, text)


def _pulled(container: Container, pull: Pull, kubelet: tuple[int, int]):
    image = container.image
    if not pull.worked:
        error = (
            f'Failed to pull image "{image}": rpc error: code = NotFound desc = failed to resolve reference "{image}"'
        )
        yield Happening(pull.ended, "Failed", container, error, "Warning")
        yield Happening(pull.ended + ns(0.001), "Failed", container, "Error: ErrImagePull", "Warning")
        yield Happening(pull.ended + ns(1.1), "BackOff", container, f'Back-off pulling image "{image}"')
        yield Happening(pull.ended + ns(1.101), "Failed", container, "Error: ImagePullBackOff", "Warning")
        return
    took = (
        f"{(pull.ended - pull.begun) / SECOND:.9f}s"
        if kubelet < (1, 28)
        else f"{(pull.ended - pull.begun) / SECOND:.3f}s"
    )
    text = f'Successfully pulled image "{image}"'
    text += f" in {took}" if kubelet >= (1, 20) else ""
    text += f" ({took} including waiting)" if kubelet >= (1, 27) else ""
    text += ". Image size: 51234567 bytes." if kubelet >= (1, 30) else ""
    yield Happening(pull.ended, "Pulled", container, text)


def _starting(container: Container, run: Run, kubelet: tuple[int, int]):
    name = container.name
    created, started = f"Created container {name}", f"Started container {name}"
    if kubelet < (1, 14):
        created, started = "Created container", "Started container"
    elif kubelet >= (1, 35):
        created, started = "Container created", "Container started"
    elif kubelet >= (1, 32):
        created = f"Created container: {name}"
    yield Happening(run.created, "Created", container, created)
    yield Happening(run.started + ns(0.004), "Started", container, started)


def _probing(writer: Writer, kubelet: tuple[int, int]):
    pod, version = writer.pod, minor(writer.pod.workload.version)
    kind, port = "Startup" if version >= (1, 20) else "Readiness", 15020 if version <= (1, 5) else 15021
    quote = '"' if kubelet >= (1, 19) else ""
    url = f"http://{pod.ip}:{port}/healthz/ready"
    for probe in pod.probes:
        if probe.answer == "ok" or probe.asker != "kubelet":
            continue
        refused = f"Get {quote}{url}{quote}: dial tcp {pod.ip}:{port}: connect: connection refused"
        text = "HTTP probe failed with statuscode: 503" if probe.answer == "503" else refused
        proxy = pod.container("istio-proxy")
        yield Happening(probe.time + ns(0.002), "Unhealthy", proxy, f"{kind} probe failed: {text}", "Warning")
    for at in pod.app_probes:
        node = f"10.4.0.1:{int(writer.rng.integers(32768, 60999))}"
        url = f"http://{pod.ip}:15020/app-health/app/readyz"
        text = f"Get {quote}{url}{quote}: read tcp {node}->{pod.ip}:15020: read: connection reset by peer"
        yield Happening(at, "Unhealthy", pod.container("app"), f"Readiness probe failed: {text}", "Warning")


def _hook_failing(pod: Pod, kubelet: tuple[int, int]):
    proxy, text = pod.container("istio-proxy"), "PostStartHook failed"
    if kubelet < (1, 27):
        who = f'Container "istio-proxy" in Pod "{pod.name}_{pod.workload.namespace}({pod.uid})"'
        why = "Error: timeout waiting for Envoy proxy to become ready. Last error: Get "
        why += '"http://localhost:15021/healthz/ready": dial tcp 127.0.0.1:15021: connect: connection refused'
        text = f"Exec lifecycle hook ([pilot-agent wait]) for {who} failed - error: command 'pilot-agent wait' exited"
        text += f" with 255: {why}"
    yield Happening(pod.hold_failed, "FailedPostStartHook", proxy, text, "Warning")
    yield Happening(pod.hold_failed + ns(0.01), "Killing", proxy, "FailedPostStartHook")


def pod_object(pod: Pod) -> dict:
    """The Pod as `kubectl get pods -o json` shows it at the end of its recorded life."""
    work = pod.workload
    spec = {"nodeName": pod.node, "restartPolicy": "Always"}
    for key, kind in (("initContainers", "init"), ("containers", "regular")):
        spec[key] = [_container(item, pod) for item in pod.containers if item.kind == kind]
    # The name of a Deployment's pod holds its hash; that of a StatefulSet's holds none.
    hashed = pod.name.rsplit("-", 2)[1] if work.controller == "Deployment" else None
    kind, name = ("ReplicaSet", f"{work.name}-{hashed}") if hashed else ("StatefulSet", work.name)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": _annotations(pod),
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


def _annotations(pod: Pod) -> dict[str, str]:
    if not pod.meshed:
        return {}
    names = {kind: [item.name for item in pod.containers if item.kind == kind] for kind in ("init", "regular")}
    mine = {kind: [name for name in names[kind] if name.startswith("istio-")] or None for kind in names}
    status = {"containers": mine["regular"], "imagePullSecrets": None, "initContainers": mine["init"]}
    found = {"sidecar.istio.io/status": json.dumps(status | {"revision": "default"})}
    if pod.hold:
        found["proxy.istio.io/config"] = '{ "holdApplicationUntilProxyStarts": true }'
    traffic, rules = "traffic.sidecar.istio.io/", pod.redirection
    if rules.excluded_ports:
        found[traffic + "excludeOutboundPorts"] = ",".join(map(str, rules.excluded_ports))
    own = [network for network in rules.excluded if network != f"{METADATA.ip}/32"]
    if own:
        found[traffic + "excludeOutboundIPRanges"] = ",".join(own)
    if rules.included != ("*",):
        found[traffic + "includeOutboundIPRanges"] = ",".join(rules.included)
    return found


def _arguments(pod: Pod) -> list[str]:
    """What the container that sets the rules is called with: the truth about the redirection."""
    rules = pod.redirection
    words = ["istio-iptables", "-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT"]
    words += ["-i", ",".join(rules.included), "-x", ",".join(rules.excluded), "-b", "*", "-d", "15090,15021,15020"]
    words += ["-o", ",".join(map(str, rules.excluded_ports))] if rules.excluded_ports else []
    return words + (["--run-validation", "--skip-rule-apply"] if pod.cni else [])


def _container(item: Container, pod: Pod) -> dict:
    spec = {"image": item.image, "name": item.name}
    if item.name in ("istio-init", "istio-validation"):
        spec["args"] = _arguments(pod)
    if item.name != "istio-proxy":
        return spec
    version = minor(pod.workload.version)
    get = {"httpGet": {"path": "/healthz/ready", "port": 15020 if version <= (1, 5) else 15021}}
    if version >= (1, 20):
        spec["startupProbe"] = get | {"failureThreshold": 600, "periodSeconds": 1, "timeoutSeconds": 3}
        spec["readinessProbe"] = get | {"failureThreshold": 4, "periodSeconds": 15, "timeoutSeconds": 3}
    else:
        spec["readinessProbe"] = get | {"failureThreshold": 30, "initialDelaySeconds": 1, "periodSeconds": 2}
    if pod.hold:
        spec["lifecycle"] = {"postStart": {"exec": {"command": ["pilot-agent", "wait"]}}}
    if pod.native:
        spec["restartPolicy"] = "Always"
    return spec


def _status(pod: Pod) -> dict:
    app, conditions = pod.runs("app"), [_condition("PodScheduled", pod.scheduled)]
    inits = [item for item in pod.containers if item.kind == "init"]
    regular = [item for item in pod.containers if item.kind == "regular"]
    begun = [item.runs[0].started for item in regular if item.runs]
    if begun or not inits:
        conditions.append(_condition("Initialized", min(begun, default=pod.scheduled)))
    else:
        waiting = [item.name for item in inits if not (item.runs and item.runs[-1].ended)]
        conditions.append(_condition("Initialized", pod.scheduled, "ContainersNotInitialized", waiting))
    # Ready when the last container became so; the kubelet notices a little later.
    ready = _proxy_ready(pod)
    times = [*(run.started for item in regular for run in item.runs[-1:]), *([ready] if ready else [])]
    if app and app[-1].ended is None and (not pod.meshed or ready):
        conditions += [_condition(kind, max(times) + ns(0.05)) for kind in ("ContainersReady", "Ready")]
    else:
        not_ready = [item.name for item in regular if not item.runs or item.runs[-1].ended]
        why = ("ContainersNotReady", not_ready or ["istio-proxy"])
        conditions += [_condition(kind, pod.scheduled, *why) for kind in ("ContainersReady", "Ready")]
    return {
        "conditions": conditions,
        "containerStatuses": [_state(item, pod) for item in regular],
        "initContainerStatuses": [_state(item, pod) for item in inits],
        "phase": "Running" if begun else "Pending",
        "podIP": pod.ip,
        "startTime": second(pod.scheduled + ns(0.01)),
    }


def _proxy_ready(pod: Pod) -> int | None:
    """When the proxy of the last life was found ready by the kubelet, if it was."""
    envoy = pod.envoys[-1] if pod.envoys else None
    if envoy is None or envoy.opened is None or envoy.died is not None:
        return None
    found = [one.time for one in pod.probes if one.answer == "ok" and one.time >= envoy.opened]
    return max(found, default=None)


def _condition(kind: str, at: int, reason: str | None = None, names: list[str] | None = None) -> dict:
    row = {"lastProbeTime": None, "lastTransitionTime": second(at), "status": "False" if reason else "True"}
    if reason:
        word = "incomplete" if kind == "Initialized" else "unready"
        row |= {"message": f"containers with {word} status: [{' '.join(names or [])}]", "reason": reason}
    return row | {"type": kind}


def _state(item: Container, pod: Pod) -> dict:
    failing = item.pulls and not item.pulls[-1].worked
    state: dict = {"waiting": {"reason": "ImagePullBackOff" if failing else "PodInitializing"}}
    last: dict = {}
    if item.runs:
        run = item.runs[-1]
        state = {"terminated": _ended(run)} if run.ended else {"running": {"startedAt": second(run.started)}}
        last = {"terminated": _ended(item.runs[-2])} if len(item.runs) > 1 else {}
    running = "running" in state
    passed = running and (item.name != "istio-proxy" or _proxy_ready(pod) is not None)
    return {
        "image": item.image,
        "lastState": last,
        "name": item.name,
        "ready": passed if item.kind == "regular" or item.name == "istio-proxy" else not running and bool(item.runs),
        "restartCount": max(len(item.runs) - 1, 0),
        "started": passed,
        "state": state,
    }


def _ended(run: Run) -> dict:
    return {
        "exitCode": run.exit_code,
        "finishedAt": second(run.ended),
        "reason": run.reason,
        "startedAt": second(run.started),
    }
