"""Rows of BigQuery sinks and of Log Analytics."""

import io
import json
import tarfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot

from meshlogs import formats, queries, schema, times
from meshlogs.formats import tables, warehouse
from tests.formats import writers

TEXT = {
    "insertId": "1", "logName": "projects/p/logs/stderr", "severity": "ERROR",
    "timestamp": "2020-03-31T10:41:15.552128897Z", "receiveTimestamp": "2020-03-31T10:41:17.5Z",
    "labels": {"compute.googleapis.com/resource_name": "node-1", "k8s-pod/app": "web",
               "k8s-pod/pod-template-hash": "67d56cdd"},
    "resource": {"type": "k8s_container", "labels": {"project_id": "p", "location": "l", "cluster_name": "c",
                 "namespace_name": "shop", "pod_name": "web-67d56cdd-g7fvb", "container_name": "web"}},
    "textPayload": "dial tcp: connection refused",
}  # fmt: skip
EVENT = {
    "insertId": "2", "logName": "projects/p/logs/events", "severity": "INFO",
    "timestamp": "2020-03-31T10:41:10Z", "receiveTimestamp": "2020-03-31T10:41:12.5Z",
    "resource": {"type": "k8s_pod", "labels": {"project_id": "p", "location": "l", "cluster_name": "c",
                 "namespace_name": "shop", "pod_name": "web-67d56cdd-g7fvb"}},
    "jsonPayload": {"apiVersion": "v1", "kind": "Event", "reason": "Started", "type": "Normal", "eventTime": None,
                    "message": "Started container web", "source": {"component": "kubelet", "host": "node-1"},
                    "involvedObject": {"kind": "Pod", "name": "web-67d56cdd-g7fvb", "namespace": "shop", "uid": "u1",
                                       "fieldPath": "spec.containers{web}"},
                    "metadata": {"name": "web-67d56cdd-g7fvb.16014c7f5dcf7a08", "namespace": "shop", "uid": "e1"}},
}  # fmt: skip
POD = {"kind": "Pod", "@type": "core.k8s.io/v1.Pod",
       "metadata": {"name": "web-67d56cdd-g7fvb", "namespace": "shop", "uid": "u1"},
       "spec": {"containers": [{"name": "web", "image": "i", "env": [{"name": "K", "value": "s3cret"}]}]}}  # fmt: skip
AUDIT = {
    "insertId": "3", "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
    "timestamp": "2020-03-31T10:41:09.123456Z", "receiveTimestamp": "2020-03-31T10:41:09.5Z",
    "resource": {"type": "k8s_cluster", "labels": {"project_id": "p", "location": "l", "cluster_name": "c"}},
    "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
                     "methodName": "io.k8s.core.v1.pods.create", "response": POD,
                     "resourceName": "core/v1/namespaces/shop/pods/web-67d56cdd-g7fvb"},
}  # fmt: skip
ENTRIES = [TEXT, EVENT, AUDIT]
SHAPES = {"bigquery": writers.bigquery_row, "analytics": writers.analytics_row}


def read(data, tmp_path, form="warehouse", name="x"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    shard = formats.read(path)
    assert shard.form == form
    assert shard.records == len(shard.log_entries) + len(shard.rejects)
    return shard


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("how", [
    writers.as_spaced,
    lambda value: writers.as_spaced(value).removesuffix(" UTC"),
    lambda value: writers.as_spaced(value).replace(" UTC", "+00:00"),
    lambda value: times.text(value * 1000),
    writers.as_seconds,
    lambda value: f"{value / 1_000_000:.6f}",
    lambda value: f"{value / 1e15:.15f}E9",
    int,
    str,
    lambda value: value * 1000,
])  # fmt: skip
def test_times_however_they_are_written(tmp_path, shape, how):
    rows = (writers.printed(SHAPES[shape](entry), how) for entry in ENTRIES)
    shard = read("".join(json.dumps(row) + "\n" for row in rows), tmp_path)
    assert shard.rejects.empty
    found = times.to_ns(shard.log_entries["time"]).tolist()
    assert found == [1585651275552128000, 1585651270000000000, 1585651269123456000]
    assert shard.log_entries["time_granularity"][0] in ("us", "ns")
    assert times.to_ns(shard.log_entries["receive_time"])[0] == 1585651277500000000


@pytest.mark.parametrize("shape", SHAPES)
def test_names_and_keys_are_restored(tmp_path, shape):
    rows = (writers.printed(SHAPES[shape](entry), writers.as_spaced) for entry in ENTRIES)
    shard = read("".join(json.dumps(row) + "\n" for row in rows), tmp_path)
    row = shard.log_entries.iloc[0]
    assert row[["project", "location", "cluster", "namespace", "pod", "container", "node", "log_id"]].tolist() == [
        "p", "l", "c", "shop", "web-67d56cdd-g7fvb", "web", "node-1", "stderr",
    ]  # fmt: skip
    assert row["message"] == "dial tcp: connection refused"
    assert json.loads(row["labels"]) == TEXT["labels"]
    event = shard.events.iloc[0]
    assert event[["pod", "pod_uid", "container", "reason", "node", "event_uid", "cluster"]].tolist() == [
        "web-67d56cdd-g7fvb", "u1", "web", "Started", "node-1", "e1", "c",
    ]  # fmt: skip
    assert shard.pods[["pod", "pod_uid", "cluster"]].values.tolist() == [["web-67d56cdd-g7fvb", "u1", "c"]]
    assert "s3cret" not in shard.log_entries.to_csv() + shard.pods.to_csv()


TYPED = {
    "parquet": (writers.row_parquet, "x.parquet"),
    "avro": (writers.row_avro, "x.avro"),
    "deflated avro": (lambda shape: writers.row_avro(shape, "deflate"), "x.avro"),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", TYPED)
def test_typed_rows(tmp_path, shape, form):
    write, name = TYPED[form]
    write(SHAPES[shape])(ENTRIES, tmp_path / name)
    shard = read((tmp_path / name).read_bytes(), tmp_path, name=name)
    assert shard.rejects.empty
    assert times.to_ns(shard.log_entries["time"])[0] == 1585651275552128000
    assert shard.log_entries["time_granularity"].tolist() == ["us", "s", "us"]
    assert shard.log_entries["line"].tolist() == [1, 2, 3]
    assert shard.events["container"].tolist() == ["web"]
    assert shard.pods["pod_uid"].tolist() == ["u1"]


def test_typed_rows_inside_an_archive_and_cut_off(tmp_path):
    for form, (write, name) in TYPED.items():
        write(writers.bigquery_row)([TEXT] * 300, tmp_path / name)
        data = (tmp_path / name).read_bytes()
        with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
            info = tarfile.TarInfo(f"rows/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        assert len(formats.read(tmp_path / "x.tar.gz").log_entries) == 300, form
        shard = read(data[:-40], tmp_path, name=name)
        assert shard.rejects["reason"].str.contains("damaged").all()
        assert len(shard.rejects) == 1


def test_nanoseconds_that_a_table_has_are_kept(tmp_path):
    table = pa.table({"timestamp": pa.array([1585651275552128897], pa.timestamp("ns", "UTC")), "textPayload": ["x"],
                      "resource.labels.pod_name": ["web-1"]})  # fmt: skip
    pq.write_table(table, tmp_path / "x.parquet")
    shard = formats.read(tmp_path / "x.parquet")
    assert times.to_ns(shard.log_entries["time"]).tolist() == [1585651275552128897]
    assert shard.log_entries["time_granularity"].tolist() == ["ns"]
    assert shard.log_entries["pod"].tolist() == ["web-1"]


def test_what_convert_wrote_is_read_as_it_was(tmp_path):
    (tmp_path / "x.json").write_text("\n".join(map(json.dumps, ENTRIES)) + "\nbroken\n")
    before = formats.read(tmp_path / "x.json")
    for name, layout in warehouse.CONVERTED.items():
        pq.write_table(schema.to_arrow(getattr(before, name), layout), tmp_path / f"{name}.parquet")
        after = formats.read(tmp_path / f"{name}.parquet")
        assert after.form == "warehouse"
        for other in warehouse.CONVERTED:
            wanted = getattr(before, other) if other == name else getattr(before, other)[:0]
            pd.testing.assert_frame_equal(getattr(after, other), wanted)


@pytest.mark.parametrize("value", [
    {"value": "2020-03-31T10:41:15.552128897Z"},
    {"seconds": "1585651275", "nanos": 552128897},
    {"seconds": 1585651275, "nanos": 552128897},
])  # fmt: skip
def test_times_as_client_libraries_print_them(tmp_path, value):
    shard = read(json.dumps({"logName": "x", "textPayload": "y", "timestamp": value}), tmp_path)
    assert times.to_ns(shard.log_entries["time"]).tolist() == [1585651275552128897]


def test_a_table_of_something_else_is_told(tmp_path):
    pq.write_table(pa.table({"latitude": [1.0], "longitude": [2.0]}), tmp_path / "x.parquet")
    shard = formats.read(tmp_path / "x.parquet")
    assert shard.rejects["reason"].tolist() == ["a table, but not of log entries: its columns are latitude, longitude"]


def test_nulls_of_a_union_of_all_columns(tmp_path):
    row = writers.printed(writers.bigquery_row(TEXT), writers.as_spaced)
    row |= {"jsonPayload": {"message": None, "involvedobject": {"kind": None}}, "protopayload_auditlog": None,
            "httpRequest": None, "jsonpayload_v1_x": {"a": None}}  # fmt: skip
    shard = read(json.dumps(row), tmp_path)
    assert shard.log_entries["message"].tolist() == ["dial tcp: connection refused"]
    assert shard.log_entries["payload"].isna().all()
    assert shard.events.empty


def test_damaged_rows_are_rejected_with_their_line_and_without_secrets(tmp_path):
    good = json.dumps(writers.printed(writers.analytics_row(TEXT), writers.as_spaced))
    bad = json.dumps(writers.analytics_row(AUDIT) | {"timestamp": "yesterday"})
    shard = read(f"{good}\n{bad}\n[1]\n{bad[:-5]}\n\n{good}\n", tmp_path)
    assert len(shard.log_entries) == 2
    assert shard.rejects[["line", "reason"]].values.tolist() == [
        [2, "timestamp is not a time"],
        [3, "not a row: not an object"],
        [4, "not JSON"],
    ]
    assert "s3cret" not in shard.rejects.to_csv()


@pytest.mark.parametrize("text", [
    json.dumps(TEXT),
    json.dumps([EVENT], indent=1),
    json.dumps(TEXT | {"jsonPayload": {"log_name": "x", "timestamp": "2020-03-31 10:41:15"}}),
    '{"level":"info","message":"x","timestamp":"2020-03-31 10:41:15"}\n',
    '{"timestamp":1585651275,"severity":"x","message":"y"}\n',
])  # fmt: skip
def test_other_json_is_none_of_ours(text):
    assert not warehouse.sniff(text.encode(), "x")


def test_memory_is_that_of_a_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK", 20_000)
    for number, write in enumerate((writers.row_lines, writers.row_array, writers.row_parquet, writers.row_avro)):
        path = tmp_path / str(number)
        write(writers.bigquery_row)([TEXT] * 100, path)
        parts = list(formats.chunks(path))
        assert len(parts) > 1
        assert sum(len(part.log_entries) for part in parts) == 100


# The columns that each query selects, from an entry of its kind.
ANSWERS = {
    "bigquery": lambda row: {
        **{name: row.get(name) for name in ("receiveTimestamp", "insertId", "logName", "severity", "resource")},
        "timestamp": row["timestamp"],
        "textPayload": row.get("textPayload"),
        "jsonPayload": json.dumps(row.get("jsonPayload")),
        "protopayload_auditlog": json.dumps(row.get("protopayload_auditlog")),
    },
    "log-analytics": lambda row: row,
}


@pytest.mark.parametrize("dialect", ANSWERS)
@pytest.mark.parametrize("kind", queries.KINDS)
def test_what_our_queries_select_reads_back(tmp_path, dialect, kind):
    [query] = queries.queries(kind, dialect=dialect)
    select = sqlglot.parse_one(query, read="bigquery").find(sqlglot.exp.Select)
    names = [item.alias_or_name for item in select.expressions]
    entry = {"events": EVENT, "audit": AUDIT}.get(kind, TEXT)
    shape = writers.bigquery_row if dialect == "bigquery" else writers.analytics_row
    row = ANSWERS[dialect](writers.printed(shape(entry), writers.as_spaced))
    answer = {name: row[name] for name in names}
    as_csv = io.StringIO()
    cells = {name: json.dumps(cell) if isinstance(cell, dict) else cell for name, cell in answer.items()}
    writers.csv.DictWriter(as_csv, names).writeheader()
    writers.csv.DictWriter(as_csv, names).writerow(cells)
    for text, form in ((json.dumps(answer), "warehouse"), (as_csv.getvalue(), "csv_entries")):
        shard = read(text, tmp_path, form)
        assert shard.rejects.empty
        assert shard.log_entries["insert_id"].tolist() == [entry["insertId"]]
        assert shard.log_entries["cluster"].tolist() == ["c"]
        assert (len(shard.events), len(shard.pods)) == (kind == "events", kind == "audit")
        if kind == "events":
            assert shard.events["container"].tolist() == ["web"]
        elif kind != "audit":
            assert shard.log_entries["message"].tolist() == ["dial tcp: connection refused"]
