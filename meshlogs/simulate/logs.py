"""What the containers of a pod print: the application and init containers, the proxy's agent, and Envoy."""

import json
from dataclasses import dataclass, field
from math import inf

from meshlogs.simulate.clients import BROKEN, CHATTER, EVERY, LOOK_ALIKES, Client, Target
from meshlogs.simulate.entries import Writer, decimals, micro
from meshlogs.simulate.process import SECOND, VAULT, Attempt, Envoy, Pod, Probe, Run, between, minor, ns

# What the log agent makes of levels that are no names of severities.
_SEVERITIES = {"50": "ERROR", "30": "INFO", "warn": "WARNING"}
_SEVERITY = {"stdout": "INFO", "stderr": "ERROR"}
_CONFIG = "cds updates: 0 successful, 0 rejected; lds updates: 0 successful, 0 rejected"
_XDS = "istiod.istio-system.svc:15012"


@dataclass
class Console:
    """The standard streams of the pod's containers, read line by line by the node's log agent."""

    writer: Writer
    entries: list[dict] = field(default_factory=list)
    _free: dict[str, int] = field(default_factory=dict)  # by container: after the line before

    def text(self, container: str, at: int, line: str, stream: str = "stdout") -> str:
        """Print a line; the insert id of its entry."""
        row = self._row(container, at, stream, _SEVERITY[stream])
        row["textPayload"] = line + "\n" if self.writer.legacy else line
        return row["insertId"]

    def lines(self, container: str, at: int, lines: list[str], stream: str) -> list[str]:
        """Print lines that one call writes: they follow each other at once. The insert ids of their entries."""
        ids = []
        for line in lines:
            ids.append(self.text(container, at, line, stream))
            at = max(at, self._free[container]) + int(self.writer.rng.integers(1_000, 200_000))
        return ids

    def payload(self, container: str, at: int, payload: dict, client: Client) -> str:
        """Print a JSON line; its time, if it has one in words, becomes the entry's. The insert id of its entry."""
        if client.promoted:
            at = at // client.promoted * client.promoted
        words = str(payload.get("level", payload.get("@level", "")))
        severity = _SEVERITIES.get(words, words.upper()) or _SEVERITY[client.stream]
        row = self._row(container, at, client.stream, severity, queue=not client.promoted)
        row["jsonPayload"] = payload
        return row["insertId"]

    def _row(self, container: str, at: int, stream: str, severity: str, *, queue: bool = True) -> dict:
        if queue:
            at = max(at, self._free.get(container, 0) + 1_000)
            self._free[container] = at
        row = self.writer.entry(at, stream, container, self.writer.rng.uniform(0.2, 4), severity)
        self.entries.append(row)
        return row


def app_logs(writer: Writer) -> tuple[list[dict], list[list[str]]]:
    """(entries, the insert ids of each attempt's and then of each report's entries) of all but the proxy."""
    pod, console = writer.pod, Console(writer)
    told: dict[int, list[str]] = {}
    said = [(attempt.logged, number, attempt) for number, attempt in enumerate(pod.attempts)]
    said += [(at + ns(0.003), len(pod.attempts) + number, target) for number, (at, target) in enumerate(pod.reports)]
    said += [(at, -1, words) for at, words in _small_talk(writer)]
    for at, number, what in sorted(said, key=lambda item: item[:2]):
        if isinstance(what, Attempt):
            told[number] = _failure(console, what)
        elif isinstance(what, Target):
            told[number] = [console.text("app", at, _reported(what), "stderr")]
        else:
            console.text(*what[:1], at, *what[1:])
    return console.entries, [told[number] for number in sorted(told)]


def _failure(console: Console, attempt: Attempt) -> list[str]:
    client = EVERY[attempt.client]
    said = client.refused(attempt.target, micro(attempt.logged))
    if client.structured:
        return [console.payload(attempt.container, attempt.logged, said, client)]
    return console.lines(attempt.container, attempt.logged, said, client.stream)


def _reported(target: Target) -> str:
    return (
        f"GET http://{target.host}/ -> 503 upstream connect error or disconnect/reset before headers. "
        "reset reason: remote connection failure, transport failure reason: delayed connect error: 111"
    )


def _small_talk(writer: Writer):
    """(time, (container, line)) of everything that reports no refused connection."""
    pod, rng = writer.pod, writer.rng
    ok = EVERY[pod.workload.client].ok
    for run in pod.runs("vault-agent-init"):
        yield run.started + ns(0.04), ("vault-agent-init", "[INFO]  agent.auth.handler: authenticating")
        if run.ended:
            words = f"[INFO]  agent.auth.handler: authentication successful at {VAULT.host}, sending token to sinks"
            yield run.ended - ns(0.02), ("vault-agent-init", words)
    for run in pod.runs("app"):
        yield run.started + between(rng, 0.005, 0.04), ("app", "starting")
        until = run.ended or pod.ends
        for _ in range(6):
            words = CHATTER if rng.random() < 0.7 else LOOK_ALIKES
            at = run.started + int(rng.integers(ns(0.3), max(until - run.started, ns(0.4))))
            if at < until:
                yield at, ("app", words[int(rng.integers(len(words)))])
    for at, _ in sorted(pod.successes)[:8]:
        yield at + ns(0.002), ("app", ok)
    for at, _ in pod.broken:
        yield at + ns(0.003), ("app", BROKEN[int(rng.integers(len(BROKEN)))], "stderr")


@dataclass(frozen=True)
class Style:
    """How this proxy is set up to log."""

    version: tuple[int, int]
    as_json: bool
    envoy_info: bool  # Envoy's own lines; by default only its warnings
    access_log: bool


class ProxyConsole:
    """The lines of the proxy in the form of its version."""

    def __init__(self, writer: Writer, style: Style):
        self.rng, self._console, self._style = writer.rng, Console(writer), style
        self._said: list[tuple[int, str, str, str]] = []  # (time, stream, line, its level if it is JSON)

    def entries(self) -> list[dict]:
        """All that was said, in the order of time, as entries."""
        for at, stream, line, level in sorted(self._said):
            if level:
                self._json(at, json.loads(line), stream, level)
            else:
                self._console.text("istio-proxy", at, line, stream)
        return self._console.entries

    def agent(self, at: int, text: str, level: str = "info", scope: str = "") -> None:
        """A line of pilot-agent, to standard output."""
        if self._style.as_json:
            payload = {"level": level, "msg": text} | ({"scope": scope} if scope else {})
            self._said.append((at, "stdout", json.dumps(payload), level))
        else:
            words = [micro(at), level, *([scope] if scope else []), text]
            self._said.append((at + ns(0.0003), "stdout", "\t".join(words), ""))

    def envoy(self, at: int, text: str, level: str = "info", logger: str = "main") -> None:
        """A line of Envoy's application log, to standard error; only warnings unless the level is set to info."""
        if level == "info" and not self._style.envoy_info:
            return
        version, place = self._style.version, "external/envoy/source/server/server.cc"
        if version <= (1, 5):
            head = "" if version <= (1, 3) else "[Envoy (Epoch 0)] "
            where = f" [{place}:462]" if version <= (1, 3) else ""
            clock = decimals(at, 3)[:-1].replace("T", " ")
            line = f"{head}[{clock}][14][{level}][{logger}]{where} {text}"
            self._said.append((at + ns(0.0003), "stderr", line, ""))
        elif self._style.as_json:
            payload = {"level": level, "msg": text, "scope": f"envoy {logger}"}
            self._said.append((at, "stderr", json.dumps(payload), level))
        else:
            modern = version >= (1, 17)
            words = [micro(at), level, f"envoy {logger}" + (f" {place}:977" if modern else ""), text]
            self._said.append((at + ns(0.0003), "stderr", "\t".join(words + ["thread=18"] * modern), ""))

    def access(self, at: int, target: Target, pod: Pod) -> None:
        """A line of the access log: begun at `at`, written when its connection ended and the buffer was flushed."""
        rng = self.rng
        web, old = target.port == 8080, self._style.version <= (1, 8)
        request = (
            ('"GET / HTTP/1.1" 200', '"curl/7.88.1"', f'"{target.host}:8080"') if web else ('"- - -" 0', '"-"', '"-"')
        )
        ip, port = pod.ip, int(rng.integers(32768, 60999))
        flags = '- "-" "-"' if old else '- via_upstream - "-"' if web else '- - - "-"'
        cluster = f"outbound|{target.port}||{target.host}.default.svc.cluster.local"
        ends = "- default" if web else "- -"
        line = (
            f'[{decimals(at, 3)}] {request[0]} {flags} 0 6 1 1 "-" {request[1]} "-" {request[2]} '
            f'"{target.ip}:{target.port}" {cluster} {ip}:{port} {target.ip}:{target.port} {ip}:{port - 4} {ends}'
        )
        self._said.append((at + between(rng, 0.01, 10), "stdout", line, ""))

    def _json(self, at: int, payload: dict, stream: str, level: str) -> None:
        # The log agent takes the `time` of a JSON line, in microseconds, as the entry's own.
        lag = self.rng.uniform(0.2, 4)
        severity = _SEVERITIES.get(level, level.upper())
        row = self._console.writer.entry(at // 1000 * 1000, stream, "istio-proxy", lag, severity)
        row["jsonPayload"] = payload
        self._console.entries.append(row)


def proxy_logs(writer: Writer) -> list[dict]:
    """The lines of the proxy's agent and of Envoy, in the words of its version."""
    pod, rng = writer.pod, writer.rng
    version = minor(pod.workload.version)
    modern = version >= (1, 6)
    style = Style(version, modern and rng.random() < 0.2, rng.random() < 0.3, rng.random() < 0.25)
    console = ProxyConsole(writer, style)
    for run in pod.runs("istio-proxy"):
        envoys = [one for one in pod.envoys if run.started <= one.executed < (run.ended or inf)]
        begun = run.started + ns(0.03)
        _agent_starts(console, pod, begun, version)
        for envoy in envoys:
            _envoy_lives(console, pod, envoy, version)
            _readiness(console, pod, envoy, run, begun, version)
        if pod.stopped is not None and run.reason == "Completed":
            _agent_stops(console, pod, run, version)
    # An access log would hold the refusals that the application reports, as well.
    if style.access_log and not pod.story.reported:
        through = [(at, target) for at, target in sorted(pod.successes) if pod.redirected(target)]
        for at, target in through[:12]:
            console.access(at, target, pod)
    return console.entries()


def _agent_starts(console: ProxyConsole, pod: Pod, begun: int, version: tuple[int, int]) -> None:
    console.agent(begun, 'FLAG: --concurrency="2"')
    console.agent(begun + ns(0.0002), 'FLAG: --proxyLogLevel="warning"')
    console.agent(begun + ns(0.002), f"Version {pod.workload.version}-0a1b2c-Clean")
    role = f"ips=[{pod.ip}] type=sidecar id={pod.name}.{pod.workload.namespace}"
    console.agent(begun + ns(0.003), f"Proxy role: {role} domain={pod.workload.namespace}.svc.cluster.local")
    console.agent(begun + ns(0.005), "Opening status port 15020")
    if version >= (1, 11) and pod.ready:
        console.agent(begun + ns(0.02), "Starting local udp DNS server on 127.0.0.1:15053", scope="dns")
    console.agent(begun + ns(0.05), "Starting proxy agent")


def _envoy_lives(console: ProxyConsole, pod: Pod, envoy: Envoy, version: tuple[int, int]) -> None:
    """From its command to its end, and what its agent says of a death."""
    if envoy.in_place:
        console.agent(envoy.executed - ns(0.02), "Reconciling retry (budget 9)")
    if version <= (1, 14):
        console.agent(envoy.executed - ns(0.002), "Epoch 0 starting")
    elif version <= (1, 20):
        console.agent(envoy.executed - ns(0.002), "starting")
    command = "Envoy command: [-c etc/istio/proxy/envoy-rev0.json --drain-time-s 45 -l warning --concurrency 2]"
    console.agent(envoy.executed, command)
    console.envoy(envoy.executed + ns(0.03), "initializing epoch 0 (base id=0, hot restart version=11.104)")
    console.envoy(envoy.executed + ns(0.09), "starting main dispatch loop")
    if envoy.opened is not None:
        # 0.1 to 1.7 ms before the first connection that works.
        last = envoy.opened - between(console.rng, 0.0001, 0.0017)
        if version >= (1, 9):
            console.agent(last - ns(0.12), f"connected to upstream XDS server: {_XDS}", scope="xdsproxy")
        console.envoy(last, "all dependencies initialized. starting workers", logger="config")
    elif version >= (1, 9):
        text = f"failed to connect to upstream {_XDS}: rpc error: code = Unavailable desc = deadline exceeded"
        console.agent(envoy.executed + ns(21), text, "warn", "xdsproxy")
    if envoy.died is None or pod.stopped is not None and envoy.died >= pod.stopped:
        return
    if version <= (1, 3):
        console.agent(envoy.died, "Epoch 0 terminated with an error: signal: killed", "warn")
        console.agent(envoy.died + ns(0.001), "Epoch 0: set retry delay to 200ms, budget to 9")
        return
    run = next((run for run in pod.runs("istio-proxy") if run.started < envoy.died <= (run.ended or 0)), None)
    if run is not None and run.exit_code == 1:
        words = "Envoy may have been out of memory killed. Check memory usage and limits."
        console.agent(envoy.died + ns(0.004), words, "error")
        died = "Epoch 0 exited" if version <= (1, 14) else "Envoy exited"
        console.agent(envoy.died + ns(0.005), f"{died} with error: signal: killed", "error")


def _readiness(console: ProxyConsole, pod: Pod, envoy: Envoy, run: Run, begun: int, version: tuple[int, int]) -> None:
    """What the agent says of the probes that reach it: each failure, and the first success of each Envoy."""
    until = min(envoy.died or inf, run.ended or inf)
    mine = sorted((one for one in pod.probes if envoy.executed <= one.time <= until), key=lambda one: one.time)
    for probe in mine:
        if probe.answer == "503":
            _not_ready(console, probe, envoy, version)
    ready = next((probe for probe in mine if probe.answer == "ok"), None)
    if ready is not None:
        if version >= (1, 12) and not envoy.in_place:
            console.agent(ready.time - ns(0.0004), f"Readiness succeeded in {(ready.time - begun) / SECOND:.9f}s")
        console.agent(ready.time, "Envoy proxy is ready")


def _not_ready(console: ProxyConsole, probe: Probe, envoy: Envoy, version: tuple[int, int]) -> None:
    if probe.time < envoy.executed + ns(0.1):
        refused = "Get http://127.0.0.1:15000/server_info: dial tcp 127.0.0.1:15000: connect: connection refused"
        reason = f"failed to get server info: {refused}"
    else:
        reason = f"config not received from Pilot (is Pilot running?): {_CONFIG}"
    console.agent(probe.time, f"Envoy proxy is NOT ready: {reason}", "info" if version <= (1, 5) else "warn")


def _agent_stops(console: ProxyConsole, pod: Pod, run: Run, version: tuple[int, int]) -> None:
    told = run.ended - ns(5.05) if pod.native else pod.stopped
    console.agent(told + ns(0.01), "Status server has successfully terminated")
    console.agent(told + ns(0.02), "Agent draining Proxy" + (" for termination" if version >= (1, 21) else ""))
    console.agent(told + ns(0.021), "Graceful termination period is 5s, starting...")
    console.agent(run.ended - ns(0.03), "Graceful termination period complete, terminating remaining proxies.")
    if version >= (1, 15):
        console.agent(run.ended - ns(0.02), "Aborted proxy instance", "warn")
    console.agent(run.ended - ns(0.005), "Agent has successfully terminated")
