"""What meshlogs wrote is not read again, and goes when it is written anew; what is a user's is neither."""

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

import meshlogs as ml
from meshlogs import conversion, formats, output, written
from meshlogs.cli import main


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


def below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def report(fleet, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    output.write_fleet(fleet, out, by=["workload"], csv=True)
    return out


def test_all_that_a_report_writes_is_known(report):
    names = below(report)
    assert len([name for name in names if name.startswith("patches/")]) > 10
    assert [name for name in names if not written.REPORT.names.fullmatch(name)] == []
    assert {name.split("/")[1].split(".")[0] for name in names if name.startswith("tables/")} == {*written.TABLES}
    assert set(written.CONVERTED) == {f"{name}.parquet" for name in conversion.LAYOUTS}


def test_all_that_a_made_up_fleet_has_is_known(tmp_path):
    ml.simulate_fleet(tmp_path, pods=40, gzip=True, kubectl_events=True, start="2026-03-02T09:59:50Z")
    names = below(tmp_path)
    assert any("A0_" in name for name in names)
    assert [name for name in names if not written.FLEET.names.fullmatch(name)] == []


def test_a_report_leaves_nothing_of_the_one_before(report, tmp_path, samples):
    out = tmp_path / "out"
    shutil.copytree(report, out)
    mine = ["notes.md", "patches/README.md", "patches/web/hold_application/mine.yaml", "tables/mine.csv", "mine/x.yaml"]
    for name in mine:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    run("report", samples / "guide", "--out", out, "--redact")
    run("report", samples / "guide", "--out", tmp_path / "fresh", "--redact")
    assert below(out) == sorted([*below(tmp_path / "fresh"), *mine])
    assert not any(folder.is_dir() and not any(folder.iterdir()) for folder in out.rglob("*")), "names of folders, too"
    names = {row.name for row in (report / "patches").iterdir()} - {"code"}
    assert names and names.isdisjoint(path.name for path in (out / "patches").iterdir())


def test_what_only_looks_like_a_report_stays(tmp_path, samples):
    patch = tmp_path / "patches/web/hold_application/patch.yaml"
    patch.parent.mkdir(parents=True)
    patch.write_text("mine")
    run("report", samples / "guide", "--out", tmp_path)
    assert patch.read_text() == "mine"


def test_a_notebook_there_can_be_executed(tmp_path, samples):
    """One who has changed the notebook of a report makes its page anew."""
    run("report", samples / "guide", "--out", tmp_path)
    book = json.loads((tmp_path / "report.ipynb").read_text())
    book["cells"][0]["source"] = "# Changed by hand"
    (tmp_path / "report.ipynb").write_text(json.dumps(book))
    run("report", samples / "guide", "--out", tmp_path, "--notebook", tmp_path / "report.ipynb")
    assert "Changed by hand" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("inner", ["report", ""])
def test_a_report_in_the_folder_that_is_read_is_not_read(tmp_path, samples, inner):
    shutil.copytree(samples / "guide", tmp_path / "in")
    words = ("report", tmp_path / "in", "--out", tmp_path / "in" / inner, "--json")
    first, second = run(*words), run(*words)
    assert first.stderr == "" and json.loads(first.stdout)["errors"]["startup_race"] == 1
    assert second.stdout == first.stdout
    assert f"left out {tmp_path / 'in' / inner}: a report that meshlogs wrote" in second.stderr
    explained = run("explain", "post-feature-service-v1-67d56cdd-g7fvb", tmp_path / "in")
    assert "left out" in explained.stderr
    assert sorted(ml.read(tmp_path / "in").files["source"]) == below(samples / "guide")


def test_pages_alone_are_a_report(guide, tmp_path):
    ml.write_report(guide, tmp_path / "in/page")
    (tmp_path / "in/x.json").write_text("{}")
    assert [source for _, source in formats.files([tmp_path / "in"])] == ["x.json"]
    with pytest.raises(ml.InputError, match="a report that meshlogs wrote: there is no export besides"):
        ml.read(tmp_path / "in/page")


def test_a_converted_export_is_read_where_it_is_named_and_not_beside_its_origin(tmp_path, samples):
    shutil.copytree(samples / "guide", tmp_path / "in")
    run("convert", tmp_path / "in", "--out", tmp_path / "in/out")
    again = run("convert", tmp_path / "in", "--out", tmp_path / "in/out", "--json")
    assert json.loads(again.stdout) == {"log_entries": 10, "events": 9, "pods": 0, "rejects": 0}
    assert "in/out: a converted export that meshlogs wrote" in again.stderr
    named = run("convert", tmp_path / "in/out", "--out", tmp_path / "twice", "--json")
    assert named.stdout == again.stdout and named.stderr == ""
    for name in written.CONVERTED:
        tables = [pd.read_parquet(folder / name) for folder in (tmp_path / "in/out", tmp_path / "twice")]
        assert len(tables[0]) == len(tables[1])


def test_an_export_is_not_converted_onto_itself(tmp_path, samples):
    conversion.write_export(ml.read(samples / "guide"), tmp_path)
    before = (tmp_path / "log_entries.parquet").read_bytes()
    result = CliRunner().invoke(main, ["convert", str(tmp_path), "--out", str(tmp_path)])
    assert result.exit_code == 2 and "would be overwritten" in result.stderr
    assert (tmp_path / "log_entries.parquet").read_bytes() == before


def test_a_made_up_fleet_leaves_nothing_of_the_one_before(tmp_path):
    mine = ["export/mine.json", "export/stdout/notes.txt", "notes.md"]
    run("simulate", "--pods", 12, "--seed", 1, "--gzip", "--out", tmp_path / "one")
    for name in mine:
        (tmp_path / "one" / name).write_text("{}")
    run("simulate", "--pods", 3, "--seed", 2, "--out", tmp_path / "one")
    run("simulate", "--pods", 3, "--seed", 2, "--out", tmp_path / "fresh")
    assert below(tmp_path / "one") == sorted([*below(tmp_path / "fresh"), *mine])


def test_real_shards_stay(tmp_path):
    """The names of a sink's files are those of the made-up ones: only beside a truth are they ours."""
    real = tmp_path / "export/stdout/2026/03/01/09_00_00_09_59_59_S0.json"
    real.parent.mkdir(parents=True)
    real.write_text("{}")
    ml.simulate_fleet(tmp_path, pods=3)
    assert real.read_text() == "{}"
