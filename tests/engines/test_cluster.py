"""A Dask cluster gives the tables of one machine, whatever becomes of its workers."""

import gc
import json
import os
import signal
import warnings
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from distributed import Client, LocalCluster

import meshlogs as ml
from meshlogs import cli, engines, gather
from meshlogs.engines import cluster, groups, local
from meshlogs.reading import parts


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    ml.simulate_fleet(folder, pods=20, seed=11, shards=2)
    return folder / "export"


@pytest.fixture(scope="module")
def judged_here(export):
    """The export, judged by this machine; to read."""
    return ml.analyse(export)


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
        )
        client = Client(cluster)
        yield client
        client.close()
        cluster.close()


def same(one, other):
    for name in ("evidence", "pods", "rejects", "counts", "files"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def gathered(export, engine):
    return gather.gather(ml.read(export).tasks(), engine)


def test_the_tables_are_those_of_one_machine(export, client):
    same(gathered(export, cluster.Dask(client)), gathered(export, local.Local(1)))


def test_parts_of_a_split_entry_that_different_workers_read(client, tmp_path):
    resource = {"labels": {"container_name": "app", "pod_name": "web-1"}, "type": "k8s_container"}
    entry = {"insertId": "s", "logName": "projects/p/logs/stderr", "timestamp": "2026-03-02T09:00:10.5Z"}
    entry |= {"resource": resource}
    for index, text in enumerate(["dial tcp 10.0.0.9:6379: connect: connection ref", "used"]):
        one = entry | {"textPayload": text, "split": {"uid": "u", "index": index, "totalSplits": 2}}
        (tmp_path / f"S{index}.json").write_text(json.dumps(one))
    tasks = [one for task in ml.read(tmp_path).tasks() for one in task.files]
    assert len(tasks) == 2
    found = gather.gather(tasks, cluster.Dask(client))
    same(found, gather.gather(tasks, local.Local(1)))
    refused = found.evidence[found.evidence["kind"] == "refused"]
    assert refused["message"].tolist() == ["dial tcp 10.0.0.9:6379: connect: connection refused"]


def test_a_fleet_read_on_a_cluster(export, judged_here, client):
    local, remote = judged_here, ml.analyse(export, engine=client)
    pd.testing.assert_frame_equal(local.starts, remote.starts)
    pd.testing.assert_frame_equal(local.errors, remote.errors)
    again = ml.analyse(ml.read(export), engine=client.scheduler.address)
    pd.testing.assert_frame_equal(local.errors, again.errors)
    again.export.engine.client.close()


def same_part(part, other):
    other = parts.Part.from_bytes(other.to_bytes())
    assert part[:3] == other[:3]
    for name, table in part.tables.items():
        pd.testing.assert_frame_equal(table, other.tables[name])


def test_a_worker_killed_in_mid_run_changes_nothing(export, client):
    engine, killed = cluster.Dask(client), []
    tasks = ml.read(export).tasks()
    found = []
    for part in engine.load(tasks):
        if not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)
        found.append(part)
    expected = list(local.Local(1).load(tasks))
    for one, other in zip(found, expected, strict=True):
        same_part(one, other)


@pytest.mark.parametrize("dies_before", ["settle", "examine"])
def test_groups_are_judged_on_the_cluster_whatever_becomes_of_a_worker(
    dies_before, export, judged_here, client, monkeypatch
):
    local = judged_here
    each, died = cluster.Pieces.each, []

    def watched(self, step, *arguments):
        if step == dies_before and not died:
            died.append(next(iter(client.run(os.getpid).values())))
            os.kill(died[0], signal.SIGKILL)
        yield from each(self, step, *arguments)

    monkeypatch.setattr(cluster.Pieces, "each", watched)
    monkeypatch.setattr(gather, "VERY_MANY", 500)
    monkeypatch.setattr(groups, "GROUP", 400)
    monkeypatch.setattr(cluster, "TOGETHER", 2)
    remote = ml.analyse(export, engine=client)
    assert len(remote.facts) > 2 and died
    for name in ("starts", "errors", "remedies", "coverage"):
        pd.testing.assert_frame_equal(getattr(local, name), getattr(remote, name))
    assert len(local.evidence) == len(remote.evidence), "it is here once the fleet is judged"


def test_a_part_that_fails_once_is_read_again(export, client, tmp_path, monkeypatch):
    task = ml.read(export).tasks()[0]
    mark = tmp_path / "failed"

    monkeypatch.setattr(cluster, "read_part", _FailsOnce(str(mark)))
    (part,) = cluster.Dask(client).load([task])
    assert mark.exists()
    same_part(part, parts.load(task))


class _FailsOnce:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, task):
        if not Path(self.mark).exists():
            Path(self.mark).touch()
            raise OSError("a disk that stumbles")
        return parts.load(parts.Task(**task)).to_bytes()


def test_an_error_is_the_callers(client, tmp_path):
    (tmp_path / "README.txt").write_text("no export")
    task = parts.Task(str(tmp_path / "README.txt"), "README.txt", strict=True)
    with pytest.raises(ml.InputError, match="no known form"):
        list(cluster.Dask(client).load([task]))


def test_a_cluster_without_workers_is_told(monkeypatch, export):
    monkeypatch.setattr(cluster, "LOOK_S", 1)
    monkeypatch.setattr(cluster, "ALONE_S", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with (
            LocalCluster(n_workers=0, dashboard_address=None, silence_logs="CRITICAL") as empty,
            Client(empty) as alone,
        ):
            with pytest.raises(ml.WorkerError, match="no worker for 2 s"):
                list(cluster.Dask(alone).load(ml.read(export).tasks()))


def test_no_scheduler_is_told(monkeypatch, export, tmp_path):
    monkeypatch.setattr(engines, "CONNECT_S", 1)
    words = ["report", str(export), "--out", str(tmp_path), "--engine", "tcp://127.0.0.1:1"]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 2 and "no scheduler answers there" in result.output
    with pytest.raises(ml.WorkerError, match="no scheduler"):
        ml.read(export, engine="nonsense")
    clients = [one for one in gc.get_objects() if isinstance(one, Client)]
    assert all(one.status in ("running", "closed") for one in clients), "a failed one can stop the next for ever"


def test_the_command(export, client, tmp_path):
    words = ["convert", str(export), "--out", str(tmp_path), "--engine", client.scheduler.address]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output
    assert "log_entries" in result.output and "dashboard:" in result.stderr


def test_a_lost_scheduler_is_told_and_does_not_hang(export):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lost = LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs="CRITICAL"
        )
        client = Client(lost, timeout=5)
        tasks = ml.read(export).tasks() * 4
        with pytest.raises(ml.WorkerError, match="the cluster was lost"):
            for number, _ in enumerate(cluster.Dask(client).load(tasks)):
                if number == 0:
                    lost.close()
        client.close()
