"""Labelled fleets: the verdicts against the truth that the simulator wrote before any analysis."""

import gzip
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import schema, times
from meshlogs.incidence import incidence_by, total
from meshlogs.reading import parts

FROM_ELSEWHERE = ["source", "line"]


def test_hours_are_those_in_which_the_application_started_at_the_latest(fleet):
    begun = map(times.parse_ns, ("2026-03-02T09:59:59.999999999Z", "2026-03-02T10:00:00Z", None))
    starts = fleet.starts.head(3).assign(app_started_upper=times.column(begun))
    rows = incidence_by(starts, "hour").set_index("hour")["starts"]
    assert rows.to_dict() == {"2026-03-02T09:00:00Z": 1, "2026-03-02T10:00:00Z": 1, "": 1}
    assert incidence_by(fleet.starts, ["cluster", "hour"])["starts"].sum() == len(fleet.starts)
    assert (incidence_by(starts.assign(hour="mine"), "hour")["hour"] == "mine").all()


def test_the_sample_fleet_has_the_counts_of_its_readme(fleet, samples):
    truth = json.loads((samples / "truth/summary.json").read_text())
    guide = fleet.starts["cluster"] == "guide"
    assert fleet.starts[~guide]["outcome"].value_counts().to_dict() == truth["outcomes"]
    found = fleet.errors[fleet.errors["cluster"] != "guide"]["verdict"].value_counts().to_dict()
    # Two refusals by the pod itself, of a text without destination, inside the window: sample_data/README.md.
    assert found == truth["verdicts"] | {"local": 6 - 2, "startup_race": 193 + 2}
    assert fleet.rejects.empty


def compare(export, truth) -> tuple[pd.DataFrame, pd.DataFrame, ml.Fleet]:
    """(truth's errors beside ours, truth's starts beside ours, the fleet)."""
    found = ml.analyse(export)
    errors, starts = pd.read_csv(truth / "errors.csv"), pd.read_csv(truth / "starts.csv")
    entry_of = {one: row.insert_id for row in errors.itertuples() for one in row.insert_ids.split(";")}
    ours = found.errors.assign(insert_id=found.errors["insert_id"].map(lambda one: entry_of.get(one, one)))
    beside = errors.merge(ours, on="insert_id", how="outer", suffixes=("_true", ""), validate="one_to_one")
    told = found.starts.dropna(subset=["pod_uid"])
    known = starts.merge(told, on="pod_uid", how="left", suffixes=("_true", ""), validate="one_to_one")
    return beside, known, found


SETTINGS = {
    # name: options of the simulator, least share right, most share wrong
    # (each fleet holds every story once, the undecidable ones too; docs/ACCURACY.md has the figures of larger ones)
    "everything": ({}, 0.97, 0.01),
    "no proxy logs": ({"without": ["proxy_logs"]}, 0.95, 0.01),
    "no events": ({"without": ["events"]}, 0.95, 0.01),
    "no pod specs": ({"without": ["pod_specs"]}, 0.95, 0.01),
    "legacy resources": ({"legacy": True}, 0.97, 0.01),
    "newest kubelet": ({"kubelet": "1.35"}, 0.97, 0.01),
    "the last hour alone": ({"retention_s": 3600}, 0.97, 0.01),
    "a fifth of the events lost": ({"lost_events": 0.2}, 0.97, 0.01),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_verdicts_hold_the_truth(name, tmp_path):
    options, least_right, most_wrong = SETTINGS[name]
    ml.simulate_fleet(tmp_path, pods=150, seed=23, **options)
    beside, starts, _ = compare(tmp_path / "export", tmp_path / "truth")
    assert beside["verdict_true"].notna().all(), "a line that is no refused connection became an error"
    assert beside["verdict"].notna().all(), "a refused connection was not found"
    right = beside["verdict"] == beside["verdict_true"]
    wrong = ~right & (beside["verdict"] != "undetermined")
    assert not (wrong & (beside["certainty"] == "proven")).any(), "a proven verdict was wrong"
    assert right.mean() >= least_right
    assert wrong.mean() <= most_wrong
    ready = starts["proxy_ready_ns"]
    lower, upper = times.to_ns(starts["proxy_ready_lower"]), times.to_ns(starts["proxy_ready_upper"])
    late = (lower != times.NAT) & (lower > ready)
    early = (upper != times.NAT) & (upper < ready)
    assert not (ready.notna() & (late | early)).any(), "a readiness interval does not hold the truth"


def test_application_logs_alone_decide_almost_nothing(tmp_path):
    ml.simulate_fleet(tmp_path, pods=60, seed=5, without=["proxy_logs", "events", "pod_specs"])
    beside, _, found = compare(tmp_path / "export", tmp_path / "truth")
    decided = beside[beside["verdict"] != "undetermined"]
    assert (decided["verdict"] == decided["verdict_true"]).all()
    assert found.errors.loc[found.errors["verdict"] == "undetermined", "reason"].notna().all()
    missing = found.coverage.dropna(subset=["missing"])
    assert set(missing["kind"]) == {"proxy_logs", "events", "pods"}
    assert missing["query"].notna().all()


def tables(found):
    """Tables that must not depend on how the export was cut into files."""
    drop = {"starts": [], "errors": FROM_ELSEWHERE, "coverage": [], "remedies": []}
    return {name: getattr(found, name).drop(columns=columns) for name, columns in drop.items()} | {
        "incidence": found.incidence(["workload"])
    }


def test_one_shard_seven_shards_and_any_order_give_the_same_tables(tmp_path):
    ml.simulate_fleet(tmp_path / "one", pods=60, seed=3, duplicates=0.05)
    one = tables(ml.analyse(tmp_path / "one/export"))
    lines, pods = [], tmp_path / "one/export/pods.json"
    for path in sorted((tmp_path / "one/export").rglob("*.json")):
        lines += path.read_bytes().splitlines(keepends=True) if path != pods else []
    seven = tmp_path / "seven"
    seven.mkdir()
    shutil.copy(pods, seven / "a-pods.json")
    for part in range(7):
        # dealt out in reverse, each shard in another order, one compressed, one delivered twice
        text = b"".join(reversed(lines[part::7]))
        (seven / f"z{7 - part}.json").write_bytes(gzip.compress(text) if part == 3 else text)
    other = tables(ml.analyse(seven))
    for name in one:
        assert_frame_equal(one[name], other[name], obj=name)


def test_the_same_files_twice_are_one(tmp_path, samples):
    for copy in ("first", "second"):
        shutil.copytree(samples / "guide", tmp_path / copy)
    twice = ml.analyse(tmp_path)
    assert len(twice.errors) == 1
    assert twice.coverage["duplicates"].sum() == 10


def test_rows_and_pods_taken_a_few_at_a_time_give_the_same_evidence(samples, fleet, monkeypatch):
    at_once = fleet.export.evidence
    monkeypatch.setattr(parts, "BATCH", 7)
    assert_frame_equal(ml.read(samples / "fleet").evidence, at_once)


def test_a_pod_that_came_twice_is_one_and_the_first_stays(samples, tmp_path):
    for name in ("b", "a"):
        shutil.copy(samples / "fleet/pods.json", tmp_path / f"{name}.json")
    pods, once = ml.read(tmp_path).pods, ml.read(samples / "fleet/pods.json").pods
    assert set(pods["source"]) == {"a.json"}
    assert_frame_equal(pods.drop(columns="source"), once.drop(columns="source"))


def test_a_dump_of_kubectl_joins_the_logs_of_its_cluster(fleet):
    assert fleet.starts["cluster"].notna().all()
    assert fleet.starts["has_pod_spec"].sum() == 39  # the pods of pods.json; two were deleted before it was made


def made(*windows, **columns):
    rows = [{"start_id": f"s{at}", "workload": "web", "meshed": True, "at_risk": True, "outcome": "exposed",
             "window_lower_s": low, "window_upper_s": high} for at, (low, high) in enumerate(windows)]  # fmt: skip
    return schema.conform(rows, schema.STARTS).assign(**columns)


def test_windows_have_bounds_and_an_estimate_between_them():
    """The middle one of the windows (1, 2], (1.9, 4], (0, 1.95] may be anything from 1 to 2; likeliest is 1.9 to 1.95.

    Of 3 windows nine tenths are reached by the longest: 1.9 at least, 4 at most.
    """
    (row,) = incidence_by(made((1.0, 2.0), (1.9, 4.0), (0.0, 1.95)), ["workload"]).to_dict("records")
    told = {q: [row[f"window_{q}{end}_s"] for end in ("_lower", "", "_upper")] for q in ("p50", "p90", "max")}
    assert told == {"p50": [1.0, 1.9, 2.0], "p90": [1.9, 1.9, 4.0], "max": [1.9, 1.9, 4.0]}


def test_the_true_median_window_of_labelled_fleets_is_within_its_bounds(tmp_path):
    ml.simulate_fleet(tmp_path, pods=120, seed=11)
    _, known, found = compare(tmp_path / "export", tmp_path / "truth")
    known = known[known["at_risk"].eq(True).fillna(False).astype(bool) & known["app_start_ns"].notna()]
    true = ((known["proxy_ready_ns"] - known["app_start_ns"]) / 1e9).clip(lower=0).fillna(np.inf)
    checked = 0
    for row in found.incidence(["cluster", "namespace", "workload"]).itertuples():
        mine = known[["cluster", "namespace", "workload"]].eq([row.cluster, row.namespace, row.workload]).all(axis=1)
        if mine.sum() != row.at_risk or not row.at_risk:
            continue
        values = np.sort(true[mine])
        middle, most = values[-(-len(values) // 2) - 1], values[-1]
        assert row.window_p50_lower_s - 1e-6 <= middle <= row.window_p50_upper_s + 1e-6
        assert row.window_max_lower_s - 1e-6 <= most <= row.window_max_upper_s + 1e-6
        checked += 1
    assert checked > 20


def test_the_upper_share_is_made_of_published_columns(fleet):
    """Of three undetermined starts one is not at risk: (1 harmed + 2) of 4."""
    rows = made(*[(0.0, 1.0)] * 5).assign(outcome=["harmed", "safe", *["undetermined"] * 3],
                                          at_risk=[True, True, True, True, False])  # fmt: skip
    (row,) = incidence_by(rows, ["workload"]).to_dict("records")
    assert (row["undetermined"], row["undetermined_at_risk"], row["at_risk"]) == (3, 2, 4)
    assert (row["share_lower"], row["share_upper"]) == (1 / 4, 3 / 4)
    table = fleet.incidence(["namespace"])
    risk = table[table["at_risk"] > 0]
    made_up = (risk["harmed"] + risk["undetermined_at_risk"]) / risk["at_risk"]
    assert made_up.tolist() == pytest.approx(risk["share_upper"].tolist())


def test_the_total_is_the_incidence_of_one_group_of_all(fleet):
    (row,) = incidence_by(fleet.starts.assign(all="all"), ["all"]).to_dict("records")
    counted = total(fleet.starts)
    assert counted == {name: row[name] for name in counted}
    assert total(fleet.starts.head(0)) == {}


def test_evidence_has_the_texts_of_its_schema_and_is_kept_coded(fleet):
    names = [*schema.SHARED, "start_id"]
    assert {str(fleet.facts.whole()[name].dtype) for name in names} == {"category"}
    told = schema.conform(fleet.evidence, schema.EVIDENCE)
    assert_frame_equal(fleet.evidence.drop(columns="start_id"), told)
    some = fleet.starts["start_id"].head(2)
    wanted = fleet.evidence[fleet.evidence["start_id"].isin(some) & (fleet.evidence["kind"] != "refused")]
    assert_frame_equal(fleet.evidence_of(some, without=["refused"]), wanted)


def test_an_export_that_let_its_evidence_go_reads_it_anew(samples):
    fleet = ml.analyse(samples / "guide")
    assert_frame_equal(fleet.export.evidence, ml.read(samples / "guide").evidence)
