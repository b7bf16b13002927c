"""Exports and reports in a bucket: the real client against an emulator on loopback."""

import io
import os

import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import meshlogs as ml
from meshlogs import cli, storage
from meshlogs.reading import parts, scan
from tests.storage.bucket import Bucket

# An emulator speaks JSON; the newest client would ask it in gRPC what kind of bucket it has.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet")
    ml.simulate_fleet(folder, pods=16, seed=3, gzip=True)
    ml.simulate_fleet(folder / "more", pods=8, seed=4)
    return folder


@pytest.fixture(scope="module")
def bucket(export):
    with Bucket() as bucket, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", bucket.address)
        patch.setenv("FSSPEC_GS_TOKEN", "anon")
        from gcsfs import GCSFileSystem  # only now: it reads the environment

        GCSFileSystem.clear_instance_cache()
        for path in sorted(export.rglob("*")):
            if path.is_file() and "truth" not in path.parts:
                bucket.objects[f"logs/{path.relative_to(export).as_posix()}"] = path.read_bytes()
        bucket.objects["logs/.hidden/x.json"] = b"{}"
        yield bucket
        GCSFileSystem.clear_instance_cache()


@pytest.fixture(autouse=True)
def anonymous(monkeypatch):
    """What the environment says was read when fsspec was first imported."""
    import fsspec.config

    monkeypatch.setitem(fsspec.config.conf, "gs", {"token": "anon"})


def comparable(table):
    return table.drop(columns=["source"], errors="ignore").reset_index(drop=True)


def test_a_folder_in_a_bucket_is_the_folder(bucket, export):
    here = ml.analyse([export / "export", export / "more" / "export"])
    there = ml.analyse(["gs://b/logs/export", "gs://b/logs/more/export"])
    assert len(here.errors) and bucket.requests
    for name in ("starts", "errors", "pods"):
        pd.testing.assert_frame_equal(comparable(getattr(there, name)), comparable(getattr(here, name)))
    assert not any(".hidden" in source for source in there.export.files["source"])


def test_large_files_are_read_in_stretches(bucket, export, monkeypatch):
    name = max(
        (name for name in bucket.objects if name.endswith("_S0.json")), key=lambda name: len(bucket.objects[name])
    )
    monkeypatch.setattr(scan, "STRETCH", 20_000)
    remote, local = (ml.read(place) for place in (f"gs://b/{name}", export / name.removeprefix("logs/")))
    assert len(remote.tasks()) > 2
    pd.testing.assert_frame_equal(comparable(remote.evidence), comparable(local.evidence))
    assert parts.Task(f"gs://b/{name}", "x").size == len(bucket.objects[name])


# gcsfs sends a file of some megabytes in one piece, which its HTTP client finds large.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_a_report_goes_into_a_bucket(bucket, export):
    words = ["report", "gs://b/logs/export", "--out", "gs://b/reports/one"]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0, result.output
    assert "report: gs://b/reports/one/report.html" in result.output
    starts = pq.read_table(io.BytesIO(bucket.objects["reports/one/tables/starts.parquet"]))
    assert starts.num_rows == len(ml.analyse(export / "export").starts)
    assert b"<html" in bucket.objects["reports/one/report.html"]
    stale, mine = "reports/one/patches/shop_web/hold_application/patch.yaml", "reports/one/notes.md"
    bucket.objects |= {stale: b"x", mine: b"x"}
    before = {name for name in bucket.objects if name.startswith("reports/")}
    assert CliRunner().invoke(cli.main, words).exit_code == 0
    assert {name for name in bucket.objects if name.startswith("reports/")} == before - {stale}


@pytest.mark.usefixtures("bucket")
def test_what_is_not_there_is_told(monkeypatch):
    with pytest.raises(ml.InputError, match=r"gs://b/nowhere: no such file or folder"):
        ml.read("gs://b/nowhere")
    with pytest.raises(ml.InputError, match="cannot be reached"):
        storage.place("nonsense://b/x")
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(ml.InputError, match=r"meshlogs\[cluster\]"):
        storage.place("gs://b/x")
