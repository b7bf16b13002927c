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

import meshlogs as ml
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
    given = run(
        "report", samples / "guide", "--out", tmp_path, "--since", "2020-03-31", "--until", "2020-04-01", "--json"
    )
    assert json.loads(given.stdout)["harmed"] == 1
    # Whoever reads the report learns what was left out.
    told = json.loads((tmp_path / "summary.json").read_text())
    assert (told["since"], told["until"]) == ("2020-03-31T00:00:00Z", "2020-04-01T00:00:00Z")
    assert "before 2020-04-01 00:00:00 UTC as asked" in (tmp_path / "report.md").read_text()


NO_TIMES = ("noon", "1h", "30m", "09:20", "", "NaT", "0001-01-01", "9999-01-01", "2026-02-30", "2026-03-02T25:00:00Z")


@pytest.mark.parametrize("text", NO_TIMES)
@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("command", ["report", "fetch", "query"])
def test_what_is_no_time_is_a_wrong_call(samples, tmp_path, command, option, text):
    words = {
        "report": [samples / "guide", "--out", tmp_path / "out"],
        "fetch": ["--project", "p", "--out", tmp_path / "out"],
    }
    result = run(command, *words.get(command, []), option, text)
    assert result.exit_code == 2 and f"{text!r} is not a time such as 2026-03-02T09:00:00Z" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("until", ["2020-03-30", "2020-03-31"])
def test_a_span_without_time_is_a_wrong_call(samples, tmp_path, until):
    for words in (["report", samples / "guide", "--out", tmp_path], ["query"]):
        result = run(*words, "--since", "2020-03-31", "--until", until)
        assert result.exit_code == 2 and "--since is not before --until" in result.stderr
    with pytest.raises(ValueError, match="is not before until"):
        ml.read(samples / "guide", since="2020-03-31", until=until)
    with pytest.raises(ValueError, match="is not before until"):
        ml.query("events", since="2020-03-31", until=until)


def test_the_table_is_grouped_as_asked(samples, tmp_path):
    result = run("report", samples / "guide", "--out", tmp_path, "--by", "app_container", "--by", "hour")
    # The guide's application started at 10:41:15 or so.
    assert result.output.splitlines()[2:4] == [
        "app container         hour                  starts  at risk  harmed  exposed  safe  undet.  errors",
        "post-feature-service  2020-03-31T10:00:00Z       1        1       1        0     0       0       1",
    ]
    table = pq.read_table(tmp_path / "tables/incidence.parquet")
    assert table.column_names[:3] == ["app_container", "hour", "starts"]
    usual = run("report", samples / "guide", "--out", tmp_path).output
    assert usual.splitlines()[2].split()[:3] == ["namespace", "workload", "starts"]


@pytest.mark.parametrize("command", ["report", "convert", "simulate", "fetch"])
def test_a_folder_that_cannot_be_made_is_a_wrong_call(samples, tmp_path, command):
    (tmp_path / "file").write_text("x")
    words = {"simulate": [], "fetch": ["--project", "p", "--since", "2026-03-02", "--until", "2026-03-03"]}
    for out in ("/proc/x", tmp_path / "file/x"):
        result = run(command, *words.get(command, [samples / "guide"]), "--out", out)
        assert result.exit_code == 2 and f"{out}: cannot be made" in result.stderr, result.output


def test_a_full_disk_is_told(samples, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "tables/errors.parquet")

    monkeypatch.setattr("meshlogs.output.pq.ParquetWriter", full)
    result = run("report", samples / "guide", "--out", tmp_path)
    assert result.exit_code == 2 and "No space left on device" in result.stderr


def test_only_one_thing_is_printed(samples, tmp_path):
    for form in ("md", "json"):
        result = run("report", samples / "guide", "--out", tmp_path, "--json", "--format", form)
        assert result.exit_code == 2 and "--json prints summary.json" in result.stderr


@pytest.mark.parametrize("column", ["nope", "at_risk"])  # the latter is counted
def test_a_column_that_starts_cannot_be_grouped_by_is_told_before_anything_is_read(
    samples, tmp_path, monkeypatch, column
):
    monkeypatch.setattr("meshlogs.read", None)
    result = run("report", samples / "guide", "--out", tmp_path / "out", "--by", "pod", "--by", column)
    assert result.exit_code == 2 and not (tmp_path / "out").exists()
    told = " ".join(result.stderr.split())
    assert f"--by: starts cannot be grouped by '{column}'" in told
    assert "they can by start_id, project, location, cluster, namespace, pod," in told and "workload" in told


def test_a_column_that_is_named_twice_is_one(samples, tmp_path):
    assert run("report", samples / "guide", "--out", tmp_path, "--by", "pod", "--by", "pod").exit_code == 0
    assert pq.read_table(tmp_path / "tables/incidence.parquet").column_names[:2] == ["pod", "starts"]


def test_explain(samples):
    result = run("explain", "post-feature-service-v1-67d56cdd-g7fvb", samples / "guide")
    assert result.exit_code == 0
    for words in ("startup_race, proven", "at least 42.448 s", "logs.json", "holdApplicationUntilProxyStarts"):
        assert words in result.output
    assert run("explain", "nobody", samples / "guide").exit_code == 2
    assert run("explain", "post", samples / "guide", "--limit", "-3").exit_code == 2


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


def test_an_empty_file_among_others_holds_nothing(tmp_path, samples):
    """`kubectl logs` of a container that wrote nothing is a file of no bytes."""
    shutil.copytree(samples / "guide", tmp_path / "in")
    (tmp_path / "in/a.json").touch()  # the first that is read
    (tmp_path / "in/z.log").touch()
    result = run("report", tmp_path / "in", "--out", tmp_path / "out", "--json")
    counts = json.loads(result.stdout)
    assert result.exit_code == 0 and counts["harmed"] == 1 and counts["rejects"] == 0


@pytest.mark.parametrize("words", [("report", "--out", "out"), ("convert", "--out", "out"), ("explain", "web")])
def test_nothing_but_an_empty_file(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.json").touch()
    result = run(*words, "a.json")
    assert result.exit_code == 2 and "a.json: no log entry, event or pod found" in result.stderr


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
