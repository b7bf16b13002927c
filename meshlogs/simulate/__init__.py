"""A labelled, made-up fleet in real export forms: true times first, then what each source records of them.

It knows nothing of the analysis, and the analysis nothing of it.
"""

import csv
import gzip as gzip_module
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from meshlogs import times
from meshlogs.simulate import sources
from meshlogs.simulate.clients import CLIENTS, Target
from meshlogs.simulate.process import SECOND, Container, Pod, Workload, live, ns

REDIS, DB = Target("redis", "10.96.10.1", 6379), Target("postgres", "10.96.10.3", 5432)
WEB = Target("web", "10.96.10.2", 8080)
VERSIONS = ("1.3.3", "1.6.14", "1.13.2", "1.18.5", "1.20.3", "1.24.1")

# How often each story is told; the healthy are the majority.
MIX = {
    "safe": 30,
    "race": 22,
    "exposed_late": 8,
    "held": 8,
    "native": 6,
    "slow_proxy": 4,
    "slow_proxy_pull": 2,
    "hold_failed": 2,
    "unmeshed": 4,
    "vault_behind": 3,
    "vault_before": 2,
    "vault_cni": 1,
    "outage": 4,
    "shutdown": 4,
    "upstream": 3,
    "upstream_early": 2,
    "upstream_reported": 2,
    "local": 3,
    "pull_failed": 2,
}
# Who is who: a service for each client; pods that are built otherwise belong to a variant of it.
SERVICES = {
    "go": "checkout",
    "go_json": "cart",
    "python_redis": "recommender",
    "python_requests": "reviews",
    "node": "storefront",
    "ioredis": "session",
    "java_netty": "inventory",
    "java_http": "billing",
    "ruby": "mailer",
    "php": "catalog",
    "dotnet": "shipping",
    "rust": "search",
    "psql_old": "exporter",
    "curl": "prober",
}
VARIANTS = {
    "-held": ("held", "hold_failed"),
    "-native": ("native",),
    "-vault": ("vault_behind", "vault_before", "vault_cni"),
    "-plain": ("unmeshed",),
    "-db": ("upstream", "upstream_early"),
}
SOURCES = ("app_logs", "proxy_logs", "events", "pod_specs")
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


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
    start: str = "2026-03-02T09:00:00Z",
) -> Path:
    """Write a fleet of pod starts to `out` (export/ and truth/), which comes back; the same seed, the same bytes.

    `mix` weighs the scenarios (`MIX`), `without` leaves sources out (of `SOURCES`), `lost_events` and
    `duplicates` are shares, `kubelet` the version whose event texts are used, `shards` the number of files each
    hour of a log is spread over. Raises ValueError for a scenario or source that does not exist.
    """
    unknown = [*set(mix or {}) - set(MIX), *set(without) - set(SOURCES)]
    if unknown:
        raise ValueError(f"no scenario or source {sorted(unknown)[0]!r}; there are {', '.join([*MIX, *SOURCES])}")
    rng = np.random.default_rng(seed)
    fleet = _fleet(pods, mix or MIX, times.parse_ns(start), rng)
    ids = sources.Ids(rng)
    entries, errors = [], []
    for pod in fleet:
        logs, told = sources.app_logs(pod, rng, ids, legacy=legacy)
        errors += _error_rows(pod, told, logs)
        proxy = sources.proxy_logs(pod, rng, ids, legacy=legacy)
        happened = sources.events(pod, rng, ids, kubelet=kubelet, legacy=legacy, lost=lost_events)
        for name, rows in (("app_logs", logs), ("proxy_logs", proxy), ("events", happened)):
            entries += rows if name not in without else []
    out = Path(out)
    _write_shards(out / "export", entries, shards, duplicates, gzip, rng)
    if "pod_specs" not in without:
        objects = {"apiVersion": "v1", "items": [sources.pod_object(pod) for pod in fleet], "kind": "List"}
        _write_text(out / "export" / "pods.json", json.dumps(objects, indent=1) + "\n")
    _write_truth(out / "truth", fleet, [] if "app_logs" in without else errors)
    return out


def _fleet(count: int, mix: dict[str, float], start: int, rng: np.random.Generator) -> list[Pod]:
    names = list(mix)
    weights = np.array([mix[name] for name in names], float)
    # Every scenario has its turn before chance decides.
    scenarios = [names[at] if at < len(names) else None for at in range(count)]
    drawn = rng.choice(names, size=count, p=weights / weights.sum())
    clients = [name for name in CLIENTS if name != "vault_agent"]
    fleet = []
    for number in range(count):
        scenario = scenarios[number] or str(drawn[number])
        pod = _pod(scenario, clients[number % len(clients)], start + ns(rng.uniform(0, 3000)), rng)
        _name_apart(pod, fleet)
        live(pod, rng)
        fleet.append(pod)
        if pod.workload.controller == "StatefulSet" and scenario == "race":
            again = _pod(scenario, clients[number % len(clients)], pod.ends + ns(30), rng, pod)
            live(again, rng)
            fleet.append(again)
    return fleet


def _name_apart(pod: Pod, fleet: list[Pod]) -> None:
    """Give a StatefulSet's pod the next free ordinal: no two pods of a name live at a time."""
    taken = {other.name for other in fleet if other.workload.controller == "StatefulSet"}
    while pod.name in taken:
        stem, _, ordinal = pod.name.rpartition("-")
        pod.name = f"{stem}-{int(ordinal) + 1}"


def _pod(scenario: str, client: str, created: int, rng: np.random.Generator, before: Pod | None = None) -> Pod:
    """A pod of a scenario, not yet lived."""
    stateful = scenario == "race" and client == "go" or before is not None
    oldest = {"native": 4, "held": 2, "hold_failed": 2}.get(scenario, 0)  # what the story needs
    version = str(rng.choice(VERSIONS[oldest:]))
    work = before.workload if before else _workload(scenario, client, version, stateful, rng)
    suffix = "".join(rng.choice(list(_LETTERS), 5))
    generated = f"{work.name}-{_hash(work.name)}-{suffix}"
    name = before.name if before else f"{work.name}-{int(rng.integers(9))}" if stateful else generated
    pod = Pod(
        workload=work,
        scenario=scenario,
        name=name,
        uid="-".join(f"{int(rng.integers(16**width)):0{width}x}" for width in (8, 4, 4, 4, 12)),
        node=f"gke-{work.cluster}-pool-{int(rng.integers(3))}",
        ip=f"10.{int(rng.integers(4, 9))}.{int(rng.integers(256))}.{int(rng.integers(2, 250))}",
        created=created,
        scheduled=created + ns(rng.uniform(0.02, 0.6)),
        meshed=scenario != "unmeshed",
        native=scenario == "native",
        hold=scenario in ("held", "hold_failed"),
        cni=scenario == "vault_cni",
        excluded_port=5432 if scenario in ("upstream", "upstream_early") else None,
    )
    pod.containers = _containers(pod)
    return pod


def _hash(name: str) -> str:
    """A pod-template-hash that stays with the workload's name."""
    return "".join(np.random.default_rng(list(name.encode())).choice(list("456789bcdf"), 9))


def _workload(scenario: str, client: str, version: str, stateful: bool, rng: np.random.Generator) -> Workload:
    namespace = str(rng.choice(["shop", "pay"]))
    name = SERVICES[client] + next((suffix for suffix, told in VARIANTS.items() if scenario in told), "")
    targets = (REDIS, WEB) if scenario in ("upstream", "upstream_early") else (REDIS, DB, WEB)
    controller = "StatefulSet" if stateful else "Deployment"
    return Workload(namespace, name, controller, str(rng.choice(["blue", "green"])), client, version, targets)


def _containers(pod: Pod) -> list[Container]:
    image = f"docker.io/istio/proxyv2:{pod.workload.version}"
    proxy = Container("istio-proxy", "init" if pod.native else "regular", image)
    app = Container("app", "regular", "registry.example/app:1")
    vault = [Container("vault-agent-init", "init", "hashicorp/vault:1.15")] if "vault" in pod.scenario else []
    setter = [Container("istio-validation" if pod.cni else "istio-init", "init", image)] if pod.meshed else []
    if pod.native:
        return [*setter, proxy, *vault, app]
    init = [*vault, *setter] if pod.scenario == "vault_before" else [*setter, *vault]
    if not pod.meshed:
        return [app]
    return [*init, proxy, app] if pod.hold else [*init, app, proxy]


def _error_rows(pod: Pod, told: list[list[str]], logs: list[dict]) -> list[dict]:
    """The truth of each refused connection that a program reported."""
    times_of = {row["insertId"]: row["timestamp"] for row in logs}
    rows = []
    made = [(a.time, a.container, a.target, a.client, a.verdict, False) for a in pod.attempts]
    made += [(at, "app", target, pod.workload.client, "upstream", True) for at, target in pod.upstream_reports]
    for (at, container, target, client, verdict, reported), ids in zip(made, told, strict=True):
        rows.append(
            {
                "cluster": pod.workload.cluster,
                "namespace": pod.workload.namespace,
                "pod": pod.name,
                "pod_uid": pod.uid,
                "container": container,
                "insert_id": ids[0],
                "insert_ids": ";".join(ids),
                "time_ns": times.parse_ns(times_of[ids[0]]),
                "attempt_ns": at,
                "destination_host": target.host,
                "destination_ip": target.ip,
                "destination_port": target.port,
                "verdict": verdict,
                "suspected": CLIENTS[client].suspected and not reported,
                "runtime": CLIENTS[client].runtime,
            }
        )
    return rows


def _outcome(pod: Pod) -> str:
    if not pod.meshed:
        return "not_meshed"
    if any(attempt.verdict == "startup_race" for attempt in pod.attempts):
        return "harmed"
    if any(attempt.verdict == "init_race" for attempt in pod.attempts):
        return "init_stalled"
    if not pod.container("app").runs:
        return "undetermined"
    return "exposed" if pod.container("app").runs[0].started < pod.ready[0] else "safe"


def _write_truth(out: Path, fleet: list[Pod], errors: list[dict]) -> None:
    starts = [
        {
            "cluster": pod.workload.cluster,
            "namespace": pod.workload.namespace,
            "pod": pod.name,
            "pod_uid": pod.uid,
            "app_start_ns": pod.container("app").runs[0].started if pod.container("app").runs else "",
            "proxy_start_ns": _proxy_start(pod),
            "proxy_ready_ns": pod.ready[0] if pod.ready else "",
            "outcome": _outcome(pod),
            "injection": "native_sidecar" if pod.native else "sidecar" if pod.meshed else "none",
            "hold": pod.hold,
            "scenario": pod.scenario,
        }
        for pod in fleet
    ]
    _write_csv(out / "starts.csv", starts)
    _write_csv(out / "errors.csv", errors)
    counts = {"starts": len(starts), "errors": len(errors)}
    counts["outcomes"] = _counted(row["outcome"] for row in starts)
    counts["verdicts"] = _counted(row["verdict"] for row in errors)
    _write_text(out / "summary.json", json.dumps(counts, indent=2) + "\n")


def _proxy_start(pod: Pod):
    runs = pod.container("istio-proxy").runs if pod.has("istio-proxy") else []
    return runs[0].started if runs else ""


def _counted(words) -> dict[str, int]:
    words = list(words)
    return {word: words.count(word) for word in sorted(set(words))}


def _write_csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["insert_id"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _write_shards(out: Path, entries: list[dict], shards: int, duplicates: float, compress: bool, rng) -> None:
    """Hourly files as a Cloud Storage sink writes them: unordered, some entries twice, late ones apart.

    Colons in the sink's file names are underscores here, so that every file system takes them.
    """
    again = [row for row in entries if rng.random() < duplicates]
    files: dict[Path, list[str]] = {}
    for row in [*entries, *again]:
        hour = row["timestamp"][:13]
        late = row["receiveTimestamp"][:13] != hour
        part = "A0_" + str(times.parse_ns(row["receiveTimestamp"]) // (3600 * SECOND) * 3600)
        part = part if late else f"S{int(rng.integers(shards))}"
        clock = hour[11:]
        name = f"{clock}_00_00_{clock}_59_59_{part}.json{'.gz' if compress else ''}"
        day = hour[:10].replace("-", "/")
        path = out / row["logName"].rpartition("/")[2] / day / name
        files.setdefault(path, []).append(json.dumps(row, separators=(",", ":")))
    for path in sorted(files):
        lines = files[path]
        order = rng.permutation(len(lines))
        text = "".join(lines[at] + "\n" for at in order)
        if compress:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip_module.compress(text.encode(), mtime=0))
        else:
            _write_text(path, text)
