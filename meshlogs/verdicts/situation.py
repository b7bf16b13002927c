"""What surrounds each refused connection: where it went, and what its proxy was doing then.

The rules read these columns and nothing else:

| column | meaning |
|---|---|
| meshed | the pod has a proxy: yes, no, unknown |
| ambient | the pod has no proxy, but its node's ztunnel carries its traffic |
| answer, answer_reason | was the destination redirected: yes, assumed, local, no, unknown |
| redirectable | the pod is meshed and the destination may have been redirected |
| is_init | an init container made the connection |
| behind_redirect | of an init container: yes, no, proxied, passed or unknown (`init_order.situate`) |
| gated | the application was held, or its native sidecar came first: no first window |
| in_first_window | the connect may lie before the proxy was first open |
| in_closed_part | the whole connect lies before the last proof that it was closed |
| first_life_sure | the proxy's log shows one unbroken first start around the connect |
| start_seen | the start of the application or of the proxy is in the export |
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
| stopping, exited_by_stop | the pod was being stopped; its proxy had ended |
| open_after | a later sign of an open proxy |
| explained | an outage or a stop can explain the refusal |
| bypass | the same destination was refused elsewhere while the proxy was open |
| guessed | whether the destination, which is stated, was redirected is a guess |
| clear | the connect lies clearly after an opening that was seen, and no other was refused beside it |
| later_unexplained | `later`, and no outage or stop explains it |

What other pods tell of the same destination comes in at the end: `bypass` of `lessons.learned_bypass`, and
`assumption_holds` (the export is of one pod, and nothing in it speaks of an exclusion).
"""

import numpy as np
import pandas as pd

from meshlogs import joins, schema, times
from meshlogs.evidence.proxy import PROXY
from meshlogs.specs import destinations, excludes
from meshlogs.timelines import Known, gated, start_in_export
from meshlogs.verdicts import init_order
from meshlogs.verdicts.lessons import FAILURES, Lessons

# A refusal may be logged this long after it happened without its text saying so.
REPORT_SLACK = pd.Timedelta(2 * times.SECOND, "ns")
# A crashed proxy is restarted after at most the kubelet's largest back-off of 300 s, and starts.
COMES_BACK = pd.Timedelta(600 * times.SECOND, "ns")
# Clients that try again wait less than this between two attempts.
BROKEN_OFF = pd.Timedelta(45 * times.SECOND, "ns")
# A closed proxy refuses every redirected destination: two refusals this near belong to one cause.
BURST = pd.Timedelta(5 * times.SECOND, "ns")
# Later than this after the proxy opened, a refusal is not a late report of the first window.
SETTLED = pd.Timedelta(10 * times.SECOND, "ns")

# What is known of the failure itself, and of its start.
_OWN = ["start_id", "kind", "time_lower", "time_upper", "cluster", "namespace", "container", "host", "ip", "port"]
_OWN += ["late_s", "suspected", "message"]
_FLAGS = ["ambient", "has_pod_spec", "has_proxy_logs"]
_BOUNDS = [f"{name}_{end}" for name in ("app_started", "proxy_started", "proxy_ready") for end in ("lower", "upper")]


def situate(placed: pd.DataFrame, starts: pd.DataFrame, known: Known, lessons: Lessons) -> pd.DataFrame:
    """One row per failure with the columns of this module's table, sorted by start and time.

    `row` is its row in `placed`; `destination` the host or address, `target` that with its port. `lessons` are those
    of the whole fleet, of which `placed` may be a part.
    """
    row = np.flatnonzero(placed["kind"].isin(FAILURES))
    errors = placed[_OWN].take(row).reset_index(drop=True).assign(row=row)
    placed, specs = known.facts, known.specs
    by_start = starts.set_index("start_id", drop=False).rename_axis(None)
    of_start = by_start[["hold", "workload", *_FLAGS, *_BOUNDS]].astype({"workload": "category"})
    of_start = of_start.assign(
        meshed=by_start["meshed"].map({True: "yes", False: "no"}).astype(object).fillna("unknown"),
        **{name: of_start[name].fillna(False).astype(bool) for name in _FLAGS},
    ).reindex(errors["start_id"].cat.categories)
    errors[list(of_start)] = of_start.take(errors["start_id"].cat.codes).set_axis(errors.index)
    errors["suspected"] = errors["suspected"].fillna(False).astype(bool)
    errors = _destination(errors, specs, placed, lessons)
    errors[["is_init", "behind_redirect"]] = init_order.situate(errors, known.containers, specs)
    _first_window(errors, by_start, known)
    _signs(errors, placed)
    _stop(errors, placed)
    errors["explained"] = errors["stopping"] | errors["down_before"] | errors["down_after_soon"]
    errors["alone"] = _alone(errors)
    errors["goes_on"] = _goes_on(errors)
    # Google's managed mesh excludes the metadata server, which refuses on new pods by itself.
    errors["bypass"] = (errors["answer"] == "unknown") & (errors["answer_reason"] == "metadata_server")
    errors["bypass"] |= _outlasts(errors)
    unsure = errors["answer"].isin(["assumed", "unknown"])
    errors["guessed"] = unsure & (errors["answer_reason"] != "destination_unstated")
    seen = errors["after_open"] & errors["opened_seen"] & errors["attempt_known"] & errors["alone"]
    errors["clear"] = seen & (errors["time_lower"] > errors["opened"] + REPORT_SLACK).fillna(False)
    errors["later_unexplained"] = errors["later"] & ~errors["explained"]
    return errors


def _destination(errors: pd.DataFrame, specs: pd.DataFrame, placed: pd.DataFrame, lessons: Lessons) -> pd.DataFrame:
    """The failures with what is known of where they went; each different question is asked once."""
    question = ["start_id", "container", "cluster", "host", "ip", "port"]
    asked, which = joins.questions(errors, question)
    asked = asked.assign(**{name: joins.texts_of(asked[name]) for name in ("cluster", "host", "ip")})
    asked["ip"] = asked["ip"].fillna(lessons.resolved(asked))
    told = placed[placed["kind"] == "pod_address"].drop_duplicates("start_id").set_index("start_id")["value"]
    asked[["answer", "answer_reason"]] = destinations(asked, specs, joins.texts_of(told))
    asked["destination"] = asked["host"].fillna(asked["ip"])
    asked["target"] = asked["destination"].fillna("") + ":" + asked["port"].astype(str)
    asked["excludes"] = schema.lookup(asked["start_id"], specs["redirect"].map(excludes).astype(bool)).astype(bool)
    known = schema.lookup(asked["start_id"], specs["redirect"].notna()).astype(bool)
    asked["only_local"] = (asked["answer_reason"] == "destination_unstated") & known & ~asked["excludes"]
    found = joins.coded(asked.drop(columns=question[:4]), ["ip", "destination", "target"]).take(which)
    errors = pd.concat([errors.drop(columns=["host", "ip", "port"]), found.set_axis(errors.index)], axis=1)
    may = errors["answer"].isin(["yes", "assumed", "unknown"]) & (errors["kind"] != "upstream_refused")
    return errors.assign(redirectable=may & (errors["meshed"] == "yes"))


def _first_window(errors: pd.DataFrame, starts: pd.DataFrame, known: Known) -> None:
    placed = known.facts
    begin, end = errors["time_lower"], errors["time_upper"]
    closed = errors["proxy_ready_lower"]
    dated = errors["proxy_started_upper"].notna() | closed.notna()
    ended = schema.lookup(errors["start_id"], known.ended(starts))
    errors["gated"] = schema.lookup(errors["start_id"], gated(starts, placed)).astype(bool)
    # A hook that had its whole time-out waited for a proxy that was not ready: its long life is no sign.
    waiting = errors["hold"].eq(True).fillna(False).astype(bool) & ~errors["gated"]
    opened = _opened(errors, ended.where(~waiting))
    errors["opened"] = opened
    errors["opened_seen"] = opened.notna() & (opened == errors["proxy_ready_upper"])
    last_closed = pd.concat([closed, errors["proxy_started_upper"]], axis=1).max(axis=1)
    errors["start_seen"] = schema.lookup(errors["start_id"], start_in_export(starts, placed)).astype(bool)
    never = opened.isna() & dated & errors["start_seen"] & (end <= last_closed + SETTLED)
    app_later = errors["app_started_lower"] > opened
    before_open = opened.notna() & (begin <= opened + REPORT_SLACK) & ~app_later.fillna(False)
    errors["in_first_window"] = (before_open | never).astype(bool)
    errors["in_closed_part"] = (closed.notna() & (end <= closed)).astype(bool)
    errors["after_open"] = (opened.notna() & (begin > opened)).astype(bool)
    errors["settled"] = (opened.notna() & (begin > opened + SETTLED)).astype(bool)
    errors["later"] = errors["settled"] | (opened.isna() & dated & ~never)
    late = errors["late_s"].fillna(0) > 0
    errors["attempt_known"] = ~late
    told_open = placed[placed["kind"] == "proxy_open"].groupby("start_id")["time_upper"].min()
    first_told = schema.lookup(errors["start_id"], told_open)
    began = joins.marked(errors["start_id"], placed.loc[placed["kind"] == "proxy_process", "start_id"])
    unbroken = ended.isna() | (ended > first_told)
    errors["first_life_sure"] = (began & (end <= first_told) & unbroken).fillna(False).astype(bool)
    reason = np.select([opened.isna(), late | (begin > opened)], ["never_ready", "reported_late"], "overlap")
    errors["window_reason"] = pd.Series(reason, index=errors.index, dtype=object)


def _opened(errors: pd.DataFrame, ended: pd.Series) -> pd.Series:
    """When the proxy was open by, in its first life.

    A proxy that was closed no more for a while and then ended had been ready, though no sign of it is in the
    export: the first sign that is may be of a later life.
    """
    opened = errors["proxy_ready_upper"]
    quiet = errors["proxy_ready_lower"] + SETTLED
    unseen = (ended > quiet) & (opened.isna() | (opened > ended))
    return opened.where(~unseen.fillna(False).astype(bool), quiet)


_DOWN = ["proxy_exited", "proxy_process", "proxy_closed"]


def _signs(errors: pd.DataFrame, placed: pd.DataFrame) -> None:
    """The nearest signs of an open and of a closed proxy on either side of each failure."""
    proxy = placed["container"] == PROXY
    refused_probe = (placed["kind"] == "probe_failed") & (placed["value"] == "refused")
    ends = placed["kind"].isin(["container_died", "container_started", "container_backoff"]) & proxy
    down = placed[placed["kind"].isin(_DOWN) | ends | refused_probe]
    opens = placed[placed["kind"] == "proxy_open"]
    begin, end = errors["time_lower"], errors["time_upper"]
    last_open = _nearest(errors, begin, opens, "time_upper", "backward")
    last_down = _nearest(errors, end, down, "time_lower", "backward")
    next_open = _nearest(errors, end, opens, "time_upper", "forward", strictly=True)
    next_down = _nearest(errors, end, down, "time_lower", "forward", strictly=True)
    opened = errors["opened"]
    errors["down_before"] = (
        last_down.notna() & opened.notna() & (last_down >= opened) & (last_open.isna() | (last_down > last_open))
    ).astype(bool)
    errors["down_after_soon"] = (
        next_down.notna()
        & opened.notna()
        & (opened <= end)
        & (next_down <= end + COMES_BACK)
        & (next_open.isna() | (next_down < next_open))
    ).astype(bool)
    errors["open_after"] = next_open.notna()


def _stop(errors: pd.DataFrame, placed: pd.DataFrame) -> None:
    """Whether the pod was being stopped for good: a stop after which no proxy started."""
    proxy = placed["container"] == PROXY
    stop = placed["kind"].isin(["pod_stopping", "proxy_draining"])
    stop |= (placed["kind"] == "container_killing") & (placed["value"] == "stop")
    # A proxy ends with exit code 0 (or 143, SIGTERM) only when it was told to.
    graceful = (placed["kind"] == "container_died") & proxy
    graceful[graceful] = joins.texts_of(placed.loc[graceful, "value"]).fillna("").str.contains(r"\b(?:0|143)$")
    births = placed[(placed["kind"] == "proxy_process") | ((placed["kind"] == "container_started") & proxy)]
    final = placed[stop | graceful]
    reborn = schema.lookup(final["start_id"], births.groupby("start_id")["time_lower"].max())
    final = final[reborn.isna() | (reborn < final["time_upper"])]
    told = joins.marked(errors["start_id"], final.loc[stop[final.index], "start_id"])
    since = schema.lookup(errors["start_id"], final.groupby("start_id")["time_lower"].min())
    errors["stopping"] = (since.notna() & (since <= errors["time_upper"])).astype(bool)
    gone = placed[(placed["kind"] == "proxy_exited") | ((placed["kind"] == "container_died") & proxy)]
    last_exit = _nearest(errors, errors["time_upper"], gone, "time_lower", "backward")
    errors["exited_by_stop"] = (told & last_exit.notna() & since.notna() & (last_exit >= since)).astype(bool)


def _nearest(
    errors: pd.DataFrame,
    at: pd.Series,
    signs: pd.DataFrame,
    column: str,
    direction: str,
    strictly: bool = False,
) -> pd.Series:
    """The time of the nearest sign of the same start on one side of each failure."""
    signs = signs[["start_id", column]].dropna()
    start, time = signs["start_id"].cat.codes.to_numpy(), times.to_ns(signs[column])
    order = np.lexsort((time, start))
    start, time = start[order], time[order]
    nearest = joins.last_before if direction == "backward" else joins.first_after
    asked = times.to_ns(at)
    found = nearest(errors["start_id"].cat.codes.to_numpy(), asked, start, time, strictly)
    found = np.append(time, times.NAT)[np.where(asked == times.NAT, -1, found)]
    return times.column(found).set_axis(errors.index)


def _alone(errors: pd.DataFrame) -> pd.Series:
    """Whether no destination that was redirected for sure was refused in the same pod within `BURST`."""
    known = errors.loc[errors["answer"] == "yes", ["start_id", "time_upper"]]
    before = _nearest(errors, errors["time_upper"], known, "time_upper", "backward")
    after = _nearest(errors, errors["time_upper"], known, "time_upper", "forward")
    near = (errors["time_upper"] - before <= BURST) | (after - errors["time_upper"] <= BURST)
    return ~near.astype(bool)


def _outlasts(errors: pd.DataFrame) -> pd.Series:
    """Errors to a destination that was refused long after all others had stopped to be, where no opening is known.

    A closed proxy refuses all that it should carry: what alone goes on, after the last proof that the proxy was
    closed, and for longer than the others waited between two attempts, is refused by somebody else.
    """
    guessed = errors["answer"].isin(["assumed", "unknown"]) & errors["redirectable"] & ~errors["is_init"]
    guessed &= errors["opened"].isna() & (errors["answer_reason"] != "destination_unstated")
    rows = errors.loc[guessed, ["start_id", "target", "time_upper", "proxy_ready_lower", "stopping"]]
    # After a long pause it is another story: a restart, a stop.
    pause = rows["time_upper"].groupby(rows["start_id"]).diff() > BROKEN_OFF
    rows = rows[~pause.groupby(rows["start_id"]).cummax()]
    # By their codes, which are in the order of the texts.
    rows = rows.assign(start=rows["start_id"].cat.codes, target=rows["target"].cat.codes)
    rows = rows.assign(pair=joins.numbered([rows["start"], rows["target"]]))
    rows = rows.assign(waited=rows.groupby("pair")["time_upper"].diff())
    ends = rows.groupby("pair").agg(
        start=("start", "first"), target=("target", "first"), last=("time_upper", "max"), waited=("waited", "max")
    )
    survivors = ends.sort_values(["last", "target"], ascending=[False, True]).drop_duplicates("start")
    others = ends.drop(survivors.index).groupby("start")
    over = others["last"].max() + 3 * others["waited"].max() + SETTLED
    mine = rows[rows["pair"].isin(survivors.index) & ~rows["stopping"]]
    beyond = mine["time_upper"] > schema.lookup(mine["start"], over)
    beyond &= ~(mine["time_upper"] <= mine["proxy_ready_lower"] + SETTLED)
    lasting = beyond.groupby(mine["start"]).transform("sum") >= 2
    return pd.Series(errors.index.isin(mine.index[lasting]), errors.index)


def _goes_on(errors: pd.DataFrame) -> pd.Series:
    """Whether a text without destination is refused while the proxy is open a third as often as before, or more.

    Then it is not the race's alone, and which of its lines are cannot be told.
    """
    unstated = errors["answer_reason"] == "destination_unstated"
    rows = errors[unstated]
    later = rows["after_open"] & ~rows["explained"]
    later &= (rows["time_lower"] > rows["opened"] + REPORT_SLACK).fillna(False)
    first = rows["in_first_window"] & ~later
    key = joins.numbered([rows["start_id"], rows["container"], _without_numbers(rows["message"])])
    often, before = (np.bincount(key, weights=mask)[key] for mask in (later, first))
    goes_on = pd.Series(3 * often >= np.maximum(before, 1), rows.index)
    return goes_on.reindex(errors.index, fill_value=False)


def _without_numbers(message: pd.Series) -> pd.Series:
    """A number for each message of a coded column; those that differ by their numbers alone have the same."""
    message = message.cat.remove_unused_categories()
    texts = message.cat.categories.to_series().str.replace(r"\d+", "0", regex=True)
    codes, _ = pd.factorize(np.array([*texts, ""], dtype=object))  # the last for a missing one
    return pd.Series(codes[message.cat.codes], message.index)


# What it depends on.
UNEXPLAINED = ("start_seen", "after_open", "gated", "answer", "answer_reason", "meshed")


def unexplained(errors: pd.DataFrame) -> pd.Series:
    """Why an error that no rule claims is undetermined."""
    reason = pd.Series("no_proxy_evidence", index=errors.index, dtype=object)
    reason = reason.mask(~errors["start_seen"], "start_not_in_export")
    reason = reason.mask(errors["after_open"] | errors["gated"], "contradiction")
    reason = reason.mask(errors["answer"] == "unknown", errors["answer_reason"])
    return reason.mask(errors["meshed"] == "unknown", "mesh_unknown")
