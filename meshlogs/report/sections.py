"""The sections of the report, in the order in which an engineer asks."""

import base64
import io
import re
from collections.abc import Callable
from typing import NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from meshlogs import times, verdicts
from meshlogs.plots import plot_incidence, plot_pod, plot_windows
from meshlogs.report.summary import summary
from meshlogs.text import clean
from meshlogs.verdicts import outcome as outcomes

MOST_ROWS = 50
WORST = 5
CLAIMS = {rule.VERDICT: rule.__doc__.strip().splitlines()[0] for rule in verdicts.RULES}


class Section(NamedTuple):
    """A part of the page: its key (also the anchor), title and HTML."""

    key: str
    title: str
    html: str


def sections(fleet, by: list[str]) -> list[Section]:
    """All sections of the report."""
    return [make(fleet, by) for make in SECTIONS.values()]


def _finding(fleet, _by) -> Section:
    counts = summary(fleet)
    numbers = [
        (counts["harmed"], "starts harmed", f"of {counts['at_risk']:,} at risk"),
        (counts["exposed"], "starts exposed", "ran before their proxy, unharmed"),
        (counts["undetermined"], "undetermined", "the export cannot tell"),
        (sum(counts["errors"].values()), "refused connections", _told(counts["errors"])),
    ]
    cards = "".join(
        f'<div class="card"><b>{number:,}</b><span>{escape(label)}</span><small>{escape(note)}</small></div>'
        for number, label, note in numbers
    )
    return Section(
        "finding",
        "The finding",
        f'<p class="lead">{text(counts["finding"], 1_500)}</p><div class="cards">{cards}</div>',
    )


def _told(errors: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in errors.items() if count) or "none reported"


def _incidence(fleet, by) -> Section:
    rows = fleet.incidence(by)
    columns = {name: (name.replace("_", " "), text) for name in by}
    columns |= {name: (name.replace("_", " "), number) for name in ("starts", "at_risk", "harmed", "exposed", "safe")}
    columns |= {
        "init_stalled": ("stalled", number),
        "undetermined": ("undet.", number),
        "share": ("harmed, % of at risk", text),
        "ci": ("95 % CI [%]", text),
        "errors": ("errors", number),
    }
    shown = rows.assign(
        share=[_range(low, high) for low, high in zip(rows["share_lower"], rows["share_upper"], strict=True)],
        ci=[_range(low, high) for low, high in zip(rows["ci_lower"], rows["ci_upper"], strict=True)],
    )
    html = "<p>Undetermined starts count once as unharmed and once as harmed: the share is then a range.</p>"
    if (rows["at_risk"] > 0).any():
        total = f"{int(rows['harmed'].sum())} of {int(rows['at_risk'].sum())} starts at risk were harmed"
        html += figure(plot_incidence(rows, most=20), f"Incidence by {', '.join(by)}: {total}")
    return Section("incidence", f"How often, by {' and '.join(by)}", html + table(shown, columns, "incidence"))


def _range(low, high) -> str:
    if pd.isna(low):
        return "–"
    return f"{low * 100:.0f}" if round(low, 3) == round(high, 3) else f"{low * 100:.0f} – {high * 100:.0f}"


def _windows(fleet, by) -> Section:
    rows = fleet.incidence(by)
    rows = rows[rows["window_p50_s"].notna()]
    if rows.empty:
        return Section("windows", "Race windows", "<p>No start at risk has a window that can be told.</p>")
    shown = rows.assign(
        **{q: [_bounds(*pair) for pair in zip(rows[f"window_{q}_lower_s"], rows[f"window_{q}_upper_s"], strict=True)]
           for q in ("p50", "p90", "max")}
    )  # fmt: skip
    columns = {name: (name.replace("_", " "), text) for name in by}
    columns |= {"at_risk": ("starts at risk", number)} | {q: (f"{q} [s]", text) for q in ("p50", "p90", "max")}
    words = "<p>From the application's start to its proxy accepting connections. Two numbers: at least – at most; "
    words += "“≥” where the proxy was never seen ready in this export.</p>"
    count = int(fleet.starts["at_risk"].sum())
    picture = figure(plot_windows(fleet.starts), f"Distribution of the race windows of {count} starts at risk")
    return Section(
        "windows", "How long applications ran without a proxy", words + picture + table(shown, columns, "incidence")
    )


def _bounds(low: float, high: float) -> str:
    if high == float("inf"):
        return f"≥ {low:.1f}"
    return f"{low:.1f}" if high - low < 0.05 else f"{low:.1f} – {high:.1f}"


def _worst(fleet, _by) -> Section:
    starts = fleet.starts
    worst = starts[starts["outcome"].isin(["harmed", "init_stalled"])]
    raced = fleet.errors[fleet.errors["verdict"].isin(["startup_race", "init_race"])].groupby("start_id").size()
    worst = worst.assign(raced=raced.reindex(worst["start_id"]).fillna(0).to_numpy())
    worst = worst.sort_values(["raced", "window_lower_s", "start_id"], ascending=[False, False, True], kind="stable")
    if worst.empty:
        return Section("pods", "The worst pods", "<p>No pod was harmed or stalled.</p>")
    html = "".join(_pod(fleet, start) for _, start in worst.head(WORST).iterrows())
    more = len(worst) - WORST
    html += (
        f"<p>{more:,} more in tables/starts.parquet; one pod: <code>meshlogs explain POD PATH…</code></p>"
        if more > 0
        else ""
    )
    return Section("pods", "The worst pods, with their evidence", html)


def _pod(fleet, start: pd.Series) -> str:
    errors = fleet.errors[fleet.errors["start_id"] == start["start_id"]]
    facts = fleet.evidence[fleet.evidence["start_id"] == start["start_id"]]
    facts = facts[
        ~facts["kind"].isin(["app_logged", "proxy_version", "pod_address", "refused", "suspected", "refused_context"])
    ]
    first = errors.head(1)
    told = "".join(
        f"<p><b>{text(row.verdict)}, {text(row.certainty)}</b>{_why(row.reason)} – {text(row.message, 300)}<br>"
        f"<small>{stamp(row.time)} · {text(row.source)}:{row.line} · insertId {text(row.insert_id)}</small></p>"
        for row in first.itertuples()
    )
    columns = {"time_lower": ("from (UTC)", stamp), "time_upper": ("to (UTC)", stamp), "container": ("container", text),
               "kind": ("what", text), "value": ("value", text), "message": ("evidence", text), "source": ("file", text),
               "line": ("line", number)}  # fmt: skip
    listed = table(facts.head(30), columns, "evidence", len(facts))
    picture = figure(
        plot_pod(fleet, start["start_id"]), f"Timeline of pod {start['pod']}: {len(errors)} refused connections"
    )
    query = f'resource.labels.pod_name="{start["pod"]}" resource.labels.namespace_name="{start["namespace"]}"'
    return (
        f'<article id="pod-{slug(start["start_id"])}"><h3>{text(start["pod"], 120)} '
        f"<small>{text(start['namespace'])}, {text(start['cluster'])}</small></h3>"
        f"{picture}<p>{len(errors):,} refused, first:</p>{told}"
        f"<details><summary>Evidence: {len(facts):,} facts</summary>{listed}</details>"
        f"<p><small>In the console: <code>{text(query, 400)}</code></small></p></article>"
    )


def _why(reason) -> str:
    return f" ({text(verdicts.REASONS.get(reason, reason))})" if isinstance(reason, str) else ""


def _errors(fleet, _by) -> Section:
    errors = fleet.errors
    if errors.empty:
        return Section(
            "errors", "Refused connections", "<p>No program in these logs reported a refused connection.</p>"
        )
    counts = errors.groupby(["verdict", "certainty", "reason"], dropna=False).size().rename("errors").reset_index()
    counts = counts.sort_values("errors", ascending=False, kind="stable")
    counts["meaning"] = [CLAIMS.get(verdict, "The export cannot decide.") for verdict in counts["verdict"]]
    counts["reason"] = [
        verdicts.REASONS.get(reason, "") if isinstance(reason, str) else "" for reason in counts["reason"]
    ]
    columns = {"verdict": ("verdict", text), "certainty": ("certainty", text), "errors": ("errors", number),
               "reason": ("why not proven, or undetermined", text), "meaning": ("meaning", text)}  # fmt: skip
    where = errors.assign(host=errors["destination_host"].fillna("not stated"), port=errors["destination_port"])
    where = where.groupby(["host", "port", "verdict"], dropna=False).size().rename("errors").reset_index()
    where = where.sort_values(["errors", "host"], ascending=[False, True], kind="stable")
    places = {
        "host": ("destination", text),
        "port": ("port", plain),
        "verdict": ("verdict", text),
        "errors": ("errors", number),
    }
    html = table(counts, columns, "errors") + "<h3>By destination</h3>" + table(where, places, "errors")
    suspected = int(errors["suspected"].fillna(False).sum())
    html += (
        f"<p>{suspected:,} of them are suspected: the text does not state why connecting failed.</p>"
        if suspected
        else ""
    )
    return Section("errors", "Every refused connection, by verdict", html)


def _remedies(fleet, _by) -> Section:
    rows = fleet.remedies
    if rows.empty:
        return Section(
            "remedies", "What to change", "<p>No workload was harmed by, or exposed to, the start-up race.</p>"
        )
    parts = []
    for row in rows.head(MOST_ROWS).itertuples():
        state = "applies" if row.applies else "blocked"
        patch = f"<pre>{text(row.patch, 4_000, lines=True)}</pre>" if isinstance(row.patch, str) else ""
        target = "kubectl patch" if row.applies else "after that"
        file = f"<p><small>{target}: {text(row.patch_file)}</small></p>" if isinstance(row.patch_file, str) else ""
        blocked = f"<p>Blocked: {text(row.blocked_by, 400)}</p>" if isinstance(row.blocked_by, str) else ""
        parts.append(
            f"<details{' open' if len(rows) <= 3 else ''}><summary><b>{text(row.workload)}</b> ({text(row.namespace)}): "
            f"{text(row.remedy)} {state}</summary><p>{text(row.why, 400)}; {text(row.expected_effect, 400)}.</p>{blocked}{patch}{file}</details>"
        )
    more = f"<p>{len(rows) - MOST_ROWS:,} more in tables/remedies.parquet.</p>" if len(rows) > MOST_ROWS else ""
    how = (
        "<p>Nothing was applied. Look at a patch, then "
        "<code>kubectl patch deployment NAME -n NAMESPACE --patch-file FILE</code>. A hook that takes effect shows in the "
        "new pods: <code>istio-proxy</code> comes first and has a postStart hook with <code>pilot-agent wait</code>.</p>"
    )
    return Section("remedies", "What to change", how + "".join(parts) + more)


def _coverage(fleet, _by) -> Section:
    rows = fleet.coverage
    missing = rows[rows["missing"].notna()]
    html = "".join(
        f"<p>Missing: <b>{text(row.kind)}</b> – {text(row.missing)}. <code>{text(row.query, 500)}</code></p>"
        for row in missing.itertuples()
    )
    lost = int(rows["loss_markers"].fillna(0).sum())
    html += f"<p>{lost:,} markers say that events were lost before the exporter (re)started.</p>" if lost else ""
    starts = fleet.starts
    if len(starts):
        having = {
            name: int(starts[f"has_{name}"].astype(bool).sum())
            for name in ("app_logs", "proxy_logs", "events", "pod_spec")
        }
        told = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in having.items())
        html += f"<p>Of {len(starts):,} pod starts have: {told}.</p>"
    hours = rows[rows["missing"].isna()]
    columns = {"kind": ("source", text), "cluster": ("cluster", text), "hour": ("hour (UTC)", stamp), "entries": ("entries", number),
               "duplicates": ("duplicates", number), "first": ("first (UTC)", stamp), "last": ("last (UTC)", stamp)}  # fmt: skip
    return Section("coverage", "What the export holds", html + table(hours, columns, "coverage"))


def _rejects(fleet, _by) -> Section:
    rows = fleet.rejects
    if rows.empty:
        return Section("rejects", "What could not be read", "<p>Everything in these files was read.</p>")
    columns = {
        "source": ("file", text),
        "line": ("line", number),
        "reason": ("reason", text),
        "excerpt": ("excerpt", text),
    }
    html = f"<p>{len(rows):,} records could not be read; none of them is counted anywhere else.</p>"
    return Section("rejects", "What could not be read", html + table(rows, columns, "rejects"))


def _reading(_fleet, _by) -> Section:
    words = {
        "at risk": "meshed starts whose application started within the export, whatever protected them",
        "harmed": "at least one connection was refused by the start-up race",
        "exposed": "the application ran before its proxy was ready, and its logs show no refusal",
        "proven": "the evidence leaves no other answer",
        "likely": "the best answer; the reason says what overlaps or is assumed",
        "undetermined": "the export cannot decide; never counted as harmed or as safe",
        "from – to": "times known only to an interval: Kubernetes floors its times to the second",
    }
    listed = "".join(f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in words.items())
    undetermined = "".join(
        f"<dt>{escape(word)}</dt><dd>{escape(meaning)}</dd>" for word, meaning in outcomes.REASONS.items()
    )
    html = f"<dl>{listed}</dl><details><summary>Why a start is undetermined</summary><dl>{undetermined}</dl></details>"
    return Section("reading", "How to read this page", html)


SECTIONS: dict[str, Callable] = {
    "finding": _finding,
    "incidence": _incidence,
    "windows": _windows,
    "pods": _worst,
    "errors": _errors,
    "remedies": _remedies,
    "coverage": _coverage,
    "rejects": _rejects,
    "reading": _reading,
}


def table(rows: pd.DataFrame, columns: dict[str, tuple[str, Callable]], name: str, total: int | None = None) -> str:
    """An HTML table of the first rows; `columns` maps a column to its heading and formatter."""
    heads = "".join(f'<th scope="col"{_side(form)}>{escape(head)}</th>' for head, form in columns.values())
    body = []
    for row in rows.head(MOST_ROWS)[list(columns)].itertuples(index=False):
        cells = zip(row, columns.values(), strict=True)
        body.append("<tr>" + "".join(f"<td{_side(form)}>{form(cell)}</td>" for cell, (_, form) in cells) + "</tr>")
    left = (len(rows) if total is None else total) - min(len(rows), MOST_ROWS)
    more = f"<p><small>{left:,} more rows in tables/{name}.parquet</small></p>" if left > 0 else ""
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(body)}</tbody></table></div>{more}'
    )


def _side(form: Callable) -> str:
    return ' class="n"' if form in (number, plain) else ""


def text(value, limit: int = 200, *, lines: bool = False) -> Markup:
    """A string from an input as harmless HTML: escaped, control characters visible, cut."""
    if not isinstance(value, str):
        return Markup("–")
    if lines:
        return escape("\n".join(clean(line, limit) for line in value.splitlines()))
    return escape(clean(value, limit))


def number(value) -> str:
    """A count with thousands separated."""
    return "–" if pd.isna(value) else f"{int(value):,}"


def plain(value) -> str:
    """A number that is a name, such as a port."""
    return "–" if pd.isna(value) else str(int(value))


def stamp(value) -> str:
    """A time with the digits that matter."""
    return "–" if pd.isna(value) else times.text(value.value).replace("T", " ").removesuffix("Z")


def slug(start_id: str) -> str:
    """An anchor that no name can break out of."""
    return re.sub(r"[^A-Za-z0-9]+", "-", start_id)[:120]


def figure(ax, alt: str) -> str:
    """The figure of these axes as an inline picture, the same bytes each time; the figure is closed."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    ax.figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(ax.figure)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="{escape(clean(alt, 300))}" src="data:image/png;base64,{data}"></figure>'
