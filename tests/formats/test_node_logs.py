"""Files of a node: what containerd, CRI-O and Docker frame each line in, and the names of the files."""

import gzip
import json

import pytest

from meshlogs import formats, times

UID = "12345678-1234-1234-1234-1234567890ab"
PLACE = f"var/log/pods/shop_web-67d56cdd-g7fvb_{UID}/web/0.log"
LINK = f"var/log/containers/web-67d56cdd-g7fvb_shop_istio-proxy-{'0' * 64}.log"
CRI = '2024-01-01T00:00:01.123456789Z stdout F hello\n2024-01-01T01:00:02.5+01:00 stderr F {"msg":"refused","n":1}\n'
DOCKER = "".join(
    json.dumps({"log": text, "stream": "stderr", "time": f"2024-01-01T00:00:0{second}.123456789Z"}) + "\n"
    for second, text in enumerate(["one\n", "begins, ", "goes on, ", "ends\n", "two\r\n"])
)


def read(tmp_path, place, text):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return formats.read(path, source=place)


def stamps(shard):
    return [None if ns == times.NAT else times.text(ns) for ns in times.to_ns(shard.log_entries["time"])]


def test_a_file_of_containerd(tmp_path):
    shard = read(tmp_path, PLACE, CRI)
    rows = shard.log_entries
    assert (shard.form, shard.records, len(shard.rejects)) == ("pod_logs", 2, 0)
    assert rows[["namespace", "pod", "container"]].drop_duplicates().to_numpy().tolist() == [
        ["shop", "web-67d56cdd-g7fvb", "web"]
    ]
    assert json.loads(rows["labels"].iloc[0]) == {"pod_uid": UID}
    assert stamps(shard) == ["2024-01-01T00:00:01.123456789Z", "2024-01-01T00:00:02.5Z"]
    assert rows["message"].tolist() == ["hello", "refused"] and rows["stream"].tolist() == ["stdout", "stderr"]
    assert json.loads(rows["payload"].iloc[1]) == {"msg": "refused", "n": 1}


def test_lines_in_parts(tmp_path):
    text = (
        "2024-01-01T00:00:01.000000001Z stdout P begins, \n"
        "2024-01-01T00:00:01.000000002Z stderr F between\n"
        "2024-01-01T00:00:01.000000003Z stdout P goes on, \n"
        "2024-01-01T00:00:01.000000004Z stdout F ends\n"
        "2024-01-01T00:00:01.000000005Z stdout F \n"
        "2024-01-01T00:00:01.000000006Z stdout P cut off"
    )
    shard = read(tmp_path, PLACE, text)
    assert shard.log_entries["message"].tolist() == ["between", "begins, goes on, ends", "", "cut off"]
    assert shard.log_entries["line"].tolist() == [2, 1, 5, 6]
    assert stamps(shard)[1] == "2024-01-01T00:00:01.000000001Z"


def test_a_file_of_docker(tmp_path):
    shard = read(tmp_path, "var/lib/docker/containers/0a/0a-json.log", DOCKER)
    assert shard.form == "pod_logs"
    assert shard.log_entries["message"].tolist() == ["one", "begins, goes on, ends", "two"]
    assert stamps(shard)[1] == "2024-01-01T00:00:01.123456789Z"
    assert shard.log_entries["stream"].eq("stderr").all()


@pytest.mark.parametrize(
    ("place", "whose"),
    [
        (PLACE + ".20240101-000000.gz", ("shop", "web-67d56cdd-g7fvb", "web")),
        (PLACE + ".20240101-000000", ("shop", "web-67d56cdd-g7fvb", "web")),
        (LINK, ("shop", "web-67d56cdd-g7fvb", "istio-proxy")),
        ("anywhere/of-no-name", (None, None, None)),
    ],
)
def test_names_of_files_name_the_container(tmp_path, place, whose):
    text = gzip.compress(CRI.encode()) if place.endswith(".gz") else CRI
    row = read(tmp_path, place, text).log_entries.iloc[0]
    assert (
        tuple(row[name] if isinstance(row[name], str) else None for name in ("namespace", "pod", "container")) == whose
    )


def test_an_application_may_write_what_looks_like_a_frame(tmp_path):
    text = "2024-01-01T00:00:01Z starting\n" * 5 + '{"log":"x","stream":"news","time":"2024-01-01T00:00:01Z"}\n'
    assert len(read(tmp_path, "app.log", text).log_entries) == 6


def test_memory_is_that_of_a_chunk(tmp_path):
    path = tmp_path / PLACE
    path.parent.mkdir(parents=True)
    path.write_text(("2024-01-01T00:00:01.123456789Z stdout F " + "x" * 400 + "\n") * 60_000)
    shards = list(formats.chunks(path))
    assert len(shards) > 2 and sum(shard.records for shard in shards) == 60_000
    assert max(len(shard.log_entries) for shard in shards) < 25_000
