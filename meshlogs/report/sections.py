"""The sections of the report, in the order in which an engineer asks."""

import hashlib
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
import pandas as pd
from markupsafe import Markup, escape

from meshlogs import verdicts
from meshlogs.columnar import joins
from meshlogs.markup import (
    MOST_ROWS,
    brief,
    console,
    html,
    label,
    name_of,
    number,
    origin,
    percent,
    plain,
    query,
    seconds,
    slug,
    span,
    stamp,
    table,
    text,
    words,
)  # fmt: skip
from meshlogs.plots import harmed_of, plot_hours, plot_incidence, plot_pod, plot_waterfall, plot_windows
from meshlogs.remedies.workloads import PLACE
from meshlogs.report.figures import figure
from meshlogs.report.summary import sentences, summary, undated
from meshlogs.report.tables import (
    Command,
    command_of,
    commands,
    harmed_by_hour,
    raced_first,
    seen,
    told_errors,
    undetermined_starts,
    worst_starts,
)  # fmt: skip
from meshlogs.verdicts import outcome as outcomes

WORST = 5
MOST_WORKLOADS = 50
CLAIMS = {rule.VERDICT: rule.__doc__.strip().splitlines()[0] for rule in verdicts.RULES}
_SECOND = pd.Timedelta(1, "s")


class Section(NamedTuple):
    """A part of the page: its key (also the anchor), title and HTML."""

    key: str
    title: str
    html: str


def sections(fleet, by: list[str]) -> list[Section]:
    """All sections of the report."""
    made = [make(fleet, by) for make in SECTIONS.values()]
    return [section for section in made if section.html]


def _finding(fleet, _by) -> Section:
    counts = summary(fleet)
    first, *others = sentences(fleet, counts)
    raced = counts["errors"]["startup_race"]
    share = percent(counts["share_lower"], counts["share_upper"]) if counts["at_risk"] else "–"
    numbers = [
        (f"{counts['harmed']:,}", "starts harmed", f"of {counts['at_risk']:,} at risk: {share} %", "pods"),
        (f"{raced:,}", "connections refused by the race", f"of {len(fleet.judged):,} refused in all", "errors"),
        (f"{counts['exposed']:,}", "starts exposed", "ran before their proxy, not refused", "incidence"),
        (f"{counts['undetermined']:,}", "starts undetermined", "the export cannot tell", "coverage"),
    ]
    cards = "".join(
        f'<a class="card" href="#{target}"><b>{figures}</b><span>{escape(name)}</span><small>{escape(note)}</small></a>'
        for figures, name, note, target in numbers
    )
    rest = f"<p>{text(' '.join(others), 1_500)}</p>" if others else ""
    body = f'<p class="lead">{text(first, 1_000)}</p>{rest}{_act(fleet)}<div class="cards">{cards}</div>'
    return Section("finding", "The finding", body + f"<p><small>{text(seen(fleet), 400)}</small></p>")


def _act(fleet) -> str:
    """What to do, on the first screen: the command for the workload that needs it most."""
    found = commands(fleet, most=1)
    if not found:
        return ""
    rest = len(commands(fleet)) - 1
    more = (
        f'<a href="#remedies">All remedies, {rest:,} more workloads</a>'
        if rest
        else '<a href="#remedies">The patch</a>'
    )
    first = found[0]
    return (
        '<div class="act"><h3>What to do first</h3>'
        f"<p><b>{text(first.workload)}</b> ({text(first.namespace)}, {text(first.cluster)}): "
        f"{text(first.remedy.replace('_', ' '))}; {text(first.expected_effect, 300)}.{_mind(first)} {more}</p>"
        f"{_do(first)}</div>"
    )


def _mind(found: Command) -> str:
    traps = "; ".join(found.warnings())
    return f" Trap: {text(traps, 300)}." if traps else ""


def _do(found: Command) -> str:
    """The command, or what to do where none can work."""
    if found.command:
        return f"<pre>{text(found.command, 800)}</pre>"
    return f"<p>No command: {text(found.instead, 300)} (<code>{text(found.patch_file)}</code>).</p>"


def _incidence(fleet, by) -> Section:
    rows = fleet.incidence(by)
    columns = {name: (name.replace("_", " "), text) for name in by}
    if "workload" in by:
        columns["workload"] = ("workload", html)
    columns |= {name: (name.replace("_", " "), number) for name in ("starts", "at_risk", "harmed", "exposed", "safe")}
    columns |= {
        "init_stalled": ("stalled", number),
        "undetermined": ("undet.", number),
        "share": ("harmed [% of at risk]", span),
        "ci": ("95 % CI [%]", span),
        "errors": ("refused", number),
    }
    shown = rows.assign(
        share=[percent(low, high) for low, high in zip(rows["share_lower"], rows["share_upper"], strict=True)],
        ci=[percent(low, high) for low, high in zip(rows["ci_lower"], rows["ci_upper"], strict=True)],
    )
    if "workload" in by:
        spaces = rows["namespace"] if "namespace" in by else [""] * len(rows)
        shown["workload"] = [_finder(space, name) for space, name in zip(spaces, rows["workload"], strict=True)]
    told = "<p>Undetermined starts count once as unharmed and once as harmed: the share is then a range.</p>"
    if (rows["at_risk"] > 0).any():
        told += figure(lambda: plot_incidence(rows, most=12), f"Incidence by {', '.join(by)}: {harmed_of(rows)}")
    return Section("incidence", f"Where, by {' and '.join(by)}", told + table(shown, columns, "incidence"))


def _finder(namespace: str, workload: str) -> Markup:
    """A workload's name that leads to its pods in the timeline."""
    word = f"{namespace}/{workload}" if namespace else workload
    return Markup('<a href="#find={}">{}</a>').format(quote(word, safe="/"), text(workload) if workload else "–")


def _pods(fleet, _by) -> Section:
    starts = worst_starts(fleet)
    if fleet.starts.empty:
        return Section("pods", "Which pods", "")
    at_risk = int(fleet.starts["at_risk"].astype(bool).sum())
    picture = figure(
        lambda: plot_waterfall(fleet.starts), f"When the proxy became ready in {at_risk:,} starts at risk", "still"
    )
    body = f'<p class="live">{_HOW}</p><div id="timeline" class="live"></div>{picture}'
    if starts.empty:
        return Section("pods", "Which pods", body + "<p>No pod was harmed or stalled.</p>")
    columns = {
        "where": ("pod", html), "namespace": ("namespace", text), "cluster": ("cluster", text),
        "outcome": ("outcome", label), "raced": ("refused", number), "window": ("window [s]", span),
        "app_started_upper": ("application started (UTC)", brief),
    }  # fmt: skip
    shown = starts.head(MOST_ROWS).assign(
        where=[_pod_link(start, at < WORST) for at, start in enumerate(starts.head(MOST_ROWS).to_dict("records"))],
        window=[seconds(low, high) for low, high in
                zip(starts.head(MOST_ROWS)["window_lower_s"], starts.head(MOST_ROWS)["window_upper_s"], strict=True)],
    )  # fmt: skip
    body += f"<h3>Harmed and stalled pods</h3>{table(shown, columns, 'starts', len(starts))}"
    body += f"<h3>The {min(WORST, len(starts))} worst, with their evidence</h3>" if len(starts) > 1 else ""
    return Section("pods", "Which pods", body + "".join(map(_article(fleet), _first(starts))))


_HOW = (
    "Point at a bar or mark for its evidence line, click a pod for all of its evidence, drag to zoom. "
    "By keyboard: arrows, Space, + and −."
)


def _first(starts: pd.DataFrame) -> list[pd.Series]:
    return [start for _, start in starts.head(WORST).iterrows()]


def anchor(start_id: str) -> str:
    """The anchor of a pod start: readable, harmless, one for each start.

    >>> anchor("blue/pay/cart-1")
    'pod-blue-pay-cart-1-222319'
    """
    return f"pod-{slug(start_id)}-{hashlib.sha256(start_id.encode('utf-8', 'replace')).hexdigest()[:6]}"


def _pod_link(start: dict, has_article: bool) -> Markup:
    target = anchor(start["start_id"]) if has_article else f"pod={quote(start['start_id'], safe='')}"
    return Markup('<a href="#{}">{}</a>').format(target, text(name_of(start), 120))


def _article(fleet) -> Callable[[pd.Series], str]:
    def make(start: pd.Series) -> str:
        errors = fleet.errors_of([start["start_id"]])
        facts = fleet.evidence_of([start["start_id"]], without=_QUIET)
        listed = table(_with_origin(facts.head(30), "time_upper"), _EVIDENCE, "evidence", len(facts))
        first = raced_first(errors).head(3).sort_values("time", kind="stable")
        told = table(_with_origin(first, "time"), _OF_POD, "errors", len(errors)) if len(errors) else ""
        name = f"Timeline of pod {start['pod']}: {len(errors)} refused connections"
        picture = figure(lambda: plot_pod(fleet, start["start_id"]), name)
        times = [start["scheduled_lower"], start["app_started_lower"], *errors["time"].head(1)]
        known = [stamp for stamp in times if not pd.isna(stamp)]
        last = max([*known, *errors["time"].tail(1)], default=pd.NaT)
        address = console(start, min(known, default=pd.NaT), last + 60 * _SECOND if known else last)
        return (
            f'<article id="{anchor(start["start_id"])}"><h4>{text(start["pod"], 120)} {label(start["outcome"])} '
            f"<small>{text(start['namespace'])}, {text(start['cluster'])}</small></h4>"
            f"{picture}{told}<details><summary>Evidence: {len(facts):,} facts</summary>{listed}</details>"
            f"<details><summary>See it in the console</summary><pre>{text(query(start), 600, lines=True)}</pre>"
            f'<p><a href="{escape(address)}" rel="noopener noreferrer" target="_blank">Open the Logs Explorer</a></p>'
            "</details></article>"
        )

    return make


_QUIET = ("app_logged", "proxy_version", "pod_address", "refused", "suspected", "refused_context")
_EVIDENCE = {
    "time_lower": ("from (UTC)", stamp), "time_upper": ("to (UTC)", stamp), "container": ("container", text),
    "kind": ("what", text), "value": ("value", text), "message": ("evidence", words), "origin": ("file and line", html),
}  # fmt: skip
_OF_POD = {
    "time": ("time (UTC)", stamp), "verdict": ("verdict", label), "sure": ("certainty", text),
    "message": ("message", words), "origin": ("file and line", html),
}  # fmt: skip


def _with_origin(rows: pd.DataFrame, time: str) -> pd.DataFrame:
    """The rows with a column that says where each stands, and with `sure`: certainty and reason of an error."""
    records = rows.to_dict("records")
    places = [
        origin(row["source"], row["line"], row["insert_id"],
               console(row, row[time] - _SECOND, row[time] + _SECOND, row["insert_id"])
               if isinstance(row["insert_id"], str) and isinstance(row["project"], str) else None)
        for row in records
    ]  # fmt: skip
    sure = [_sure(row) for row in records] if "certainty" in rows.columns else ""
    return rows.assign(origin=places, sure=sure)


def _sure(row: dict) -> str:
    reason = verdicts.REASONS.get(row["reason"], row["reason"]) if isinstance(row["reason"], str) else None
    certainty = row["certainty"] if isinstance(row["certainty"], str) else "undetermined"
    return f"{certainty}: {reason}" if reason else certainty


def _errors(fleet, _by) -> Section:
    errors = fleet.judged
    without_time = undated(fleet.starts)
    if errors.empty:
        none = without_time or "No program in these logs reported a refused connection."
        return Section("errors", "Refused connections", f"<p>{none}</p>")
    counts = errors.groupby(["verdict", "certainty", "reason"], dropna=False).size().rename("errors").reset_index()
    counts = joins.plain(counts)
    counts = counts.sort_values(["errors", "verdict"], ascending=[False, True], kind="stable")
    counts["meaning"] = [CLAIMS.get(verdict, "The export cannot decide.") for verdict in counts["verdict"]]
    counts["sure"] = [_sure(row) for row in counts.to_dict("records")]
    columns = {"verdict": ("verdict", label), "errors": ("refused", number),
               "meaning": ("the connection was refused because", text), "sure": ("certainty", words)}  # fmt: skip
    where, which = joins.questions(errors, ["destination_host", "destination_port", "verdict"])
    where = where.set_axis(["host", "port", "verdict"], axis=1).assign(errors=np.bincount(which))
    ascending = [False, True, True, True]
    where = joins.plain(where.sort_values(["errors", "host", "port", "verdict"], ascending=ascending).head(50))
    where["host"] = where["host"].fillna("not stated")
    places = {
        "host": ("destination", text),
        "port": ("port", plain),
        "verdict": ("verdict", label),
        "errors": ("refused", number),
    }
    told = table(counts, columns, "errors") + "<h3>By destination</h3>" + table(where, places, "errors")
    suspected = int(errors["suspected"].fillna(False).sum())
    told += f"<p>{without_time}</p>" if without_time else ""
    told += (
        f"<p>{suspected:,} of them are suspected: the text does not state why connecting failed.</p>"
        if suspected
        else ""
    )
    return Section("errors", "Every refused connection", told + _each_error(fleet))


def _each_error(fleet) -> str:
    """The refused connections themselves: of each pod the first ones, every line with its place."""
    rows = told_errors(fleet, MOST_ROWS)
    shown = _with_origin(rows, "time").assign(
        where=[_pod_link(row, False) if isinstance(row["start_id"], str) else text(row["pod"])
               for row in rows.to_dict("records")],
        to=[_destination(row) for row in rows.to_dict("records")],
    )  # fmt: skip
    columns = {
        "time": ("time (UTC)", stamp), "where": ("pod", html), "container": ("container", text),
        "to": ("destination", text), "verdict": ("verdict", label), "sure": ("certainty", words),
        "message": ("message", words), "origin": ("file and line", html),
    }  # fmt: skip
    return "<h3>One by one</h3>" + table(shown, columns, "errors", len(fleet.judged))


def _destination(row: dict) -> str:
    if not isinstance(row["destination_host"], str):
        return "not stated"
    return row["destination_host"] + ("" if pd.isna(row["destination_port"]) else f":{int(row['destination_port'])}")


def _remedies(fleet, _by) -> Section:
    rows = fleet.remedies
    if rows.empty:
        return Section("remedies", "What to change", "<p>No workload has a harm that a known remedy treats.</p>")
    saved = rows.groupby(PLACE, dropna=False)["errors_removed_upper"].transform("max").fillna(0)
    rows = rows.assign(saved=saved).sort_values(["saved", *PLACE], ascending=[False, True, True, True], kind="stable")
    groups = [group for _, group in rows.groupby(PLACE, dropna=False, sort=False)]
    parts = [_workload(group, is_open=len(groups) <= 2) for group in groups[:MOST_WORKLOADS]]
    left = len(groups) - MOST_WORKLOADS
    more = f"<p>{left:,} more workloads in tables/remedies.parquet.</p>" if left > 0 else ""
    how = (
        "<p>Nothing was applied. Most refused connections saved first; of each workload the remedies in the order of "
        "preference, ✓ applies, ✗ blocked. Read a patch before you run its command, and look at its traps.</p>"
    )
    return Section("remedies", "What to change", how + "".join(parts) + more)


def _workload(rows: pd.DataFrame, *, is_open: bool) -> str:
    """All remedies of one workload, folded."""
    first = rows.iloc[0]
    marks = " ".join(
        f'<span class="tag {"applies" if row.applies else "blocked"}">{"✓" if row.applies else "✗"} '
        f"{text(row.remedy.replace('_', ' '))}</span>"
        for row in rows.itertuples()
    )
    return (
        f"<details{' open' if is_open else ''}><summary><b>{text(first['workload'])}</b> "
        f"({text(first['namespace'])}, {text(first['cluster'])}): {marks}</summary>"
        f"{''.join(_remedy(row) for row in rows.itertuples())}</details>"
    )


def _remedy(row) -> str:
    state = "applies" if row.applies else "blocked"
    told = [
        f"<h4>{text(row.remedy.replace('_', ' '))}: {state}</h4>",
        f"<p>{text(row.why, 400)}; {text(row.expected_effect, 500)}.</p>",
    ]
    for name, value in (("Blocked", row.blocked_by), ("Trap", row.traps), ("It took effect when", row.check)):
        if isinstance(value, str):
            told.append(f"<p>{name}: {text(value, 500)}</p>")
    if isinstance(row.patch, str) and isinstance(row.patch_file, str):
        command = command_of(row).command  # none for what takes no patch: its trap says what to do instead
        if row.applies and command:
            told.append(f"<pre>{text(command, 800)}</pre>")
        told.append(
            f"<details><summary>{text(row.patch_file)}</summary><pre>{text(row.patch, 4_000, lines=True)}</pre></details>"
        )
    elif isinstance(row.patch_file, str):
        told.append(f"<p>For the whole mesh: <code>{text(row.patch_file)}</code></p>")
    return "".join(told)


def _windows(fleet, by) -> Section:
    rows = fleet.incidence(by)
    rows = rows[rows["window_p50_s"].notna()]
    if rows.empty:
        return Section("windows", "Race windows", "<p>No start at risk has a window that can be told.</p>")
    shown = rows.assign(
        **{q: [seconds(*pair) for pair in zip(rows[f"window_{q}_lower_s"], rows[f"window_{q}_upper_s"], strict=True)]
           for q in ("p50", "p90", "max")}
    )  # fmt: skip
    columns = {name: (name.replace("_", " "), text) for name in by}
    columns |= {"at_risk": ("starts at risk", number)} | {q: (f"{q} [s]", span) for q in ("p50", "p90", "max")}
    told = "<p>From the application's start to its proxy accepting connections. Two numbers: at least – at most; "
    told += "“≥” where the proxy was never seen ready in this export.</p>"
    count = int(fleet.starts["at_risk"].sum())
    picture = figure(lambda: plot_windows(fleet.starts), f"Distribution of the race windows of {count} starts at risk")
    return Section("windows", "How long without a proxy", told + picture + table(shown, columns, "incidence"))


def _hours(fleet, _by) -> Section:
    """When: only where there is more than one hour to compare."""
    counts = harmed_by_hour(fleet.starts)
    if counts.shape[1] < 2:
        return Section("hours", "When", "")
    picture = figure(lambda: plot_hours(counts, what="harmed starts"), "Harmed starts by hour and workload")
    totals = counts.sum().rename("harmed").rename_axis("hour").reset_index()
    columns = {"hour": ("hour (UTC)", stamp), "harmed": ("harmed starts", number)}
    return Section("hours", "When", picture + table(totals, columns, "starts"))


# A scan does not parse what holds nothing suspect: it would take many times as long.
_PARSED = "A report parses the lines that may matter and counts the others"


def _coverage(fleet, _by) -> Section:
    rows = fleet.coverage
    missing = rows[rows["missing"].notna()]
    told = "".join(
        f"<p>Missing: <b>{text(row.kind)}</b> – {text(row.missing)}. <code>{text(row.query, 500)}</code></p>"
        for row in missing.itertuples()
    )
    lost = int(rows["loss_markers"].fillna(0).sum())
    told += f"<p>{lost:,} markers say that events were lost before the exporter (re)started.</p>" if lost else ""
    starts = fleet.starts
    if len(starts):
        having = {
            name: int(starts[f"has_{name}"].astype(bool).sum())
            for name in ("app_logs", "proxy_logs", "events", "pod_spec")
        }
        listed = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in having.items())
        told += f"<p>Of {len(starts):,} pod starts have: {listed}.</p>"
    unknown = undetermined_starts(starts)
    if len(unknown):
        unknown["why"] = [outcomes.REASONS.get(reason, reason) for reason in unknown["reason"]]
        columns = {
            "why": ("why a start is undetermined", words),
            "starts": ("starts", number),
            "example": ("for example", text),
        }
        told += table(unknown, columns, "starts")
    hours = rows[rows["missing"].isna()]
    told += (
        f"<p>{_PARSED}: entries are as they were delivered, duplicates those among them that gave evidence and came "
        "again. <code>meshlogs convert</code> tells all apart.</p>"
    )
    columns = {"kind": ("source", text), "cluster": ("cluster", text), "hour": ("hour (UTC)", stamp), "entries": ("entries", number),
               "duplicates": ("duplicates", number), "first": ("first (UTC)", stamp), "last": ("last (UTC)", stamp)}  # fmt: skip
    return Section("coverage", "What the export lacks", told + table(hours, columns, "coverage"))


def _rejects(fleet, _by) -> Section:
    rows = fleet.rejects
    convert = f"{_PARSED}; <code>meshlogs convert</code> parses all and keeps every broken one."
    if rows.empty:
        return Section("rejects", "What could not be read", f"<p>Nothing that was parsed. {convert}</p>")
    columns = {
        "source": ("file", text),
        "line": ("line", plain),
        "reason": ("reason", text),
        "excerpt": ("excerpt", words),
    }
    told = f"<p>{len(rows):,} records could not be read; none of them is counted anywhere else. {convert}</p>"
    return Section("rejects", "What could not be read", told + table(rows, columns, "rejects"))


def _reading(_fleet, _by) -> Section:
    meanings = {
        "at risk": "meshed starts whose application started within the export, whatever protected them",
        "harmed": "at least one connection was refused by the start-up race",
        "exposed": "the application ran before the proxy was ready, and its logs show no refusal",
        "race window": "from the application's start to its proxy accepting connections",
        "proven": "the evidence leaves no other answer",
        "likely": "the best answer; the reason says what overlaps or is assumed",
        "undetermined": "the export cannot decide; never counted as harmed or as safe",
        "from – to": "times known only to an interval: Kubernetes floors its times to the second",
    }
    listed = "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in meanings.items())
    undetermined = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in outcomes.REASONS.items()
    )
    told = f"<dl>{listed}</dl><details><summary>Why a start is undetermined</summary><dl>{undetermined}</dl></details>"
    return Section("reading", "How to read this page", told)


SECTIONS: dict[str, Callable] = {
    "finding": _finding,
    "incidence": _incidence,
    "pods": _pods,
    "errors": _errors,
    "remedies": _remedies,
    "windows": _windows,
    "hours": _hours,
    "coverage": _coverage,
    "rejects": _rejects,
    "reading": _reading,
}
