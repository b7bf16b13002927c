"""The report for tickets and machines, hostile texts everywhere, and notebooks that users bring."""

import base64
import gzip
import json
import re

import nbformat
import numpy as np
import pytest

import meshlogs as ml
from meshlogs.errors import InputError
from meshlogs.plots import plot_windows
from meshlogs.report import Section, machine, render, ticket
from meshlogs.report.figures import figure
from meshlogs.report.interactive import MOST, timeline_data

from .hostile import NASTY, hostile, many
from .test_report import Nesting


def test_hostile_texts_are_text_on_the_page(written_hostile):
    page = (written_hostile / "report.html").read_text()
    parser = Nesting()
    parser.feed(page)
    assert parser.open == []
    assert parser.scripts == 2  # the data and the script: none of an input
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<img src=x" not in page
    for letter in "\x1b\x00\x07\u202e\u2066":
        assert letter not in page
    assert all(link.startswith(("#", "https://console.cloud.google.com/")) for link in parser.links)


def test_hostile_texts_are_text_in_the_ticket(written_hostile):
    told = (written_hostile / "report.md").read_text()
    block = re.search(r"```sh\n(.*?)\n```\n", told, re.DOTALL)
    assert "`" not in block.group(1)  # nothing ends the block of code early
    outside = re.sub(r"(```+) .*? \1|`[^`\n]*`", "", told.replace(block.group(0), ""))
    assert "<script>" not in re.sub(r"\\<", "", outside)
    assert not re.search(r"(?<!\\)\[x\]\(", outside)
    assert not re.search(r"@all", outside)
    assert all(letter not in told for letter in "\x1b\x00\u202e\r")


def test_hostile_texts_are_cleaned_for_the_timeline_too(fleet):
    told = json.dumps(timeline_data(hostile(fleet))["strings"], ensure_ascii=False)
    assert all(letter not in told for letter in "\x1b\x00\u202e")


def test_the_report_for_machines_says_what_the_tables_say(fleet):
    told = json.loads(json.dumps(machine(fleet, ["workload"])), parse_constant=pytest.fail)
    assert told["counts"]["harmed"] == (fleet.starts["outcome"] == "harmed").sum()
    assert len(told["pods"]) == fleet.starts["outcome"].isin(["harmed", "init_stalled"]).sum()
    for pod in told["pods"]:
        mine = fleet.errors[fleet.errors["start_id"] == pod["start_id"]]
        assert pod["refused"] == len(mine)
        if len(mine):
            assert (pod["first_error"]["source"], pod["first_error"]["line"]) in set(
                zip(mine["source"], mine["line"], strict=True)
            )
    assert all(command.startswith("kubectl patch ") for command in told["commands"])


def test_the_guides_ticket_names_pod_line_and_what_blocks_the_remedy(guide):
    told = ticket(guide, ["namespace", "workload"])
    assert "`post-feature-service-v1-67d56cdd-g7fvb`" in told
    assert "2020-03-31 10:41:15.552128897 UTC, startup_race proven" in told
    assert "`logs.json:2`, insertId `guide-error-1`" in told
    assert "window ≥ 42.4 s" in told


def test_the_same_fleet_gives_the_same_bytes(guide, tmp_path):
    for name in ("one", "two"):
        ml.write_report(guide, tmp_path / name)
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes()


def test_the_notebook_beside_the_page_has_parameters_and_is_valid(guide, tmp_path):
    ml.write_report(guide, tmp_path, paths=["../guide"], since="2020-03-31")
    book = nbformat.read(tmp_path / "report.ipynb", as_version=4)
    nbformat.validate(book)
    tagged = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert "PATHS = ['../guide']" in tagged[0].source
    assert "SINCE = '2020-03-31'" in tagged[0].source


def test_ten_thousand_starts_fit_in_a_mail(fleet, tmp_path):
    large = many(fleet, 10_000 // len(fleet.starts) + 1)
    assert len(large.starts) >= 10_000
    page = ml.write_report(large, tmp_path)
    assert page.stat().st_size < 5_000_000
    packed = re.search(r'id="timeline-data">([^<]*)<', page.read_text()).group(1)
    data = json.loads(gzip.decompress(base64.b64decode(packed)))
    assert len(data["starts"]) == len(large.starts) == data["total"]


def test_of_more_starts_than_a_page_holds_the_worst_are_there_and_the_others_counted(fleet):
    large = many(fleet, 25_000 // len(fleet.starts) + 1)
    data = timeline_data(large)
    shown = [data["strings"][row[6]] for row in data["starts"]]
    assert len(shown) == MOST < data["total"] == len(large.starts)
    assert shown.count("harmed") == (large.starts["outcome"] == "harmed").sum()
    pods = Section("pods", "Which pods", '<div id="timeline" class="live"></div>')
    assert len(render([pods], "Many", data)) < 5_000_000


def test_the_timeline_holds_exact_times_and_the_worst_first(guide):
    (row,) = timeline_data(guide)["starts"]
    epoch = int(row[8])
    assert epoch == 1585651275552128897  # the application's first line, 10:41:15.552128897
    proxy_ready_lower, proxy_ready_upper = row[13], row[14]
    assert epoch + proxy_ready_lower == 1585651318000000000  # the last failed probe, 10:41:58
    assert proxy_ready_upper is None


def book(tmp_path, *sources, tags=("parameters",)):
    cells = [nbformat.v4.new_markdown_cell("# Mine & yours")]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    cells[1].metadata["tags"] = list(tags)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "own.ipynb")
    return tmp_path / "own.ipynb"


def test_a_users_notebook_gets_the_parameters_and_makes_the_page(guide, tmp_path):
    own = book(
        tmp_path, "PATHS = ['nowhere']\nBY = []", "print('<b>', PATHS, BY)\n__import__('pathlib').Path('x').touch()"
    )
    page = ml.write_report(guide, tmp_path / "out", by=["namespace"], paths=["../a b"], own=own).read_text()
    assert "&lt;b&gt; [&#39;../a b&#39;] [&#39;namespace&#39;]" in page
    assert re.search(r"<h1[^>]*>Mine &amp; yours</h1>", page)
    assert "<title>Mine &amp; yours</title>" in page
    assert "default-src 'none'" in page
    assert (tmp_path / "out" / "x").exists()  # it ran in the folder of the report
    kept = nbformat.read(tmp_path / "out" / "report.ipynb", as_version=4)
    assert kept.cells[2].metadata["tags"] == ["injected-parameters"]


def test_a_users_notebook_that_fails_says_where(guide, tmp_path):
    own = book(tmp_path, "x = 1", "raise ValueError('no such pod')")
    with pytest.raises(InputError, match=r"own\.ipynb, cell 4.*ValueError: no such pod"):
        ml.write_report(guide, tmp_path / "out", own=own)
    assert (tmp_path / "out" / "report.ipynb").exists()


def test_what_is_no_notebook_is_said(guide, tmp_path):
    (tmp_path / "x.ipynb").write_text("hello")
    for own in ("x.ipynb", "absent.ipynb"):
        with pytest.raises(InputError, match="--notebook"):
            ml.write_report(guide, tmp_path / "out", own=tmp_path / own)


def test_the_widget_gives_back_the_rows(guide):
    view = ml.timeline(guide)
    assert view.selection.empty
    view.select("post-feature-service-v1-67d56cdd-g7fvb")
    assert len(view.selection) == 1
    assert view.errors["message"].str.contains("connection refused").all()
    assert len(view.evidence) == len(guide.evidence)
    bundle, _ = view._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"}


def test_nasty_is_nasty():
    assert all(part in NASTY for part in ("<script>", "\x1b", "\u202e", "=HYPERLINK", "{{"))


def test_windows_that_all_differ_make_a_small_picture(fleet):
    large = many(fleet, 20_000 // len(fleet.starts) + 1).starts
    seconds = np.arange(len(large)) / 1000
    large = large.assign(at_risk=True, window_lower_s=seconds, window_upper_s=seconds + 1)
    assert len(figure(lambda: plot_windows(large), "Windows")) < 250_000
