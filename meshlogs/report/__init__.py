"""The report: one self-contained page, the notebook that makes it, the counts, a table for the terminal.

Page and notebook are made of the same `sections`; a section is a title, the call that makes it, and its HTML.
"""

import json
from pathlib import Path

from meshlogs.report.page import render
from meshlogs.report.sections import SECTIONS, Section, sections
from meshlogs.report.summary import summary, terminal_table

TITLE = "Why was the connection refused?"


def write_report(fleet, out: str | Path, *, by=("namespace", "workload"), title: str = TITLE) -> Path:
    """Write report.html and report.ipynb to a folder; the path of the page comes back.

    `fleet` is what `analyse` returns, `by` the columns of starts to group incidence by. The same fleet gives
    the same bytes.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    made = sections(fleet, list(by))
    page = out / "report.html"
    page.write_text(render(made, title), encoding="utf-8")
    notebook = json.dumps(_notebook(made, title, list(by)), indent=1, ensure_ascii=False)
    (out / "report.ipynb").write_text(notebook + "\n", encoding="utf-8")
    return page


def _notebook(made: list[Section], title: str, by: list[str]) -> dict:
    """The notebook (nbformat 4.5) whose cells make the sections, with what they showed."""
    setup = (
        "# The export that this report was made from: put your own paths here.\n"
        'PATHS = ["."]\n'
        "import meshlogs as ml\n"
        "from IPython.display import HTML, display\n"
        "from meshlogs.report import SECTIONS\n"
        "fleet = ml.analyse(PATHS)\n"
        f"by = {by!r}"
    )
    cells = [_cell("title", "markdown", f"# {title}"), _cell("setup", "code", setup)]
    for section in made:
        shown = {"data": {"text/html": section.html}, "metadata": {}, "output_type": "display_data"}
        source = f'display(HTML(SECTIONS["{section.key}"](fleet, by).html))'
        cells.append(_cell(f"{section.key}-title", "markdown", f"## {section.title}"))
        cells.append(_cell(section.key, "code", source) | {"outputs": [shown]})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(key: str, kind: str, source: str) -> dict:
    cell = {"cell_type": kind, "id": key[:64], "metadata": {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


__all__ = ["SECTIONS", "Section", "sections", "summary", "terminal_table", "write_report"]
