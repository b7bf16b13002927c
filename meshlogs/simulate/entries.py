"""The frame of every log entry: resource, labels, ids and times, as the node's agent and the exporter fill them."""

from dataclasses import dataclass

import numpy as np

from meshlogs import times
from meshlogs.simulate.process import SECOND, Pod, ns

PROJECT, LOCATION = "made-up", "europe-west1"


def stamp(at: int) -> str:
    """RFC 3339 with nanoseconds."""
    return times.text(at)


def second(at: int) -> str:
    """RFC 3339, floored to the second, as Kubernetes writes times."""
    return times.text(at // SECOND * SECOND)


def decimals(at: int, count: int) -> str:
    """RFC 3339 with exactly so many decimals, floored.

    >>> decimals(1_500_000_000, 6), decimals(0, 3)
    ('1970-01-01T00:00:01.500000Z', '1970-01-01T00:00:00.000Z')
    """
    return f"{second(at)[:19]}.{at % SECOND:09d}"[: 20 + count] + "Z"


def micro(at: int) -> str:
    """RFC 3339 with microseconds, as the proxy writes."""
    return decimals(at, 6)


class Ids:
    """Insert ids, unique and in the order of writing."""

    def __init__(self, prefix: str):
        self._prefix, self._count = prefix, 0

    def next(self) -> str:
        """The next id."""
        self._count += 1
        return f"{self._prefix}{self._count:08d}"


@dataclass(frozen=True)
class Writer:
    """What entries of one pod have in common: the pod, its randomness, its ids, the generation of resources."""

    pod: Pod
    rng: np.random.Generator
    ids: Ids
    legacy: bool

    def entry(self, at: int, log: str, container: str | None, lag: float, severity: str) -> dict:
        """A LogEntry without its payload. `lag`: seconds until it was received."""
        row = {"insertId": self.ids.next()}
        row |= self._legacy(log, container) if self.legacy else self._current(log, container)
        row |= {"receiveTimestamp": stamp(at + ns(lag)), "severity": severity, "timestamp": stamp(at)}
        return row

    def _current(self, log: str, container: str | None) -> dict:
        work = self.pod.workload
        where = {"cluster_name": work.cluster, "location": LOCATION, "namespace_name": work.namespace}
        where |= {"pod_name": self.pod.name, "project_id": PROJECT}
        row = {"logName": f"projects/{PROJECT}/logs/{log}"}
        if not container:
            return row | {"resource": {"labels": where, "type": "k8s_pod"}}
        labels = {
            "compute.googleapis.com/resource_name": self.pod.node,
            "k8s-pod/app": work.name,
            "logging.gke.io/top_level_controller_name": work.name,
            "logging.gke.io/top_level_controller_type": work.controller,
        }
        labels |= {"k8s-pod/service_istio_io/canonical-name": work.name} if self.pod.meshed else {}
        resource = {"labels": where | {"container_name": container}, "type": "k8s_container"}
        return {"labels": labels} | row | {"resource": resource}

    def _legacy(self, log: str, container: str | None) -> dict:
        work = self.pod.workload
        where = {"cluster_name": work.cluster, "project_id": PROJECT}
        if not container:
            resource = {"labels": where | {"location": LOCATION}, "type": "gke_cluster"}
            return {"logName": f"projects/{PROJECT}/logs/{log}", "resource": resource}
        where |= {"container_name": container, "instance_id": "5925", "namespace_id": work.namespace}
        where |= {"pod_id": self.pod.name, "zone": LOCATION}
        labels = {
            "compute.googleapis.com/resource_name": "fluentd-gcp-v3.1.0-2bmxq",
            "container.googleapis.com/namespace_name": work.namespace,
            "container.googleapis.com/pod_name": self.pod.name,
            "container.googleapis.com/stream": log,
        }
        resource = {"labels": where, "type": "container"}
        return {"labels": labels, "logName": f"projects/{PROJECT}/logs/{container}", "resource": resource}
