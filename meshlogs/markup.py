"""Pieces of HTML: tables, texts, times and links. No string from an input is ever markup."""

import re
from collections.abc import Callable
from urllib.parse import quote

import pandas as pd
from markupsafe import Markup, escape

from meshlogs import times
from meshlogs.text import clean

MOST_ROWS = 200


def table(rows: pd.DataFrame, columns: dict[str, tuple[str, Callable]], name: str, total: int | None = None) -> str:
    """An HTML table of the first rows; `columns` maps a column to its heading and formatter.

    What is left out is said, with the Parquet table `name` that holds it. `total`: rows there, if more than here.
    """
    left = (len(rows) if total is None else total) - min(len(rows), MOST_ROWS)
    more = f"<p><small>{left:,} more rows in tables/{name}.parquet</small></p>" if left > 0 else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="Table: {escape(name)}">'
        f"{quiet_table(rows.head(MOST_ROWS), columns)}</div>{more}"
    )


def quiet_table(rows: pd.DataFrame, columns: dict[str, tuple[str, Callable]], side: Callable | None = None) -> str:
    """The table alone, all of these rows; `side` gives a formatter's attributes, for where no style sheet is ours."""
    side = side or _side
    heads = "".join(f'<th scope="col"{side(form)}>{escape(head)}</th>' for head, form in columns.values())
    body = []
    for row in rows[list(columns)].itertuples(index=False):
        cells = zip(row, columns.values(), strict=True)
        body.append("<tr>" + "".join(f"<td{side(form)}>{form(cell)}</td>" for cell, (_, form) in cells) + "</tr>")
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def aligned(form: Callable) -> str:
    """Numbers to the right, all else to the left, as an attribute for a notebook."""
    return f' style="text-align: {"right" if form in _NUMERIC else "left"}{_WHOLE if form is brief else ""}"'


def _side(form: Callable) -> str:
    return ' class="n"' if form in _NUMERIC else ' class="w"' if form is words else ""


def text(value, limit: int = 200, *, lines: bool = False) -> Markup:
    """A string from an input as harmless HTML: escaped, control characters visible, cut."""
    if not isinstance(value, str):
        return Markup("–")
    if lines:
        return escape("\n".join(clean(line, limit) for line in value.splitlines()))
    return escape(clean(value, limit))


def name_of(start) -> str:
    """What a start is called: its pod, for want of a name its id.

    >>> name_of({"pod": None, "start_id": "/(one.log)"})
    '/(one.log)'
    """
    return start["pod"] if isinstance(start["pod"], str) else start["start_id"]


def words(value) -> Markup:
    """A long text of an input for a wide cell."""
    return text(value, 300)


def html(value) -> str:
    """What is already HTML of ours."""
    return value


def label(value) -> Markup:
    """A verdict or outcome as a coloured word."""
    return Markup('<span class="tag {}">{}</span>').format(slug(str(value)), clean(value)) if value else Markup("–")


def number(value) -> str:
    """A count with thousands separated."""
    return "–" if pd.isna(value) else f"{int(value):,}"


def plain(value) -> str:
    """A number that is a name, such as a port."""
    return "–" if pd.isna(value) else str(int(value))


def span(value) -> str:
    """A number or two that are already text, set as numbers."""
    return str(escape(value))


_NUMERIC = (number, plain, span)
_WHOLE = "; white-space: nowrap"


def stamp(value) -> str:
    """A time with the digits that matter."""
    return "–" if pd.isna(value) else times.text(value.value).replace("T", " ").removesuffix("Z")


def brief(value) -> str:
    """A time to the millisecond, cut, for where it is only orientation."""
    return "–" if pd.isna(value) else f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"


def percent(low, high) -> str:
    """A share, or the two that it lies between.

    >>> percent(0.5, 0.504), percent(0.5, 0.75), percent(float("nan"), 1.0)
    ('50', '50 – 75', '–')
    """
    if pd.isna(low):
        return "–"
    return ends(f"{low * 100:.0f}", f"{high * 100:.0f}")


def seconds(low: float, high: float) -> str:
    """A duration in seconds, or the two that it lies between; "≥" if it has no known end.

    >>> seconds(1.0, 1.01), seconds(1.0, 2.5), seconds(42.45, float("inf")), seconds(float("nan"), 1.0)
    ('1.0', '1.0 – 2.5', '≥ 42.5', '–')
    """
    if pd.isna(low):
        return "–"
    if high == float("inf"):
        return f"≥ {low:.1f}"
    return f"{low:.1f}" if high - low < 0.05 else ends(f"{low:.1f}", f"{high:.1f}")


def ends(low: str, high: str, joint: str = " – ") -> str:
    """Both ends of a range; one if they read the same."""
    return low if low == high else f"{low}{joint}{high}"


def slug(name: str) -> str:
    """An anchor that no name can break out of."""
    return re.sub(r"[^A-Za-z0-9]+", "-", name)[:120]


def quoted(value: str) -> str:
    r"""A string of the Logging query language.

    >>> print(quoted('a"b'))
    "a\"b"
    """
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def query(row) -> str:
    """The Logging query that shows a pod's entries, containers' and events'; `row` has cluster, namespace and pod."""
    names = {"cluster_name": row["cluster"], "namespace_name": row["namespace"], "pod_name": row["pod"]}
    return "\n".join(
        f"resource.labels.{name}={quoted(value)}" for name, value in names.items() if isinstance(value, str)
    )


def console(row, first, last, insert_id=None) -> str:
    """The address of the Logs Explorer for a pod's entries from `first` to `last`, or for one entry of them.

    `row` has project, cluster, namespace and pod. Nothing is loaded from there; it opens when a person follows it.
    """
    told = query(row) + (f"\ninsertId={quoted(insert_id)}" if isinstance(insert_id, str) else "")
    address = f"https://console.cloud.google.com/logs/query;query={quote(told, safe='')}"
    if not pd.isna(first) and not pd.isna(last):
        begin, end = times.text(first.floor("s").value), times.text(last.ceil("s").value)
        address += f";timeRange={quote(begin, safe='')}%2F{quote(end, safe='')}"
    project = row["project"]
    return address + (f"?project={quote(project, safe='')}" if isinstance(project, str) else "")


def link(address: str, name: str) -> Markup:
    """A link out of the page, which tells the other side nothing about the page."""
    return Markup('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>').format(address, name)


def origin(source, line, insert_id=None, address: str | None = None) -> Markup:
    """Where a line of evidence stands: file and line, insert id, and the console if the project is known."""
    place = f"{clean(source)}:{plain(line)}" if isinstance(source, str) else "–"
    told = Markup("<code>{}</code>").format(place)
    if isinstance(insert_id, str):
        told += Markup(" insertId <code>{}</code>").format(clean(insert_id))
    return told + (Markup(" ") + link(address, "console") if address else Markup(""))
