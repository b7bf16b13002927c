"""A comparison as plain text for a terminal."""

import pandas as pd

from meshlogs.comparison import Comparison, words
from meshlogs.text import clean


def terminal_page(found: Comparison, most: int = 12) -> str:
    """Verdict, sentence, what took effect, what it cost, and the shares by group; control characters made visible."""
    facts = found.facts
    if facts["reason"] == "same_starts":
        return found.sentence
    lines = [found.sentence, ""]
    lines += [f"took effect: {facts['took_effect']}"]
    lines += [
        f"  {row.meaning}: {_of(row.having_before, row.known_before)} before, "
        f"{_of(row.having_after, row.known_after)} after"
        for row in found.effect.itertuples()
        if row.having_before or row.having_after
    ]
    cost = words.cost(facts)
    lines += ["", cost] if cost else []
    lines += ["", *found.remarks] if found.remarks else []
    lines += ["", *_table(found.groups, most)]
    return "\n".join(lines)


def _of(having: int, known: int) -> str:
    return f"{having:,} of {known:,}" if known else "unknown"


def _table(groups: pd.DataFrame, most: int) -> list[str]:
    shares = groups.assign(share=[_share(row) for row in groups.itertuples()])
    names = list(dict.fromkeys(groups["group"]))
    told = shares.set_index(["group", "period"])["share"]
    rows = [("", "before", "after")]
    rows += [(clean(name, 60), told[name, "before"], told[name, "after"]) for name in names[:most]]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *([f"… and {len(names) - most} more, in --json"] if len(names) > most else [])]


def _share(row) -> str:
    if not row.starts:
        return "no starts"
    low, high = f"{row.share_lower:.0%}", f"{row.share_upper:.0%}"
    return f"{row.harmed:,} of {row.starts:,} harmed ({low if low == high else f'{low} to {high}'})"
