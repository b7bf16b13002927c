"""Compressed exports that are cut off or damaged: what stands before that is read, and one reject tells of it."""

import bz2
import gzip
import json
import lzma
from functools import cache

import pyarrow as pa
import pytest

import meshlogs as ml
from meshlogs import conversion, formats
from meshlogs.reading import parts

PACK = {
    "gzip": gzip.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
    "bzip2": lambda data: b"".join(bz2.compress(data[at : at + BLOCK]) for at in range(0, len(data), BLOCK)),
    "xz": lambda data: lzma.compress(data, preset=0),
}
BLOCK = 100_000  # of bzip2, which gives whole blocks only; those of zstd are as large


@cache
def lines(count):
    """So many lines, made once."""
    resource = {"type": "k8s_container", "labels": {"pod_name": "web-0", "container_name": "web"}}
    return [
        json.dumps(
            {
                "insertId": f"i{number}",
                "logName": "projects/p/logs/stderr",
                "resource": resource,
                "textPayload": " ".join(str(number * 7919 * each % 1_000_003) for each in range(1, 40)),
                "timestamp": f"2026-03-02T09:{number // 60 % 60:02}:{number % 60:02}Z",
            }
        )
        for number in range(count)
    ]


def read_by_all(path, out):
    """(entries of `read`, of `convert`, of `report`; the rejects, which all have)."""
    shard = formats.read(path)
    out.mkdir()
    counts = conversion.write_export(ml.read([path]), out)
    found = ml.read([path])
    assert found.rejects["reason"].tolist() == shard.rejects["reason"].tolist()
    assert counts["rejects"] == len(shard.rejects)
    files = parts.load(parts.Task(str(path), path.name)).files[path.name]
    assert files[2] == len(shard.rejects)
    return len(shard.log_entries), counts["log_entries"], files[1] - files[2], shard.rejects["reason"].tolist()


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("count", [300, 3_000, 20_000])  # 0.15, 1.5 and 10 MB, read in one piece, two, and ahead
def test_what_stands_before_a_cut_is_read(kind, count, tmp_path):
    text = "".join(line + "\n" for line in lines(count)).encode()
    path = tmp_path / "export.json.packed"
    path.write_bytes(PACK[kind](text)[:-100])
    read, converted, reported, reasons = read_by_all(path, tmp_path / "out")
    assert read == converted == reported
    lost = {"gzip": 2_000, "xz": 2_000, "bzip2": BLOCK, "zstd": 1 << 17}[
        kind
    ]  # bytes of a block, or what 100 bytes are
    assert count - lost / (len(text) / count) - 1 <= read < count
    assert f"the {kind} stream is cut off" in reasons
    assert len(reasons) <= 2  # and the line that is cut


@pytest.mark.parametrize("count", [10, 3_000])
def test_with_a_wrong_checksum_all_is_read_and_told(count, tmp_path):
    data = bytearray(gzip.compress("".join(line + "\n" for line in lines(count)).encode()))
    data[-6] ^= 1  # of the checksum; its last four bytes are the size
    path = tmp_path / "export.json.gz"
    path.write_bytes(data)
    *counts, reasons = read_by_all(path, tmp_path / "out")
    assert counts == [count] * 3
    assert len(reasons) == 1 and reasons[0].startswith("the gzip stream is damaged: ")


@pytest.mark.parametrize("kind", PACK)
def test_members_and_zeros_that_pad_the_end(kind, tmp_path):
    halves = [line + "\n" for line in lines(20)]
    path = tmp_path / "export.json.packed"
    padding = b"" if kind == "zstd" else b"\0" * 512
    path.write_bytes(b"".join(PACK[kind]("".join(half).encode()) for half in (halves[:10], halves[10:])) + padding)
    shard = formats.read(path)
    assert (len(shard.log_entries), len(shard.rejects)) == (20, 0)


def test_where_nothing_is_left_the_error_tells_why(tmp_path):
    (tmp_path / "export.json.gz").write_bytes(gzip.compress(lines(1)[0].encode())[:12])
    with pytest.raises(ml.InputError, match=r"found in any file \(export.json.gz: the gzip stream is cut off\)"):
        ml.read([tmp_path]).rejects  # noqa: B018 (read for what it raises)
    with pytest.raises(ml.InputError, match=r"\(export.json.gz: the gzip stream is cut off\)"):
        conversion.write_export(ml.read([tmp_path]), tmp_path)
