"""The list of forms, and the page that is made of it."""

import json
from pathlib import Path

from click.testing import CliRunner

import meshlogs as ml
from meshlogs import formats
from meshlogs.cli import main
from meshlogs.formats import catalogue

PAGE = Path(__file__).parent.parent.parent / "docs/FORMATS.md"


def printed(*options):
    result = CliRunner().invoke(main, ["formats", *options])
    assert result.exit_code == 0
    return result.stdout


def test_the_page_is_current():
    assert printed("--markdown") == PAGE.read_text(encoding="utf-8"), (
        "run: meshlogs formats --markdown > docs/FORMATS.md"
    )


def test_every_form_is_listed_with_title_and_example():
    table = ml.known_formats()
    assert table["form"].tolist() == list(formats.FORMATS)
    told = printed()
    for row in table.itertuples():
        assert row.title and "\n" not in row.title and not row.title.endswith(".")
        assert row.title in told and row.example.splitlines()[0] in told
    assert json.loads(printed("--json")) == table.to_dict("records")


def test_a_module_without_a_title_has_its_docstring():
    class Module:
        """What it is.

        And more.
        """

    assert catalogue._title(Module) == "What it is"
