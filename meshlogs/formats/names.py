"""The workload behind a pod: from its owner and labels, else guessed from its name."""

import re
from typing import NamedTuple

# Generated suffixes have no vowels and no 0, 1, 3; a pod-template-hash maps each digit of a number to
# one of ten of those letters. (kubernetes/apimachinery: pkg/util/rand, SafeEncodeString)
_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
_HASH = "[456789bcdf]{6,10}"
_RULES = (
    # A CronJob's Job ends in the minutes (8 digits; before 1.21 seconds, 10 digits) since the epoch.
    (re.compile(rf"(.+)-(?:\d{{8}}|\d{{10}})-{_SUFFIX}"), "CronJob"),
    (re.compile(rf"(.+)-({_HASH})-{_SUFFIX}"), "Deployment"),
    # Up to Kubernetes 1.7 the hash was a decimal number and the suffix any letters and digits.
    (re.compile(r"(.+)-(\d{8,10})-[a-z0-9]{5}"), "Deployment"),
    (re.compile(r"(.+)-\d{1,4}"), "StatefulSet"),
    (re.compile(rf"(.+)-{_SUFFIX}"), "DaemonSet"),
)
_TYPE_LABEL, _NAME_LABEL = "logging.gke.io/top_level_controller_type", "logging.gke.io/top_level_controller_name"


class Workload(NamedTuple):
    """The controller of a pod: its name, kind, and the revision (pod-template-hash) where there is one."""

    name: str | None
    controller: str | None
    revision: str | None


def workload_of(pod: str | None, owner: tuple[str, str] | None = None, labels: dict | None = None) -> Workload:
    """The workload of a pod, from its owner (kind, name) and labels, else guessed from its name.

    >>> workload_of("post-feature-service-v1-67d56cdd-g7fvb")
    Workload(name='post-feature-service-v1', controller='Deployment', revision='67d56cdd')
    >>> workload_of("web-0", owner=("StatefulSet", "web"))
    Workload(name='web', controller='StatefulSet', revision=None)
    """
    labels = labels or {}
    revision = labels.get("pod-template-hash")
    if owner:
        return _of_owner(*owner, revision)
    if labels.get(_NAME_LABEL):
        return Workload(labels[_NAME_LABEL], labels.get(_TYPE_LABEL), revision)
    for pattern, kind in _RULES if isinstance(pod, str) else ():
        match = pattern.fullmatch(pod)
        if match:
            return Workload(match.group(1), kind, match.group(2) if kind == "Deployment" else None)
    return Workload(pod, "Pod" if pod else None, None)


def _of_owner(kind: str, name: str, revision: str | None) -> Workload:
    if kind == "ReplicaSet":
        hashed = re.fullmatch(rf"(.+)-({re.escape(revision) if revision else _HASH})", name)
        return Workload(hashed.group(1), "Deployment", hashed.group(2)) if hashed else Workload(name, kind, revision)
    if kind == "Job":
        cron = re.fullmatch(r"(.+)-(?:\d{8}|\d{10})", name)
        return Workload(cron.group(1), "CronJob", None) if cron else Workload(name, kind, None)
    return Workload(name, kind, revision)
