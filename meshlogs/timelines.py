"""From evidence to one row per pod start, with every time as an interval.

`place` says which pod start each piece of evidence belongs to, `reconstruct` draws up the starts.
A bound is always one piece of evidence; nothing is averaged.
"""

import re
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from meshlogs import births, schema, times
from meshlogs.columnar import joins
from meshlogs.evidence.lifecycle import restarted
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.refused import FAILURES
from meshlogs.formats.names import workload_of
from meshlogs.specs import CLOCK_SLACK, HELPERS, MESH_CONTAINERS, destinations, specs_of

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


def place(evidence: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
    """The evidence that names a pod, sorted, with `start_id` and the missing cluster and uid filled in.

    `schema.SHARED` and `start_id` are coded (`joins.plain` gives their texts).
    A dump of kubectl names no cluster: it takes that of the rows with the same uid, else with the same
    namespace and pod name, if that is one. A log line names no uid: it belongs to the latest pod of its
    name that existed then. What a text log that names no pod tells of refusals is a start of its own, without a pod:
    whose it is, or of how many pods, nobody knows.
    """
    evidence = joins.coded(evidence, schema.SHARED)
    dated = evidence["time_upper"].notna() | evidence["kind"].isin(["app_logged", "refused_undated"])
    named = evidence["pod"].notna() | joins.is_one(evidence["kind"], _TOLD_WITHOUT_POD)
    usable = np.flatnonzero(named & dated)
    rows = evidence[[*_NAMED, *_ORDER, "log_name"]].take(usable).reset_index(drop=True)
    rows = rows.assign(pod=_pod_or_file(rows["pod"], evidence["source"].take(usable)))
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


_TOLD_WITHOUT_POD = [*FAILURES, "refused_undated"]


def _pod_or_file(pod: pd.Series, source: pd.Series) -> pd.Series:
    """The pods' names; where there is none that of the file, such that it is no pod's."""
    missing = pod.isna().to_numpy()
    if not missing.any():
        return pod
    files = "(" + joins.texts_of(source).set_axis(pod.index) + ")"
    return joins.texts_of(pod).mask(missing, files)


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
        found = first[agreed[number[: len(rows)]]]
        filled = missing & (found >= 0)  # one without a site keeps the project that it names
        for name in WHERE:
            rows.loc[filled, name] = known[name].array.take(found[filled])
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
        self._places = joins.places(placed["kind"])
        self._named, self._pods = _named_starts(placed), pods
        self._ended: pd.Series | None = None

    def of(self, *kinds: str) -> pd.DataFrame:
        """The facts of these kinds alone, as they stand: whoever asks for few need not look at all."""
        places = [self._places[kind] for kind in kinds if kind in self._places]
        at = np.concatenate([np.zeros(0, np.int64), *places])
        return self.facts.take(at if len(places) < 2 else np.sort(at))

    @cached_property
    def specs(self) -> pd.DataFrame:
        """What the pod objects say of each start (`specs.specs_of`)."""
        told = self.of("pod_address")
        told = told[~joins.is_one(told["log_name"], ["pods"])]
        address = joins.texts_of(_first_of_each(self.starts(), told[["start_id", "value"]])["value"])
        entries = self.facts[["start_id", "time_upper"]][~joins.is_one(self.facts["log_name"], ["pods"])]
        first = joins.earliest(entries["time_upper"], entries["start_id"]).reindex(self._named["start_id"])
        return specs_of(self._named.assign(address=address.array, first=first.array), self._pods)

    @cached_property
    def containers(self) -> pd.DataFrame:
        """When each container first started (`container_starts`)."""
        return container_starts(self.facts, self.specs)

    @cached_property
    def births(self) -> pd.DataFrame:
        """What is known of the beginning of each start (`births.births`)."""
        facts = self.of(*births.BIRTHS, *births.SIGNS)
        return births.births(self.starts(), facts, self.containers, self.specs)

    def starts(self) -> pd.DataFrame:
        """Where and what each start is: index start_id."""
        return self._named.set_index("start_id", drop=False).rename_axis(None)

    def ended(self, starts: pd.DataFrame, proofs: pd.DataFrame | None = None) -> pd.Series:
        """When each start's proxy was first seen to have ended (`first_life_ends`); `starts` always the same."""
        if self._ended is None:
            proofs = closed_proofs(starts, self.of(*PROOFS), self.specs) if proofs is None else proofs
            self._ended = first_life_ends(starts, self.of(*ENDS), proofs)
        return self._ended


def reconstruct(placed: pd.DataFrame, pods: pd.DataFrame, known: Known | None = None) -> pd.DataFrame:
    """One row per pod start (`schema.STARTS`, outcome still null) from placed evidence and pod specs.

    `known` saves `judge` and `conclude`, which are given the same, some of the work.
    """
    known = known or Known(placed, pods)
    starts = known.starts().join(known.specs[["hold_hook", "spec_injection", "app_first", "probed", "ambient"]])
    _describe(starts, known)
    _app(starts, known)
    _proxy(starts, known)
    _windows(starts)
    return schema.conform(starts.sort_index(), schema.STARTS, "starts")


def _named_starts(placed: pd.DataFrame) -> pd.DataFrame:
    begins = np.flatnonzero(np.diff(placed["start_id"].cat.codes, prepend=-1))  # sorted by start
    return joins.plain(placed[["start_id", *_NAMED]].take(begins))


def _describe(starts: pd.DataFrame, known: Known) -> None:
    """Workload, version, injection, and which sources speak of each start."""
    facts, specs = known.facts, known.specs
    of_events = joins.is_one(facts["log_name"], ["events"])
    of_log = ~of_events & ~joins.is_one(facts["log_name"], ["pods"])
    is_proxy = joins.is_one(facts["container"], [PROXY])
    of_mesh = joins.is_one(facts["container"], list(MESH_CONTAINERS))
    starts["has_app_logs"] = _any(starts, facts, of_log & ~of_mesh)
    starts["has_proxy_logs"] = _any(starts, facts, of_log & is_proxy)
    starts["has_events"] = _any(starts, facts, of_events)
    has_spec = starts["has_pod_spec"] = specs["has_spec"].astype(bool)
    guessed = [workload_of(pod) for pod in starts["pod"][~has_spec].astype(object).where(pd.notna, None)]
    for at, column in enumerate(("workload", "controller", "revision")):
        starts[column] = specs[f"spec_{column}"]
        starts.loc[~has_spec, column] = [owner[at] for owner in guessed]
    starts["node"] = specs["spec_node"]
    starts["proxy_version"] = _version(starts, known)
    as_init = _any(starts, facts, is_proxy & joins.is_one(facts["container_kind"], ["init"]))
    as_regular = _any(starts, facts, is_proxy & joins.is_one(facts["container_kind"], ["regular"]))
    seen = _any(starts, facts, of_mesh)
    others = of_events & ~is_proxy & facts["container"].notna().to_numpy()
    told = joins.counted(facts["start_id"], others).reindex(starts.index) >= 2
    redirects = _any(starts, facts, joins.is_one(facts["container"], ["istio-init", "istio-validation"]))
    whole = _any(starts, facts, of_events & joins.is_one(facts["kind"], ["scheduled"]))  # from the beginning
    choices = {"native_sidecar": as_init, "sidecar": as_regular | redirects, "none": ~seen & told & whole}
    by_events = np.select(list(choices.values()), list(choices), "unknown")
    starts["injection"] = starts["spec_injection"].where(has_spec, by_events)
    contradicted = starts["injection"].isin(["none"]) & seen
    starts["injection"] = starts["injection"].mask(contradicted, by_events)
    starts["meshed"] = np.where(starts["injection"].isin(["sidecar", "native_sidecar"]) | seen, True, None)
    starts.loc[starts["injection"] == "none", "meshed"] = False
    starts.loc[starts["pod"].isna(), "meshed"] = None


def _any(starts: pd.DataFrame, facts: pd.DataFrame, marks: np.ndarray) -> pd.Series:
    """Whether any of the marked facts is of each start."""
    return joins.counted(facts["start_id"], marks).reindex(starts.index) > 0


def _first_of_each(starts: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """The first of these rows that is of each start, missing where none is: by start."""
    keys = rows["start_id"].cat
    first = pd.Series(joins.firsts(keys.codes.to_numpy(), len(keys.categories)), keys.categories)
    return rows.reset_index(drop=True).reindex(first.reindex(starts.index)).set_axis(starts.index)


def _version(starts: pd.DataFrame, known: Known) -> pd.Series:
    """The version that the proxy itself stated first, else that of its image."""
    rows = known.of("proxy_version").dropna(subset="value")
    by_image = joins.is_one(rows["log_name"], ["events", "pods"])
    first = _first_of_each(starts, rows[["start_id", "value"]].take(np.argsort(by_image, kind="stable")))
    return joins.texts_of(first["value"])


@lru_cache(maxsize=10_000)
def minor_version(version: str | None) -> tuple[int, int] | None:
    """(major, minor) of a proxy version; None if unknown.

    >>> minor_version("1.19.10-asm.6"), minor_version("latest")
    ((1, 19), None)
    """
    match = re.match(r"(\d+)\.(\d+)", version) if isinstance(version, str) else None
    return (int(match.group(1)), int(match.group(2))) if match else None


# What shows that a container runs.
_RUNS = ["container_started", "app_logged", "refused", "suspected", "proxy_process", "container_died"]


def container_starts(placed: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """When each container of each start first started: `start_id, container, kind, lower, upper`.

    `refused` is when a connect of it was first refused. What a log tells that names no container is the pod's only one.
    """
    placed = placed.assign(container=_container_or_only(placed))
    pair = joins.numbered([placed["start_id"], placed["container"]])
    table = placed[["start_id", "container"]].take(joins.firsts(pair)).reset_index(drop=True)

    def at(*kinds: str) -> np.ndarray:
        return np.flatnonzero(joins.is_one(placed["kind"], kinds))

    def first(name: str, at: np.ndarray) -> pd.Series:
        return joins.earliest_of(placed[name].take(at), pair[at], len(table))

    told = at("container_started")
    told = placed[["time_lower", "time_upper"]].take(told[~restarted(placed["value"].take(told))])
    # An exact event follows the start it tells of; a status holds the start's own second.
    slack = np.where((told["time_lower"] == told["time_upper"]), STARTED_SLACK, 0)
    scheduled = placed[["start_id", "time_lower"]].take(at("scheduled"))
    runs = at(*_RUNS)
    table["upper"] = first("time_upper", runs)
    table["refused"] = first("time_upper", at("refused", "suspected"))
    table["lower"] = pd.Series(pd.NaT, index=table.index, dtype=times.COLUMN)
    for candidate in (
        first("time_lower", at("container_created")),
        joins.earliest_of(told["time_lower"] - pd.to_timedelta(slack, unit="ns"), pair[told.index], len(table)),
        schema.lookup(table["start_id"], joins.earliest(scheduled["time_lower"], scheduled["start_id"])),
    ):
        table["lower"] = table["lower"].fillna(candidate.where(candidate <= table["upper"]))
    of_kind = np.where(placed["container_kind"].notna(), pair, -1)
    table["kind"] = placed["container_kind"].array.take(joins.firsts(of_kind, len(table)), allow_fill=True)
    table = table[(np.bincount(pair[runs], minlength=len(table)) > 0) & table["container"].notna()]
    table = table.take(joins.ordered(table, ["start_id", "container"], cheap=2)).reset_index(drop=True)
    table = table.astype({"container": "str", "kind": object})
    init = joins.asked_once(
        tuple.__contains__, schema.lookup(table["start_id"], specs["init_names"]), table["container"]
    )
    table.loc[init.astype(bool), "kind"] = "init"
    stays = joins.asked_once(
        tuple.__contains__, schema.lookup(table["start_id"], specs["native_names"]), table["container"]
    )
    table.loc[stays.astype(bool), "kind"] = "regular"
    by_name = table["kind"].isna() & table["container"].isin(["vault-agent-init", "istio-init", "istio-validation"])
    table.loc[by_name, "kind"] = "init"
    return table[["start_id", "container", "kind", "lower", "upper", "refused"]]


def _container_or_only(placed: pd.DataFrame) -> pd.Series:
    """The facts' containers; for connects of none that is named the only one of their start that is not the mesh's."""
    container = placed["container"]
    codes = container.array.codes
    nameless = (codes < 0) & joins.is_one(placed["kind"], ["refused", "suspected", "connected"])
    if not nameless.any():
        return container
    own = np.where(joins.is_one(container, list(MESH_CONTAINERS)), -1, codes)
    start = placed["start_id"].array.codes
    filled = np.where(nameless, joins.agreed(start, own)[start], codes)
    return pd.Series(joins.categorical(filled, container.dtype.categories), container.index)


def _app(starts: pd.DataFrame, known: Known) -> None:
    """The application's container and when it first started."""
    apps = known.containers[(known.containers["kind"] != "init") & ~known.containers["container"].isin(MESH_CONTAINERS)]
    first = schema.lookup(apps["start_id"], starts["app_first"])
    apps = apps.assign(helper=apps["container"].isin(HELPERS), second=apps["container"] != first)
    # Of equal ones the first by name: so they stand.
    keys = ["helper", "refused", "second", "upper"]
    chosen = _first_of_each(starts, apps.take(joins.ordered(apps, keys, cheap=len(keys))))
    starts["app_container"] = chosen["container"].fillna(starts["app_first"])
    starts[["app_started_lower", "app_started_upper"]] = chosen[["lower", "upper"]]
    scheduled = known.of("scheduled")
    start = scheduled["start_id"]
    upper = joins.earliest(scheduled["time_upper"], start).reindex(starts.index)
    lower = joins.latest(scheduled["time_lower"], start).reindex(starts.index)
    early = joins.earliest(scheduled["time_lower"], start).reindex(starts.index)
    starts["scheduled_lower"], starts["scheduled_upper"] = lower.mask(lower > upper, early), upper


def _proxy(starts: pd.DataFrame, known: Known) -> None:
    """When the proxy started and when it first accepted outbound connections."""
    own = _first_of_each(starts, known.containers[known.containers["container"] == PROXY])
    starts[["proxy_started_lower", "proxy_started_upper"]] = own[["lower", "upper"]]
    starts["hold"] = starts["hold_hook"].where(~_hold_failed(starts, known), True)
    # What let the application start only behind an open proxy: the proxy was open by then.
    open_by = starts["app_started_upper"].where(gated(starts, known))
    starts["proxy_ready_upper"] = _earlier(_opened(starts, known), open_by)
    closed = _first_closed(starts, known)
    lower = joins.latest(closed["closed_at"], closed["start_id"]).reindex(starts.index)
    # Seen closed in the middle of the pod's life: it may have been open long before.
    starts["proxy_ready_lower"] = lower.mask(known.births["later"])
    answered = _answered_by_workers(starts, known, closed[closed["refused_app"]])
    starts["proxy_ready_upper"] = _earlier(starts["proxy_ready_upper"], answered)
    unmeshed = ~starts["meshed"].eq(True)
    starts.loc[unmeshed, ["proxy_ready_lower", "proxy_ready_upper"]] = pd.NaT


def _first_closed(starts: pd.DataFrame, known: Known) -> pd.DataFrame:
    """The proofs that the proxy was closed (`closed_proofs`) before it was first open."""
    closed = proofs = closed_proofs(starts, known.of(*PROOFS), known.specs)
    limit = schema.lookup(closed["start_id"], starts["proxy_ready_upper"])
    closed = closed[limit.isna() | (closed["closed_at"] <= limit)]
    closed = _without_later_lives(closed, schema.lookup(closed["start_id"], known.ended(starts, proofs)))
    # Without knowing when the proxy was first open, a refusal late in the pod's life may be another window.
    narrow = starts["app_started_upper"] - starts["app_started_lower"] <= pd.Timedelta(HOLD_TIMEOUT, "ns")
    near = starts["app_started_upper"].where(narrow) + pd.Timedelta(HOLD_TIMEOUT, "ns")
    soon = closed["closed_at"] <= schema.lookup(closed["start_id"], near)
    # Refused again and again: had it been open between, a log that shows its start would show that it ended.
    logged = joins.marked(closed["start_id"], known.of("proxy_process")["start_id"])
    soon |= logged & ~_since_pause(closed, PAUSE)
    # Beside the line that tells the opening itself it is a late report.
    told = known.of("proxy_open")
    told = told[joins.is_one(told["value"], ["workers"])]
    late = closed["closed_at"] > schema.lookup(closed["start_id"], joins.earliest(told["time_lower"], told["start_id"]))
    return closed[~closed["refused_app"] | (soon & ~late)]


def _earlier(one: pd.Series, other: pd.Series) -> pd.Series:
    """The earlier of two times, the one that is known where the other is missing."""
    return one.mask(one.isna() | (other < one), other)


def _opened(starts: pd.DataFrame, known: Known) -> pd.Series:
    """When outbound was first seen open: by lines of the proxy, readiness of the pod, a connect that worked."""
    ready, worked = known.of("pod_ready"), known.of("connected")
    ready = ready[schema.lookup(ready["start_id"], starts["probed"]).astype(bool)]
    worked = worked[_redirected(starts, worked, known.specs)]
    rows = pd.concat([part[["start_id", "time_upper"]] for part in (known.of("proxy_open"), ready, worked)])
    return joins.earliest(rows["time_upper"], rows["start_id"]).reindex(starts.index)


def _answered_by_workers(starts: pd.DataFrame, known: Known, refused: pd.DataFrame) -> pd.Series:
    """When Envoy itself first answered a probe 503, after the last connect that was refused: index start_id.

    Since Istio 1.7 its workers start only with their first listeners. If those were rejected, they run without any: a
    redirected connect is `refused`, and what was answered before says nothing. A kubelet's text names no port: it is
    that of the pod's spec.
    """
    probes = known.of("probe_failed")
    recent = [version is not None and version >= (1, 7) for version in _minor_versions(starts)]
    by_spec = pd.to_numeric(known.specs["probe_port"].reindex(starts.index), errors="coerce")
    asked = probes["port"].fillna(schema.lookup(probes["start_id"], by_spec.astype("Int64")))
    answered = (probes["value"] == "503") & asked.eq(ENVOY_PROBE).fillna(False)
    last = joins.latest(refused["closed_at"], refused["start_id"])
    answered &= ~(probes["time_lower"] < schema.lookup(probes["start_id"], last))
    answered &= ~(probes["time_upper"] < schema.lookup(probes["start_id"], starts["proxy_ready_lower"]))
    answered &= schema.lookup(probes["start_id"], pd.Series(recent, starts.index, dtype=bool))
    return joins.earliest(probes["time_upper"][answered], probes["start_id"][answered]).reindex(starts.index)


def _minor_versions(starts: pd.DataFrame) -> np.ndarray:
    return joins.asked_once(minor_version, starts["proxy_version"])


def gated(starts: pd.DataFrame, known: Known) -> pd.Series:
    """Whether the application could start only behind an open proxy: boolean, by start_id.

    A hook in force held it, or a native sidecar's startup probe did. A hook that failed, or that may
    have timed out, held nothing. `starts` is indexed by start_id.
    """
    waited = starts["app_started_upper"] - starts["proxy_started_lower"]
    in_time = waited < pd.Timedelta(HOLD_TIMEOUT, "ns")
    held = starts["hold"].eq(True).fillna(False).astype(bool) & ~_hold_failed(starts, known) & in_time
    return held | ((starts["injection"] == "native_sidecar") & known.specs["gates"].reindex(starts.index).astype(bool))


def _hold_failed(starts: pd.DataFrame, known: Known) -> pd.Series:
    failed = known.of("hold_failed")
    return _any(starts, failed, np.ones(len(failed), dtype=bool))


def first_life_ends(starts: pd.DataFrame, placed: pd.DataFrame, proofs: pd.DataFrame) -> pd.Series:
    """When each start's proxy was first seen to have ended, or to be closed again: index start_id.

    Without the proxy's log an end may leave no trace (Istio up to 1.3 restarts Envoy in place): after a long pause a
    proof of a closed proxy is one of a later life. `proofs` are those of `closed_proofs`.
    """
    silent = ~schema.lookup(proofs["start_id"], starts["has_proxy_logs"]).astype(bool)
    again = proofs[silent & _after_pause(proofs, LONG_PAUSE)]
    again = joins.earliest(again["closed_at"], again["start_id"]).reindex(starts.index)
    return _earlier(first_deaths(placed, starts), again)


def _after_pause(proofs: pd.DataFrame, pause: int) -> pd.Series:
    """Whether each of these proofs, sorted by start and time, came so long [ns] after the one before."""
    same = np.diff(proofs["start_id"].cat.codes, prepend=-1) == 0
    paused = proofs["closed_at"].diff() > pd.Timedelta(pause, "ns")
    return same & paused & (proofs["kind"] != "hold_failed")  # silent by nature


def _without_later_lives(closed: pd.DataFrame, ended: pd.Series) -> pd.DataFrame:
    """The proofs of the proxy's first life, where a later one was seen.

    The first life's end is mostly seen late, by its restart: a pause in the proofs ends it for sure.
    """
    first = ended.isna() | (closed["time_lower"] < ended)
    closed, ended = closed[first], ended[first]
    return closed[~(_since_pause(closed, PAUSE) & ended.notna())]


def _since_pause(proofs: pd.DataFrame, pause: int) -> pd.Series:
    """Whether each of these proofs came after so long a pause [ns] between those of its start."""
    paused = proofs[_after_pause(proofs, pause)]
    since = schema.lookup(proofs["start_id"], joins.earliest(paused["closed_at"], paused["start_id"]))
    return proofs["closed_at"] >= since


# What can tell that a proxy ended, or was started anew.
ENDS = ["proxy_exited", "container_died", "container_backoff", "container_started", "proxy_process"]


def first_deaths(placed: pd.DataFrame, starts: pd.DataFrame) -> pd.Series:
    """When each start's proxy first ended or was started anew, as far as seen: index start_id."""
    rows = placed[joins.is_one(placed["kind"], ENDS) & joins.is_one(placed["container"], [PROXY])]
    ended = ~joins.is_one(rows["kind"], ["container_started", "proxy_process"])
    born = schema.lookup(rows["start_id"], starts["proxy_started_upper"])
    anew = restarted(rows["value"]) | (rows["time_lower"] > born + pd.Timedelta(times.SECOND, "ns"))
    rows = rows[ended | (anew & ~joins.is_one(rows["kind"], ["proxy_process"])) | _agents_anew(rows)]
    return joins.earliest(rows["time_lower"], rows["start_id"]).reindex(starts.index)


def _agents_anew(rows: pd.DataFrame) -> np.ndarray:
    """Whether each of these facts is a line with which an agent starts, long after the one before it started."""
    agents = np.flatnonzero(joins.is_one(rows["kind"], ["proxy_process"]) & joins.is_one(rows["value"], ["agent"]))
    start, time = rows["start_id"].array.codes[agents], times.to_ns(rows["time_lower"])[agents]
    order = np.lexsort((time, start))
    paused = (np.diff(start[order], prepend=-1) == 0) & (np.diff(time[order], prepend=0) > LONG_PAUSE)
    anew = np.zeros(len(rows), dtype=bool)
    anew[agents[order[paused]]] = True
    return anew


# What can tell that a proxy was closed.
_LINES = ["proxy_process", "proxy_closed", "hold_failed"]  # the hook waited for readiness until it failed
_BIRTHS = ["container_created", "container_started"]
PROOFS = [*_LINES, *_BIRTHS, "probe_failed", "refused"]


def closed_proofs(starts: pd.DataFrame, placed: pd.DataFrame, specs: pd.DataFrame) -> pd.DataFrame:
    """Evidence that outbound connections were not accepted: its rows, with `closed_at` (a latest safe instant).

    They come by start and this time. A probe answered 503 by the agent itself (up to Istio 1.5) found Envoy not ready.
    Since 1.6 Envoy answers for it, which says that its workers run: no proof. A probe refused is proof in each version.
    A refused connect to a redirected address is proof, too.
    """
    line, born, probe, refused = (
        joins.is_one(placed["kind"], kinds) for kinds in (_LINES, _BIRTHS, ["probe_failed"], ["refused"])
    )
    born &= joins.is_one(placed["container"], [PROXY])
    answered = probe & joins.is_one(placed["value"], ["503"])
    answered[answered] = schema.lookup(placed["start_id"][answered], _answers_itself(starts, specs))
    probe &= joins.is_one(placed["value"], ["refused"])
    refused[refused] = _redirected(starts, placed[refused], specs)
    proof = line | born | probe | answered | refused
    rows, refused = placed[proof], refused[proof]
    slack = np.select([refused, (probe | answered)[proof]], [REFUSED_SLACK, PROBE_SLACK], 0)
    # A time floored to its second is already early enough.
    exact = (rows["time_lower"] == rows["time_upper"]) | refused
    at = rows["time_lower"] - pd.to_timedelta(np.where(exact, slack, 0), unit="ns")
    rows = rows.assign(closed_at=at, refused_app=refused)
    return rows.take(joins.ordered(rows, ["start_id", "closed_at"], cheap=2))


def _answers_itself(starts: pd.DataFrame, specs: pd.DataFrame) -> pd.Series:
    """Whether each start's agent answers its probes itself: up to Istio 1.5, at a port of its own."""
    versions = _minor_versions(starts)
    old = [version is not None and version <= (1, 5) for version in versions]
    unknown = [version is None for version in versions]
    own_port = specs["probe_port"].astype(str).reindex(starts.index) == "15020"
    return (np.array(unknown, dtype=bool) & own_port) | np.array(old, dtype=bool)


def _redirected(starts: pd.DataFrame, rows: pd.DataFrame, specs: pd.DataFrame) -> np.ndarray:
    """Whether each of these connects was one of a regular container to an address that its pod's own rules redirect."""
    meshed = starts["meshed"].eq(True).fillna(False).astype(bool)
    yes = schema.lookup(rows["start_id"], meshed).to_numpy(copy=True)
    asked, which = joins.questions(rows[yes], ["start_id", "container", "host", "ip", "port"])
    init = schema.lookup(asked["start_id"], specs["init_names"])
    as_init = joins.asked_once(tuple.__contains__, init, asked["container"]).astype(bool)
    yes[yes] = ((destinations(asked, specs)["answer"] == "yes") & ~as_init).to_numpy()[which]
    return yes


def _windows(starts: pd.DataFrame) -> None:
    """Seconds from the application's start to the proxy's readiness, at least and at most."""
    lower = (starts["proxy_ready_lower"] - starts["app_started_upper"]) / pd.Timedelta(1, "s")
    upper = (starts["proxy_ready_upper"] - starts["app_started_lower"]) / pd.Timedelta(1, "s")
    known = starts["meshed"].eq(True) & starts["app_started_upper"].notna()
    starts["window_lower_s"] = lower.fillna(0).clip(lower=0).where(known)
    starts["window_upper_s"] = upper.fillna(np.inf).clip(lower=0).where(known)
