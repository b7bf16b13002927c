"""Damage to what kubectl prints: nothing raises, bounds stay bounds, and what goes in is counted."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlogs.formats import cluster_dump, kubectl_describe, kubectl_tables, pod_logs

JUNK = [
    b"\x00", b"\xff\xfe", b"\n", b"  ", b"\t", b'"', b"{", b"99999999999999999999d", b"(x99999999999999999999 over 5y)",
    b"==== START logs for container a of pod b/c ====\n", b"Name: x\n", b"Events:\n", b".7fffffffffffffff",
    b"9" * 400, b"2024-99-99T00:00:00Z", b"Mon, 31 Feb 2023 25:61:61 -9999", b"2024-01-01T00:00:00Z stdout P ",
    "é漢\u202e".encode(),
]  # fmt: skip
CHANGES = st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 60), st.sampled_from(JUNK)), max_size=6)


@pytest.mark.parametrize("module", [kubectl_tables, kubectl_describe, cluster_dump, pod_logs])
@given(changes=CHANGES, repeats=st.integers(1, 3))
@settings(max_examples=60)
def test_nothing_raises(module, changes, repeats):
    data = bytearray(module.EXAMPLE.encode() * repeats)
    for at, gone, junk in changes:
        data[at % len(data) : at % len(data) + gone] = junk
    module.sniff(bytes(data), "x.log")
    shard = module.read(io.BytesIO(bytes(data)), "x.log")
    assert shard.records >= len(shard.log_entries) + len(shard.events) + len(shard.pods) + len(shard.rejects)
    for name in ("time", "first"):
        assert not (shard.events[f"{name}_lower"] > shard.events[f"{name}_upper"]).any()
