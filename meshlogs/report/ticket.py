"""The report for a ticket: short Markdown, in which no string of an input is more than text."""

import re

import pandas as pd

from meshlogs.markup import percent, query, seconds, stamp
from meshlogs.queries import KINDS
from meshlogs.report.summary import sentences, summary
from meshlogs.report.tables import commands, raced_first, seen, undetermined_starts, worst_starts
from meshlogs.text import clean
from meshlogs.verdicts.outcome import REASONS

MOST = 10
WORST = 5
LONGEST = 400  # of a query in a line; one that is cut fetches nothing


def ticket(fleet, by: list[str]) -> str:
    """The finding, the worst workloads and pods with their evidence, the first patch, what is missing: as Markdown."""
    counts = summary(fleet)
    first, *others = sentences(fleet, counts)
    lines = ["# Why was the connection refused?", "", f"**{_inline(first)}**", ""]
    lines += [f"- {_inline(sentence)}" for sentence in others]
    lines += ["", _inline(seen(fleet)), ""]
    lines += _incidence(fleet, by)
    lines += _pods(fleet)
    lines += _commands(fleet)
    lines += _unknown(fleet)
    return "\n".join(lines).rstrip() + "\n"


def _incidence(fleet, by: list[str]) -> list[str]:
    rows = fleet.incidence(by)
    rows = rows[rows["harmed"] + rows["init_stalled"] > 0]
    if rows.empty:
        return []
    heads = [*by, "at risk", "harmed", "share [%]", "stalled", "refused"]
    lines = ["## Where", "", f"| {' | '.join(heads)} |", f"|{'---|' * len(by)}{'--:|' * 5}"]
    for row in rows.head(MOST).to_dict("records"):
        cells = [code(row[name]) for name in by]
        share = percent(row["share_lower"], row["share_upper"])
        cells += [f"{row['at_risk']:,}", f"{row['harmed']:,}", share, f"{row['init_stalled']:,}", f"{row['errors']:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    left = len(rows) - MOST
    return [*lines, "", *([f"… and {left:,} more, in `tables/incidence.parquet`.", ""] if left > 0 else [])]


def _pods(fleet) -> list[str]:
    worst = worst_starts(fleet)
    if worst.empty:
        return []
    lines = ["## The worst pods", ""]
    for start in worst.head(WORST).to_dict("records"):
        window = seconds(start["window_lower_s"], start["window_upper_s"])
        lines.append(
            f"- {code(start['pod'])} in {code(start['namespace'])}, {code(start['cluster'])}: {start['outcome']}, "
            f"{start['raced']:,} refused, window {window} s"
        )
        errors = raced_first(fleet.errors_of([start["start_id"]]))
        for error in errors.head(1).to_dict("records"):
            sure = error["certainty"] if isinstance(error["certainty"], str) else ""
            place = f"{clean(error['source'])}:{error['line']}"
            lines.append(
                f"  - {stamp(error['time'])} UTC, {error['verdict']} {sure}: {code(error['message'], 160)}, "
                f"at {code(place)}" + (f", insertId {code(error['insert_id'])}" if _told(error["insert_id"]) else "")
            )
        lines.append(f"  - in the console: {code(query(start).replace(chr(10), ' '), 400)}")
    left = len(worst) - WORST
    return [*lines, "", *([f"… and {left:,} more, in `tables/starts.parquet`.", ""] if left > 0 else [])]


def _commands(fleet) -> list[str]:
    found = commands(fleet)
    if not found:
        return []
    lines = ["## What to do", "", "Nothing was applied. Read the patch first, and look at its traps.", "", "```sh"]
    lines += [line.replace("`", "'") for command in found[:WORST] for line in command.lines()]
    lines += ["```", ""]
    left = len(found) - WORST
    return lines + ([f"… and {left:,} more patches, in `patches/`.", ""] if left > 0 else [])


def _unknown(fleet) -> list[str]:
    unknown = undetermined_starts(fleet.starts)
    missing = fleet.coverage[fleet.coverage["missing"].notna()]
    if unknown.empty and missing.empty:
        return []
    lines = ["## What is not known", ""]
    lines += [
        f"- {row.starts:,} start{'' if row.starts == 1 else 's'} undetermined: "
        f"{_inline(REASONS.get(row.reason, ''))} ({code(row.reason)}), for example {code(row.example)}"
        for row in unknown.itertuples()
    ]
    return lines + [_lacking(row) for row in missing.itertuples()]


def _lacking(row) -> str:
    """A source that is missing: which, where, when, and the query that fetches it whole, or the command that tells it."""
    where = [_inline(row.cluster)] if _told(row.cluster) else []
    where += [f"{row.hour:%Y-%m-%d %H:%M} UTC"] if not pd.isna(row.hour) else []
    place = f" ({', '.join(where)})" if where else ""
    what = f"- **{_inline(row.kind.replace('_', ' '))}**{place}: {_inline(row.missing)}"
    if not _told(row.query):
        return what
    if len(row.query) <= LONGEST:
        return f"{what}; this fetches it: {code(row.query, LONGEST)}"
    only = f" --kind {row.kind}" if row.kind in KINDS else ""
    return f"{what}; `meshlogs query --for-report FOLDER{only}` prints the query (FOLDER: of this report)"


def code(value, limit: int = 120) -> str:
    r"""A string from an input as inline code: no mention, link, table or HTML comes of it.

    >>> code("a|b"), code("`<b>@all"), code(None)
    ('`a\\|b`', '``` `<b>@all ```', '–')
    """
    if not _told(value):
        return "–"
    text = clean(value, limit).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    if not longest:
        return f"`{text}`"
    fence = "`" * max(longest + 1, 3)
    return f"{fence} {text} {fence}"


def _inline(sentence: str) -> str:
    """A sentence of ours, which may hold names of an input, with the letters of Markdown and HTML made plain."""
    text = clean(sentence, 1_000)
    return re.sub(r"([\\`*_\[\]<>|#@~])", r"\\\1", text).replace(r"\@", "@\u200b")


def _told(value) -> bool:
    return isinstance(value, str) and not pd.isna(value)
