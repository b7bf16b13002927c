"""When containers and pods were scheduled, created, started, stopped: from events and pod objects."""

from __future__ import annotations

import json

import numpy as np

from meshlogs import schema, times
from meshlogs.columnar import joins
from meshlogs.formats.redirect import PROXY
from meshlogs.later import Later

pd = Later("pandas")

# Reasons of the kubelet and scheduler -> kind of evidence. (kubernetes: pkg/kubelet/events/event.go)
REASONS = {
    "Scheduled": "scheduled",
    "Pulling": "pulling",
    "Pulled": "pulled",
    "Created": "container_created",
    "Started": "container_started",
    "Killing": "container_killing",
    "FailedPostStartHook": "hold_failed",
    "FailedCreatePodSandBox": "sandbox_failed",
    "TaintManagerEviction": "pod_stopping",
    "Evicted": "pod_stopping",
    "Preempted": "pod_stopping",
}
PULL_FAILED = r"ErrImagePull|ImagePullBackOff|Back-off pulling image|Failed to pull image|ErrImageNeverPull"
RESTARTS = r"will be restarted|failed (?:liveness|startup) probe|unhealthy, it will be killed|killed and re-?created"

# A deleted pod's deletionTimestamp is the end of its grace period; where that is not stated, the default [s].
GRACE = 30


def from_events(events: pd.DataFrame) -> pd.DataFrame:
    """Life-cycle evidence of pod events; a counted event gives its first and its last occurrence."""
    rows = events[(events["kind"] == "Pod") & events["pod"].notna()]
    message = rows["message"].fillna("")
    kind = rows["reason"].map(REASONS).astype(object)
    image = message.str.contains(PULL_FAILED, regex=True)
    kind = kind.mask(rows["reason"].isin(["Failed", "BackOff"]) & image, "pull_failed")
    kind = kind.mask((rows["reason"] == "BackOff") & ~image, "container_backoff")
    # The hook that holds the application is the proxy's; without the container's name it may be.
    kind = kind.mask((kind == "hold_failed") & ~rows["container"].fillna(PROXY).eq(PROXY), None)
    killing = kind == "container_killing"
    value = pd.Series(None, index=rows.index, dtype=object)
    value = value.mask(killing, "stop")
    value = value.mask(killing & message.str.contains(RESTARTS, regex=True), "restart")
    value = value.mask(killing & message.str.contains("PostStart", regex=False), "post_start")
    rows = rows.assign(kind=kind, value=value, log_name="events")[kind.notna()]
    return occurrences(rows)


def occurrences(events: pd.DataFrame) -> pd.DataFrame:
    """Evidence rows of the last occurrence of each event, and of the first where that is another time."""
    first = events[events["first_lower"].notna() & (events["first_upper"] < events["time_lower"])]
    first = first.assign(time_lower=first["first_lower"], time_upper=first["first_upper"])
    return schema.conform(pd.concat([events, first], ignore_index=True), schema.EVIDENCE)


def from_pods(pods: pd.DataFrame) -> pd.DataFrame:
    """Life-cycle evidence of pod objects: conditions, container states, deletion.

    Times in pod objects are floored to the second, so each is an interval of one second.
    """
    facts = []
    for row in pods.to_dict("records"):
        identity = {name: _text(row[name]) for name in (*_IDENTITY, "source")}
        identity["log_name"] = "pods"
        identity["line"] = None if pd.isna(row["line"]) else int(row["line"])
        for fact in [*_conditions(row), *_states(row), *_deletion(row)]:
            facts.append(identity | fact)
    return schema.conform(facts, schema.EVIDENCE)


_IDENTITY = ("project", "location", "cluster", "namespace", "pod", "pod_uid")


def _conditions(row: dict) -> list[dict]:
    kinds = {"PodScheduled": "scheduled", "Initialized": "initialized", "Ready": "pod_ready"}
    facts = []
    for condition in json.loads(_text(row["conditions"]) or "[]"):
        kind = kinds.get(condition.get("type"))
        if kind and condition.get("status") == "True":
            facts += _at(condition.get("time"), kind=kind, value="condition", message=_describe(condition))
    return facts


def _describe(condition: dict) -> str:
    return f"condition {condition.get('type')}={condition.get('status')} since {condition.get('time')}"


def _states(row: dict) -> list[dict]:
    facts = []
    for container in json.loads(_text(row["container_states"]) or "[]"):
        common = {"container": container.get("name"), "container_kind": container.get("kind")}
        restarts = container.get("restart_count") or 0
        for state, number in (
            (container.get("state"), restarts),
            (container.get("last_state"), restarts - 1),
        ):
            running = (state or {}).get("running") or {}
            ended = (state or {}).get("terminated") or {}
            started = running.get("startedAt") or ended.get("startedAt")
            facts += _at(
                started,
                kind="container_started",
                value=str(max(number, 0)),
                message=f"status of {container.get('name')}: startedAt {started}, restart {number}",
                **common,
            )
            facts += _at(
                ended.get("finishedAt"),
                kind="container_died",
                value=f"{ended.get('reason') or 'exit'} {ended.get('exitCode', '')}".strip(),
                message=f"status of {container.get('name')}: finishedAt {ended.get('finishedAt')}, "
                f"{ended.get('reason')}, exit code {ended.get('exitCode')}",
                **common,
            )
    return facts


def _deletion(row: dict) -> list[dict]:
    if pd.isna(row["deleted"]):
        return []
    until = row["deleted"].value
    grace = json.loads(_text(row["spec"]) or "{}").get("deletion_grace_s")
    lower, upper = until - (GRACE if grace is None else grace) * times.SECOND, until + times.SECOND - 1
    return [
        {
            "kind": "pod_stopping",
            "time_lower": lower,
            "time_upper": upper,
            "message": f"deletionTimestamp {times.text(until)}",
        }
    ]


def _at(stamp: str | None, **fact) -> list[dict]:
    lower, upper = times.second_interval(times.parse_ns(stamp))
    return [] if lower == times.NAT else [{"time_lower": lower, "time_upper": upper, **fact}]


def _text(value) -> str | None:
    return value if isinstance(value, str) else None


def restarted(value: pd.Series) -> np.ndarray:
    """Whether these `container_started` values name a later start than the container's first."""
    told, which = joins.questions(value.to_frame("value"), ["value"])
    return (pd.to_numeric(joins.texts_of(told["value"]), errors="coerce").fillna(0).to_numpy() > 0)[which]
