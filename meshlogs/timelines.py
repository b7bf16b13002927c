"""From evidence to one row per pod start, with every time as an interval.

`place` says which pod start each piece of evidence belongs to, `reconstruct` draws up the starts.
A bound is always one piece of evidence; nothing is averaged.
"""

import re
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from meshlogs import joins, schema, times
from meshlogs.evidence.lifecycle import restarted
from meshlogs.evidence.proxy import PROXY
from meshlogs.formats.names import workload_of
from meshlogs.specs import HELPERS, MESH_CONTAINERS, destinations, specs_of

WHERE = ["project", "location", "cluster"]
_POD = [*WHERE, "namespace", "pod"]
_NAMED = [*_POD, "pod_uid"]
_ORDER = ["time_upper", "time_lower", "kind", "container", "insert_id", "value", "message"]

# The runtime starts a container before the kubelet writes its Started event.
STARTED_SLACK = 200 * times.MILLISECOND
# Where Envoy serves the kubelet's probe itself. (istio: tools/packaging/common/envoy_bootstrap.json, since 1.6)
ENVOY_PROBE = 15021
# A probe's event is written after the probe returned.
PROBE_SLACK = 20 * times.MILLISECOND
# A program may log a refused connect a little after it happened.
REFUSED_SLACK = 500 * times.MILLISECOND
# A proxy that is probed every second or two and fails is heard of more often than this.
PAUSE = 20 * times.SECOND
LONG_PAUSE = 45 * times.SECOND
# The hook that holds the application gives up after 60 s. (istio: pilot-agent wait, its default)
HOLD_TIMEOUT = 60 * times.SECOND
# Clocks of a node and of the API server are trusted to agree to this much.
CLOCK_SLACK = 2 * times.SECOND


def place(evidence: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """The evidence that names a pod, sorted, with `start_id` and the missing cluster and uid filled in.

    `schema.SHARED` and `start_id` are coded (`joins.plain` gives their texts).
    A dump of kubectl names no cluster: it takes that of the rows with the same uid, else with the same
    namespace and pod name, if that is one. A log line names no uid: it belongs to the latest pod of its
    name that existed then.
    """
    evidence = joins.coded(evidence, schema.SHARED)
    dated = evidence["time_upper"].notna() | evidence["kind"].isin(["app_logged", "refused_undated"])
    usable = np.flatnonzero(evidence["pod"].notna() & dated)
    rows = evidence[[*_NAMED, *_ORDER, "log_name"]].take(usable).reset_index(drop=True)
    # What one pod is called by is looked at once.
    named, number = joins.questions(rows, _NAMED)
    named = _fill_cluster(_fill_namespace(joins.plain(named), pods), pods)
    key = _pod_numbers(named)
    uid, uids = _uids(rows["time_upper"], number, named, key, pods)
    start = _start_ids(rows, named, number, key, uid, uids)
    # Times first, then names: the same order whatever the files were called or in which order they came.
    order = joins.ordered(rows.assign(start_id=start), ["start_id", *_ORDER], cheap=5)
    del rows
    names = joins.coded(named[[*WHERE, "namespace"]], [*WHERE, "namespace"])
    filled = {name: names[name].array.take(number[order]) for name in names}
    filled |= {"pod_uid": joins.categorical(uid[order], uids), "start_id": start.take(order)}
    others = evidence[[name for name in evidence if name not in filled]].take(usable[order]).reset_index(drop=True)
    return others.assign(**filled)[[*evidence, "start_id"]]


def _start_ids(
    rows: pd.DataFrame, named: pd.DataFrame, number: np.ndarray, key: np.ndarray, uid: np.ndarray, uids: pd.Index
) -> pd.Categorical:
    """The start of each row: cluster/namespace/pod, and #2, #3 … for later pods of the same name.

    `number` is a row's row in `named`, `key` the pod's number of each row of those, `uid` a row's place in `uids`.
    """
    life = _lives(rows, key[number], uid)
    which = joins.numbered(map(pd.Series, (key[number], uid, life)))
    at = joins.firsts(which)
    starts = named[_POD].take(number[at]).fillna("").reset_index(drop=True)  # by number
    starts["key"], starts["life"] = key[number[at]], 1
    several = starts["key"].duplicated(keep=False).to_numpy()
    if several.any():
        first = joins.earliest_of(rows["time_upper"], which, len(starts))[several]
        names = np.append(np.asarray(uids, dtype=object), "")[uid[at]]
        names = np.where(life[at] > 0, life[at].astype(str), names)[several]
        order = pd.DataFrame({"first": first, "uid": names}).sort_values(["first", "uid"]).index
        starts.loc[order, "life"] = starts["key"][order].groupby(starts["key"][order]).cumcount() + 1
    codes, names = pd.factorize(_names(starts), sort=True)
    return joins.categorical(codes[which], names)


def _names(starts: pd.DataFrame) -> pd.Series:
    name = starts["cluster"] + "/" + starts["namespace"] + "/" + starts["pod"]
    sites = joins.distinct(starts, WHERE)
    unclear = sites["cluster"][sites["cluster"].duplicated()]
    if len(unclear):
        ambiguous = starts["cluster"].isin(unclear)
        name = name.where(~ambiguous, starts["project"] + "/" + starts["location"] + "/" + name)
    later = starts["life"] > 1
    name[later] += "#" + starts["life"][later].astype(str)
    return name.str.removeprefix("/")


def _lives(rows: pd.DataFrame, key: np.ndarray, uid: np.ndarray) -> np.ndarray:
    """For rows without a uid the number of the pod of that name they belong to: 0 for the first, 2 for the second.

    A pod keeps its address for life, so another address told by its proxy is another pod. The change lies in the
    longest silence between the last line that told the old address and the first that told the new.
    """
    lives = np.zeros(len(rows), dtype=np.int64)
    nameless = (uid < 0) & rows["time_upper"].notna().to_numpy()
    told = nameless & (rows["kind"] == "pod_address").to_numpy() & rows["log_name"].ne("pods").to_numpy()
    several = rows["value"][told].groupby(key[told]).nunique() > 1
    if not several.any():
        return lives
    nameless &= np.isin(key, several.index[several])
    nameless = rows[["time_upper", "value"]].assign(told=told, key=key)[nameless]
    for _, pod in nameless.sort_values("time_upper", kind="stable").groupby("key"):
        address = joins.texts_of(pod["value"]).where(pod["told"]).dropna()
        changes = address[address != address.shift()].index[1:]
        for number, new in enumerate(changes, start=2):
            at = address.index.get_loc(new)
            between = pod.loc[address.index[at - 1] : new, "time_upper"]
            lives[pod.loc[between.diff().idxmax() :].index] = number
    return lives


def _fill_namespace(rows: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """Give evidence without a namespace (a table of one, a viewer's text) that of the pods of its name, if one."""
    missing = rows["namespace"].isna()
    if missing.any():
        known = pd.concat([rows[["pod", "namespace"]], pods[["pod", "namespace"]]]).dropna().drop_duplicates()
        known = known[~known["pod"].duplicated(keep=False)].set_index("pod")["namespace"]
        rows["namespace"] = rows["namespace"].fillna(schema.lookup(rows["pod"], known))
    return rows


def _fill_cluster(rows: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    if not rows["cluster"].isna().any():
        return rows
    known = pd.concat([rows[_NAMED], pods[_NAMED]], ignore_index=True)
    told = known["cluster"].notna().to_numpy()
    site = joins.numbered(known[name] for name in WHERE)
    first = np.append(joins.firsts(site), -1)
    for key in (["pod_uid"], ["namespace", "pod"]):
        missing = rows["cluster"].isna().to_numpy()
        if not missing.any():
            break
        number = joins.numbered(known[name] for name in key)
        agreed = joins.agreed(number, np.where(told & known[key].notna().all(axis=1), site, -1))
        found = first[agreed[number[: len(rows)][missing]]]
        for name in WHERE:
            rows.loc[missing, name] = known[name].array.take(found, allow_fill=True)
    return rows


def _uids(
    time: pd.Series, number: np.ndarray, named: pd.DataFrame, key: np.ndarray, pods: pd.DataFrame
) -> tuple[np.ndarray, pd.Index]:
    """The uid of each row, as its place in the index of all uids (-1: unknown), and these.

    A row without a uid has that of the latest pod of its name that existed at its time.
    """
    own, uids = pd.factorize(named["pod_uid"], sort=True)
    uid = own[number]
    if not (own < 0).any() or not len(uids):
        return uid, uids
    seen = named.assign(key=key, uid=own, first=joins.earliest_of(time, number, len(named)))
    born = _born(seen[own >= 0], uids, pods)
    stamps = times.to_ns(time)
    asked = np.flatnonzero((uid < 0) & (stamps != times.NAT))
    found = joins.last_before(key[number[asked]], stamps[asked], born["key"].to_numpy(), born["since"].to_numpy())
    uid[asked] = np.append(born["uid"], -1)[found]
    # An undated line belongs to the first pod of its name.
    undated = np.flatnonzero((uid < 0) & (stamps == times.NAT))
    first = born.drop_duplicates("key").set_index("key")["uid"]
    uid[undated] = first.reindex(key[number[undated]], fill_value=-1)
    return uid, uids


def _born(seen: pd.DataFrame, uids: pd.Index, pods: pd.DataFrame) -> pd.DataFrame:
    """Since when [ns] each pod of a name may have existed: `key, uid, since`, sorted by name and time."""
    pod = joins.numbered([seen["key"], seen["uid"]])
    born = seen[["key", "uid"]].take(joins.firsts(pod)).reset_index(drop=True)
    first = joins.earliest_of(seen["first"], pod, len(born))
    exact = joins.earliest_of(pods["created"], uids.get_indexer(pods["pod_uid"]), len(uids)).take(born["uid"])
    since = times.to_ns(exact.set_axis(born.index).fillna(first) - pd.Timedelta(CLOCK_SLACK, "ns"))
    born["since"] = np.where(since == times.NAT, np.iinfo(np.int64).max, since)
    born = born.assign(guessed=exact.isna().to_numpy()).sort_values(["key", "since", "uid"])
    # The first known pod of a name may have begun before its first event that we hold.
    born.loc[~born["key"].duplicated() & born["guessed"], "since"] = times.NAT
    return born


def _pod_numbers(rows: pd.DataFrame) -> np.ndarray:
    """A number for each pod's name in its cluster."""
    return joins.numbered(rows[name].fillna("") for name in _POD)


# What dates starts and proxies.
_FACTS = ["start_id", "kind", "container", "container_kind", "log_name", "cluster", "time_lower", "time_upper"]
_FACTS += ["value", "host", "ip", "port"]


class Known:
    """What several steps want to know of the starts of placed evidence: each is worked out once, when asked for."""

    def __init__(self, placed: pd.DataFrame, pods: pd.DataFrame):
        self.facts = placed[_FACTS]
        self._named, self._pods = _named_starts(placed), pods
        self._ended: pd.Series | None = None

    @cached_property
    def specs(self) -> pd.DataFrame:
        """What the pod objects say of each start (`specs.specs_of`)."""
        return specs_of(self._named, self._pods)

    @cached_property
    def containers(self) -> pd.DataFrame:
        """When each container first started (`container_starts`)."""
        return container_starts(self.facts, self.specs)

    def starts(self) -> pd.DataFrame:
        """Where and what each start is: index start_id."""
        return self._named.set_index("start_id", drop=False).rename_axis(None)

    def ended(self, starts: pd.DataFrame, proofs: pd.DataFrame | None = None) -> pd.Series:
        """When each start's proxy was first seen to have ended (`first_life_ends`); `starts` always the same."""
        if self._ended is None:
            proofs = closed_proofs(starts, self.facts, self.specs) if proofs is None else proofs
            self._ended = first_life_ends(starts, self.facts, proofs)
        return self._ended


def reconstruct(placed: pd.DataFrame, pods: pd.DataFrame, known: Known | None = None) -> pd.DataFrame:
    """One row per pod start (`schema.STARTS`, outcome still null) from placed evidence and pod specs.

    `known` saves `judge` and `conclude`, which are given the same, some of the work.
    """
    known = known or Known(placed, pods)
    placed, specs = known.facts, known.specs
    starts = known.starts().join(specs[["hold_hook", "spec_injection", "app_first", "probed", "ambient"]])
    _describe(starts, specs, placed)
    _app(starts, placed, known.containers)
    _proxy(starts, known)
    _windows(starts)
    return schema.conform(starts.sort_index(), schema.STARTS, "starts")


def _named_starts(placed: pd.DataFrame) -> pd.DataFrame:
    return joins.plain(placed.loc[~placed["start_id"].duplicated(), ["start_id", *_NAMED]])


def _describe(starts: pd.DataFrame, specs: pd.DataFrame, placed: pd.DataFrame) -> None:
    """Workload, version, injection, and which sources speak of each start."""
    of_log = ~placed["log_name"].isin(["events", "pods"])
    is_proxy = placed["container"] == PROXY
    starts["has_app_logs"] = _any(starts, placed, of_log & ~placed["container"].isin(MESH_CONTAINERS))
    starts["has_proxy_logs"] = _any(starts, placed, of_log & is_proxy)
    starts["has_events"] = _any(starts, placed, placed["log_name"] == "events")
    starts["has_pod_spec"] = specs["has_spec"].astype(bool)
    names = [workload_of(pod) for pod in starts["pod"]]
    for at, column in enumerate(("workload", "controller", "revision")):
        guessed = pd.Series([name[at] for name in names], index=starts.index, dtype=object)
        starts[column] = specs[f"spec_{column}"].where(specs["has_spec"].astype(bool), guessed)
    starts["node"] = specs["spec_node"]
    starts["proxy_version"] = _version(starts, placed)
    as_init = _any(starts, placed, is_proxy & (placed["container_kind"] == "init"))
    as_regular = _any(starts, placed, is_proxy & (placed["container_kind"] == "regular"))
    seen = _any(starts, placed, placed["container"].isin(MESH_CONTAINERS))
    others = placed[(placed["log_name"] == "events") & placed["container"].notna() & ~is_proxy]
    told = schema.lookup(starts["start_id"], others.groupby("start_id").size()).fillna(0) >= 2
    redirects = _any(starts, placed, placed["container"].isin(["istio-init", "istio-validation"]))
    choices = {"native_sidecar": as_init, "sidecar": as_regular | redirects, "none": ~seen & told}
    by_events = np.select(list(choices.values()), list(choices), "unknown")
    starts["injection"] = starts["spec_injection"].where(starts["has_pod_spec"], by_events)
    contradicted = starts["injection"].isin(["none"]) & seen
    starts["injection"] = starts["injection"].mask(contradicted, by_events)
    starts["meshed"] = np.where(starts["injection"].isin(["sidecar", "native_sidecar"]) | seen, True, None)
    starts.loc[starts["injection"] == "none", "meshed"] = False


def _any(starts: pd.DataFrame, placed: pd.DataFrame, mask: pd.Series) -> pd.Series:
    return pd.Series(joins.among(starts.index, placed.loc[mask, "start_id"]), starts.index)


def _version(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    """The version that the proxy itself stated, else that of its image."""
    rows = placed[(placed["kind"] == "proxy_version") & placed["value"].notna()]
    rows = rows.assign(value=joins.texts_of(rows["value"]), told=rows["log_name"].isin(["events", "pods"])).sort_values(
        ["told", "time_upper"], kind="stable"
    )
    return schema.lookup(starts["start_id"], rows.drop_duplicates("start_id").set_index("start_id")["value"])


@lru_cache(maxsize=10_000)
def minor_version(version: str | None) -> tuple[int, int] | None:
    """(major, minor) of a proxy version; None if unknown.

    >>> minor_version("1.19.10-asm.6"), minor_version("latest")
    ((1, 19), None)
    """
    match = re.match(r"(\d+)\.(\d+)", version) if isinstance(version, str) else None
    return (int(match.group(1)), int(match.group(2))) if match else None


def container_starts(placed: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """When each container of each start first started: `start_id, container, kind, lower, upper`."""
    rows = placed[placed["container"].notna()]
    pair = pd.Series(joins.numbered([rows["start_id"], rows["container"]]), rows.index)
    began = rows["kind"] == "container_started"
    shown = began | rows["kind"].isin(["app_logged", "refused", "suspected", "proxy_process", "container_died"])
    upper = rows["time_upper"][shown].groupby(pair).min()
    table = rows.loc[~pair.duplicated(), ["start_id", "container"]].reset_index(drop=True).loc[upper.index]
    table["upper"] = upper
    created = rows["time_lower"][rows["kind"] == "container_created"].groupby(pair).min()
    table["created"] = created.reindex(table.index)
    told = rows[began]
    told = told[~restarted(told["value"])]
    # An exact event follows the start it tells of; a status holds the start's own second.
    slack = np.where((told["time_lower"] == told["time_upper"]), STARTED_SLACK, 0)
    earliest = told["time_lower"] - pd.to_timedelta(slack, unit="ns")
    table["told"] = earliest.groupby(pair).min().reindex(table.index)
    scheduled = placed[placed["kind"] == "scheduled"].groupby("start_id")["time_lower"].min()
    table["scheduled"] = schema.lookup(table["start_id"], scheduled)
    table["lower"] = pd.Series(pd.NaT, index=table.index, dtype=times.COLUMN)
    for candidate in ("created", "told", "scheduled"):
        value = table[candidate].astype(times.COLUMN)
        table["lower"] = table["lower"].fillna(value.where(value <= table["upper"]))
    kinds = rows["container_kind"].dropna()
    kinds = kinds[~pair[kinds.index].duplicated()]
    table["kind"] = pd.Series(kinds.to_numpy(object), pair[kinds.index]).reindex(table.index)
    table = table.sort_values(["start_id", "container"], ignore_index=True).astype({"container": "str", "kind": object})
    init = joins.asked_once(
        tuple.__contains__, schema.lookup(table["start_id"], specs["init_names"]), table["container"]
    )
    table.loc[init.astype(bool), "kind"] = "init"
    by_name = table["kind"].isna() & table["container"].isin(["vault-agent-init", "istio-init", "istio-validation"])
    table.loc[by_name, "kind"] = "init"
    return table[["start_id", "container", "kind", "lower", "upper"]]


def _app(starts: pd.DataFrame, placed: pd.DataFrame, containers: pd.DataFrame) -> None:
    """The application's container and when it first started."""
    apps = containers[(containers["kind"] != "init") & ~containers["container"].isin(MESH_CONTAINERS)].copy()
    refused = placed[placed["kind"].isin(["refused", "suspected"])]
    first_refused = refused.groupby(["start_id", "container"])["time_upper"].min().rename("refused")
    apps = apps.merge(first_refused.reset_index(), on=["start_id", "container"], how="left", validate="one_to_one")
    apps["helper"] = apps["container"].isin(HELPERS)
    apps["second"] = apps["container"] != schema.lookup(apps["start_id"], starts["app_first"])
    apps = apps.sort_values(["helper", "refused", "second", "upper", "container"], kind="stable")
    chosen = apps.drop_duplicates("start_id").set_index("start_id")
    starts["app_container"] = chosen["container"].reindex(starts.index).fillna(starts["app_first"])
    starts["app_started_lower"] = chosen["lower"].reindex(starts.index)
    starts["app_started_upper"] = chosen["upper"].reindex(starts.index)
    scheduled = placed[placed["kind"] == "scheduled"].groupby("start_id")
    starts["scheduled_lower"] = scheduled["time_lower"].max().reindex(starts.index)
    starts["scheduled_upper"] = scheduled["time_upper"].min().reindex(starts.index)
    swap = starts["scheduled_lower"] > starts["scheduled_upper"]
    starts.loc[swap, "scheduled_lower"] = scheduled["time_lower"].min().reindex(starts.index)[swap]


def _proxy(starts: pd.DataFrame, known: Known) -> None:
    """When the proxy started and when it first accepted outbound connections."""
    placed, specs, containers = known.facts, known.specs, known.containers
    own = containers[containers["container"] == PROXY].set_index("start_id")
    starts["proxy_started_lower"] = own["lower"].reindex(starts.index)
    starts["proxy_started_upper"] = own["upper"].reindex(starts.index)
    starts["hold"] = starts["hold_hook"].where(~_hold_failed(starts, placed), True)
    opened = pd.concat([_opened(starts, placed, specs), _opened_before_app(starts, placed)])
    upper = opened.groupby("start_id")["time_upper"].min()
    starts["proxy_ready_upper"] = upper.reindex(starts.index).astype(times.COLUMN)
    proofs = closed_proofs(starts, placed, specs)
    closed = proofs
    limit = schema.lookup(closed["start_id"], starts["proxy_ready_upper"])
    closed = closed[limit.isna() | (closed["closed_at"] <= limit)]
    ended = schema.lookup(closed["start_id"], known.ended(starts, proofs))
    closed = _without_later_lives(closed, ended)
    # Without knowing when the proxy was first open, a refusal late in the pod's life may be another window.
    narrow = starts["app_started_upper"] - starts["app_started_lower"] <= pd.Timedelta(HOLD_TIMEOUT, "ns")
    known = starts["app_started_upper"].where(narrow)
    near = schema.lookup(closed["start_id"], known) + pd.Timedelta(HOLD_TIMEOUT, "ns")
    closed = closed[~closed["refused_app"] | (closed["closed_at"] <= near)]
    lower = closed.groupby("start_id")["closed_at"].max()
    starts["proxy_ready_lower"] = lower.reindex(starts.index).astype(times.COLUMN)
    unmeshed = ~starts["meshed"].eq(True)
    starts.loc[unmeshed, ["proxy_ready_lower", "proxy_ready_upper"]] = pd.NaT


def _opened(starts: pd.DataFrame, placed: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """Proofs that outbound was open: lines of the proxy, readiness of the pod, a connect that worked."""
    ready = placed[placed["kind"] == "pod_ready"]
    ready = ready[schema.lookup(ready["start_id"], starts["probed"]).astype(bool)]
    worked = placed[_to_redirected(starts, placed, specs, "connected")]
    parts = [placed[placed["kind"] == "proxy_open"], ready, worked, _answered_by_workers(starts, placed)]
    return pd.concat([rows[["start_id", "time_upper"]] for rows in parts])


def _answered_by_workers(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    """Probes that Envoy itself answered 503: since Istio 1.7 its workers start only with their first listeners."""
    versions = joins.asked_once(minor_version, starts["proxy_version"])
    recent = starts.index[[version is not None and version >= (1, 7) for version in versions]]
    answered = (placed["kind"] == "probe_failed") & (placed["value"] == "503") & (placed["port"] == ENVOY_PROBE)
    return placed[answered & _is_of(placed, recent)]


def _is_of(placed: pd.DataFrame, starts: pd.Index) -> np.ndarray:
    """Whether each piece of evidence is of one of these starts."""
    start = placed["start_id"].cat
    return np.append(start.categories.isin(starts), False)[start.codes]


def _opened_before_app(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.DataFrame:
    """What let the application start only behind an open proxy: the proxy was open by then."""
    first = gated(starts, placed)
    return pd.DataFrame(
        {"start_id": starts.index[first], "time_upper": starts.loc[first, "app_started_upper"]}
    ).dropna()


def start_in_export(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    """Whether the application's or the proxy's start itself is in the export, not only later life, by start."""
    kinds = ["container_created", "container_started", "scheduled", "proxy_process", "probe_failed"]
    return _any(starts, placed, placed["kind"].isin(kinds))


def gated(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    """Whether the application could start only behind an open proxy: boolean, by start_id.

    A hook in force held it, or a native sidecar's startup probe did. A hook that failed, or that may
    have timed out, held nothing. `starts` is indexed by start_id.
    """
    waited = starts["app_started_upper"] - starts["proxy_started_lower"]
    in_time = waited < pd.Timedelta(HOLD_TIMEOUT, "ns")
    held = starts["hold"].eq(True).fillna(False).astype(bool) & ~_hold_failed(starts, placed) & in_time
    return held | (starts["injection"] == "native_sidecar")


def _hold_failed(starts: pd.DataFrame, placed: pd.DataFrame) -> pd.Series:
    return _any(starts, placed, placed["kind"] == "hold_failed")


def first_life_ends(starts: pd.DataFrame, placed: pd.DataFrame, proofs: pd.DataFrame) -> pd.Series:
    """When each start's proxy was first seen to have ended, or to be closed again: index start_id.

    Without the proxy's log an end may leave no trace (Istio up to 1.3 restarts Envoy in place): after a long pause a
    proof of a closed proxy is one of a later life. `proofs` are those of `closed_proofs`.
    """
    deaths = first_deaths(placed, starts)
    closed = proofs.sort_values(["start_id", "closed_at"])
    silent = ~schema.lookup(closed["start_id"], starts["has_proxy_logs"]).astype(bool)
    pause = closed.groupby("start_id")["closed_at"].diff() > pd.Timedelta(LONG_PAUSE, "ns")
    again = closed[silent & pause & (closed["kind"] != "hold_failed")]
    again = again.groupby("start_id")["closed_at"].min().reindex(starts.index).astype(times.COLUMN)
    return pd.concat([deaths, again], axis=1).min(axis=1)


def _without_later_lives(closed: pd.DataFrame, ended: pd.Series) -> pd.DataFrame:
    """The proofs of the proxy's first life, where a later one was seen.

    The first life's end is mostly seen late, by its restart: a pause in the proofs ends it for sure.
    """
    closed = closed[ended.isna() | (closed["closed_at"] < ended)].sort_values(["start_id", "closed_at"])
    pause = closed.groupby("start_id")["closed_at"].diff() > pd.Timedelta(PAUSE, "ns")
    pause &= closed["kind"] != "hold_failed"  # silent by nature
    later = pause.groupby(closed["start_id"]).cummax()
    return closed[~(later & ended.reindex(closed.index).notna())]


def first_deaths(placed: pd.DataFrame, starts: pd.DataFrame) -> pd.Series:
    """When each start's proxy first ended or was started anew, as far as seen: index start_id."""
    proxy = placed["container"] == PROXY
    ended = placed["kind"].isin(["proxy_exited", "container_died", "container_backoff"]) & proxy
    began = placed[(placed["kind"] == "container_started") & proxy]
    born = schema.lookup(began["start_id"], starts["proxy_started_upper"])
    anew = restarted(began["value"]) | (began["time_lower"] > born + pd.Timedelta(times.SECOND, "ns"))
    rows = pd.concat([part[["start_id", "time_lower"]] for part in (placed[ended], began[anew])])
    return rows.groupby("start_id")["time_lower"].min().reindex(starts.index).astype(times.COLUMN)


def closed_proofs(starts: pd.DataFrame, placed: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """Evidence that outbound connections were not accepted: its rows, with `closed_at` (a latest safe instant).

    A probe answered 503 by the agent itself (up to Istio 1.5) found Envoy not ready. Since 1.6 Envoy
    answers for it, which says that its workers run: no proof. A probe refused is proof in each version.
    A refused connect to a redirected address is proof, too.
    """
    # The hook waited for readiness until it failed.
    lines = ["proxy_process", "proxy_closed", "hold_failed"]
    refused = _to_redirected(starts, placed, specs, "refused")
    may = placed["kind"].isin([*lines, "probe_failed", "container_created", "container_started"]) | refused
    rows, refused = placed[may], refused[may]
    port = schema.lookup(rows["start_id"], specs["probe_port"].astype(str))
    old, unknown = (_is_of(rows, some) for some in by_agent(starts))
    answers_itself = old | (unknown & (port == "15020"))
    probe = rows["kind"] == "probe_failed"
    refused_probe = probe & (rows["value"] == "refused")
    answered = probe & (rows["value"] == "503") & answers_itself
    born = rows["kind"].isin(["container_created", "container_started"]) & (rows["container"] == PROXY)
    slack = np.select([refused, refused_probe | answered], [REFUSED_SLACK, PROBE_SLACK], 0)
    # A time floored to its second is already early enough.
    exact = (rows["time_lower"] == rows["time_upper"]) | refused
    at = rows["time_lower"] - pd.to_timedelta(np.where(exact, slack, 0), unit="ns")
    rows = rows.assign(closed_at=at, refused_app=refused)
    return rows[rows["kind"].isin(lines) | born | refused_probe | answered | refused]


def by_agent(starts: pd.DataFrame) -> tuple[pd.Index, pd.Index]:
    """The starts whose agent answers its probes itself (up to Istio 1.5), and those of unknown version."""
    version = joins.asked_once(minor_version, starts["proxy_version"])
    unknown = pd.isna(version)
    old = ~unknown & np.array([told is not None and told <= (1, 5) for told in version], dtype=bool)
    return starts.index[old], starts.index[unknown]


def _to_redirected(starts: pd.DataFrame, placed: pd.DataFrame, specs: pd.DataFrame, kind: str) -> pd.Series:
    """Evidence of this kind about connects of a regular container to an address that its pod's own rules redirect."""
    meshed = starts["meshed"].eq(True).fillna(False).astype(bool)
    rows = placed[placed["kind"] == kind]
    rows = rows[schema.lookup(rows["start_id"], meshed).astype(bool)]
    asked, which = joins.questions(rows, ["start_id", "container", "host", "ip", "port"])
    init = schema.lookup(asked["start_id"], specs["init_names"])
    as_init = joins.asked_once(tuple.__contains__, init, asked["container"]).astype(bool)
    yes = (destinations(asked, specs)["answer"] == "yes") & ~as_init
    return pd.Series(yes.to_numpy()[which], rows.index).reindex(placed.index, fill_value=False)


def _windows(starts: pd.DataFrame) -> None:
    """Seconds from the application's start to the proxy's readiness, at least and at most."""
    lower = (starts["proxy_ready_lower"] - starts["app_started_upper"]) / pd.Timedelta(1, "s")
    upper = (starts["proxy_ready_upper"] - starts["app_started_lower"]) / pd.Timedelta(1, "s")
    known = starts["meshed"].eq(True) & starts["app_started_upper"].notna()
    starts["window_lower_s"] = lower.fillna(0).clip(lower=0).where(known)
    starts["window_upper_s"] = upper.fillna(np.inf).clip(lower=0).where(known)
