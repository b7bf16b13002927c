"""Tables for a notebook: the columns one looks at, units, colours; every text of an input is text."""

from collections.abc import Callable

import pandas as pd
from markupsafe import Markup, escape

from meshlogs.markup import aligned, brief, number, percent, plain, quiet_table, seconds, span, text, words

# Okabe and Ito's colours, as in the figures.
_COLOURS = {
    "harmed": "#d55e00", "startup_race": "#d55e00", "exposed": "#e69f00", "proxy_outage": "#e69f00", "safe": "#009e73",
    "local": "#009e73", "init_stalled": "#cc79a7", "init_race": "#cc79a7", "upstream": "#0072b2",
    "shutdown_race": "#56b4e9",
}  # fmt: skip
# What tells a table, and what of it one looks at: column → heading and formatter.
_TABLES: list[tuple[set[str], dict[str, tuple[str, Callable]]]] = []


class Shown:
    """A table as a notebook shows it; `table` is the dataframe itself."""

    def __init__(self, table: pd.DataFrame, most: int):
        self.table, self.most = table, most

    def _repr_html_(self) -> str:
        columns = _columns(self.table)
        rows = _derived(self.table.head(self.most))
        left = len(self.table) - self.most
        more = f"<p><small>{left:,} more rows</small></p>" if left > 0 else ""
        return quiet_table(rows, columns, aligned) + more

    def __repr__(self) -> str:
        return f"{len(self.table):,} rows, {len(self.table.columns)} columns"


def show(table: pd.DataFrame, most: int = 20) -> Shown:
    """A table of meshlogs for a notebook: the columns one looks at, with units and colours, the first `most` rows.

    Any table will do: starts, errors, evidence, incidence, remedies, events, log entries, or a selection of their
    rows. What is shown is a view: `.table` is the dataframe with all of its columns.
    """
    return Shown(table, most)


def fleet_html(fleet) -> str:
    """A judged fleet in a notebook: its outcomes in a sentence, and the workloads with most harmed starts."""
    starts = fleet.starts
    counts = starts["outcome"].value_counts()
    told = ", ".join(f"{_tag(name)} {counts[name]:,}" for name in (*_OUTCOMES,) if name in counts.index)
    refused = f"{len(fleet.judged):,} refused connections" if len(fleet.judged) != 1 else "1 refused connection"
    head = f"<p><b>{len(starts):,} pod start{'' if len(starts) == 1 else 's'}</b>: {told or 'none'}; {refused}</p>"
    return head + (show(fleet.incidence(["namespace", "workload"]), most=8)._repr_html_() if len(starts) else "")


_OUTCOMES = ("harmed", "init_stalled", "undetermined", "exposed", "safe", "not_meshed")


def _tag(value) -> Markup:
    if not isinstance(value, str):
        return Markup("–")
    colour = _COLOURS.get(value, "#808080")
    return Markup(
        '<span style="border-left: 0.7em solid {}; padding-left: 0.4em; white-space: nowrap">{}</span>'
    ).format(colour, text(value))


def _yes(value) -> str:
    return "–" if pd.isna(value) else "yes" if value else "no"


def _columns(table: pd.DataFrame) -> dict[str, tuple[str, Callable]]:
    names = set(table.columns)
    for needed, columns in _TABLES:
        if needed <= names:
            by = list(table.columns[: list(table.columns).index("starts")]) if "share_lower" in names else []
            return {name: (name.replace("_", " "), _group) for name in by} | columns
    return {name: (escape(str(name)), _any) for name in table.columns}


def _group(value) -> Markup:
    """A group of an incidence table; what is not known has no name."""
    return text(value) if value else Markup("unknown")


def _any(value) -> str:
    """A value of a column that is not ours."""
    if isinstance(value, pd.Timestamp):
        return brief(value)
    if isinstance(value, str):
        return words(value)
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return "–"
    return str(escape(value if pd.api.types.is_scalar(value) else str(value)[:300]))


def _derived(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with the columns that are made of two: ranges, destinations, places."""
    names, made = set(rows.columns), {}
    for name, low, high, make in (
        ("window", "window_lower_s", "window_upper_s", seconds),
        ("share", "share_lower", "share_upper", percent),
        ("ci", "ci_lower", "ci_upper", percent),
        ("p50", "window_p50_lower_s", "window_p50_upper_s", seconds),
        ("ready", "proxy_ready_lower", "proxy_ready_upper", _between),
        ("when", "time_lower", "time_upper", _between),
        ("place", "source", "line", lambda source, line: f"{source}:{plain(line)}"),
        ("to", "destination_host", "destination_port", _destination),
    ):
        if {low, high} <= names:
            made[name] = [make(*pair) for pair in zip(rows[low], rows[high], strict=True)]
    return rows.assign(**made)


def _between(lower, upper) -> str:
    """The two times that one lies between; the second without what it shares with the first."""
    if pd.isna(lower) or pd.isna(upper):
        return f"{'' if pd.isna(lower) else '≥ '}{brief(lower)}" if pd.isna(upper) else f"≤ {brief(upper)}"
    first, last = brief(lower), brief(upper)
    return first if first == last else f"{first} – {last[11:] if first[:10] == last[:10] else last}"


def _destination(host, port) -> str:
    return "not stated" if not isinstance(host, str) else host if pd.isna(port) else f"{host}:{int(port)}"


_TABLES += [
    ({"start_id", "outcome", "window_lower_s"}, {
        "pod": ("pod", text), "namespace": ("namespace", text), "workload": ("workload", text),
        "outcome": ("outcome", _tag), "refused": ("refused", number), "window": ("window [s]", span),
        "app_started_upper": ("application started (UTC)", brief), "ready": ("proxy ready (UTC)", text),
        "hold": ("held", _yes), "reason": ("reason", text),
    }),
    ({"verdict", "certainty", "destination_host"}, {
        "time": ("time (UTC)", brief), "pod": ("pod", text), "container": ("container", text),
        "to": ("destination", text), "verdict": ("verdict", _tag), "certainty": ("certainty", text),
        "message": ("message", words), "place": ("file and line", text),
    }),
    ({"starts", "harmed", "share_lower", "window_p50_lower_s"}, {
        "starts": ("starts", number), "at_risk": ("at risk", number), "harmed": ("harmed", number),
        "share": ("harmed [% of at risk]", span), "ci": ("95 % CI [%]", span), "exposed": ("exposed", number),
        "safe": ("safe", number), "init_stalled": ("stalled", number), "undetermined": ("undet.", number),
        "errors": ("refused", number), "p50": ("median window [s]", span),
    }),
    ({"kind", "time_lower", "late_s"}, {
        "when": ("time (UTC)", text), "container": ("container", text), "kind": ("what", text),
        "value": ("value", text), "message": ("evidence", words), "place": ("file and line", text),
    }),
    ({"remedy", "applies"}, {
        "namespace": ("namespace", text), "workload": ("workload", text), "remedy": ("remedy", text),
        "applies": ("applies", _yes), "why": ("why", words), "blocked_by": ("blocked by", words),
        "patch_file": ("patch", text),
    }),
    ({"kind", "entries", "duplicates", "missing"}, {
        "kind": ("source", text), "cluster": ("cluster", text), "hour": ("hour (UTC)", brief),
        "entries": ("entries", number), "duplicates": ("duplicates", number), "missing": ("missing", words),
        "query": ("what fetches it", words),
    }),
    ({"event_name", "reason", "time_lower"}, {
        "when": ("time (UTC)", text), "pod": ("pod", text), "container": ("container", text),
        "reason": ("reason", text), "message": ("message", words), "place": ("file and line", text),
    }),
    ({"log_name", "severity", "message", "time"}, {
        "time": ("time (UTC)", brief), "pod": ("pod", text), "container": ("container", text),
        "severity": ("severity", text), "message": ("message", words), "place": ("file and line", text),
    }),
]  # fmt: skip
