"""The model of a pod's life: what truly happened, in nanoseconds, before anyone writes it down."""

from dataclasses import dataclass, field

import numpy as np

from meshlogs.simulate.clients import CLIENTS, Target

SECOND = 1_000_000_000
DRAIN = 5 * SECOND  # of a stopping proxy, Istio's terminationDrainDuration
HOLD_LIMIT = 60 * SECOND
METADATA = "169.254.169.254/32"


def ns(seconds: float) -> int:
    """Nanoseconds of a duration in seconds."""
    return round(float(seconds) * SECOND)


@dataclass(frozen=True)
class Workload:
    """What a deployment looks like."""

    namespace: str
    name: str
    controller: str
    cluster: str
    client: str
    version: str  # of the proxy
    targets: tuple[Target, ...]


@dataclass
class Run:
    """One run of a container: from its start to its end, if it ended."""

    created: int
    started: int
    ended: int | None = None
    reason: str = ""
    exit_code: int = 0


@dataclass
class Container:
    """A container of a pod and its runs."""

    name: str
    kind: str  # regular | init
    image: str
    pulled: int | None = None
    pull_failures: list[int] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)


@dataclass
class Attempt:
    """A connect of a container that was refused, as its program reported it."""

    container: str
    time: int
    logged: int
    target: Target
    client: str
    verdict: str


@dataclass
class Pod:
    """One pod start and all that truly happened in it."""

    workload: Workload
    scenario: str
    name: str
    uid: str
    node: str
    ip: str
    created: int
    scheduled: int
    meshed: bool
    native: bool
    hold: bool
    cni: bool
    excluded_port: int | None
    containers: list[Container] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)  # 15001 begins to accept
    closed: list[int] = field(default_factory=list)  # and ceases to, after each
    probes: list[tuple[int, str]] = field(default_factory=list)  # (time, ok | refused | 503)
    hold_failed: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    upstream_reports: list[tuple[int, Target]] = field(default_factory=list)
    successes: list[int] = field(default_factory=list)
    stopped: int | None = None
    ends: int = 0

    def container(self, name: str) -> Container:
        """The container of that name."""
        return next(item for item in self.containers if item.name == name)

    def has(self, name: str) -> bool:
        """Whether the pod has a container of that name."""
        return any(item.name == name for item in self.containers)

    def listening(self, at: int) -> bool:
        """Whether the proxy accepts outbound connections at that instant: the physics of the whole matter."""
        opened = sum(time <= at for time in self.ready)
        return opened > sum(time <= at for time in self.closed)

    def redirected(self, target: Target) -> bool:
        """Whether a connection to this destination goes to the proxy."""
        outside = not target.ip.startswith("127.") and target.ip != self.ip
        return self.meshed and outside and target.port != self.excluded_port


def minor(version: str) -> tuple[int, int]:
    """(major, minor) of a version."""
    major, second = version.split(".")[:2]
    return int(major), int(second)


def live(pod: Pod, rng: np.random.Generator) -> None:
    """Run the pod's life: containers, proxy, probes, connects."""
    at = pod.scheduled + ns(rng.uniform(0.4, 1.8))
    at = _init_containers(pod, at, rng)
    if at is not None:
        _regular_containers(pod, at, rng)
        _outages(pod, rng)
        _stop(pod, rng)
        _probe(pod, rng)
        _connects(pod, rng)
    last = [run.started for item in pod.containers for run in item.runs] + [attempt.logged for attempt in pod.attempts]
    pod.ends = max([pod.stopped or 0, pod.created + ns(240), *last, *pod.ready]) + ns(20)


def _run(container: Container, at: int, rng: np.random.Generator) -> int:
    """Pull, create and start; the time it is started."""
    container.pulled = at + ns(rng.uniform(0.001, 0.02))
    created = container.pulled + ns(rng.uniform(0.02, 0.12))
    started = created + ns(rng.uniform(0.03, 0.15))
    container.runs.append(Run(created, started))
    return started


def _init_containers(pod: Pod, at: int, rng: np.random.Generator) -> int | None:
    """Run the init containers in turn; None if one cannot finish."""
    for container in [item for item in pod.containers if item.kind == "init"]:
        started = _run(container, at, rng)
        if container.name == "istio-proxy":  # native: the next starts when its startup probe passes
            pod.ready.append(started + ns(_startup(rng)))
            at = pod.ready[0] + ns(rng.uniform(0.0, 1.0))
            continue
        if container.name == "vault-agent-init":
            at = _vault(pod, container, started, rng)
            if at is None:
                return None
            continue
        at = started + ns(rng.uniform(0.1, 0.5))
        container.runs[-1].ended, container.runs[-1].reason = at, "Completed"
        at += ns(rng.uniform(0.05, 0.4))
    return at


def _vault(pod: Pod, container: Container, started: int, rng: np.random.Generator) -> int | None:
    """The Vault agent's logins: refused for ever behind a redirection without a proxy."""
    target = Target("vault.vault.svc", "10.96.10.4", 8200)
    order = [item.name for item in pod.containers if item.kind == "init"]
    behind = pod.cni or ("istio-init" in order and order.index("istio-init") < order.index(container.name))
    blocked = behind and pod.meshed and not pod.native and pod.redirected(target)
    if not blocked:
        at = started + ns(rng.uniform(0.2, 1.0))
        container.runs[-1].ended, container.runs[-1].reason = at, "Completed"
        return at + ns(rng.uniform(0.05, 0.3))
    at, pause = started + ns(0.1), 1.0
    while at < started + ns(200):
        logged = at + ns(rng.uniform(0.0002, 0.003))
        pod.attempts.append(Attempt(container.name, at, logged, target, "vault_agent", "init_race"))
        at += ns(pause * rng.uniform(0.8, 1.2))
        pause = min(pause * 2, 60)
    return None


def _startup(rng: np.random.Generator) -> float:
    """Seconds from the proxy's container start to 15001 accepting: median 2.5 s, a long tail."""
    return float(np.clip(rng.lognormal(0.9, 0.6), 0.7, 45.0))


def _regular_containers(pod: Pod, at: int, rng: np.random.Generator) -> None:
    """Start the regular containers strictly in the order of the spec, with the hook where there is one."""
    for container in [item for item in pod.containers if item.kind == "regular"]:
        if pod.scenario == "pull_failed" and container.name == "app":
            container.pull_failures = [at + ns(wait) for wait in (1, 15, 40, 90)]
            continue
        if pod.scenario == "slow_proxy_pull" and container.name == "istio-proxy":
            at += ns(rng.uniform(5, 20))
        started = _run(container, at, rng)
        at = started + ns(rng.uniform(0.01, 0.1))
        if container.name != "istio-proxy":
            continue
        slow = {"hold_failed": 75.0, "slow_proxy": rng.uniform(8, 40)}.get(pod.scenario)
        pod.ready.append(started + ns(slow or _startup(rng)))
        if pod.hold:
            waited = min(pod.ready[0] + ns(rng.uniform(0.05, 0.5)), started + HOLD_LIMIT)
            if waited >= started + HOLD_LIMIT:
                pod.hold_failed = waited
                container.runs[-1].ended, container.runs[-1].reason = waited + ns(0.5), "Error"
                container.runs[-1].exit_code = 255
                again = waited + ns(rng.uniform(1, 3))
                container.runs.append(Run(again - ns(0.1), again))
                pod.ready[0] = again + ns(_startup(rng))
            at = waited


def _outages(pod: Pod, rng: np.random.Generator) -> None:
    if pod.scenario != "outage":
        return
    proxy = pod.container("istio-proxy")
    died = pod.ready[0] + ns(rng.uniform(60, 120))
    proxy.runs[-1].ended, proxy.runs[-1].reason, proxy.runs[-1].exit_code = died, "OOMKilled", 137
    again = died + ns(rng.uniform(1, 12))
    proxy.runs.append(Run(again - ns(0.1), again))
    pod.closed.append(died)
    pod.ready.append(again + ns(_startup(rng)))


def _stop(pod: Pod, rng: np.random.Generator) -> None:
    """Delete the pod: its proxy goes after the drain, its application lingers."""
    if pod.scenario != "shutdown":
        return
    pod.stopped = pod.ready[-1] + ns(rng.uniform(100, 160))
    gone = pod.stopped + DRAIN + ns(rng.uniform(0.02, 0.2))
    pod.closed.append(gone)
    proxy = pod.container("istio-proxy").runs[-1]
    proxy.ended, proxy.reason = gone + ns(0.02), "Completed"
    app = pod.container("app").runs[-1]
    app.ended, app.reason = pod.stopped + ns(rng.uniform(14, 28)), "Completed"


def _probe(pod: Pod, rng: np.random.Generator) -> None:
    """The kubelet's probes of the proxy, until the first success of each life."""
    if not pod.meshed or not pod.has("istio-proxy"):
        return
    version = minor(pod.workload.version)
    period = 1.0 if version >= (1, 20) else 2.0
    for life, run in enumerate(pod.container("istio-proxy").runs):
        opened = next((time for time in pod.ready if time >= run.started), None)
        at = run.started + ns(1.0 + rng.uniform(0, period))
        while at < run.started + ns(120):
            if run.ended and at >= run.ended:
                break
            if opened is not None and at >= opened:
                pod.probes.append((at + ns(rng.uniform(0.001, 0.012)), "ok"))
                break
            answer = "503" if version <= (1, 5) and at > run.started + ns(0.3) else "refused"
            pod.probes.append((at + ns(rng.uniform(0.001, 0.004)), answer))
            at += ns(period) + ns(rng.uniform(0, 0.002))
        if life and opened is None:
            break


def _connects(pod: Pod, rng: np.random.Generator) -> None:
    """The application's connects: at its start, while it lives, and while it stops."""
    if not pod.has("app") or not pod.container("app").runs:
        return
    run = pod.container("app").runs[0]
    client = CLIENTS[pod.workload.client]
    slow_start = pod.scenario in ("safe", "exposed_late")
    first = run.started + ns(rng.uniform(50, 60) if slow_start else rng.uniform(0.05, 1.5))
    for target in pod.workload.targets[: int(rng.integers(1, len(pod.workload.targets) + 1))]:
        at = first + ns(rng.uniform(0, 0.3))
        for _ in range(30):
            if not pod.redirected(target) or pod.listening(at):
                pod.successes.append(at)
                break
            verdict = "proxy_outage" if any(time <= at for time in pod.ready) else "startup_race"
            _refuse(pod, at, target, client.late_s, verdict, rng)
            at += ns(rng.uniform(0.25, 2.5))
    if pod.scenario in ("upstream", "upstream_early"):
        down = Target("legacy-db", "10.50.0.9", pod.excluded_port or 5432)
        begin = first if pod.scenario == "upstream_early" else pod.ready[0] + ns(30)
        for wait in (0.0, 3.0, 40.0):
            _refuse(pod, begin + ns(wait + rng.uniform(0, 1)), down, 0.0, "upstream", rng)
    if pod.scenario == "local":
        for wait in (0.2, 1.0, 90.0):
            inside = Target("localhost", "127.0.0.1", 9000) if rng.random() < 0.7 else Target(pod.ip, pod.ip, 9000)
            _refuse(pod, first + ns(wait), inside, 0.0, "local", rng)
    if not pod.meshed:
        for wait in (0.5, 20.0):
            _refuse(pod, first + ns(wait), pod.workload.targets[0], 0.0, "no_sidecar", rng)
    if pod.scenario == "upstream_reported":
        pod.upstream_reports += [(pod.ready[0] + ns(20 + 7 * number), pod.workload.targets[0]) for number in range(3)]
    _later(pod, rng)


def _later(pod: Pod, rng: np.random.Generator) -> None:
    """Connects in mid-life: every few seconds, refused whenever the proxy does not listen."""
    if not pod.ready:
        return
    target = pod.workload.targets[0]
    until = pod.container("app").runs[0].ended or pod.ready[-1] + ns(100)
    at = pod.ready[0] + ns(30)
    while at < until:
        if pod.redirected(target) and not pod.listening(at):
            verdict = "shutdown_race" if pod.stopped and at >= pod.stopped else "proxy_outage"
            _refuse(pod, at, target, 0.0, verdict, rng)
            at += ns(rng.uniform(0.3, 1.5))
        else:
            pod.successes.append(at)
            at += ns(rng.uniform(1, 4))


def _refuse(pod: Pod, at: int, target: Target, late_s: float, verdict: str, rng: np.random.Generator) -> None:
    logged = at + ns(late_s) + ns(rng.uniform(0.0002, 0.004))
    pod.attempts.append(Attempt("app", at, logged, target, pod.workload.client, verdict))
