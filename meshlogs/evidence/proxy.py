"""What the proxy's own lines, its probes and its image prove about when it accepted connections.

This is the one place that says what a line of `istio-proxy` means. `LINES` is the table: to teach a new
phrase, add a row. Facts read in istio/istio `pkg/istio-agent`, `pkg/envoy`, `cmd/pilot-agent/status`
at tags 1.3 to 1.31 and envoyproxy/envoy `source/server`; the start-up order was confirmed with a real
Envoy behind real redirection.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema, times
from meshlogs.columnar import joins
from meshlogs.evidence.lifecycle import occurrences
from meshlogs.formats.k8s_events import named_time
from meshlogs.later import Later

pd = Later("pandas")

PROXY = "istio-proxy"
VALIDATION = "istio-validation"

# "starting workers" stood 0.1 to 1.7 ms before the first accepted connection in our recordings; the
# listener can also open a little earlier than its line. Wide enough for a busy node.
WORKERS_SLACK = 50 * times.MILLISECOND
# The agent writes two lines about one probe within a millisecond: both lie inside the bound.
AGENT_SLACK = 5 * times.MILLISECOND


class Line(NamedTuple):
    """One phrase of the proxy: what it looks like, what it proves, an example."""

    pattern: str
    kind: str
    value: str
    example: str


LINES = (
    Line(r"Envoy proxy is ready", "proxy_open", "agent_ready", "info\tEnvoy proxy is ready"),
    Line(r"Readiness succeeded in ", "proxy_open", "agent_ready", "info\tReadiness succeeded in 1.211559875s"),
    Line(
        r"all dependencies initialized\. starting workers",
        "proxy_open",
        "workers",
        "info\tenvoy main source/server/server.cc:918\tall dependencies initialized. starting workers\tthread=14",
    ),
    Line(
        r"Envoy proxy is NOT ready: .*lds updates: 0 successful",
        "proxy_closed",
        "no_listeners",
        "warn\tEnvoy proxy is NOT ready: config not received from Pilot (is Pilot running?): "
        "cds updates: 1 successful, 0 rejected; lds updates: 0 successful, 0 rejected",
    ),
    Line(
        r"Envoy proxy is NOT ready: (?:server is not live, current state is: (?:PRE_)?INITIALIZING"
        r"|workers have not yet started"
        # Only a refused admin port: its thread may be too busy to answer while the workers serve.
        r"|(?:failed retrieving Envoy stats|failed to get (?:server info|readiness stats)).*connection refused"
        r"|(?:server\.state|listener_manager\.workers_started) is not yet updated)",
        "proxy_closed",
        "initializing",
        "warn\tEnvoy proxy is NOT ready: server is not live, current state is: INITIALIZING",
    ),
    Line(
        r"Envoy proxy is NOT ready: (?:server is not live, current state is: DRAINING|server is terminated)",
        "proxy_draining",
        "draining",
        "warn\tEnvoy proxy is NOT ready: server is not live, current state is: DRAINING",
    ),
    Line(
        r"Envoy proxy is NOT ready: ",
        "proxy_not_ready",
        "other",
        "warn\tEnvoy proxy is NOT ready: config not fully received from XDS server: cds updates: 1 successful, "
        "0 rejected; lds updates: 1 successful, 0 rejected",
    ),
    Line(r"FLAG: --", "proxy_process", "agent", 'info\tFLAG: --concurrency="2"'),
    Line(r"Proxy role\b", "proxy_process", "agent", "info\tProxy role: &model.Proxy{ClusterID:..."),
    Line(r"Starting proxy agent", "proxy_process", "agent", "info\tStarting proxy agent"),
    Line(r"Opening status port \d", "proxy_process", "agent", "info\tOpening status port 15020"),
    Line(
        r"Envoy command: \[",
        "proxy_process",
        "envoy",
        "info\tEnvoy command: [-c etc/istio/proxy/envoy-rev.json",
    ),
    Line(r"Epoch 0 starting", "proxy_process", "envoy", "info\tEpoch 0 starting"),
    Line(
        r"initializing epoch 0 \(",
        "proxy_process",
        "envoy",
        "info\tenvoy main\tinitializing epoch 0 (base id=0,",
    ),
    Line(
        r"(?:Agent draining [Pp]roxy|Status server has successfully terminated|Graceful termination period is)",
        "proxy_draining",
        "sigterm",
        "info\tAgent draining Proxy",
    ),
    Line(r"handling /quitquitquit", "proxy_draining", "quitquitquit", "info\thandling /quitquitquit, notifying"),
    Line(r"caught (?:ENVOY_)?SIGTERM", "proxy_draining", "sigterm", "warning\tenvoy main\tcaught ENVOY_SIGTERM"),
    Line(
        r"(?:Envoy exited with error: signal: killed|Epoch \d+ (?:exited|terminated) with (?:an )?error: signal: killed"
        r"|Envoy may have been out of memory killed)",
        "proxy_exited",
        "killed",
        "error\tEnvoy exited with error: signal: killed",
    ),
    Line(
        r"(?:Envoy exited with error|Epoch \d+ (?:exited|terminated) with (?:an )?error|Envoy aborted abnormally)",
        "proxy_exited",
        "error",
        "error\tEpoch 0 exited with error: exit status 1",
    ),
    Line(
        # Not "Epoch 0 exited normally": after a hot restart the next one serves.
        r"(?:Envoy exited normally|Envoy aborted normally|Aborted all epochs"
        r"|Aborted proxy instance|Agent has successfully terminated|No more active epochs, terminating"
        r"|terminating remaining proxies|terminating proxy\.\.\.|Agent already drained, exiting immediately)",
        "proxy_exited",
        "normal",
        "info\tAgent has successfully terminated",
    ),
    Line(r"main dispatch loop exited", "proxy_exited", "normal", "info\tenvoy main\tmain dispatch loop exited"),
    Line(
        r"(?:^|\s|\")(?:client )?[Vv]ersion:? (?:asm-)?\d+\.\d+\.\d+",
        "proxy_version",
        "",
        "info\tVersion 1.10.0-d26c...-Clean",
    ),
)

# A line of pilot-agent says "starting" and nothing else (1.15 to 1.20): Envoy is executed.
_BARE_STARTING = Line(r"\tstarting$", "proxy_process", "envoy", "info\tstarting")
_ALL = (*LINES, _BARE_STARTING)
_ANY = "|".join(f"(?:{line.pattern})" for line in _ALL)

# A hot restart (Istio up to 1.9): the new Envoy takes the listening sockets over from the old one, none is closed.
_HOT_RESTART = r"Envoy command: .*--restart-epoch [1-9]|\[Envoy \(Epoch [1-9]"

# pilot-agent tells the pod's address first of its proxy's: `ips:[10.36.1.5 …]`, `ips=[…]`, `private IP [10.36.1.5]`.
_ADDRESS = re.compile(r"(?:\bips[:=] ?\[\"?|\bIPAddresses:\[\]?string\{\"|private IP \[)([0-9a-fA-F.:]+)")
_VERSION = re.compile(r"[Vv]ersion:? (?:asm-)?(\d+\.\d+\.\d+[\w.+-]*)")
_SUCCEEDED_IN = re.compile(r"Readiness succeeded in ((?:[\d.]+(?:h|ms|m|s|µs|us|ns))+)")
_DURATION = re.compile(r"([\d.]+)(h|ms|m|s|µs|us|ns)")
_UNIT_NS = {"h": 3600e9, "m": 60e9, "s": 1e9, "ms": 1e6, "µs": 1e3, "us": 1e3, "ns": 1}

# An access-log line starts with the time its request or connection began; one that went to an outbound
# cluster proves that outbound connections were accepted then. Envoy writes it up to 10 s later.
_ACCESS = r'^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] "'
_ACCESS_JSON = r'"start_time":\s*"'
_OUTBOUND = r"\boutbound\|\d|\bPassthroughCluster|\bBlackHoleCluster"
_START_TIME = re.compile(r'(?:^\[|"start_time":\s*")(\d{4}-\d\d-\d\dT[\d:.]+Z)')

_IMAGE = re.compile(r"[/\w.-]*proxyv2[\w-]*:(\d+\.\d+[\w.+-]*)")


# What `istio-validation` writes when its test is not redirected. (istio: tools/istio-iptables/pkg/validation)
_UNREDIRECTED = r"127\.0\.0\.6:\d+.*connection refused|\[::6\]:\d+.*connection refused|iptables validation failed"


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """Evidence in the log lines of the proxy container, and of the one that checks the redirection."""
    rows = log_entries[
        log_entries["container"].isin([PROXY, VALIDATION])
        & (log_entries["resource_type"] == "k8s_container")
        & log_entries["pod"].notna()
        & log_entries["time"].notna()
    ]
    if rows.empty:
        return schema.empty(schema.EVIDENCE)
    text = _searchable(rows)
    own = (rows["container"] == PROXY).to_numpy(bool)
    requests = _matches(text, _ACCESS, _ACCESS_JSON)  # what stands in them was written by others
    phrases = _phrases(rows[own & ~requests & _matches(text, _ANY)])
    access = _access(rows[own & requests & _matches(text, _OUTBOUND)])
    unredirected = rows[~own & _matches(text, _UNREDIRECTED)]
    stamp = unredirected["time"]
    checks = unredirected.assign(kind="redirection_missing", time_lower=stamp, time_upper=stamp)
    return pd.concat([phrases, access, schema.conform(checks, schema.EVIDENCE)], ignore_index=True)


def _searchable(rows: pd.DataFrame) -> pd.Series:
    return rows["message"].fillna("").where(rows["payload"].isna(), rows["payload"].fillna(""))


def _matches(text: pd.Series, *patterns: str) -> np.ndarray:
    """Whether each text holds any of the patterns; Arrow's engine, linear in the text."""
    strings = pa.array(text, pa.string())
    hits = np.zeros(len(text), dtype=bool)
    for pattern in patterns:
        hits |= np.asarray(pc.match_substring_regex(strings, pattern))
    return hits


def _phrases(rows: pd.DataFrame) -> pd.DataFrame:
    text = rows["message"].fillna("").str.rstrip()
    place = np.full(len(rows), -1)  # of the first line that matches
    for at, line in enumerate(_ALL):
        place[(place < 0) & _matches(text, line.pattern)] = at
    told = np.array([*((line.kind, line.value) for line in _ALL), (None, None)], dtype=object)
    kind, value = (pd.Series(column[place], rows.index, dtype=object) for column in told.T)
    told_address = text.map(lambda line: _group(_ADDRESS, line))
    version = kind == "proxy_version"
    value = value.mask(version, text.where(version, "").map(lambda line: _group(_VERSION, line)))
    facts = rows.assign(kind=kind, value=value, time_lower=rows["time"], time_upper=rows["time"])
    again = pd.Series(_matches(text, _HOT_RESTART), rows.index)
    facts = facts[kind.notna() & (~version | value.notna()) & ~(again & (kind == "proxy_process"))]
    workers = facts["value"] == "workers"
    early = pd.to_timedelta(np.where(workers, WORKERS_SLACK, 0), unit="ns")
    late = np.select([workers, facts["value"] == "agent_ready"], [WORKERS_SLACK, AGENT_SLACK], 0)
    facts = facts.assign(time_lower=facts["time"] - early, time_upper=facts["time"] + pd.to_timedelta(late, unit="ns"))
    opening = facts[workers & ~again.reindex(facts.index)]
    closed_before = opening.assign(kind="proxy_closed", time_upper=opening["time_lower"])
    told_address = told_address.reindex(facts.index)
    addresses = facts.assign(kind="pod_address", value=told_address)[told_address.notna()]
    parts = [facts, closed_before, _process_starts(facts), addresses]
    return schema.conform(pd.concat(parts, ignore_index=True), schema.EVIDENCE)


def _process_starts(facts: pd.DataFrame) -> pd.DataFrame:
    """The starts of the agent's process, dated by "Readiness succeeded in D": D before the line."""
    told = facts[facts["message"].str.contains("Readiness succeeded in", regex=False, na=False)]
    lasted = told["message"].map(lambda line: _duration_ns(_group(_SUCCEEDED_IN, line)))
    began = told["time"] - pd.to_timedelta(lasted, unit="ns")
    return told.assign(kind="proxy_process", value="agent", time_lower=began, time_upper=began)[lasted > 0]


def _duration_ns(text: str | None) -> int:
    """Nanoseconds of a Go duration such as `1m2.5s`; 0 if there is none.

    >>> _duration_ns("1m2.5s")
    62500000000
    """
    return int(sum(float(number) * _UNIT_NS[unit] for number, unit in _DURATION.findall(text or "")))


def _group(pattern: re.Pattern, text: str) -> str | None:
    match = pattern.search(text)
    return match.group(1) if match else None


def _access(rows: pd.DataFrame) -> pd.DataFrame:
    texts = _searchable(rows)
    began = np.array([times.parse_ns(_group(_START_TIME, text)) for text in texts], dtype="int64")
    began = times.column(began).set_axis(rows.index)
    facts = rows.assign(
        kind="proxy_open",
        value="access_log",
        time_lower=began,
        time_upper=began + pd.Timedelta(times.MILLISECOND, "ns"),  # written to the millisecond
    )
    return thin(schema.conform(facts[began.notna()], schema.EVIDENCE))


def thin(evidence: pd.DataFrame) -> pd.DataFrame:
    """The same evidence with only the first and last access-log row of a pod's minute.

    Thinning the union of thinned shards gives what thinning all entries at once would.
    """
    access = ((evidence["kind"] == "proxy_open") & (evidence["value"] == "access_log")).to_numpy(bool)
    if not access.any():
        return evidence
    at = np.flatnonzero(access)
    pod, order = ["project", "location", "cluster", "namespace", "pod"], ["time_lower", "insert_id", "source", "line"]
    rows = evidence[[*pod, *order, "log_name"]].take(at).reset_index(drop=True).sort_values(order, kind="stable")
    # One that was delivered twice is one, or which of them stays would depend on what is thinned together.
    once = rows["insert_id"].isna().to_numpy() | ~rows.duplicated([*pod, "log_name", "time_lower", "insert_id"])
    rows = rows[once]
    key = joins.numbered(joins.texts_of(rows[name]).fillna("") for name in pod)
    groups = rows.groupby([key, rows["time_lower"].dt.floor("min")], sort=False)
    keep = ~access
    keep[at[groups.head(1).index]] = keep[at[groups.tail(1).index]] = True
    return evidence[keep]


# What the kubelet's probe of the proxy got. (kubernetes: pkg/probe/http; FACTS: istio probe ports)
_PROBES = (
    ("refused", r"connection refused"),
    ("timeout", r"context deadline exceeded|Client\.Timeout|i/o timeout|timed out"),
    ("503", r"statuscode: 503"),
)
_PROBE_HOST = re.compile(r"https?://\[?([0-9a-fA-F.:]+?)\]?:\d+/")
_PROBE_PORT = re.compile(r"https?://[^/\s\"]*:(\d+)/")


# The kubelet probes on a ticker of whole seconds: repeats keep the fraction of their first, which the event's name
# holds. Only startup probes: readiness probes are also triggered off it. (kubernetes: pkg/kubelet/prober/worker.go)
_BEAT = 100 * times.MILLISECOND


def _on_the_beat(rows: pd.DataFrame) -> pd.DataFrame:
    """The same events, repeats of a startup probe narrowed within their second to the beat of the first."""
    repeats = rows["message"].fillna("").str.startswith("Startup probe") & (rows["time_source"] == "last_timestamp")
    first = pd.Series(
        [named_time(name) for name in rows.loc[repeats, "event_name"]], rows.index[repeats], dtype="Int64"
    )
    floor = times.to_ns(rows.loc[first.dropna().index, "time_lower"])
    beat = (first.dropna().to_numpy("int64") - floor) % times.SECOND
    # At the edge of its second a small delay would carry it over.
    inner = (beat >= _BEAT) & (beat < times.SECOND - _BEAT)
    at = first.dropna().index[inner]
    middle = floor[inner] + beat[inner]
    rows = rows.copy()
    rows.loc[at, "time_lower"] = times.column(middle - _BEAT).set_axis(at)
    rows.loc[at, "time_upper"] = times.column(middle + _BEAT).set_axis(at)
    return rows


def from_events(events: pd.DataFrame) -> pd.DataFrame:
    """Failed probes of the proxy, and its version from the image it was pulled as."""
    rows = events[(events["kind"] == "Pod") & (events["container"] == PROXY) & events["pod"].notna()]
    message = rows["message"].fillna("")
    failed = _on_the_beat(rows[rows["reason"] == "Unhealthy"])
    told = [message[failed.index].str.contains(pattern, regex=True) for _, pattern in _PROBES]
    answer = np.select(told, [word for word, _ in _PROBES], "other")
    port = pd.to_numeric(message[failed.index].map(lambda text: _group(_PROBE_PORT, text)), errors="coerce")
    failed = failed.assign(kind="probe_failed", value=answer, port=port.astype("Int64"), log_name="events")
    version = message.map(lambda text: _group(_IMAGE, text))
    pulled = rows.assign(kind="proxy_version", value=version, log_name="events")[version.notna()]
    address = message.map(lambda text: _group(_PROBE_HOST, text))
    probed = rows.assign(kind="pod_address", value=address, log_name="events")[address.notna()]
    return pd.concat([occurrences(failed), occurrences(pulled), occurrences(probed)], ignore_index=True)


def from_pods(pods: pd.DataFrame) -> pd.DataFrame:
    """The proxy's version, from the image in the pod's spec."""
    version = pods["spec"].fillna("").map(lambda spec: _group(_IMAGE, spec))
    rows = pods.assign(kind="proxy_version", value=version, container=PROXY, message=None, log_name="pods")
    rows = rows.assign(time_lower=pods["created"], time_upper=pods["created"])
    return schema.conform(rows[version.notna()], schema.EVIDENCE)
