"""Log entries as CSV: what gcloud, the Logs Explorer and warehouses write."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import formats, times
from meshlogs.formats import columns, csv_entries, tables


def read(text, tmp_path, name="x.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    shard = formats.read(path)
    assert shard.form == "csv_entries"
    assert shard.records == len(shard.log_entries) + len(shard.rejects)
    return shard


AUDIT = "projects/p/logs/cloudaudit.googleapis.com%2Factivity"
GCLOUD = """timestamp,pod_name,container_name,namespace_name,text_payload
2020-03-31T10:41:15.552128897Z,web-67d56cdd-g7fvb,web,shop,"dial tcp: ""refused"", twice
on a second line"
2020-03-31T10:41:16Z,web-67d56cdd-g7fvb,web,shop,
"""


def test_gcloud_csv_keeps_nanoseconds_and_lines_inside_cells(tmp_path):
    rows = read(GCLOUD, tmp_path).log_entries
    assert times.to_ns(rows["time"])[0] == 1585651275552128897
    assert rows["time_granularity"].tolist() == ["ns", "s"]
    assert rows["message"][0] == 'dial tcp: "refused", twice\non a second line'
    assert rows["message"].isna()[1]
    assert rows["resource_type"].tolist() == ["k8s_container"] * 2
    assert rows[["namespace", "pod", "container"]].iloc[0].tolist() == ["shop", "web-67d56cdd-g7fvb", "web"]
    assert rows["line"].tolist() == [2, 4]


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"),
    lambda text: "\ufeff" + text,
    lambda text: text + "\n\n \n",
    lambda text: "\n\n" + text,
    lambda text: text.replace(",", ";").replace("""refused"";""", """refused"","""),
    lambda text: text.encode("utf-16"),
    lambda text: text + text,
    lambda text: text.replace("timestamp,pod_name", "TIMESTAMP,resource.labels.pod_name"),
])  # fmt: skip
def test_marks_line_ends_encodings_separators_and_repeated_headers(tmp_path, change):
    shard = read(change(GCLOUD), tmp_path)
    assert shard.rejects.empty
    assert set(shard.log_entries["pod"]) == {"web-67d56cdd-g7fvb"}
    assert shard.log_entries["message"][0].startswith("dial tcp:")
    assert len(shard.log_entries) in (2, 4)


def test_headers_of_joined_files_may_differ(tmp_path):
    rows = read(GCLOUD + "severity,text_payload,timestamp\nERROR,x,2020-03-31T10:41:17Z\n", tmp_path).log_entries
    assert rows["message"].tolist()[2] == "x"
    assert rows["severity"].tolist()[2] == "ERROR"


def test_gclouds_objects_are_read(tmp_path):
    text = (
        "timestamp,log_name,labels,json_payload,resource\n"
        "2020-03-31T10:41:16Z,projects/p/logs/stdout,k8s-pod/app=web;x=1,level=info;"
        '"message=hello; there, you",'
        "\"labels={'cluster_name': 'c', 'pod_name': 'web-1', 'container_name': 'web'}\";type=k8s_container\n"
    )
    row = read(text, tmp_path).log_entries.iloc[0]
    assert row["message"] == "hello; there, you"
    assert json.loads(row["payload"]) == {"level": "info", "message": "hello; there, you"}
    assert json.loads(row["labels"]) == {"k8s-pod/app": "web", "x": "1"}
    assert (row["cluster"], row["pod"], row["resource_type"]) == ("c", "web-1", "k8s_container")


EVENT = {
    "reason": "Started", "type": "Normal", "message": "Started container web", "kind": "Event",
    "involvedObject": {"kind": "Pod", "name": "web-1", "namespace": "shop", "fieldPath": "spec.containers{web}"},
    "metadata": {"name": "web-1.16014c7ab61d7a08", "namespace": "shop"},
}  # fmt: skip


@pytest.mark.parametrize("header, cells", [
    ("timestamp,log_name,json_payload", ["2020-03-31T10:41:10Z", "projects/p/logs/events", json.dumps(EVENT)]),
    ("timestamp,logName,jsonPayload",
     ["2020-03-31T10:41:10Z", "projects/p/logs/events", ";".join(f'"{key}={value}"' for key, value in EVENT.items())]),
    ("timestamp,pod_name,namespace_name,reason,message,field_path,name",
     ["2020-03-31T10:41:10Z", "web-1", "shop", "Started", "Started container web", "spec.containers{web}",
      "web-1.16014c7ab61d7a08"]),
    ("jsonPayload.involvedObject.fieldPath,jsonPayload.involvedObject.kind,jsonPayload.involvedObject.name,"
     "jsonPayload.involvedObject.namespace,jsonPayload.message,jsonPayload.metadata.name,jsonPayload.reason,"
     "'logName,timestamp",
     ["spec.containers{web}", "Pod", "'web-1", "shop", "Started container web", "'web-1.16014c7ab61d7a08", "Started",
      "projects/p/logs/events", "'2020-03-31T10:41:10Z"]),
])  # fmt: skip
def test_events_of_any_selection_of_columns_are_events(tmp_path, header, cells):
    quoted = [cell if cell.startswith('"') else '"' + cell.replace('"', '""') + '"' for cell in cells]
    shard = read(f"{header}\n{','.join(quoted)}\n", tmp_path)
    assert shard.rejects.empty
    event = shard.events.iloc[0]
    assert event[["pod", "namespace", "container", "reason", "kind"]].tolist() == [
        "web-1", "shop", "web", "Started", "Pod",
    ]  # fmt: skip
    assert times.to_ns(shard.events["time_lower"])[0] // times.SECOND == 1585651270


def test_an_audited_pod_is_a_pod(tmp_path):
    pod = {"kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1"},
           "spec": {"containers": [{"name": "web", "image": "i"}]}}  # fmt: skip
    flat = {"timestamp": "2020-03-31T10:41:10.123456Z", "logName": AUDIT,
            "protoPayload.methodName": "io.k8s.core.v1.pods.create",
            "protoPayload.resourceName": "core/v1/namespaces/shop/pods/web-1"}  # fmt: skip
    whole = flat | {"protoPayload.response": json.dumps(pod)}
    leaves = flat | {
        "protoPayload.response.kind": "Pod", "protoPayload.response.metadata.name": "'web-1",
        "protoPayload.response.metadata.uid": "u1",
        "protoPayload.response.spec.containers": "'" + json.dumps(pod["spec"]["containers"]),
        "timestamp": "'2020-03-31T10:41:10.123456Z",
    }  # fmt: skip
    for row in (whole, leaves):
        file = io.StringIO()
        csv.writer(file).writerows([row.keys(), row.values()])
        shard = read(file.getvalue(), tmp_path)
        assert shard.pods[["pod", "namespace", "pod_uid"]].iloc[0].tolist() == ["web-1", "shop", "u1"]
        assert shard.pods["containers"][0].tolist() == ["web"]
        assert shard.log_entries["time_granularity"][0] == "us"


def test_the_explorers_apostrophes_are_taken_off_once(tmp_path):
    text = (
        'insertId,"\'labels.""k8s-pod/app""",logName,resource.labels.location,resource.type,textPayload,timestamp\n'
        "x1,web,'projects/p/logs/stdout,'europe-west1,k8s_container,'=cmd|x,'2020-03-31T10:41:15.5Z\n"
        "x2,web,'projects/p/logs/stdout,'europe-west1,k8s_container,'quoted',\"'2020-03-31T10:41:16.5Z\"\n"
        "x3,web,'projects/p/logs/stdout,'europe-west1,k8s_container,''-twice,'2020-03-31T10:41:17.5Z\n"
    )
    rows = read(text, tmp_path).log_entries
    assert rows["message"].tolist() == ["=cmd|x", "'quoted'", "'-twice"]
    assert rows["location"].tolist() == ["europe-west1"] * 3
    assert rows["log_id"].tolist() == ["stdout"] * 3
    assert [json.loads(text) for text in rows["labels"]] == [{"k8s-pod/app": "web"}] * 3


def test_gclouds_text_keeps_its_apostrophes(tmp_path):
    rows = read(
        "timestamp,text_payload,pod_name\n2020-01-01T00:00:00Z,'-Xmx' is no option,web-1\n", tmp_path
    ).log_entries
    assert rows["message"][0] == "'-Xmx' is no option"


def test_damage_costs_one_row_and_is_told_with_its_line(tmp_path):
    text = GCLOUD.replace("2020-03-31T10:41:16Z", '2020-03-31T10:41:16Z,web-1,web,shop,"stray\nyesterday') + (
        "2020-03-31T10:41:17Z,web-1,web,shop,x\nlost\n2020-03-31T10:41:18Z,a,b,c,d,e,f\n"
    )
    shard = read(text, tmp_path)
    assert shard.log_entries["message"].dropna().tolist()[1:] == ["x"]
    assert shard.rejects[["line", "reason"]].values.tolist() == [
        [4, "a quote is not closed"],
        [5, "timestamp is not a time"],
        [7, "1 cells where the header names 5 columns"],
        [8, "7 cells where the header names 5 columns"],
    ]


def test_a_quote_inside_a_cell_is_a_letter(tmp_path):
    row = '2020-03-31T10:41:17Z,web-1,web,shop,5" disk "full"\n'
    rows = read(GCLOUD + row * 3, tmp_path).log_entries
    assert rows["message"].tolist()[2:] == ['5" disk "full"'] * 3


def test_no_reject_shows_what_an_audit_entry_holds(tmp_path):
    text = (
        "timestamp,logName,protoPayload.methodName,protoPayload.request\n"
        "yesterday,projects/p/logs/cloudaudit.googleapis.com%2Factivity,io.k8s.core.v1.pods.create,s3cret\n"
        "2020-01-01T00:00:00Z,s3cret\n"
        'x,"s3cret\n'
    )
    rejects = read(text, tmp_path).rejects
    assert len(rejects) == 2
    assert "s3cret" not in rejects.to_csv()


def test_memory_is_that_of_a_chunk(tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text(GCLOUD + "2020-03-31T10:41:17Z,web-1,web,shop,x\n" * 200)
    whole = formats.read(path)
    monkeypatch.setattr(tables, "CHUNK", 20_000)
    parts = list(formats.chunks(path))
    assert len(parts) > 2
    assert sum(len(part.log_entries) for part in parts) == len(whole.log_entries) == 202


@pytest.mark.parametrize("text", [
    "time,latitude,longitude\n2020-01-01T00:00:00Z,1,2\n",
    "name,type,message\na,b,c\n",
    "2020-03-31T10:41:16Z,web-1,web\n",
    "timestamp,value\n2020-01-01T00:00:00Z,3\n",
    '{"timestamp": "2020-01-01T00:00:00Z", "logName": "x", "textPayload": "y"}\n',
    "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE\n1m   Normal   Started   pod/x   Started\n",
    'Id":"a","logName":"x","resource":{"type":"k8s_container"},"timestamp":"2020-01-01T00:00:00Z"}\n',
])  # fmt: skip
def test_other_tables_are_none_of_ours(text):
    assert not csv_entries.sniff(text.encode(), "x.csv")


def test_names_that_clash_and_values_that_tell():
    text = "timestamp,type,name,uid\n2020-01-01T00:00:00Z,k8s_pod,web-1.16014c7ab61d7a08,u\n"
    found = columns.entry_of(
        (columns.path_of(name), name, value) for name, value in zip(*csv.reader(io.StringIO(text)), strict=True)
    )
    assert found["resource"]["type"] == "k8s_pod"
    assert found["jsonPayload"]["metadata"]["name"] == "web-1.16014c7ab61d7a08"
    assert found["jsonPayload"]["uid"] == "u"


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"), min_size=1, max_size=12)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_any_text_survives_a_csv_writer(rows):
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["timestamp", "textPayload", "insertId"])
    writer.writerows(("2020-01-01T00:00:00Z", text, key) for text, key in rows)
    shard = csv_entries.read(io.BytesIO(file.getvalue().encode()), "x")
    assert shard.rejects.empty
    assert shard.log_entries["message"].fillna("").tolist() == [text.removesuffix("\n") for text, _ in rows]
    assert shard.log_entries["insert_id"].tolist() == [key for _, key in rows]
