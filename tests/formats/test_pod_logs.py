"""Plain logs: whose they are, by their path, and when, by their lines."""

import pytest

from meshlogs import formats, times

AGENT = "2022-06-03T14:15:54.137066Z\tinfo\tEnvoy proxy is ready"


def read(tmp_path, place, text):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return formats.read(path, source=place)


def stamps(shard):
    return [None if ns == times.NAT else times.text(ns) for ns in times.to_ns(shard.log_entries["time"])]


@pytest.mark.parametrize(
    ("place", "whose"),
    [
        ("shop/web-0/logs.txt", ("shop", "web-0", "istio-proxy")),
        ("proxies/shop/web-67d56cdd-g7fvb/istio-proxy.log", ("shop", "web-67d56cdd-g7fvb", "istio-proxy")),
        ("shop/web-67d56cdd-g7fvb/app.log", ("shop", "web-67d56cdd-g7fvb", "app")),
        ("somewhere/else/app.log", (None, None, "istio-proxy")),
    ],
)
def test_the_path_names_the_pod(tmp_path, place, whose):
    row = read(tmp_path, place, AGENT + "\n").log_entries.iloc[0]
    found = tuple(row[name] if isinstance(row[name], str) else None for name in ("namespace", "pod", "container"))
    assert found == whose
    assert row["message"] == AGENT and row["resource_type"] == "k8s_container"


def test_lines_without_a_time_take_the_one_before(tmp_path):
    text = f"no time yet\n{AGENT}\n\ttracing:\n\n2022-06-03 14:16:00,250 INFO app\n"
    shard = read(tmp_path, "shop/web-0/logs.txt", text)
    assert stamps(shard) == [
        None, "2022-06-03T14:15:54.137066Z", "2022-06-03T14:15:54.137066Z", "2022-06-03T14:16:00.25Z",
    ]  # fmt: skip
    granularity = shard.log_entries["time_granularity"]
    assert [value if isinstance(value, str) else None for value in granularity] == [None, "us", None, "ms"]
    assert shard.log_entries["line"].tolist() == [1, 2, 3, 5]
    assert shard.log_entries["container"].isna().tolist() == [True, False, True, True]


def test_the_blocks_of_a_snapshot(tmp_path):
    name = "logs for container {0} of pod renamed/web-0 ====\n"
    block = "==== START " + name + "{1}==== END " + name
    text = block.format("web", "I0603 14:15:51.505544       7 main.go:1] hi\nplain\n")
    text += block.format("istio-proxy", "odd\n" + AGENT + "\n")
    shard = read(tmp_path, "shop/web-0/logs.txt", text)
    assert shard.log_entries["container"].tolist() == ["web", "web", "istio-proxy", "istio-proxy"]
    assert shard.log_entries["namespace"].unique().tolist() == ["shop"]
    # klog writes no year; the next container's lines do. A container's lines start with no time.
    assert stamps(shard) == [
        "2022-06-03T14:15:51.505544Z", "2022-06-03T14:15:51.505544Z", None, "2022-06-03T14:15:54.137066Z",
    ]  # fmt: skip
    assert shard.records == 4 and shard.rejects.empty
    elsewhere = read(tmp_path, "all.txt", text)
    assert elsewhere.log_entries["namespace"].unique().tolist() == ["renamed"]


def test_what_kubectl_writes_in_place_of_a_log_is_not_the_containers(tmp_path):
    error = 'Request log error: Get "https://10.0.0.2:10250/x": dial tcp 10.0.0.2:10250: connect: connection refused'
    ends = " logs for container web of pod shop/web-0 ====\n"
    shard = read(tmp_path, "shop/web-0/logs.txt", f"==== START{ends}{error}\n==== END{ends}")
    assert shard.log_entries.empty and shard.rejects["line"].tolist() == [2]


def test_klog_at_the_turn_of_the_year_and_without_any_year(tmp_path):
    text = "I1231 23:59:59.000001       7 a.go:1] x\n2023-01-01T00:00:01Z y\n"
    assert stamps(read(tmp_path, "a.log", text)) == ["2022-12-31T23:59:59.000001Z", "2023-01-01T00:00:01Z"]
    assert stamps(read(tmp_path, "b.log", text.splitlines()[0])) == [None]


def test_stamps_of_the_runtime_are_not_part_of_the_message(tmp_path):
    text = "2022-06-03T14:15:54.137066123Z refused\n2022-06-03T14:15:54.2Z \tat x\n"
    shard = read(tmp_path, "shop/web-0/logs.txt", text)
    assert shard.log_entries["message"].tolist() == ["refused", "\tat x"]
    assert stamps(shard) == ["2022-06-03T14:15:54.137066123Z", "2022-06-03T14:15:54.2Z"]


def test_json_lines(tmp_path):
    text = '{"level":"info","time":"2023-05-10T17:43:55.356626Z","msg":"FLAG: x"}\n'
    text += '{"ts":1683740635.5,"message":"m"}\n{oops\n'
    shard = read(tmp_path, "app.log", text)
    assert shard.log_entries["message"].tolist() == ["FLAG: x", "m", "{oops"]
    assert stamps(shard)[:2] == ["2023-05-10T17:43:55.356626Z", "2023-05-10T17:43:55.5Z"]
    assert shard.log_entries["payload"].notna().tolist() == [True, True, False]


def test_hostile_bytes_are_kept_as_text(tmp_path):
    data = AGENT.encode() + b"\n\xff\xfe\x1b[31m<script>\r\nNUL \x00\n"
    shard = read(tmp_path, "shop/web-0/istio-proxy.log", data)
    assert shard.log_entries["message"].iloc[1] == "\ufffd\ufffd\x1b[31m<script>"
    assert len(shard.log_entries) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README.md", AGENT + "\n"),
        ("LICENSE", "Apache License\n" * 50),
        ("LICENSE.txt", "Copyright 2020\n\n" * 50),
        ("NOTES.txt", "We saw this:\n" + "words\n" * 30 + AGENT + "\n"),
        ("table.csv", "a,b\n2022-06-03T14:15:54Z,1\n"),
        ("build.log", "no time in any line\n"),
    ],
)
def test_other_texts_are_no_logs(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(formats.InputError):
        formats.detect(path)
