"""What a remedy must know of a workload, gathered from its starts, errors and pod specs."""

import json
from dataclasses import dataclass

import pandas as pd

from meshlogs.timelines import minor_version


@dataclass(frozen=True)
class Workload:
    """One workload that was harmed by, or exposed to, the start-up race."""

    name: str
    namespace: str | None
    cluster: str | None
    controller: str | None
    harmed: int
    exposed: int
    at_risk: int
    errors: int
    oldest_version: tuple[int, int] | None
    hold: bool | None  # the hook is in its pods: True in any, False in all that are known
    restart_policy: str | None
    proxy_config: str | None  # existing annotation proxy.istio.io/config
    proxy_hook: str | None  # a postStart hook of the proxy that is not the one that holds
    windows: tuple[tuple[float, float], ...]  # seconds, lower and upper, of harmed and exposed starts


def workloads(starts: pd.DataFrame, errors: pd.DataFrame, pods: pd.DataFrame) -> list[Workload]:
    """The workloads with a harmed or exposed start, sorted by namespace and name."""
    key = ["cluster", "namespace", "workload"]
    found = []
    raced = errors[errors["verdict"] == "startup_race"]
    for names, group in starts.groupby(key, dropna=False, sort=True):
        hit = group[group["outcome"].isin(["harmed", "exposed"])]
        if hit.empty:
            continue
        versions = [version for version in map(minor_version, group["proxy_version"]) if version]
        holds = group["hold"].dropna()
        specs = pods[pods["pod_uid"].isin(group["pod_uid"].dropna()) | pods["pod"].isin(group["pod"])]
        specs = specs[specs["spec"].notna() & specs["namespace"].isin(group["namespace"])]
        windows = hit[["window_lower_s", "window_upper_s"]].dropna()
        cluster, namespace, name = (value if isinstance(value, str) else None for value in names)
        found.append(
            Workload(
                name=name or "",
                namespace=namespace,
                cluster=cluster,
                controller=next(iter(group["controller"].dropna()), None),
                harmed=int((group["outcome"] == "harmed").sum()),
                exposed=int((group["outcome"] == "exposed").sum()),
                at_risk=int(group["at_risk"].sum()),
                errors=int(raced["start_id"].isin(group["start_id"]).sum()),
                oldest_version=min(versions, default=None),
                hold=bool(holds.any()) if len(holds) else None,
                restart_policy=_first(specs, lambda spec, _: spec.get("restart_policy"), "spec"),
                proxy_config=_first(specs, lambda notes, _: notes.get("proxy.istio.io/config"), "annotations"),
                proxy_hook=_first(specs, _other_hook, "spec"),
                windows=tuple(windows.itertuples(index=False, name=None)),
            )
        )
    return found


def _first(specs: pd.DataFrame, read, column: str):
    """The first answer that `read` gives for these pods, newest pod first."""
    for row in specs.sort_values("created", ascending=False, kind="stable").itertuples():
        text = getattr(row, column)
        answer = read(json.loads(text), row) if isinstance(text, str) else None
        if answer:
            return answer
    return None


def _other_hook(spec: dict, row) -> str | None:
    hooks = [item.get("post_start") for item in spec.get("containers", []) if item.get("name") == "istio-proxy"]
    return hooks[0] if hooks and hooks[0] and row.hold_hook is not True else None
