"""A fleet whose every text is hostile, and one that is large: made of the sample fleet's tables."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

NASTY = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\" `|@all [x](javascript:alert(3)) "
    '=HYPERLINK("http://x") $\\frac{1}{0}$ {{7*7}} \x1b[2J\x1b]0;t\x07 \u202eevil\u2066 \x00\r\n# h'
)
_TEXTS = {
    "starts": ["namespace", "pod", "cluster", "project", "workload", "start_id", "app_container", "node"],
    "errors": ["namespace", "pod", "cluster", "project", "workload", "start_id", "container", "message", "insert_id",
               "source", "destination_host"],
    "evidence": ["namespace", "pod", "cluster", "project", "start_id", "container", "message", "insert_id", "source",
                 "value"],
    "remedies": ["namespace", "workload", "cluster", "why", "blocked_by", "expected_effect", "patch_file", "patch"],
}  # fmt: skip


def hostile(fleet) -> SimpleNamespace:
    """The fleet with `NASTY` in front of every text that an input can hold."""
    tables = {}
    for name, columns in _TEXTS.items():
        table = getattr(fleet, name)
        tables[name] = table.assign(**{column: _spoiled(table[column]) for column in columns})
    rejects = pd.DataFrame({"source": [NASTY], "line": [1], "reason": [NASTY], "excerpt": [NASTY]})
    return stand_in(fleet, **tables, rejects=rejects)


def _spoiled(column: pd.Series) -> pd.Series:
    return column.where(column.isna(), NASTY + column.astype(str))


def many(fleet, times: int) -> SimpleNamespace:
    """The fleet `times` over, each copy with pods of its own."""
    tables = {"remedies": fleet.remedies}
    for name in ("starts", "errors", "evidence"):
        table = getattr(fleet, name)
        copies = pd.concat([table] * times, ignore_index=True)
        number = pd.Series(np.repeat(np.arange(times), len(table)).astype(str), dtype="str")
        tables[name] = copies.assign(**{key: copies[key].astype("str") + "-" + number for key in ("start_id", "pod")})
    return stand_in(fleet, **tables)


def stand_in(fleet, **tables) -> SimpleNamespace:
    """A fleet of these tables: what report and plots need is tables, `incidence`, `start_of`, and rows of starts."""
    from meshlogs.incidence import incidence_by

    made = SimpleNamespace(limits=(None, None), **{"rejects": fleet.rejects, "coverage": fleet.coverage, **tables})
    made.incidence = lambda by: incidence_by(made.starts, by)

    def evidence_of(starts, without=()):
        return made.evidence[made.evidence["start_id"].isin(starts) & ~made.evidence["kind"].isin(without)]

    made.evidence_of = evidence_of
    made.judged = made.errors
    made.errors_of = lambda starts: made.errors[made.errors["start_id"].isin(starts)]
    made.start_of = lambda pod: made.starts[(made.starts["pod"] == pod) | (made.starts["start_id"] == pod)]
    return made
