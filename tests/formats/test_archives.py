"""Archives are read without unpacking; names inside them are only text."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pyarrow as pa
import pytest

from meshlogs import formats
from meshlogs.errors import InputError
from meshlogs.formats import streams

LINE = json.dumps({"logName": "projects/p/logs/stdout", "textPayload": "x", "timestamp": "2020-01-01T00:00:00Z"})
NAMES = ["stdout/10_00_00_10_59_59_S0.json", "pods/b.json"]


def tar(names, mode="w:gz", data=LINE):
    made, data = io.BytesIO(), data if isinstance(data, bytes) else data.encode()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


def zipped(names, data=LINE):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return made.getvalue()


def load(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    return formats.read(tmp_path / name)


@pytest.mark.parametrize("name, made", [
    ("x.tar", tar(NAMES, "w:")),
    ("x.tgz", tar(NAMES)),
    ("x.tar.zst", pa.compress(tar(NAMES, "w:"), "zstd", asbytes=True)),
    ("x.tar.xz", tar(NAMES, "w:xz")),
    ("x.zip", zipped(NAMES)),
])  # fmt: skip
def test_every_file_of_an_archive_is_a_source(tmp_path, name, made):
    shard = load(tmp_path, name, made)
    assert shard.form == "archive"
    assert shard.log_entries["source"].tolist() == [f"{name}!{inner}" for inner in NAMES]
    assert shard.rejects.empty
    assert [part.form for part in formats.chunks(tmp_path / name)] == ["log_entries"] * 2


@pytest.mark.parametrize("pack", [
    gzip.compress, bz2.compress, lzma.compress, lambda data: pa.compress(data, "zstd", asbytes=True),
])  # fmt: skip
def test_compressed_files_and_files_inside_archives(tmp_path, pack):
    assert len(load(tmp_path, "x", pack(LINE.encode())).log_entries) == 1
    assert len(load(tmp_path, "x.tar", tar(["a.json"], "w:", pack(LINE.encode()))).log_entries) == 1
    cut = load(tmp_path, "cut", pack((LINE + "\n").encode() * 5000)[:-20])
    assert len(cut.rejects) >= 1, cut
    assert cut.records == len(cut.log_entries) + len(cut.rejects)


def test_an_archive_may_hold_archives_but_not_for_ever(tmp_path):
    inner = zipped(["a.json"])
    shard = load(tmp_path, "x.tgz", tar(["in.zip"], data=inner))
    assert shard.log_entries["source"].tolist() == ["x.tgz!in.zip!a.json"]
    shard = load(tmp_path, "y.zip", zipped(["in.tgz"], tar(["deep.zip"], data=inner)))
    assert shard.log_entries.empty
    assert shard.rejects["reason"].tolist() == ["an archive inside an archive inside an archive"]


def test_names_are_only_text(tmp_path):
    names = [
        "../../etc/x.json",
        "/abs/x.json",
        "C:\\logs\\x.json",
        "__MACOSX/x.json",
        ".git/x.json",
        "a.json",
        "a.json",
    ]
    shard = load(tmp_path, "x.tar", tar(names, "w:"))
    assert shard.log_entries["source"].str.removeprefix("x.tar!").tolist() == [
        "etc/x.json", "abs/x.json", "C:/logs/x.json", "a.json", "a.json#2",
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar"]


def test_links_are_not_followed(tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        link = tarfile.TarInfo("passwd")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    shard = load(tmp_path, "x.tar", made.getvalue())
    assert shard.rejects["reason"].tolist() == ["a link or device inside an archive"]


@pytest.mark.parametrize("name, made", [("x.tgz", tar(NAMES)), ("x.tar", tar(NAMES, "w:")), ("x.zip", zipped(NAMES))])
def test_a_damaged_archive_keeps_what_came_before(tmp_path, name, made):
    for size in range(300, len(made), 97):
        (tmp_path / name).write_bytes(made[:size])
        shard = formats.read_any(tmp_path / name)
        assert len(shard.rejects) or len(shard.log_entries) == 2
        assert shard.records == len(shard.log_entries) + len(shard.rejects)


def test_bombs_are_not_inflated_to_their_end(tmp_path, monkeypatch):
    monkeypatch.setattr(streams, "LARGE", 1 << 20)
    text = b"2020-01-01T00:00:00Z x\n" * (1 << 18)
    for name, made in (("x.gz", gzip.compress(text)), ("x.zip", zipped(["a.log"], text))):
        shard = load(tmp_path, name, made)
        assert 40_000 < len(shard.log_entries) < 1 << 18
        assert shard.rejects["reason"].str.contains("times its size").tolist() == [True]


def test_an_empty_archive(tmp_path):
    assert load(tmp_path, "x.tar", tar([], "w:")).records == 0
    (tmp_path / "x.zip").write_bytes(zipped([])[:10])
    assert len(formats.read_any(tmp_path / "x.zip").rejects) == 1
    with pytest.raises(InputError):
        formats.read(tmp_path / "missing.zip")


def test_a_bug_report_has_files_that_are_not_for_us(tmp_path):
    root = "bug-report/proxies/shop/web-67d56cdd-g7fvb/"
    names = [root + name for name in ("istio-proxy.log", "config_dump?include_eds", "stats/prometheus", "certs")]
    text = b"2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready\n"
    shard = load(tmp_path, "bug-report.tar.gz", tar([*names, "bug-report/cluster/secrets"], data=text))
    assert shard.rejects.empty
    assert shard.log_entries[["namespace", "pod", "container"]].values.tolist() == [
        ["shop", "web-67d56cdd-g7fvb", "istio-proxy"]
    ]
