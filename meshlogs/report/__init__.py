"""The report: one self-contained page, the notebook that makes it, a ticket, the counts, a table for the terminal.

Page and notebook are made of the same `sections`; a section is a title, the call that makes it, and its HTML.
"""

import json
from pathlib import Path

from meshlogs.report.interactive import MOST, timeline_data
from meshlogs.report.machine import machine
from meshlogs.report.notebook import TITLE, execute, notebook, notebook_page
from meshlogs.report.page import render
from meshlogs.report.sections import SECTIONS, Section, sections
from meshlogs.report.summary import summary, terminal_table
from meshlogs.report.ticket import ticket


def write_report(
    fleet,
    out: str | Path,
    *,
    by=("namespace", "workload"),
    title: str = TITLE,
    paths=(".",),
    since: str | None = None,
    until: str | None = None,
    own: str | Path | None = None,
) -> Path:
    """Write report.html, report.ipynb, report.md and report.json to a folder; the path of the page comes back.

    `fleet` is what `analyse` returns, `by` the columns of starts to group incidence by. `paths`, `since` and `until`
    are what it was read from, as the notebook is to say it. `own` is a notebook to execute instead: it gets these
    parameters (PATHS, SINCE, UNTIL, BY) in a cell after the one tagged `parameters`, and its outputs make the page.
    The same fleet gives the same bytes. Raises InputError for a notebook that cannot be read or fails.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    by = list(by)
    fleet = Once(fleet)
    page = out / "report.html"
    parameters = {"PATHS": [str(path) for path in paths], "SINCE": since, "UNTIL": until, "BY": by}
    _write(out / "report.md", ticket(fleet, by))
    _write(out / "report.json", json.dumps(machine(fleet, by), indent=2, ensure_ascii=False) + "\n")
    if own is not None:
        _write(page, notebook_page(execute(Path(own), out, parameters)))
        return page
    made = sections(fleet, by)
    _write(page, render(made, title, timeline_data(fleet)))
    _write(out / "report.ipynb", json.dumps(notebook(made, title, parameters), indent=1, ensure_ascii=False) + "\n")
    return page


def timeline(fleet, *, most: int = MOST, height: int = 420):
    """The pod starts of a fleet as an interactive timeline for a notebook.

    Hover shows the evidence line, a click selects (Shift for a range, Ctrl for more), dragging zooms. `selection` gives
    the selected rows of `fleet.starts`, `evidence` those of `fleet.evidence`, `errors` those of `fleet.errors`;
    `select("pod name")` selects from Python. `fleet` may be a `Fleet` or anything with these tables. [height: pixels]
    Raises ImportError without the extra `notebook`.
    """
    try:
        from meshlogs.report.widget import Timeline
    except ImportError as error:
        raise ImportError("ml.timeline needs anywidget: pip install 'meshlogs[notebook]'") from error
    return Timeline(fleet, most=most, height=height)


class Once:
    """A fleet whose incidence tables are each counted once: tables, page, ticket and machine form ask for the same."""

    def __init__(self, fleet):
        self._fleet, self._tables = fleet, {}

    def __getattr__(self, name: str):
        return getattr(self._fleet, name)

    def incidence(self, by):
        """As the fleet's own."""
        if tuple(by) not in self._tables:
            self._tables[tuple(by)] = self._fleet.incidence(by)
        return self._tables[tuple(by)].copy()


def _write(path: Path, text: str) -> None:
    # A half of a character that an input broke is shown as "?", and breaks no file.
    path.write_text(text, encoding="utf-8", errors="replace")


__all__ = [
    "SECTIONS",
    "Once",
    "Section",
    "machine",
    "sections",
    "summary",
    "terminal_table",
    "ticket",
    "timeline",
    "write_report",
]
