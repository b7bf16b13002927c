"""A fleet judged group by group is the fleet judged at once, wherever the groups are."""

import gc
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import gather, output
from meshlogs.engines import group_files, groups, local

KEYS = ["start_id", "time_upper", "time_lower", "kind", "container", "insert_id", "value", "message", "source", "line"]


@pytest.fixture
def small_groups(monkeypatch):
    """Some hundred facts are much."""
    make_small(monkeypatch)


def make_small(patch):
    patch.setattr(gather, "MANY", 400)
    patch.setattr(gather, "VERY_MANY", 800)
    patch.setattr(groups, "GROUP", 300)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    ml.simulate_fleet(folder, pods=20, seed=21, shards=2)
    return folder / "export"


@pytest.fixture(scope="module")
def at_once(export):
    return ml.analyse(export)


@pytest.fixture(scope="module")
def in_groups(export):
    """The same, judged in groups by this process alone."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        return ml.analyse(export, engine=local.Local(1))


def assert_same(fleet, other):
    for name in ("starts", "errors", "remedies", "coverage"):
        assert_frame_equal(getattr(fleet, name), getattr(other, name))
    # In the file of the evidence groups follow each other: the order is another, the rows are the same.
    one, two = (told.evidence.sort_values(KEYS, kind="stable", ignore_index=True) for told in (fleet, other))
    assert_frame_equal(one, two)


def test_groups_in_files_give_the_tables_of_one_group(at_once, in_groups):
    assert len(at_once.facts) == 1 and len(in_groups.facts) > 2
    assert_same(in_groups, at_once)


@pytest.mark.usefixtures("small_groups")
def test_workers_judge_an_export_that_keeps_its_evidence(export, at_once):
    read = ml.read(export)
    assert_same(ml.analyse(read, engine=local.Local(2)), at_once)
    assert len(read.evidence) == len(ml.read(export).evidence)


@pytest.mark.usefixtures("small_groups")
def test_specs_that_name_no_cluster_find_their_pods_in_each_group(samples, fleet):
    in_groups = ml.analyse(samples / "fleet", engine=local.Local(1))
    assert len(in_groups.facts) > 1 == len(fleet.facts)
    assert_same(in_groups, fleet)


@pytest.mark.usefixtures("small_groups")
def test_a_worker_killed_while_it_judges_changes_nothing(export, at_once, monkeypatch):
    ask, killed = local._ask, []

    def kill_once(process, message):
        if message.get("step") == "examine" and not killed:
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
        return ask(process, message)

    monkeypatch.setattr(local, "_ask", kill_once)
    fleet = ml.analyse(export, engine=local.Local(3))
    assert killed
    assert_same(fleet, at_once)


def test_the_report_of_many_groups(export, at_once, in_groups, tmp_path):
    output.write_fleet(in_groups, tmp_path, by=["workload"], csv=True, paths=[export])
    assert_frame_equal(ml.schema.load(tmp_path, "errors", ml.schema.ERRORS), at_once.errors)
    assert len(pd.read_parquet(tmp_path / "tables" / "evidence.parquet")) == len(at_once.evidence)
    assert len(ml.redact(in_groups).evidence) == len(at_once.evidence)


def test_evidence_is_found_in_the_group_of_its_start(in_groups):
    two = in_groups.starts["start_id"].iloc[[0, -1]].tolist()
    assert set(in_groups.evidence_of(two)["start_id"]) == set(two)
    assert in_groups.evidence_of(["nobody's"]).empty


def test_files_go_with_what_holds_them(at_once):
    files = group_files.Files(None)
    held = files.kept(at_once.facts.frames(), at_once.facts.pods)
    folder = Path(held.facts[0][0].path).parent
    assert folder.is_dir() and folder.stat().st_mode & 0o077 == 0, "logs are no one else's business"
    assert_frame_equal(held.whole(), at_once.facts.whole())
    del files, held
    gc.collect()
    assert not folder.exists()


@pytest.mark.usefixtures("small_groups")
def test_a_full_disk_is_told(export, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(group_files.pa.ipc, "new_stream", full)
    with pytest.raises(ml.WorkerError, match="No space left on device.*TMPDIR"):
        ml.analyse(export, engine=local.Local(1))


@given(st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=30))
def test_a_name_has_one_bucket(names):
    told = groups.buckets(pd.Series(names, dtype=object)).tolist()
    assert dict(zip(names, told, strict=True)) == {name: told[names.index(name)] for name in names}
    coded = groups.buckets(pd.Series(pd.Categorical(names))).tolist()
    assert coded == told and all(0 <= bucket < groups.BUCKETS for bucket in told)


@given(st.lists(st.integers(0, 3 * groups.GROUP), max_size=30), st.integers(0, groups.BUCKETS - 30))
def test_groups_hold_all_buckets_and_enough_rows(several, at):
    counts = np.zeros(groups.BUCKETS, int)
    counts[at : at + len(several)] = several
    cuts = groups.bounds(counts)
    assert cuts[0] == 0 and cuts[-1] == groups.BUCKETS and cuts == sorted(set(cuts))
    rows = [counts[begin:end].sum() for begin, end in zip(cuts[:-1], cuts[1:], strict=True)]
    assert all(count >= groups.GROUP for count in rows[:-1])
