"""What surrounds each refused connection: where it went, and what its proxy was doing then.

The rules read these columns and nothing else:

| column | meaning |
|---|---|
| meshed | the pod has a proxy: yes, no, unknown |
| unnamed | nothing names the pod |
| ambient | the pod has no proxy, but its node's ztunnel carries its traffic |
| other_mesh | the pod has the proxy of another mesh |
| answer, answer_reason | was the destination redirected: yes, assumed, local, no, unknown |
| redirectable | the pod is meshed and the destination may have been redirected |
| by_proxy | the proxy itself reports it |
| may_be_init | the log names no container, and nothing says that the pod has no init container but the mesh's |
| doubtful | another program tells so, perhaps of its own connect: its proxy was not yet seen open |
| is_init | an init container made the connection |
| behind_redirect | of an init container: yes, no, proxied, passed or unknown (`init_order.situate`) |
| gated | the application was held, or its native sidecar came first: no first window |
| in_first_window | the connect may lie before the proxy was first open |
| in_closed_part | the whole connect lies before the last proof that it was closed |
| first_life_sure | the proxy's log shows one unbroken first start around the connect |
| start_seen | the start of the application or of the proxy is in the export |
| start_shown | so is the pod's own, and what is seen of its proxy begins with it (`births`) |
| lived_before | the pod had lived for a while before anything is seen of its proxy: not its first start |
| attempt_known | the text tells when it was refused, not only by when |
| opened, opened_seen | when the proxy was open by; whether that was seen or follows from its long life |
| settled, later | well after the opening; or after the window, where no opening is known |
| only_local | no destination is stated and the pod's rules redirect everything: only the pod itself is left |
| excludes | the pod's rules let some destinations bypass the proxy |
| goes_on | no destination is stated, and the same text goes on while the proxy is open |
| alone | no redirected destination of the same pod was refused about then |
| window_reason | why a claim for the first window is only likely |
| after_open | the connect lies after the first proof that the proxy was open |
| down_before, down_after_soon | the last sign before (next sign after) is one of a closed or ended proxy |
| gone | when the proxy had ended, if nothing shows that it was started again since |
| stopping, exited_by_stop | the pod was being stopped; its proxy had ended |
| open_after | a later sign of an open proxy |
| explained | an outage or a stop can explain the refusal |
| bypass | the same destination was refused elsewhere while the proxy was open |
| guessed | whether the destination, which is stated, was redirected is a guess |
| clear | the connect lies clearly after an opening that was seen, and no other was refused beside it |
| later_unexplained | `later`, and no outage or stop explains it |

What other pods tell of the same destination comes in at the end: `bypass` and `carried` of `lessons.learned`, and
`assumption_holds` (the export is of one pod, and nothing in it speaks of an exclusion).
"""

import re

import numpy as np
import pandas as pd

from meshlogs import births, times
from meshlogs.columnar import joins
from meshlogs.evidence.proxy import PROXY
from meshlogs.evidence.refused import FAILURES
from meshlogs.specs import MESH_CONTAINERS, destinations, excludes
from meshlogs.timelines import Known, gated
from meshlogs.verdicts import init_order
from meshlogs.verdicts.lessons import Lessons

# A refusal may be logged this long after it happened without its text saying so.
REPORT_SLACK = np.timedelta64(2 * times.SECOND, "ns")
# A crashed proxy is restarted after at most the kubelet's largest back-off of 300 s, and starts.
COMES_BACK = np.timedelta64(600 * times.SECOND, "ns")
# A container whose hook failed is ended within its grace period, which is seldom longer than the default of 30 s.
KILLS = np.timedelta64(60 * times.SECOND, "ns")
# Clients that try again wait less than this between two attempts.
BROKEN_OFF = np.timedelta64(45 * times.SECOND, "ns")
# A closed proxy refuses every redirected destination: two refusals this near belong to one cause.
BURST = np.timedelta64(5 * times.SECOND, "ns")
# Later than this after the proxy opened, a refusal is not a late report of the first window.
SETTLED = np.timedelta64(10 * times.SECOND, "ns")

# What is known of the failure itself, and of its start.
_OWN = ["start_id", "kind", "time_lower", "time_upper", "cluster", "namespace", "container", "host", "ip", "port"]
_OWN += ["late_s", "suspected", "message"]
_FLAGS = ["ambient", "has_pod_spec", "has_proxy_logs"]
_BOUNDS = ["app_started_lower", "app_started_upper", "proxy_started_upper", "proxy_ready_lower", "proxy_ready_upper"]


def situate(placed: pd.DataFrame, starts: pd.DataFrame, known: Known, lessons: Lessons) -> pd.DataFrame:
    """One row per failure with the columns of this module's table, words and texts coded, sorted by start and time.

    `row` is its row in `placed`; `destination` the host or address, `target` that with its port. `lessons` are those
    of the whole fleet, of which `placed` may be a part.
    """
    row = np.flatnonzero(joins.is_one(placed["kind"], FAILURES))
    errors = placed[_OWN].take(row).reset_index(drop=True)
    by_start = starts.set_index("start_id", drop=False).rename_axis(None)
    of_start = _of_starts(by_start, known).take(joins.standing(errors["start_id"], by_start.index))
    to = _destinations(errors, known, lessons)
    errors = pd.concat([errors.drop(columns=["host", "ip", "port"]), of_start.set_axis(errors.index), to], axis=1)
    errors = errors.assign(row=row, suspected=errors["suspected"].to_numpy(bool, na_value=False))
    errors = errors.assign(**init_order.situate(errors, known.containers, known.specs))
    errors = errors.assign(**_signs(errors, known), **_stop(errors, known))
    errors = errors.assign(**_first_window(errors))
    answer, reason = errors["answer"], errors["answer_reason"]
    stated = ~joins.is_one(reason, ["destination_unstated"])
    unsure = joins.is_one(answer, ["assumed", "unknown"])
    reported, by_proxy = joins.is_one(errors["kind"], ["upstream_refused"]), joins.is_one(errors["container"], [PROXY])
    may = (unsure | joins.is_one(answer, ["yes"])) & ~reported
    errors = errors.assign(
        by_proxy=by_proxy,
        doubtful=reported & ~by_proxy & errors["in_first_window"],
        redirectable=may & joins.is_one(errors["meshed"], ["yes"]),
        only_local=~stated & errors["rules_known"] & ~errors["excludes"],
        explained=errors["stopping"] | errors["down_before"] | errors["down_after_soon"],
        alone=_alone(errors),
        guessed=unsure & stated,
        may_be_init=errors["container"].isna() & ~errors["without_init"],
    )
    # Google's managed mesh excludes the metadata server, which refuses on new pods by itself.
    excluded = joins.is_one(answer, ["unknown"]) & joins.is_one(reason, ["metadata_server"])
    seen = errors["after_open"] & errors["opened_seen"] & errors["attempt_known"] & errors["alone"]
    return errors.assign(
        goes_on=_goes_on(errors),
        bypass=excluded | _outlasts(errors),
        clear=seen & _clearly_after(errors),
        later_unexplained=errors["later"] & ~errors["explained"],
    )


def _of_starts(starts: pd.DataFrame, known: Known) -> pd.DataFrame:
    """What all failures of a start have in common, one row for each start.

    Besides columns of the table above: bounds; `rules_known`; `sure_until`, up to when the proxy's log shows one
    unbroken first start. Times are without their zone, for NumPy: no comparison with a missing one holds.
    """
    bounds = {name: times.stamps(starts[name]) for name in _BOUNDS}
    ended = times.stamps(known.ended(starts).reindex(starts.index))
    held = gated(starts, known).to_numpy(bool)
    # A hook that had its whole time-out waited for a proxy that was not ready: its long life is no sign.
    waiting = starts["hold"].to_numpy(bool, na_value=False) & ~held
    closed, ready = bounds["proxy_ready_lower"], bounds["proxy_ready_upper"]
    told_open, process = known.of("proxy_open"), known.of("proxy_process")
    ready_told = told_open["start_id"][joins.is_one(told_open["value"], ["agent_ready"])]
    began = times.stamps(joins.earliest(process["time_upper"], process["start_id"]).reindex(starts.index))
    # An agent tells when its proxy is ready, as that of a later life did: it was not, in a life of which it told only
    # the start.
    untold = joins.among(starts.index, ready_told) & (began < ended) & (ready > ended)
    opened = _opened(closed, ready, np.where(waiting | untold, _MISSING, ended))
    born = known.births.reindex(starts.index)
    # A pod that had lived for a while had a proxy that was open, though neither is in the export.
    opened = np.fmin(opened, times.stamps(born["alive"]) + births.SOON)
    rules = known.specs["redirect"].reindex(starts.index)
    first_told = times.stamps(joins.earliest(told_open["time_upper"], told_open["start_id"]).reindex(starts.index))
    unbroken = joins.among(starts.index, process["start_id"]) & (np.isnat(ended) | (ended > first_told))
    columns = {
        "workload": pd.Categorical(starts["workload"]),
        "meshed": pd.Categorical(starts["meshed"].map({True: "yes", False: "no"}).astype(object).fillna("unknown")),
        **{name: starts[name].to_numpy(bool, na_value=False) for name in _FLAGS},
        "unnamed": starts["pod"].isna().to_numpy(),
        "without_init": _without_init(known.specs.reindex(starts.index)),
        **bounds,
        "gated": held,
        "opened": opened,
        "opened_seen": opened == ready,
        "start_seen": born["seen"].to_numpy(),
        "other_mesh": known.specs["other_mesh"].reindex(starts.index).to_numpy(bool),
        "start_shown": born["shown"].to_numpy(),
        "lived_before": born["later"].to_numpy(),
        "sure_until": np.where(unbroken, first_told, _MISSING),
        "excludes": joins.asked_once(excludes, rules).astype(bool),
        "rules_known": rules.notna().to_numpy(),
    }
    return pd.DataFrame(columns)


def _without_init(specs: pd.DataFrame) -> np.ndarray:
    """Whether each pod's object shows no init container but those of the mesh."""
    none = joins.asked_once(lambda names: set(names) <= set(MESH_CONTAINERS), specs["init_names"])
    return specs["has_spec"].to_numpy(bool) & none.astype(bool)


_MISSING, _NO_TIME = np.datetime64("NaT", "ns"), np.timedelta64("NaT", "ns")


def _opened(closed: np.ndarray, ready: np.ndarray, ended: np.ndarray) -> np.ndarray:
    """When the proxy was open by, in its first life.

    A proxy that was closed no more for a while and then ended had been ready, though no sign of it is in the
    export: the first sign that is may be of a later life.
    """
    quiet = closed + SETTLED
    return np.where((ended > quiet) & (np.isnat(ready) | (ready > ended)), quiet, ready)


def _destinations(errors: pd.DataFrame, known: Known, lessons: Lessons) -> pd.DataFrame:
    """What is known of where the failures went; each different question is asked once."""
    asked, which = joins.questions(errors, ["start_id", "container", "cluster", "namespace", "host", "ip", "port"])
    asked = asked.assign(**{name: joins.texts_of(asked[name]) for name in ("cluster", "namespace", "host", "ip")})
    asked["ip"] = lessons.resolved(asked)
    found = destinations(asked, known.specs).assign(ip=asked["ip"], port=asked["port"])
    found["destination"] = asked["host"].fillna(asked["ip"])
    found["target"] = found["destination"].fillna("") + ":" + asked["port"].astype(str)
    found = joins.coded(found, ["answer", "answer_reason", "ip", "destination", "target"])
    return found.take(which).set_axis(errors.index)


def _first_window(errors: pd.DataFrame) -> dict[str, np.ndarray | pd.Categorical]:
    """Where the failures lie about the first opening of their proxy."""
    begin, end, opened = _times(errors, "time_lower", "time_upper", "opened")
    app_started, started, closed = _times(errors, "app_started_lower", "proxy_started_upper", "proxy_ready_lower")
    unopened, dated = np.isnat(opened), ~np.isnat(started) | ~np.isnat(closed)
    last_closed = np.fmax(closed, started)  # the one that is known
    gone = (errors["gone"].to_numpy() <= last_closed + SETTLED) & ~errors["stopping"].to_numpy()
    never = unopened & dated & errors["start_seen"].to_numpy() & ((end <= last_closed + SETTLED) | gone)
    settled = begin > opened + SETTLED
    lived = errors["lived_before"].to_numpy()
    late = errors["late_s"].to_numpy() > 0
    reason = np.select([unopened, late | (begin > opened)], [0, 1], 2)
    return {
        "in_first_window": (((begin <= opened + REPORT_SLACK) & ~(app_started > opened)) | never) & ~lived,
        "in_closed_part": end <= closed,
        "after_open": begin > opened,
        "settled": settled,
        "later": settled | (unopened & dated & ~never),
        "attempt_known": ~late,
        "first_life_sure": end <= errors["sure_until"].to_numpy(),
        "window_reason": pd.Categorical.from_codes(reason, ["never_ready", "reported_late", "overlap"]),
    }


def _times(errors: pd.DataFrame, *names: str) -> list[np.ndarray]:
    """These columns for NumPy: no comparison with a missing time holds."""
    return [times.stamps(errors[name]) for name in names]


def _clearly_after(errors: pd.DataFrame) -> np.ndarray:
    """Whether the proxy was open for so long that this is no late report of a connect before."""
    begin, opened = _times(errors, "time_lower", "opened")
    return begin > opened + REPORT_SLACK


class _Signs:
    """When something was seen of each start."""

    def __init__(self, rows: pd.DataFrame, column: str):
        start, time = rows["start_id"].array.codes, times.to_ns(rows[column])
        order = np.lexsort((time, start))
        order = order[time[order] != times.NAT]
        self._start, self._time = start[order], time[order]

    def before(self, errors: pd.DataFrame, at: np.ndarray) -> np.ndarray:
        """The last of the same start up to this time of each failure, missing if there is none."""
        found = joins.last_before(errors["start_id"].array.codes, at.view("int64"), self._start, self._time)
        return self._at(found)

    def after(self, errors: pd.DataFrame, at: np.ndarray, strictly: bool = False) -> np.ndarray:
        """The first from this time on; strictly: after it."""
        found = joins.first_after(errors["start_id"].array.codes, at.view("int64"), self._start, self._time, strictly)
        return self._at(np.where(np.isnat(at), -1, found))

    def _at(self, place: np.ndarray) -> np.ndarray:
        return np.append(self._time, times.NAT)[place].view("datetime64[ns]")


_DOWN = ["proxy_exited", "proxy_process", "proxy_closed"]
_ENDS = ["container_died", "container_started", "container_backoff"]


def _signs(errors: pd.DataFrame, known: Known) -> dict[str, np.ndarray]:
    """The nearest signs of an open and of a closed proxy on either side of each failure."""
    rows = known.of(*_DOWN, *_ENDS, "probe_failed")
    end_of_proxy = joins.is_one(rows["kind"], _ENDS) & joins.is_one(rows["container"], [PROXY])
    refused_probe = joins.is_one(rows["kind"], ["probe_failed"]) & joins.is_one(rows["value"], ["refused"])
    down = _Signs(rows[joins.is_one(rows["kind"], _DOWN) | end_of_proxy | refused_probe], "time_lower")
    opens = _Signs(known.of("proxy_open"), "time_upper")
    is_end = joins.is_one(rows["kind"], ["proxy_exited", "container_died"])
    of_proxy = joins.is_one(rows["container"], [PROXY])
    is_birth = joins.is_one(rows["kind"], ["proxy_process", "container_started"])
    ends, born = (_Signs(rows[marks & of_proxy], "time_lower") for marks in (is_end, is_birth))
    begin, end, opened = _times(errors, "time_lower", "time_upper", "opened")
    last_open, last_down = opens.before(errors, begin), down.before(errors, end)
    last_end, last_born = (signs.before(errors, begin) for signs in (ends, born))
    next_open, next_down = (signs.after(errors, end, strictly=True) for signs in (opens, down))
    soon = (opened <= end) & (next_down <= end + COMES_BACK)
    return {
        "down_before": (last_down >= opened) & (np.isnat(last_open) | (last_down > last_open)),
        "down_after_soon": soon & (np.isnat(next_open) | (next_down < next_open)),
        "open_after": ~np.isnat(next_open),
        "gone": np.where(last_born > last_end, _MISSING, last_end),
    }


# A proxy ends with exit code 0 (or 143, SIGTERM) only when it was told to.
_GRACEFUL = re.compile(r"\b(?:0|143)\Z", re.ASCII)


def _stop(errors: pd.DataFrame, known: Known) -> dict[str, np.ndarray]:
    """Whether the pod was being stopped for good: a stop after which no proxy started."""
    rows = known.of("pod_stopping", "proxy_draining", "container_killing", "container_died", "proxy_exited")
    rows = rows[~joins.is_one(rows["kind"], ["proxy_exited"]) | joins.is_one(rows["value"], ["normal"])]
    rows = rows[~_by_failed_hook(rows, known)]
    exited = joins.is_one(rows["kind"], ["proxy_exited"])  # normally: it was told to
    died, killing = (joins.is_one(rows["kind"], [kind]) for kind in ("container_died", "container_killing"))
    stop = ~died & ~exited & (~killing | joins.is_one(rows["value"], ["stop"]))
    of_proxy = died & joins.is_one(rows["container"], [PROXY])
    graceful = joins.asked_once(_is_graceful, rows["value"]).astype(bool) & of_proxy
    births = known.of("proxy_process", "container_started")
    of_births = joins.is_one(births["kind"], ["proxy_process"]) | joins.is_one(births["container"], [PROXY])

    def last(births: pd.DataFrame) -> np.ndarray:
        return times.stamps(joins.latest(births["time_lower"], births["start_id"]))[rows["start_id"].array.codes]

    # No container of any kind starts in a pod whose containers are stopped with it.
    reborn = np.where(killing, last(births), last(births[of_births]))
    final = np.isnat(reborn) | (reborn < times.stamps(rows["time_upper"]))
    told = joins.marked(errors["start_id"], rows["start_id"][stop & final])
    final = rows[(stop | graceful | exited) & final]
    since = times.stamps(joins.earliest(final["time_lower"], final["start_id"]))[errors["start_id"].array.codes]
    (end,) = _times(errors, "time_upper")
    exits = known.of("proxy_exited", "container_died")
    exits = exits[joins.is_one(exits["kind"], ["proxy_exited"]) | joins.is_one(exits["container"], [PROXY])]
    last_exit = _Signs(exits, "time_lower").before(errors, end)
    return {"stopping": since <= end, "exited_by_stop": told & (last_exit >= since)}


def _by_failed_hook(rows: pd.DataFrame, known: Known) -> np.ndarray:
    """Whether each of these facts tells how the proxy alone was ended, by the kubelet, because its hook had failed."""
    at = times.stamps(rows["time_upper"])
    of_proxy = joins.is_one(rows["container"], [PROXY])
    return of_proxy & (at - _Signs(known.of("hold_failed"), "time_lower").before(rows, at) <= KILLS)


def _is_graceful(value: str | None) -> bool:
    return isinstance(value, str) and _GRACEFUL.search(value) is not None


def _alone(errors: pd.DataFrame) -> np.ndarray:
    """Whether no destination that was redirected for sure was refused in the same pod within `BURST`."""
    redirected = _Signs(errors[joins.is_one(errors["answer"], ["yes"])], "time_upper")
    (end,) = _times(errors, "time_upper")
    near = end - redirected.before(errors, end) <= BURST
    return ~(near | (redirected.after(errors, end) - end <= BURST))


def _outlasts(errors: pd.DataFrame) -> np.ndarray:
    """Errors to a destination that was refused long after all others had stopped to be, where no opening is known.

    A closed proxy refuses all that it should carry: what alone goes on, after the last proof that the proxy was
    closed, and for longer than the others waited between two attempts, is refused by somebody else. Two others, at
    least, that stopped together: one may have given up.
    """
    guessed = errors["guessed"] & errors["redirectable"] & ~errors["is_init"]
    found = (guessed & errors["opened"].isna()).to_numpy(copy=True)
    if not found.any():
        return found
    rows = errors[["start_id", "target", "time_upper", "proxy_ready_lower", "stopping"]][found]
    # After a long pause it is another story: a restart, a stop.
    start, (at,) = rows["start_id"].array.codes, _times(rows, "time_upper")
    pauses = np.cumsum(~_begins(start) & (np.diff(at, prepend=at[0]) > BROKEN_OFF))
    found[found] = told = pauses == pauses[joins.firsts(start)][start]
    rows, start, at = rows[told], start[told], at[told]
    pair = joins.numbered([rows["start_id"], rows["target"]])
    survivors, over = _survivors(pair, start, rows["target"].array.codes, at)
    (closed,) = _times(rows, "proxy_ready_lower")
    mine = np.isin(pair, survivors) & ~rows["stopping"].to_numpy()
    beyond = mine & (at > over[start]) & ~(at <= closed + SETTLED)
    found[found] = mine & (np.bincount(start, beyond) >= 2)[start]
    return found


def _survivors(
    pair: np.ndarray, start: np.ndarray, target: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The pairs (of a start and a target) last refused of each start; and, by start, when the others were over.

    `pair` is a row's number of its start and target; rows are sorted by start and time. Over is missing where no other
    target was refused twice, or no two of them stopped together.
    """
    first = joins.firsts(pair)
    last, waited = np.full(len(first), _MISSING), np.full(len(first), _NO_TIME)
    last[pair] = at  # of several the last that is written stays
    order = np.argsort(pair, kind="stable")
    again = ~_begins(pair[order])[1:]
    np.fmax.at(waited, pair[order][1:][again], np.diff(at[order])[again])
    owner = start[first]
    by_end = np.lexsort((target[first], -last.view("int64"), owner))  # of equal ends the first by the target's text
    survives = _begins(owner[by_end])
    others = by_end[~survives]
    ended, longest = np.full(start[-1] + 1, _MISSING), np.full(start[-1] + 1, _NO_TIME)
    np.fmax.at(ended, owner[others], last[others])
    np.fmax.at(longest, owner[others], waited[others])
    together = np.bincount(owner[others], last[others] >= ended[owner[others]] - BURST, minlength=len(ended)) > 1
    return by_end[survives], np.where(together, ended + 3 * longest + SETTLED, _MISSING)


def _begins(keys: np.ndarray) -> np.ndarray:
    """Whether each of these sorted codes is the first of its kind."""
    return np.diff(keys, prepend=-1) != 0


def _goes_on(errors: pd.DataFrame) -> np.ndarray:
    """Whether a text without destination is refused while the proxy is open a third as often as before, or more.

    Then it is not the race's alone, and which of its lines are cannot be told.
    """
    goes_on = joins.is_one(errors["answer_reason"], ["destination_unstated"])
    rows = errors[goes_on]
    later = rows["after_open"].to_numpy() & ~rows["explained"].to_numpy() & _clearly_after(rows)
    first = rows["in_first_window"].to_numpy() & ~later
    alike = pd.Series(joins.asked_once(_without_numbers, rows["message"]), dtype=object)
    key = joins.numbered([rows["start_id"], rows["container"], alike])
    often, before = (np.bincount(key, weights=mask)[key] for mask in (later, first))
    goes_on[goes_on] = 3 * often >= np.maximum(before, 1)
    return goes_on


def _without_numbers(message: str | None) -> str:
    """The message as it is, but for its numbers."""
    return _NUMBER.sub("0", message) if isinstance(message, str) else ""


_NUMBER = re.compile(r"[0-9]+")


# What it depends on.
UNEXPLAINED = ("start_seen", "after_open", "opened_seen", "gated", "answer", "answer_reason", "meshed")
UNEXPLAINED += ("doubtful", "unnamed")


def unexplained(errors: pd.DataFrame) -> pd.Series:
    """Why an error that no rule claims is undetermined."""
    reason = pd.Series("no_proxy_evidence", index=errors.index, dtype=object)
    reason = reason.mask(errors["after_open"] | errors["gated"], "contradiction")
    reason = reason.mask(~errors["start_seen"] & ~(errors["after_open"] & errors["opened_seen"]), "start_not_in_export")
    reason = reason.mask(errors["answer"] == "unknown", errors["answer_reason"])
    reason = reason.mask(errors["doubtful"], "overlap")
    reason = reason.mask(errors["meshed"] == "unknown", "mesh_unknown")
    return reason.mask(errors["unnamed"], "pod_unnamed")
