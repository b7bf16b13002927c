"""A labelled, made-up fleet in real export forms: true times first, then what each source records of them.

It knows nothing of the analysis, and the analysis nothing of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from meshlogs import times, written
from meshlogs.simulate.entries import Ids, Writer
from meshlogs.simulate.export import HOUR, write_list, write_shards
from meshlogs.simulate.kubernetes import event_entries, event_objects, exporter_marker, pod_object
from meshlogs.simulate.logs import app_logs, proxy_logs
from meshlogs.simulate.process import Pod, ns
from meshlogs.simulate.stories import MIX, make_fleet
from meshlogs.simulate.truth import error_rows, start_row, write_truth

SOURCES = ("app_logs", "proxy_logs", "events", "pod_specs")


@dataclass
class Recorded:
    """What the sources recorded of a fleet."""

    entries: list[dict] = field(default_factory=list)
    events: list[dict] = field(default_factory=list)  # as kubectl would list them, at their last update
    errors: list[dict] = field(default_factory=list)  # the truth of what was printed


def simulate_fleet(
    out: str | Path,
    *,
    pods: int = 100,
    seed: int = 0,
    shards: int = 1,
    mix: dict[str, float] | None = None,
    without: Sequence[str] = (),
    lost_events: float = 0.0,
    duplicates: float = 0.01,
    legacy: bool = False,
    gzip: bool = False,
    kubelet: str = "1.28",
    native: float | None = None,
    held: float = 0.0,
    start: str = "2026-03-02T09:00:00Z",
    retention_s: float | None = None,
    kubectl_events: bool = False,
) -> Path:
    """Write a fleet of pod starts to `out` (export/ and truth/), which comes back; the same seed, the same bytes.

    A fleet that was written there before goes.

    `mix` weighs the stories (`MIX`), of which `native` is the share of native sidecars; `without` leaves sources out
    (of `SOURCES`), `lost_events` and `duplicates` are shares, `legacy` takes the resources of before 2019, `kubelet`
    is the version whose event texts are used, `shards` the number of files each hour of a log is spread over.
    `held` is the share of pods whose application is held until its proxy is ready, whatever their story: a remedy.
    Of the logs the last `retention_s` seconds are kept, and of the truth what they still show.
    `kubectl_events` adds a dump of the last hour's events. Pods that were deleted are in no dump.
    Raises ValueError for a story or source that does not exist, and for numbers out of range.
    """
    _check(pods, shards, lost_events, duplicates, native, held, mix or {}, without)
    rng, at_export = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    fleet = _fleet(pods, _weighed(mix or MIX, native), times.parse_ns(start), rng, held)
    known = _record(fleet, rng, without=without, lost_events=lost_events, legacy=legacy, kubelet=kubelet)
    now = max(pod.ends for pod in fleet)
    _forget(known, 0 if retention_s is None else now - ns(retention_s))
    out = Path(out)
    written.clear(out, written.FLEET)
    write_shards(out / "export", known.entries, shards=shards, duplicates=duplicates, compress=gzip, rng=at_export)
    if "pod_specs" not in without:
        write_list(out / "export" / "pods.json", [pod_object(pod) for pod in fleet if pod.stopped is None])
    if kubectl_events and "events" not in without:
        # Kubernetes keeps events for an hour.
        recent = [event for event in known.events if _written(event) >= now - HOUR]
        write_list(out / "export" / "kubectl-events.json", recent)
    write_truth(out / "truth", [start_row(pod) for pod in fleet], known.errors)
    return out


def _check(pods, shards, lost_events, duplicates, native, held, mix, without) -> None:
    unknown = [*set(mix) - set(MIX), *set(without) - set(SOURCES)]
    if unknown:
        raise ValueError(f"no scenario or source {sorted(unknown)[0]!r}; there are {', '.join([*MIX, *SOURCES])}")
    if any(weight < 0 for weight in mix.values()) or mix and not any(mix.values()):
        raise ValueError(f"the mix needs weights that are not negative, and one above 0, not {mix}")
    if pods < 1 or shards < 1:
        raise ValueError(f"pods and shards must be at least 1, not {pods} and {shards}")
    for name, share in (("lost_events", lost_events), ("duplicates", duplicates), ("native", native), ("held", held)):
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"{name} is a share from 0 to 1, not {share}")


def _weighed(mix: dict[str, float], native: float | None) -> dict[str, float]:
    """The mix with the asked share of native sidecars."""
    if native is None:
        return mix
    others = {name: weight for name, weight in mix.items() if name not in ("native", "vault_native")}
    total = sum(others.values()) or 1.0
    return {name: weight / total * (1 - native) for name, weight in others.items()} | {"native": native}


def _fleet(count: int, mix: dict[str, float], start: int, rng: np.random.Generator, held: float = 0.0) -> list[Pod]:
    """The fleet, lived; nothing of it recorded yet."""
    return make_fleet(count, mix, start, rng, held)


def _record(
    fleet: list[Pod], rng: np.random.Generator, *, without, lost_events: float, legacy: bool, kubelet: str
) -> Recorded:
    """What the sources that are there record of each pod."""
    known = Recorded()
    for number, (pod, own) in enumerate(zip(fleet, rng.spawn(len(fleet)), strict=True)):
        app, proxy, events = (
            Writer(pod, part, Ids(f"{number:04x}{source}"), legacy)
            for source, part in zip("ape", own.spawn(3), strict=True)
        )
        logs, told = app_logs(app)
        objects = event_objects(events, kubelet)
        if "app_logs" not in without:
            known.entries += logs
            known.errors += error_rows(pod, told, logs)
        if "proxy_logs" not in without:
            known.entries += proxy_logs(proxy)
        if "events" not in without:
            known.entries += event_entries(events, objects, lost_events)
            known.events += list({event["metadata"]["uid"]: event for _, event in objects}.values())
    if lost_events and "events" not in without:
        begun = min(pod.created for pod in fleet)
        for cluster in sorted({pod.workload.cluster for pod in fleet}):
            known.entries.append(exporter_marker(begun, cluster, f"exporter-{cluster}"))
    return known


def _forget(known: Recorded, before: int) -> None:
    """Drop the entries of before, and the truth of which an entry is gone."""
    known.entries = [row for row in known.entries if times.parse_ns(row["timestamp"]) >= before]
    kept = {row["insertId"] for row in known.entries}
    known.errors = [row for row in known.errors if kept.issuperset(row["insert_ids"].split(";"))]


def _written(event: dict) -> int:
    return times.parse_ns(event["lastTimestamp"] or event["eventTime"])
