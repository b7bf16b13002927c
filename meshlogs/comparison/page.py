"""A comparison as plain text for a terminal."""

import pandas as pd

from meshlogs.comparison import Comparison, words
from meshlogs.text import clean


def terminal_page(found: Comparison, most: int = 12) -> str:
    """Verdict, sentence, what took effect, what it cost, and the shares by group; control characters made visible."""
    facts = found.facts
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
    by = list(groups.columns[: groups.columns.get_loc("at_risk_before")])
    rows = [(*by, "before", "after")]
    for _, row in groups.head(most).iterrows():
        cells = [_share(row, side) for side in ("before", "after")]
        rows.append((*(clean(row[name], 40) for name in by), *cells))
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [*lines, *([f"… and {len(groups) - most} more, in --json"] if len(groups) > most else [])]


def _share(row: pd.Series, side: str) -> str:
    total = row[f"at_risk_{side}"]
    if not total:
        return "no starts"
    low, high = row[f"share_lower_{side}"], row[f"share_upper_{side}"]
    share = f"{low:.0%}" if low == high else f"{low:.0%} to {high:.0%}"
    return f"{row[f'harmed_{side}']:,} of {total:,} harmed ({share})"
