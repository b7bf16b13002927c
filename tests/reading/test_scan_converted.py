"""A scan of what `meshlogs convert` wrote finds what a run over every row of it finds, and what the export held."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pandas.testing import assert_frame_equal

import meshlogs as ml
from meshlogs import conversion
from meshlogs.reading import converted_rows, parts, scan
from tests.reading.test_scan import CHATTER, ODD, REFUSED, entry, gathered, lines_of, same


def converted(export, folder):
    conversion.write_export(ml.read(export), folder)
    return folder


@pytest.mark.parametrize("name", [name for name in ODD if "half a letter" not in name])
def test_a_scan_finds_what_reading_every_row_finds(name, tmp_path):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "export.json").write_bytes(ODD[name].encode())
    folder = converted(tmp_path / "export", tmp_path / "tables")
    found = gathered(folder)
    same(found, gathered(folder, whole=True))
    assert_frame_equal(found.evidence, gathered(tmp_path / "export").evidence)


def facts(found):
    """All of the evidence, but for the places where it was found."""
    told = found.evidence.drop(columns=["source", "line"]).astype("str").fillna("")
    return sorted(map(tuple, told.to_numpy().tolist()))


def test_a_fleet_that_was_converted_is_the_fleet(tmp_path, simulated, monkeypatch):
    export = simulated(pods=60, seed=4) / "export"
    folder = converted(export, tmp_path / "tables")
    whole = gathered(folder, whole=True)
    assert len(whole.evidence) > 1_000
    same(gathered(folder), whole)
    assert facts(whole) == facts(gathered(export))
    table = pq.read_table(folder / "log_entries.parquet")
    pq.write_table(table, folder / "log_entries.parquet", row_group_size=200)
    monkeypatch.setattr(scan, "TABLE_STRETCH", 20_000)
    monkeypatch.setattr(converted_rows, "BATCH", 77)
    assert sum(task.is_stretch for task in ml.read(folder).tasks()) > 3
    same(gathered(folder), whole)


def table_of(tmp_path, *entries):
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "export.json").write_text(lines_of(*entries))
    folder = converted(tmp_path / "export", tmp_path / "tables")
    return folder, pq.read_table(folder / "log_entries.parquet")


def test_most_rows_do_not_become_objects(tmp_path):
    folder, _ = table_of(tmp_path, *CHATTER, entry("x", REFUSED, second=15))
    task = next(task for task in ml.read(folder).tasks() if "log_entries" in task.path)
    part = parts.load(task._replace(others=()))
    assert (part.parsed, part.files[task.source][1]) == (3, 301)  # the first and last row besides


def test_rows_that_lack_a_time_a_pod_or_a_log(tmp_path):
    folder, table = table_of(tmp_path, *CHATTER, entry("x", REFUSED))
    for name, every in (("time", 7), ("pod", 5), ("log_id", 3), ("container", 11)):
        mask = pa.array([number % every == 0 for number in range(len(table))])
        column = pa.array(table[name].to_pylist(), table[name].type, mask=mask.to_numpy(False))
        table = table.set_column(table.column_names.index(name), name, column)
    pq.write_table(table, folder / "log_entries.parquet")
    same(gathered(folder), gathered(folder, whole=True))


def test_a_damaged_table_is_read_as_far_as_it_goes_and_told(tmp_path):
    folder, table = table_of(tmp_path, *CHATTER, entry("x", REFUSED))
    path = folder / "log_entries.parquet"
    pq.write_table(table, path, row_group_size=100, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    at = data.index(b"handled request 150")
    data[at - 2_000 : at] = b"\xff" * 2_000
    path.write_bytes(data)
    found = gathered(folder)
    same(found, gathered(folder, whole=True))
    assert found.rejects["reason"].str.startswith("the Parquet file is damaged").tolist() == [True]
