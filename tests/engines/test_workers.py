"""Workers are begun early where they will be used, and none is left behind."""

import pytest

from meshlogs.engines import local, workers


@pytest.fixture
def begun(monkeypatch):
    """The workers that are begun, on a machine of three cores."""
    processes, begin = [], workers.begin
    monkeypatch.setattr(workers, "cores", lambda: 3)
    monkeypatch.setattr(workers, "begin", lambda: processes.append(begin()) or processes[-1])
    yield processes
    for process in processes:
        workers.end(process)


def files(folder, *sizes):
    for number, size in enumerate(sizes):
        with (folder / f"{number}.json").open("wb") as file:
            file.truncate(size)
    return [folder]


@pytest.mark.parametrize("sizes", [(), (1 << 30,), (1 << 20,) * 5])
def test_little_work_begins_none(tmp_path, begun, sizes):
    workers.begin_early([*files(tmp_path, *sizes), tmp_path / "absent", "gs://bucket/folder"])
    assert begun == []


def test_much_work_begins_one_for_each_further_core(tmp_path, begun):
    workers.begin_early(files(tmp_path, *(30 << 20,) * 5))
    assert len(begun) == 2
    assert workers.taken() is begun[1]
    workers.end_early()
    assert begun[0].poll() is not None
    assert begun[1].poll() is None
    assert len(begun) == 2


def test_what_is_not_needed_after_all_is_ended(tmp_path, begun):
    workers.begin_early(files(tmp_path, *(30 << 20,) * 5))
    assert list(local.Local().load([])) == []
    assert [process.poll() is None for process in begun] == [False, False]
