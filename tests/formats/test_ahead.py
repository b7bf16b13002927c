"""Compressed files are read on while their lines are worked on; nobody can tell from what they hold."""

import gzip
import random

import pytest

from meshlogs.formats import streams

TEXT = random.Random(1).randbytes(3 << 20).hex().encode()  # 6 MiB


@pytest.fixture(autouse=True)
def _early(monkeypatch):
    """The thread begins after few bytes, and takes small pieces."""
    monkeypatch.setattr(streams._Ahead, "BEGIN", 1000)
    monkeypatch.setattr(streams._Ahead, "PIECE", 70_000)


def opened(path, data):
    path.write_bytes(data)
    return streams.open_text(path)


def test_members_follow_each_other(tmp_path):
    parts = [TEXT[:1_234_567], TEXT[1_234_567:]]
    with opened(tmp_path / "x.gz", b"".join(map(gzip.compress, parts)) + b"\0" * 100) as file:
        assert file.read() == TEXT
        assert file.read() == b""
        assert streams.damage_of(file) is None


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.01])
def test_what_stands_before_a_cut_is_there(tmp_path, kept):
    packed = gzip.compress(TEXT)
    with opened(tmp_path / "x.gz", packed[: int(len(packed) * kept)]) as file:
        found = file.read()
        assert len(found) > len(TEXT) * kept * 0.95
        assert TEXT.startswith(found)
        assert streams.damage_of(file) == "the gzip stream is cut off"


def test_a_file_may_be_closed_early(tmp_path):
    with opened(tmp_path / "x.gz", gzip.compress(TEXT)) as file:
        assert file.read(1_000_000) == TEXT[:1_000_000]
        (thread,) = file.raw._ahead._thread._threads
    assert not thread.is_alive()
