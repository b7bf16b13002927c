"""The command line as a new user meets it: results, exit codes, clear errors, hostile input."""

import csv
import io
import json
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import schema
from meshlogs.cli import main
from meshlogs.output import write_csv


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def out(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("out")
    result = run("report", samples / "fleet", "--out", folder, "--csv")
    assert result.exit_code == 0, result.output
    assert "24 of 37 starts at risk were harmed" in result.output
    assert str(folder / "report.html") in result.output
    return folder


def test_report_writes_what_the_contract_says(out):
    for name in ("errors", "starts", "incidence", "remedies", "coverage", "rejects", "evidence"):
        table = pq.read_table(out / "tables" / f"{name}.parquet")
        assert len(pd.read_csv(out / "tables" / f"{name}.csv")) == len(table)
    errors = pq.read_table(out / "tables/errors.parquet")
    assert str(errors.schema.field("time").type) == "timestamp[ns, tz=UTC]"
    assert json.loads((out / "summary.json").read_text())["harmed"] == 24
    notebook = json.loads((out / "report.ipynb").read_text())
    assert notebook["nbformat"] == 4 and len(notebook["cells"]) > 10
    patches = pq.read_table(out / "tables/remedies.parquet").to_pandas().dropna(subset=["patch"])
    assert len(patches) > 5
    assert all(
        (out / name).read_text() == text for name, text in zip(patches["patch_file"], patches["patch"], strict=True)
    )


def test_the_same_input_writes_the_same_bytes(out, tmp_path, samples):
    assert run("report", samples / "fleet", "--out", tmp_path, "--csv").exit_code == 0
    for path in sorted(out.rglob("*.*")):
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes(), path.name


def test_fail_on(samples, tmp_path):
    assert run("report", samples / "guide", "--out", tmp_path, "--fail-on", "harmed").exit_code == 1
    assert run("report", samples / "guide", "--out", tmp_path, "--fail-on", "init_stalled").exit_code == 0


def test_since_and_until(samples, tmp_path):
    result = run("report", samples / "guide", "--out", tmp_path, "--since", "2020-03-31T10:41:20Z", "--json")
    assert json.loads(result.stdout)["harmed"] == 0
    assert run("report", samples / "guide", "--out", tmp_path, "--since", "noon").exit_code == 2


def test_explain(samples):
    result = run("explain", "post-feature-service-v1-67d56cdd-g7fvb", samples / "guide")
    assert result.exit_code == 0
    for words in ("startup_race, proven", "at least 42.448 s", "logs.json", "holdApplicationUntilProxyStarts"):
        assert words in result.output
    assert run("explain", "nobody", samples / "guide").exit_code == 2


def test_convert_keeps_nanoseconds(samples, tmp_path):
    result = run("convert", samples / "guide", "--out", tmp_path, "--json")
    assert json.loads(result.stdout) == {"log_entries": 10, "events": 9, "pods": 0, "rejects": 0}
    entries = pd.read_parquet(tmp_path / "log_entries.parquet")
    assert pd.Timestamp("2020-03-31T10:41:15.552128897Z") in set(entries["time"])


def test_simulate_then_report(tmp_path):
    assert run("simulate", "--pods", 25, "--out", tmp_path / "made", "--seed", 9).exit_code == 0
    assert run("report", tmp_path / "made/export", "--out", tmp_path / "out").exit_code == 0


# the input is wrong


def test_a_missing_path(tmp_path):
    result = run("report", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "no such file or folder" in result.stderr


def test_an_empty_folder(tmp_path):
    (tmp_path / "empty").mkdir()
    result = run("report", tmp_path / "empty", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "empty" in result.stderr


def test_a_file_of_no_known_form(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\x00\x01\x1b[31m<script>")
    result = run("report", tmp_path / "x.bin", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "tried" in result.stderr and "\x1b" not in result.stderr


def test_a_folder_without_any_known_form(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/README.md").write_text("nothing to see")
    result = run("report", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 2 and "no log entry, event or pod" in result.stderr


def test_malformed_lines_and_truncated_files_are_kept_as_rejects(tmp_path, samples):
    shutil.copytree(samples / "guide", tmp_path / "in")
    with (tmp_path / "in/events.json").open("a") as file:
        file.write('{"insertId": "broken\n')
    whole = (tmp_path / "in/logs.json").read_text()
    (tmp_path / "in/cut.json").write_text(whole[: len(whole) // 2])
    result = run("report", tmp_path / "in", "--out", tmp_path / "out")
    assert result.exit_code == 0
    rejects = pd.read_parquet(tmp_path / "out/tables/rejects.parquet")
    assert sorted(rejects["source"]) == ["cut.json", "events.json"]
    assert "could not be read: 2 records" in result.output


def test_the_output_folder_is_a_file(tmp_path, samples):
    (tmp_path / "file").write_text("x")
    assert run("report", samples / "guide", "--out", tmp_path / "file").exit_code == 2


HOSTILE = "<script>alert(1)</script>\x1b[31m=cmd|' /C calc'!A0 \u202e"


def test_hostile_text_stays_text(tmp_path, samples):
    entries = json.loads((samples / "guide/logs.json").read_text())
    for number, message in enumerate((HOSTILE, "=1+1 ", "x\r=1+1"), 2):
        again = json.loads(json.dumps(entries[0]))
        again["insertId"] = f"hostile-{number}"
        again["textPayload"] = message + " dial tcp 10.0.0.9:1: connect: connection refused"
        again["resource"]["labels"]["container_name"] = "../../<b>app</b>"
        entries.append(again)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/logs.json").write_text(json.dumps(entries))
    shutil.copy(samples / "guide/events.json", tmp_path / "in")
    result = run("report", tmp_path / "in", "--out", tmp_path / "out", "--csv")
    assert result.exit_code == 0
    page = (tmp_path / "out/report.html").read_text()
    assert "<script>alert" not in page and "<b>app" not in page
    story = run("explain", "post-feature-service-v1-67d56cdd-g7fvb", tmp_path / "in").output
    for text in (page, result.output, story):
        assert "\x1b" not in text and "\u202e" not in text
    table = pd.read_csv(tmp_path / "out/tables/errors.csv")
    assert table["message"].str.startswith("'=1+1").any()
    assert not table["message"].str.startswith("=").any()
    assert table["message"].str.startswith("x\n'=1+1").any() and table["time"].str.endswith("Z").all()
    assert all(path.is_relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*"))


@given(st.lists(st.text('=+-@x," \t\r\n', max_size=6), min_size=1, max_size=4))
def test_no_reader_of_csv_finds_a_formula_or_another_row(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.csv")
        lines = list(range(2**53, 2**53 + len(texts)))
        table = schema.conform(pd.DataFrame({"reason": texts, "line": lines}), schema.REJECTS)
        write_csv(table, schema.REJECTS, path)
        written = path.read_bytes().decode()
    assert "\r" not in written
    rows = list(csv.reader(io.StringIO(written, newline="")))[1:]
    assert [int(row[1]) for row in rows] == lines
    for text, (_, _, told, _) in zip(texts, rows, strict=True):
        assert told.replace("'", "") == text.replace("\r\n", "\n").replace("\r", "\n")
        assert not told.startswith("\t") and not any(line.startswith(tuple("=+-@")) for line in told.split("\n"))


def test_a_ticket_or_the_machine_form_is_printed_on_wish(tmp_path, samples):
    told = run("report", samples / "guide", "--out", tmp_path, "--format", "md")
    assert told.exit_code == 0
    assert told.stdout == (tmp_path / "report.md").read_text()
    assert told.stdout.startswith("# Why was the connection refused?\n\n**1 of 1 start at risk was harmed")
    told = run("report", samples / "guide", "--out", tmp_path, "--format", "json")
    assert json.loads(told.stdout)["pods"][0]["first_error"]["line"] == 2


def test_the_notebook_beside_the_page_runs_where_it_lies(tmp_path, samples):
    from meshlogs.report.notebook import execute

    assert run("report", samples / "guide", "--out", tmp_path / "out").exit_code == 0
    book = execute(tmp_path / "out" / "report.ipynb", tmp_path / "out", {})
    told = "".join(output["data"].get("text/html", "") for cell in book.cells for output in cell.get("outputs", []))
    assert "1 of 1 start at risk was harmed" in told


def test_a_missing_notebook_is_a_wrong_call(tmp_path, samples):
    told = run("report", samples / "guide", "--out", tmp_path, "--notebook", tmp_path / "absent.ipynb")
    assert told.exit_code == 2
    assert "absent.ipynb" in told.stderr
