"""What a pod's name, owner and labels say of its workload: its controller's name, kind and revision."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# The letters of generated suffixes, and the digits of a template hash as they are written with them.
# (kubernetes/apimachinery pkg/util/rand, SafeEncodeString)
_SUFFIX = "[bcdfghjklmnpqrstvwxz2456789]{5}"
_HASH = "[456789bcdf]{6,10}"

_DEPLOYMENT = re.compile(rf"(.+)-({_HASH})-{_SUFFIX}")
_CUT_DEPLOYMENT = re.compile(r"(.+)-[456789bcdf]{1,10}-?")
_NUMBERED = re.compile(r"(.+)-(\d{8,10})-([a-z0-9]{5})")
_SCHEDULED = re.compile(r"(.+)-(\d{8}|\d{10})")
_SUFFIXED = re.compile(rf"(.+)-{_SUFFIX}")
_ORDINAL = re.compile(r"(.+)-\d{1,5}")
_HASHED = re.compile(r"(.+)-([a-z0-9]{5,10})")

# A generated name is at most 63 letters: the base is cut to 58 before its suffix is added.
_LONGEST, _BASE = 63, 58
_LONGEST_NAME = 253

_CONTROLLER = "logging.gke.io/top_level_controller_"
_REVISION = ("pod-template-hash", "k8s-pod/pod-template-hash")
_ROLLOUT = ("rollouts-pod-template-hash", "k8s-pod/rollouts-pod-template-hash")


class Owner(NamedTuple):
    """A pod's workload: its name, its controller's kind, its revision (pod-template-hash); None: unknown."""

    workload: str | None
    controller: str | None
    revision: str | None


def workload_of(pod_name: str | None, owner: Mapping | None = None, labels: Mapping[str, str] | None = None) -> Owner:
    """`(workload, controller, revision)` of a pod: from labels and owner, else guessed from its name.

    `owner` is the controlling ownerReference (`kind`, `name`), `labels` those of the pod or of its log
    entries. A name alone leaves the kind of `name-xxxxx` open (DaemonSet, ReplicaSet or Job): None.

    >>> workload_of("post-feature-service-v1-67d56cdd-g7fvb")
    Owner(workload='post-feature-service-v1', controller='Deployment', revision='67d56cdd')
    >>> workload_of("redis-0").controller, workload_of("fluentbit-x7k2p").controller
    ('StatefulSet', None)
    """
    if not pod_name or len(pod_name) > _LONGEST_NAME:
        return Owner(pod_name or None, None, None)
    labels = labels or {}
    told = _label(labels, *_REVISION)
    guess = _from_name(pod_name)
    top = labels.get(_CONTROLLER + "name")
    if top:
        kind = labels.get(_CONTROLLER + "type")
        return Owner(top, kind, told or (guess.revision if kind in (None, "Deployment") else None))
    if owner and owner.get("name"):
        return _from_owner(pod_name, str(owner.get("kind")), str(owner["name"]), labels)
    if told and guess.controller is None:
        return _from_label(pod_name, told) or guess._replace(revision=told)
    return guess._replace(revision=told or guess.revision)


def _from_owner(pod_name: str, kind: str, name: str, labels: Mapping[str, str]) -> Owner:
    told = _label(labels, *_REVISION)
    if kind == "ReplicaSet":
        rollout = _label(labels, *_ROLLOUT)
        hashed = _HASHED.fullmatch(name)
        if hashed and (hashed[2] in (told, rollout) or re.fullmatch(rf"{_HASH}|\d{{8,10}}", hashed[2])):
            return Owner(hashed[1], "Rollout" if rollout else "Deployment", hashed[2])
        return Owner(name, "ReplicaSet", told)
    if kind == "Job":
        scheduled = _SCHEDULED.fullmatch(name)
        if scheduled and _is_minute(scheduled[2]):
            return Owner(scheduled[1], "CronJob", None)
    if kind == "Node":  # a static pod is named after its node
        return Owner(pod_name.removesuffix(f"-{name}"), "Pod", None)
    return Owner(name, kind, told)


def _from_name(name: str) -> Owner:
    """By the forms that controllers give to names.

    (kubernetes: pkg/controller/deployment, job, cronjob, statefulset; apimachinery pkg/util/rand)
    """
    if match := _DEPLOYMENT.fullmatch(name):
        return Owner(match[1], "Deployment", match[2])
    if len(name) == _LONGEST and (match := _CUT_DEPLOYMENT.fullmatch(name[:_BASE])):
        return Owner(match[1], "Deployment", None)  # its hash may be cut
    if match := _NUMBERED.fullmatch(name):
        if _is_minute(match[2]):
            return Owner(match[1], "CronJob", None)
        if len(match[2]) > 8:  # before 1.8 a template's hash was a decimal number
            return Owner(match[1], "Deployment", match[2])
    if match := _SUFFIXED.fullmatch(name):
        return Owner(match[1], None, None)
    if match := _ORDINAL.fullmatch(name):
        return Owner(match[1], "StatefulSet", None)
    return Owner(name, "Pod", None)


def _from_label(pod_name: str, told: str) -> Owner | None:
    base, found, _ = pod_name.rpartition(f"-{told}-")
    return Owner(base, "Deployment", told) if found and base else None


def _is_minute(digits: str) -> bool:
    """Whether a CronJob's number is a time: minutes (since 1.21) or seconds of a whole minute, 2014 to 2033."""
    number = int(digits)
    seconds = number * 60 if len(digits) == 8 else number
    return seconds % 60 == 0 and 1_388_534_400 <= seconds < 2_000_000_000


def _label(labels: Mapping[str, str], *names: str) -> str | None:
    return next((labels[name] for name in names if labels.get(name)), None)
