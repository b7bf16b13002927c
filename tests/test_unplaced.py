"""Refused connections of which nobody can tell the pod, or the time: said aloud, never "none"."""

import json

import matplotlib.pyplot as plt
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
    errors = page[page.index('id="errors"') :]
    assert "2 lines tell of a refused connection without any time, so no verdict can be given" in errors
    assert "No program in these logs reported a refused connection" not in page
    starts = pd.read_parquet(tmp_path / "out" / "tables" / "starts.parquet")
    assert starts["refused_undated"].tolist() == [2] and starts["refused"].tolist() == [0]


def test_a_start_of_which_nothing_is_dated_can_be_explained(tmp_path):
    fleet = fleet_of(tmp_path, **{POD: f"starting\n{REFUSED}\n"})
    assert "This start is undetermined" in ml.explain(fleet, POD)


def test_such_starts_are_drawn_by_what_is_known_of_them(tmp_path):
    fleet = fleet_of(tmp_path, one=STAMPED, **{POD: f"starting\n{REFUSED}\n"})
    assert ml.plot_pod(fleet, "/(one.log)").get_title("left") == "/(one.log)\nundetermined"
    bare = ml.plot_pod(fleet, POD)
    assert bare.get_title("left") == f"{POD}\nundetermined"
    assert [text.get_text() for text in bare.texts] == [
        "nothing of this start has a time\nlines that tell of a refused connection: 1"
    ]
    plt.close("all")


def test_a_log_without_a_pod_changes_no_other_verdict(guide, samples, tmp_path):
    (tmp_path / "one.log").write_text(STAMPED)
    fleet = ml.analyse([samples / "guide", tmp_path])
    named = fleet.errors[fleet.errors["reason"] != "pod_unnamed"].reset_index(drop=True)
    pd.testing.assert_frame_equal(named.drop(columns="source"), guide.errors.drop(columns="source"))
    assert len(fleet.errors) == len(guide.errors) + 1


EVENTS = {
    "kind": "List",
    "items": [
        {
            "kind": "Event", "reason": reason, "type": "Normal", "message": f"{reason} container", "count": 1,
            "metadata": {"name": f"e{at}", "namespace": "shop"},
            "involvedObject": {
                "kind": "Pod", "name": POD, "namespace": "shop", "fieldPath": f"spec.containers{{{container}}}",
            },
            "firstTimestamp": f"2026-01-02T03:04:{second:02}Z", "lastTimestamp": f"2026-01-02T03:04:{second:02}Z",
        }
        for at, (container, reason, second) in enumerate(
            [("istio-proxy", "Created", 4), ("istio-proxy", "Started", 5), ("app", "Created", 5), ("app", "Started", 6)]
        )
    ],
}  # fmt: skip
PROBED = (
    "2026-01-02T03:04:09.000000Z\tinfo\tEnvoy proxy is NOT ready: config not received from istiod: "
    "cds updates: 0 successful, 0 rejected; lds updates: 0 successful, 0 rejected\n"
)
OPEN = "2026-01-02T03:04:12.500000Z\tinfo\tEnvoy proxy is ready\n"


@pytest.fixture
def one_pods_files(tmp_path):
    """What an engineer has saved of one pod by hand."""
    (tmp_path / "app.log").write_text(STAMPED)
    (tmp_path / "proxy.log").write_text(PROBED + OPEN)
    (tmp_path / "events.json").write_text(json.dumps(EVENTS))
    return [tmp_path / name for name in ("app.log", "proxy.log", "events.json")]


def test_one_pods_files_can_be_explained_without_their_names(one_pods_files, capsys):
    cli.main(["explain", POD, *map(str, one_pods_files)], standalone_mode=False)
    told = capsys.readouterr().out
    assert "startup_race, likely, because the log names no container" in told
    assert "app app started" in told.replace("  ", " ") and "Envoy proxy is ready" in told


def test_the_pod_of_nameless_logs_is_told_to_read(one_pods_files):
    export = ml.read(one_pods_files, pod=POD)
    assert set(export.log_entries["pod"]) == {POD}
    fleet = ml.analyse(export)
    start = fleet.starts.iloc[0]
    assert len(fleet.starts) == 1 and start["namespace"] == "shop" and start["app_container"] == "app"
    assert start["app_started_upper"] <= pd.Timestamp("2026-01-02T03:04:06.5Z")
    assert start["proxy_ready_upper"].floor("s") == pd.Timestamp("2026-01-02T03:04:12Z")
    assert fleet.errors[["verdict", "certainty"]].to_numpy().tolist() == [["startup_race", "likely"]]


def test_a_folders_nameless_logs_are_nobodys(one_pods_files, capsys):
    folder = one_pods_files[0].parent
    cli.main(["explain", POD, str(folder)], standalone_mode=False)
    told = capsys.readouterr().out
    assert "No refused connection in this start's logs." in told
    assert "Logs that name no pod: /(app.log). One that is this pod's: give it as a file, not within a folder." in told
