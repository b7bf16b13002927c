"""Messages of a sink to Pub/Sub."""

import base64
import gzip
import json

import fastavro
import pytest

from meshlogs import formats, times
from meshlogs.formats import pubsub, tables

ENTRY = {
    "insertId": "1", "logName": "projects/p/logs/stderr", "textPayload": "dial tcp: connection refused",
    "timestamp": "2020-03-31T10:41:15.552128897Z",
    "resource": {"type": "k8s_container", "labels": {"pod_name": "web-1", "container_name": "web"}},
}  # fmt: skip


def data(entry, how=lambda text: text):
    return base64.b64encode(how(json.dumps(entry).encode())).decode()


def message(number, how=lambda text: text, entry=ENTRY):
    return {"data": data(entry | {"insertId": str(number)}, how), "messageId": str(number),
            "attributes": {"logging.googleapis.com/timestamp": "2020-03-31T10:41:15Z"}}  # fmt: skip


def read(text, tmp_path):
    path = tmp_path / "x.json"
    path.write_text(text)
    shard = formats.read(path)
    assert shard.form == "pubsub"
    assert shard.records == len(shard.log_entries) + len(shard.rejects)
    return shard


@pytest.mark.parametrize("how", [lambda text: text, gzip.compress])
@pytest.mark.parametrize("write", [
    lambda found: json.dumps([{"ackId": "a", "message": item} for item in found]),
    lambda found: json.dumps([{"ackId": "a", "message": item} for item in found], indent=2),
    lambda found: json.dumps({"receivedMessages": [{"ackId": "a", "message": item} for item in found]}),
    lambda found: json.dumps({"received_messages": [{"message": item} for item in found]}, indent=1),
    lambda found: "\n".join(json.dumps({"message": item, "subscription": "projects/p/s"}) for item in found),
    lambda found: "\n".join(json.dumps(item) for item in found),
    lambda found: json.dumps(found),
])  # fmt: skip
def test_every_wrapping_gives_the_entries(tmp_path, write, how):
    shard = read(write([message(number, how) for number in range(3)]), tmp_path)
    assert shard.rejects.empty
    assert shard.log_entries["insert_id"].tolist() == ["0", "1", "2"]
    assert set(times.to_ns(shard.log_entries["time"])) == {1585651275552128897}
    assert set(shard.log_entries["message"]) == {"dial tcp: connection refused"}


def test_a_push_body_and_an_alphabet_for_addresses(tmp_path):
    entry = ENTRY | {"textPayload": "ÿþ>>>???"}
    item = message(1, entry=entry)
    item["data"] = item["data"].replace("+", "-").replace("/", "_").rstrip("=")
    shard = read(json.dumps({"message": item, "subscription": "projects/p/subscriptions/s"}, indent=1), tmp_path)
    assert shard.log_entries["message"].tolist() == ["ÿþ>>>???"]


def test_what_is_no_entry_is_rejected_and_not_shown(tmp_path):
    found = [message(1), {"data": "!!!", "messageId": "2"}, {"messageId": "3"},
             {"data": base64.b64encode(b"s3cret").decode(), "messageId": "4"},
             {"data": base64.b64encode(gzip.compress(b"s3cret")[:9]).decode(), "messageId": "5"}]  # fmt: skip
    shard = read(json.dumps(found, indent=0), tmp_path)
    assert len(shard.log_entries) == 1
    assert shard.rejects["reason"].tolist() == [
        "data is not base64", "a message without data", "data is no log entry", "data is no log entry",
    ]  # fmt: skip
    assert not shard.rejects["excerpt"].str.contains("s3cret").any()
    assert shard.rejects["line"].is_monotonic_increasing


def test_the_data_alone_one_a_line(tmp_path):
    text = "".join(data(ENTRY | {"insertId": str(number)}) + "\n" for number in range(3))
    shard = read(text + "\n!!!\n", tmp_path)
    assert shard.log_entries["insert_id"].tolist() == ["0", "1", "2"]
    assert shard.rejects[["line", "reason"]].values.tolist() == [[5, "data is not base64"]]


def test_messages_that_a_subscription_wrote_as_avro(tmp_path):
    fields = [("subscription_name", "string"), ("message_id", "string"), ("data", "bytes"), ("ordering_key", "string"),
              ("publish_time", {"type": "long", "logicalType": "timestamp-micros"}),
              ("attributes", {"type": "map", "values": "string"})]  # fmt: skip
    layout = {"type": "record", "name": "PubsubMessage",
              "fields": [{"name": name, "type": kind} for name, kind in fields]}  # fmt: skip
    rows = [
        {"subscription_name": "s", "message_id": str(number), "data": text, "ordering_key": "", "publish_time": 1,
         "attributes": {"a": "b"}}
        for number, text in enumerate([json.dumps(ENTRY).encode(), gzip.compress(json.dumps(ENTRY).encode()), b"x"])
    ]  # fmt: skip
    with (tmp_path / "x.avro").open("wb") as file:
        fastavro.writer(file, layout, rows)
    shard = formats.read(tmp_path / "x.avro")
    assert shard.log_entries["message"].tolist() == ["dial tcp: connection refused"] * 2
    assert shard.rejects["line"].tolist() == [3]


def test_memory_is_that_of_a_chunk(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    path.write_text(json.dumps([{"ackId": "a", "message": message(number)} for number in range(200)]))
    monkeypatch.setattr(tables, "CHUNK", 20_000)
    parts = list(formats.chunks(path))
    assert len(parts) > 2
    assert sum(len(part.log_entries) for part in parts) == 200


@pytest.mark.parametrize("text", [
    '{"message":"hello","data":{"a":1}}\n',
    '{"data":"x","level":"info"}\n',
    json.dumps(ENTRY),
    json.dumps([ENTRY]),
])  # fmt: skip
def test_other_json_is_none_of_ours(text):
    assert not pubsub.sniff(text.encode(), "x")
