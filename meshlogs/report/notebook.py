"""The notebook beside the page, and pages from notebooks that users bring."""

import os
import re
from pathlib import Path

from markupsafe import Markup, escape

from meshlogs.errors import InputError
from meshlogs.report.page import render
from meshlogs.report.sections import Section
from meshlogs.text import clean

TITLE = "Why was the connection refused?"
_SETUP = """import meshlogs as ml
from IPython.display import HTML, display
from meshlogs.report import SECTIONS

fleet = ml.analyse(ml.read(PATHS, since=SINCE, until=UNTIL))"""
_ANCHOR = re.compile(r'<a class="anchor-link"[^>]*>[^<]*</a>')
_LONGEST = 100_000  # letters of one text output


def notebook(made: list[Section], title: str, parameters: dict) -> dict:
    """The notebook (nbformat 4.5) whose cells make the sections, with what they showed.

    Its first cell is tagged `parameters`: papermill and `meshlogs report --notebook` put others in their place.
    """
    settings = "# The export that this report was made from, and what to group by.\n" + _assignments(parameters)
    cells = [
        _cell("title", "markdown", f"# {title}"),
        _cell("parameters", "code", settings, tags=["parameters"]),
        _cell("setup", "code", _SETUP),
    ]
    for section in made:
        shown = {"data": {"text/html": section.html}, "metadata": {}, "output_type": "display_data"}
        cells.append(_cell(f"{section.key}-title", "markdown", f"## {section.title}"))
        source = f'display(HTML(SECTIONS["{section.key}"](fleet, BY).html))'
        cells.append(_cell(section.key, "code", source) | {"outputs": [shown]})
    cells.append(
        _cell("timeline-title", "markdown", "## Look through the pods\n\nClick some, then read `view.errors`.")
    )
    cells.append(_cell("timeline", "code", "view = ml.timeline(fleet)\nview"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _cell(key: str, kind: str, source: str, tags: list[str] | None = None) -> dict:
    cell = {"cell_type": kind, "id": key[:64], "metadata": {"tags": tags} if tags else {}, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def _assignments(parameters: dict) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in parameters.items())


def execute(path: Path, out: Path, parameters: dict):
    """A user's notebook, run in `out` with these parameters, and kept there as report.ipynb; nbformat comes back.

    The parameters stand in a cell of their own, after the one tagged `parameters`, else first.
    Raises InputError if it cannot be read, if a cell fails (what ran until then is kept), or without the
    extra `notebook`.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    except ImportError as error:
        advice = "Install the extra that runs notebooks: pip install 'meshlogs[notebook]'."
        raise InputError(str(path), "running a notebook needs nbclient and ipykernel", advice) from error
    book = _read(path, nbformat)
    source = f"# Given by meshlogs report.\n{_assignments(parameters)}"
    given = nbformat.v4.new_code_cell(source, metadata={"tags": ["injected-parameters"]}, id="injected-parameters")
    book.cells = [cell for cell in book.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    tagged = [at for at, cell in enumerate(book.cells) if "parameters" in cell.metadata.get("tags", [])]
    book.cells.insert(tagged[0] + 1 if tagged else 0, given)
    client = NotebookClient(book, kernel_name="python3", timeout=None, resources={"metadata": {"path": str(out)}},
                            extra_arguments=["--log-level=ERROR"])  # fmt: skip
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        failed = [at for at, cell in enumerate(book.cells, 1) if _failed(cell)]
        place = f"{path}, cell {failed[0]}" if failed else str(path)
        kept = f"What ran is in {out / 'report.ipynb'}; mend the cell and run again."
        raise InputError(place, f"the notebook failed: {_reason(book, error)}", kept) from error
    finally:
        nbformat.write(book, os.fspath(out / "report.ipynb"))
    return book


def _read(path: Path, nbformat):
    try:
        return nbformat.read(os.fspath(path), as_version=4)
    except OSError as error:
        raise InputError(
            str(path), error.strerror or "cannot be read", "Give a notebook file to --notebook."
        ) from error
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise InputError(str(path), "this is no notebook (.ipynb)", "Give a notebook file to --notebook.") from error


def _failed(cell) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def _reason(book, error: Exception) -> str:
    """What went wrong, in a line, without the colours of a terminal."""
    for cell in book.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                return clean(f"{output.ename}: {output.evalue}", 300)
    return clean(f"{type(error).__name__}: {error}", 300)


def notebook_page(book) -> str:
    """The page of an executed notebook: its markdown and outputs, the code folded; it runs no script of theirs."""
    from nbconvert.filters import markdown2html

    parts: list[str] = []
    for cell in book.cells:
        if cell.cell_type == "markdown":
            parts.append(_ANCHOR.sub("", markdown2html(cell.source)))
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(f"<details><summary>Code</summary><pre>{escape(cell.source)}</pre></details>")
            parts.extend(_output(output) for output in cell.outputs)
    titles = [cell.source.lstrip("# ").splitlines()[0] for cell in book.cells
              if cell.cell_type == "markdown" and cell.source.startswith("# ")]  # fmt: skip
    title = clean(titles[0], 200) if titles else TITLE
    heading = "" if titles else f"<h1>{escape(title)}</h1>"
    return render([Section("notebook", "", heading + "\n".join(parts))], title)


def _output(output) -> str:
    """One output of a cell as HTML, the richest form that needs no script."""
    if output.output_type == "stream":
        return _pre(output.text)
    if output.output_type == "error":
        return _pre(f"{output.ename}: {output.evalue}")
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            told = escape(clean(data.get("text/plain"), 200))
            return f'<figure><img alt="{told}" src="data:{kind};base64,{"".join(data[kind].split())}"></figure>'
    if "text/html" in data:
        return f'<div class="scroll" tabindex="0" role="region" aria-label="Output">{data["text/html"]}</div>'
    if "text/markdown" in data:
        from nbconvert.filters import markdown2html

        return markdown2html(data["text/markdown"])
    return _pre(data["text/plain"]) if "text/plain" in data else ""


def _pre(text: str) -> Markup:
    from nbconvert.filters import strip_ansi

    lines = strip_ansi(text[:_LONGEST]).splitlines()
    return Markup("<pre>{}</pre>").format("\n".join(clean(line, 2_000) for line in lines))
