"""The model of a pod's life: what truly happened, in nanoseconds, before anyone writes it down."""

from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address, ip_network
from math import inf

import numpy as np

from meshlogs.simulate.clients import EVERY, VAULTS, Target

SECOND = 1_000_000_000
DRAIN = 5 * SECOND  # of a stopping proxy, Istio's terminationDrainDuration
HOLD_LIMIT = 60 * SECOND  # of `pilot-agent wait`
METADATA = Target("metadata.google.internal", "169.254.169.254", 80)
VAULT = Target("vault.vault.svc", "10.96.10.4", 8200)
# How long the kubelet waits before it starts a container again: at once, then doubling from 10 s.
BACK_OFF_S = (1.5, 10.0, 20.0, 40.0, 80.0)


def ns(seconds: float) -> int:
    """Nanoseconds of a duration in seconds."""
    return round(float(seconds) * SECOND)


def between(rng: np.random.Generator, low: float, high: float) -> int:
    """A random duration [ns] between bounds in seconds."""
    return ns(rng.uniform(low, high))


@dataclass(frozen=True)
class Story:
    """What is to happen to a pod: the conditions, not the outcome. Durations in seconds, as (least, most)."""

    weight: float
    meshed: bool = True
    native: bool = False
    hold: bool = False
    cni: bool = False
    proxy_first: bool = False
    vault: str = ""  # behind | before: the redirection relative to the Vault agent
    first_connect: tuple[float, float] = (0.05, 1.5)  # after the application's start
    proxy_start: tuple[float, float] | None = None  # from Envoy's start to listening; None: as usual
    proxy_pull: str = ""  # slow | failing
    app_pull: str = ""  # slow | never
    deaths: int = 0  # of the proxy, in mid-life
    stop: str = ""  # quick | lingers: what the application does when its pod is deleted
    bypass: str = ""  # port | range | not_included | vault: what goes past the proxy
    bypass_down: str = ""  # early | late: when that destination refuses
    metadata_down: bool = False
    local_down: bool = False
    reported: bool = False  # the proxy reports a refusal of the destination
    broken: bool = False  # a redirected destination is down for a while
    app_restart: bool = False  # the application dies in mid-life, the proxy does not
    exits: bool = False  # the application ends at its first refused connect
    patient: bool = False  # its client is one that reports late
    oldest: int = 0  # place in VERSIONS


@dataclass(frozen=True)
class Redirection:
    """Which destinations the pod's rules send to the proxy, in the arguments' terms."""

    included: tuple[str, ...] = ("*",)
    excluded: tuple[str, ...] = (f"{METADATA.ip}/32",)
    excluded_ports: tuple[int, ...] = ()

    def takes(self, target: Target) -> bool:
        """Whether a TCP connection to this destination is redirected."""
        if target.ip.startswith("127.") or target.port in self.excluded_ports:
            return False
        if any(_inside(target.ip, network) for network in self.excluded):
            return False
        return "*" in self.included or any(_inside(target.ip, network) for network in self.included)


@cache
def _inside(ip: str, network: str) -> bool:
    return ip_address(ip) in ip_network(network)


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
class Pull:
    """One try to pull an image."""

    begun: int
    ended: int
    worked: bool


@dataclass
class Container:
    """A container of a pod, the pulls of its image and its runs. No pull: the image was there."""

    name: str
    kind: str  # regular | init
    image: str
    pulls: list[Pull] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    back_offs: list[int] = field(default_factory=list)  # when the kubelet waited before another run


@dataclass
class Envoy:
    """One process of Envoy: executed, 15001 open, dead."""

    executed: int
    opened: int | None
    died: int | None = None
    in_place: bool = False  # started again by its agent, in the same container


@dataclass(frozen=True)
class Probe:
    """One question for the proxy's readiness."""

    time: int
    answer: str  # ok | refused | 503
    asker: str = "kubelet"  # or wait: the hook of a held pod


@dataclass
class Attempt:
    """A connect that was refused, as its program reported it."""

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
    story: Story
    name: str
    uid: str
    node: str
    ip: str
    created: int
    scheduled: int
    redirection: Redirection = field(default_factory=Redirection)
    containers: list[Container] = field(default_factory=list)
    envoys: list[Envoy] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    app_probes: list[int] = field(default_factory=list)  # failed ones
    hold_failed: int | None = None
    attempts: list[Attempt] = field(default_factory=list)
    reports: list[tuple[int, Target]] = field(default_factory=list)  # of refusals, by the proxy
    successes: list[tuple[int, Target]] = field(default_factory=list)
    broken: list[tuple[int, Target]] = field(default_factory=list)
    down: dict[Target, tuple[float, float]] = field(default_factory=dict)
    stopped: int | None = None
    ends: int = 0

    @property
    def meshed(self) -> bool:
        """Whether the pod has a proxy."""
        return self.story.meshed

    @property
    def native(self) -> bool:
        """Whether its proxy is a native sidecar."""
        return self.story.native

    @property
    def hold(self) -> bool:
        """Whether its application waits for the proxy by a hook."""
        return self.story.hold

    @property
    def cni(self) -> bool:
        """Whether its rules are set before any init container."""
        return self.story.cni

    @property
    def ready(self) -> list[int]:
        """When 15001 began to accept, each time."""
        return [envoy.opened for envoy in self.envoys if envoy.opened is not None]

    def container(self, name: str) -> Container:
        """The container of that name."""
        return next(item for item in self.containers if item.name == name)

    def runs(self, name: str) -> list[Run]:
        """The runs of the container of that name; none if there is no such container."""
        return next((item.runs for item in self.containers if item.name == name), [])

    def has(self, name: str) -> bool:
        """Whether the pod has a container of that name."""
        return any(item.name == name for item in self.containers)

    def listening(self, at: int) -> bool:
        """Whether the proxy accepts outbound connections at that instant: the physics of the whole matter."""
        return any(one.opened is not None and one.opened <= at < (one.died or inf) for one in self.envoys)

    def redirected(self, target: Target) -> bool:
        """Whether a connection to this destination goes to the proxy."""
        return self.meshed and target.ip != self.ip and self.redirection.takes(target)

    def answer(self, target: Target, at: int) -> str:
        """What a connect meets: ok, refused, or broken (taken by the proxy, and then nobody there)."""
        begun, over = self.down.get(target, (inf, inf))
        down = begun <= at < over
        if not self.redirected(target):
            return "refused" if down else "ok"
        if not self.listening(at):
            return "refused"
        return "broken" if down else "ok"


def minor(version: str) -> tuple[int, int]:
    """(major, minor) of a version."""
    major, second = version.split(".")[:2]
    return int(major), int(second)


def live(pod: Pod, rng: np.random.Generator) -> None:
    """Run the pod's life: containers, proxy, probes, connects."""
    at = _init_containers(pod, pod.scheduled + between(rng, 0.4, 1.8), rng)
    if at is not None:
        _regular_containers(pod, at, rng)
        _deaths(pod, rng)
        _stop(pod, rng)
        _destinations(pod, rng)
        _connects(pod, rng)
    _probe(pod, rng)
    _probe_app(pod, rng)
    seen = [run.ended or run.started for item in pod.containers for run in item.runs]
    seen += [attempt.logged for attempt in pod.attempts] + [at for at, _ in pod.successes] + pod.ready
    pod.ends = max([pod.created + ns(240), pod.stopped or 0, *seen]) + ns(5)


def _run(container: Container, at: int, rng: np.random.Generator) -> int:
    """Create and start; the time it is started."""
    created = at + between(rng, 0.02, 0.12)
    container.runs.append(Run(created, created + between(rng, 0.03, 0.15)))
    return container.runs[-1].started


def _end(container: Container, at: int, reason: str, exit_code: int = 0) -> None:
    run = container.runs[-1]
    run.ended, run.reason, run.exit_code = at, reason, exit_code


def _init_containers(pod: Pod, at: int, rng: np.random.Generator) -> int | None:
    """Run the init containers in turn; when the last is done, None if one cannot finish."""
    for container in [item for item in pod.containers if item.kind == "init"]:
        started = _run(container, at, rng)
        if container.name == "istio-proxy":  # native: the next one starts when its startup probe has passed
            _execute(pod, started, rng)
            at = pod.ready[0] + between(rng, 0.0, 1.0) + ns(0.015)
            continue
        done = _vault(pod, started, rng) if container.name == "vault-agent-init" else started + between(rng, 0.1, 0.5)
        if done is None:
            return None
        _end(container, done, "Completed")
        at = done + between(rng, 0.05, 0.4)
    return at


def _vault(pod: Pod, started: int, rng: np.random.Generator) -> int | None:
    """When the Vault agent is done; None: refused for ever, behind a redirection without a proxy."""
    order = [item.name for item in pod.containers if item.kind == "init"]
    rules_set = pod.cni or "istio-init" in order and order.index("istio-init") < order.index("vault-agent-init")
    at = started + between(rng, 0.05, 0.3)
    if not (rules_set and pod.answer(VAULT, at) == "refused"):
        return at + between(rng, 0.2, 1.0)
    client, pause = str(rng.choice(list(VAULTS))), 1.0
    while at < started + ns(200):
        logged = at + between(rng, 0.0002, 0.003)
        pod.attempts.append(Attempt("vault-agent-init", at, logged, VAULT, client, "init_race"))
        at += between(rng, pause * 0.75, pause)
        pause = min(pause * 2, 300)
    return None


def _execute(pod: Pod, started: int, rng: np.random.Generator, *, in_place: bool = False) -> None:
    """Start Envoy: its agent first, unless that lives; then the configuration, then 15001 opens."""
    executed = started + between(rng, 0.01, 0.03) if in_place else started + between(rng, 0.12, 0.5)
    # Mostly a few seconds, with a long tail: the control plane is asked, certificates are signed.
    usual = float(np.clip(rng.lognormal(0.8, 0.6), 0.5, 45.0))
    asked = pod.story.proxy_start if not pod.envoys else None
    pod.envoys.append(Envoy(executed, executed + (between(rng, *asked) if asked else ns(usual)), in_place=in_place))


def _pull(pod: Pod, container: Container, at: int, rng: np.random.Generator) -> tuple[int | None, int]:
    """(When the image is there, None if never; when the kubelet goes on to the next container)."""
    story = pod.story.proxy_pull if container.name == "istio-proxy" else pod.story.app_pull
    if not story:
        return (at + between(rng, 0.001, 0.02),) * 2
    if story == "slow":
        done = at + between(rng, 5, 25)
        container.pulls.append(Pull(at, done, worked=True))
        return done, done
    failures = 5 if story == "never" else int(rng.integers(1, 3))
    begun = at
    for failure in range(failures):
        container.pulls.append(Pull(begun, begun + between(rng, 0.3, 2), worked=False))
        begun = container.pulls[-1].ended + between(rng, 10 * 2**failure, 12 * 2**failure)
    goes_on = container.pulls[0].ended + ns(0.005)
    if story == "never":
        return None, goes_on
    container.pulls.append(Pull(begun, begun + between(rng, 1, 6), worked=True))
    return container.pulls[-1].ended, goes_on


def _regular_containers(pod: Pod, at: int, rng: np.random.Generator) -> None:
    """Start the regular containers strictly in the order of the spec, with the hook where there is one."""
    for container in [item for item in pod.containers if item.kind == "regular"]:
        there, goes_on = _pull(pod, container, at, rng)
        if there is None:
            at = goes_on
            continue
        started = _run(container, there, rng)
        # A failed pull is tried again by a later round of the kubelet, which meanwhile went on.
        at = goes_on if goes_on < there else started + between(rng, 0.01, 0.1)
        if container.name == "istio-proxy":
            _execute(pod, started, rng)
            at = _hold(pod, container, started, rng) if pod.hold else at


def _hold(pod: Pod, proxy: Container, started: int, rng: np.random.Generator) -> int:
    """When the hook returns. If it gave up, the kubelet has killed the proxy, and starts the others anyway."""
    limit = started + HOLD_LIMIT
    first = started + between(rng, 0.05, 0.2)
    for number in range(121):
        at = first + number * ns(0.5)
        if at >= limit:
            break
        answer = "ok" if pod.listening(at) else "refused"
        pod.probes.append(Probe(at, answer, "wait"))
        if answer == "ok":
            return at + between(rng, 0.005, 0.05)
    pod.hold_failed = limit
    killed = limit + DRAIN + between(rng, 0.02, 0.2)
    pod.envoys[-1].opened, pod.envoys[-1].died = None, killed
    _end(proxy, killed, "Error", 255)
    _execute(pod, _run(proxy, killed + between(rng, 1, 3), rng), rng)
    return killed + between(rng, 0.02, 0.1)


def _deaths(pod: Pod, rng: np.random.Generator) -> None:
    """Let Envoy die in mid-life, and come back after the agent's or the kubelet's back-off."""
    for death in range(pod.story.deaths):
        envoy = pod.envoys[-1]
        envoy.died = envoy.opened + between(rng, 40, 100)
        if minor(pod.workload.version) <= (1, 3):
            _execute(pod, envoy.died + ns(0.2 * 2**death), rng, in_place=True)
            continue
        proxy = pod.container("istio-proxy")
        killed = rng.random() < 0.5  # the container by the kernel, or Envoy alone, so that its agent ends
        _end(proxy, envoy.died + ns(0.03), "OOMKilled" if killed else "Error", 137 if killed else 1)
        wait = BACK_OFF_S[min(death, 4)]
        if death:
            proxy.back_offs.append(envoy.died + ns(1))
        _execute(pod, _run(proxy, envoy.died + between(rng, wait, wait + 2), rng), rng)


def _stop(pod: Pod, rng: np.random.Generator) -> None:
    """Delete the pod: its proxy goes after the drain, its application at once or late. A native proxy goes last."""
    if not pod.story.stop or not pod.runs("app"):
        return
    pod.stopped = max(pod.ready[-1:] + [pod.runs("app")[-1].started]) + between(rng, 100, 160)
    lingers = between(rng, 14, 28) if pod.story.stop == "lingers" else between(rng, 0.2, 3)
    _end(pod.container("app"), pod.stopped + lingers, "Completed")
    if not pod.meshed:
        return
    gone = pod.stopped + DRAIN + between(rng, 0.02, 0.2)
    if pod.native:
        gone += lingers
    pod.envoys[-1].died = gone
    _end(pod.container("istio-proxy"), gone + ns(0.02), "Completed")


def _destinations(pod: Pod, rng: np.random.Generator) -> None:
    """Which destinations are down, and when."""
    if not pod.runs("app"):
        return
    started, story = pod.runs("app")[0].started, pod.story
    if not pod.meshed:
        pod.down[pod.workload.targets[0]] = (started, started + between(rng, 8, 25))
    if story.bypass_down:
        begun = started if story.bypass_down == "early" else pod.ready[-1] + ns(30)
        pod.down[bypassing(story)] = (begun, begun + between(rng, 10, 40))
    if story.metadata_down:
        pod.down[METADATA] = (started, started + between(rng, 2, 8))
    if story.broken:
        pod.down[pod.workload.targets[0]] = (pod.ready[-1] + ns(35), pod.ready[-1] + ns(55))


def bypassing(story: Story) -> Target:
    """The destination that goes past the proxy of such a pod."""
    return Target("legacy-db", "10.60.0.9", 5433 if story.bypass == "port" else 5432)


def _connects(pod: Pod, rng: np.random.Generator) -> None:
    """The application's connects: at its start, while it lives, and while it stops."""
    if not pod.runs("app"):
        return
    first = pod.runs("app")[0].started + between(rng, *pod.story.first_connect)
    if pod.story.exits:
        first = _crash_loop(pod, first, rng)
    targets = list(pod.workload.targets[: int(rng.integers(1, len(pod.workload.targets) + 1))])
    for target in targets if not pod.story.exits else targets[1:]:
        _dial(pod, target, first + between(rng, 0, 0.3), rng)
    if pod.story.metadata_down:
        _dial(pod, METADATA, first, rng)
    if pod.story.bypass_down:
        down = bypassing(pod.story)
        _dial(pod, down, max(first, int(pod.down[down][0])) + between(rng, 0.01, 2), rng)
    if pod.story.local_down:
        inside = Target("localhost", "127.0.0.1", 9000) if rng.random() < 0.7 else Target(pod.ip, pod.ip, 9000)
        for begun in (first, first + between(rng, 80, 120)):
            pod.down[inside] = (begun, begun + between(rng, 1, 6))
            _dial(pod, inside, begun, rng)
    if pod.story.reported:
        pod.reports += [(pod.ready[0] + ns(20 + 7 * number), pod.workload.targets[-1]) for number in range(3)]
    if pod.story.app_restart:
        again = _restart_app(pod, pod.ready[-1] + between(rng, 40, 60), "OOMKilled", 137, rng)
        _dial(pod, targets[0], again + between(rng, 0.05, 1.5), rng)
    _later(pod, rng)


def _restart_app(pod: Pod, died: int, reason: str, exit_code: int, rng: np.random.Generator) -> int:
    """End the application's run and start it again, after the kubelet's back-off; when it is started."""
    app = pod.container("app")
    _end(app, died, reason, exit_code)
    wait = BACK_OFF_S[min(len(app.runs) - 1, 4)]
    if len(app.runs) > 1:
        app.back_offs.append(died + ns(1))
    return _run(app, died + between(rng, wait, wait + 1.5), rng)


def _crash_loop(pod: Pod, at: int, rng: np.random.Generator) -> int:
    """Let the application end at each refused connect and be started again, until it connects; when that is."""
    target = pod.workload.targets[0]
    while pod.answer(target, at) == "refused":
        logged = _refused(pod, at, at, target, rng)
        at = _restart_app(pod, logged + between(rng, 0.01, 0.1), "Error", 1, rng) + between(rng, 0.05, 1.5)
    pod.successes.append((at, target))
    return at


def _dial(pod: Pod, target: Target, at: int, rng: np.random.Generator) -> int:
    """Connect until it works, backing off; when it did, or when the application gave up or ended."""
    client = EVERY[pod.workload.client]
    begun, wait = at, client.first_wait_s
    ended = pod.runs("app")[-1].ended or inf
    for _ in range(200):
        if at >= ended:
            return at
        answer = pod.answer(target, at)
        if answer == "ok":
            pod.successes.append((at, target))
            return at
        again = at + between(rng, wait * 0.8, wait * 1.2)
        wait = min(wait * 1.6, client.longest_wait_s)
        if answer == "broken":
            pod.broken.append((at, target))
        elif not client.patience_s:
            _refused(pod, at, at, target, rng)
        elif again > begun + ns(client.patience_s):
            deadline = begun + ns(client.patience_s)
            if deadline < ended:
                _refused(pod, at, deadline, target, rng)
            begun = again = deadline + between(rng, 1, 4)
            wait = client.first_wait_s
        at = again
    return at


def _later(pod: Pod, rng: np.random.Generator) -> None:
    """Connects in mid-life, every few seconds until the pod ends or nothing more happens."""
    if not pod.ready:
        return
    run = pod.runs("app")[-1]
    at = max(pod.ready[0] + ns(30), run.started + ns(2))
    until = run.ended or max(pod.ready[-1], run.started) + ns(100)
    while at < until:
        at = _dial(pod, pod.workload.targets[0], at, rng) + between(rng, 1, 4)


def _refused(pod: Pod, at: int, reported: int, target: Target, rng: np.random.Generator) -> int:
    """Note a refused connect of the application and its true cause; when it is logged."""
    logged = reported + between(rng, 0.0002, 0.004)
    pod.attempts.append(Attempt("app", at, logged, target, pod.workload.client, _cause(pod, target, at)))
    return logged


def _cause(pod: Pod, target: Target, at: int) -> str:
    """Why a connect of the application was refused, in the words of the verdicts."""
    if not pod.meshed:
        return "no_sidecar"
    if not pod.redirected(target):
        return "local" if target.ip in ("127.0.0.1", pod.ip) else "upstream"
    if not any(time <= at for time in pod.ready):
        return "startup_race"
    return "shutdown_race" if pod.stopped is not None and at >= pod.stopped else "proxy_outage"


def _probe(pod: Pod, rng: np.random.Generator) -> None:
    """Ask the proxy of each run, as the kubelet does, until the first success (and again after a restart in place)."""
    version = minor(pod.workload.version)
    for run in pod.runs("istio-proxy"):
        ours = [one for one in pod.envoys if run.started <= one.executed < (run.ended or inf)]
        hook_over = pod.hold_failed or max((one.time for one in pod.probes if one.asker == "wait"), default=0)
        # No status, no pod address, so no probes while the hook of the first run is waited for.
        begun = max(run.started, hook_over) if pod.hold and run is pod.runs("istio-proxy")[0] else run.started
        for envoy in ours:
            since = envoy.executed if envoy.in_place else begun
            _probe_envoy(pod, envoy, run, since, version, rng)


def _probe_envoy(pod: Pod, envoy: Envoy, run: Run, since: int, version: tuple[int, int], rng) -> None:
    period = 1.0 if version >= (1, 20) else 2.0  # a startup probe, or readiness
    delay = 0.0 if envoy.in_place or version >= (1, 20) else 1.0
    at = since + ns(delay) + between(rng, 0, period)
    until = min(run.ended or inf, envoy.died or inf, pod.stopped or inf, since + ns(300))
    while at < until:
        answer = _readiness(envoy, run, at, version)
        pod.probes.append(Probe(at, answer))
        if answer == "ok":
            return
        at += ns(period) + between(rng, 0, 0.002)


def _readiness(envoy: Envoy, run: Run, at: int, version: tuple[int, int]) -> str:
    """What the probe meets: up to 1.5 the agent itself, later Envoy's own listener, which opens with its workers."""
    if envoy.opened is not None and at >= envoy.opened:
        return "ok"
    if version <= (1, 5):
        return "503" if at > run.started + ns(0.3) else "refused"
    # 1.6 still starts its workers without configuration, after Envoy's default of 15 s.
    return "503" if version == (1, 6) and at > envoy.executed + ns(15) else "refused"


def _probe_app(pod: Pod, rng: np.random.Generator) -> None:
    """The failed readiness probes of some applications: texts that differ each time."""
    if rng.random() < 0.08 and pod.runs("app"):
        begun = pod.runs("app")[0].started
        pod.app_probes += [begun + ns(4 + 5 * number) + between(rng, 0, 0.01) for number in range(14)]
