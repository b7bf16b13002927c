"""Refused connections of which nobody can tell the pod, or the time: said aloud, never "none"."""

import pandas as pd
import pytest

import meshlogs as ml
from meshlogs import cli
from meshlogs.report.summary import sentences, summary

REFUSED = "Error: connect ECONNREFUSED 10.0.0.5:6379"
STAMPED = f"2026-01-02T03:04:05.123456789Z starting\n2026-01-02T03:04:06.500000000Z {REFUSED}\n"
POD = "cart-67d56cdd-g7fvb"


def fleet_of(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.log").write_text(text)
    return ml.analyse(folder)


def test_a_refusal_in_a_log_that_names_no_pod_is_a_row(tmp_path):
    fleet = fleet_of(tmp_path, one=STAMPED, two=STAMPED)
    told = fleet.errors[["source", "line", "verdict", "certainty", "reason", "destination_port"]]
    assert told.astype(object).where(told.notna(), None).to_numpy().tolist() == [
        ["one.log", 2, "undetermined", None, "pod_unnamed", 6379],
        ["two.log", 2, "undetermined", None, "pod_unnamed", 6379],
    ]
    assert fleet.errors["time"].tolist() == [pd.Timestamp("2026-01-02T03:04:06.5Z")] * 2
    starts = fleet.starts
    assert starts["pod"].isna().all() and starts["refused"].tolist() == [1, 1]
    assert set(starts["outcome"]) == {"undetermined"} and set(starts["reason"]) == {"pod_unnamed"}
    assert not starts["at_risk"].any() and starts["meshed"].isna().all()
    assert sentences(fleet, summary(fleet)) == [
        "No start is known to be at risk among 2 pod starts; of 2 the export does not tell whether they have a proxy.",
        "2 refused connections reported.",
        "Why 2 connections were refused cannot be told.",
        "2 logs name no pod, each is counted as a start: "
        "call the file POD.log, or write it with kubectl logs --prefix.",
    ]


def test_a_loopback_is_local_in_any_pod(tmp_path):
    fleet = fleet_of(tmp_path, one="2026-01-02T03:04:06.5Z dial tcp 127.0.0.1:5432: connect: connection refused\n")
    assert fleet.errors["verdict"].tolist() == ["local"]


@pytest.mark.parametrize("name", [POD, "one"])
def test_refusals_without_a_time_are_counted_and_said(tmp_path, capsys, name):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / f"{name}.log").write_text(f"starting\n{REFUSED}\n    at TCPConnectWrap\n{REFUSED}\n")
    cli.main(["report", str(tmp_path / "logs"), "--out", str(tmp_path / "out")], standalone_mode=False)
    told = capsys.readouterr().out
    assert "2 lines tell of a refused connection without any time" in told
    assert "lines that tell of one without any time: 2" in told
    page = (tmp_path / "out" / "report.html").read_text()
    assert "2 lines tell of a refused connection without any time: of these no verdict can be given." in page
    assert "No program in these logs reported a refused connection" not in page
    starts = pd.read_parquet(tmp_path / "out" / "tables" / "starts.parquet")
    assert starts["refused_undated"].tolist() == [2] and starts["refused"].tolist() == [0]


def test_a_start_of_which_nothing_is_dated_can_be_explained(tmp_path):
    fleet = fleet_of(tmp_path, **{POD: f"starting\n{REFUSED}\n"})
    assert "This start is undetermined" in ml.explain(fleet, POD)


def test_a_log_without_a_pod_changes_no_other_verdict(guide, samples, tmp_path):
    (tmp_path / "one.log").write_text(STAMPED)
    fleet = ml.analyse([samples / "guide", tmp_path])
    named = fleet.errors[fleet.errors["reason"] != "pod_unnamed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(named.drop(columns="source"), guide.errors.drop(columns="source"))
    assert len(fleet.errors) == len(guide.errors) + 1
