"""LogEntry JSON in every wrapping, whole and damaged."""

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import formats, schema, times
from meshlogs.formats import log_entries

RESOURCE = {
    "type": "k8s_container",
    "labels": {
        "project_id": "p",
        "location": "europe-west3",
        "cluster_name": "c",
        "namespace_name": "shop",
        "pod_name": "web-67d56cdd-g7fvb",
        "container_name": "web",
    },
}


def entry(number=0, **fields):
    return {
        "insertId": f"id{number}",
        "labels": {"compute.googleapis.com/resource_name": "node-1", "k8s-pod/app": "web"},
        "logName": "projects/p/logs/stderr",
        "receiveTimestamp": "2020-03-31T10:41:17.1Z",
        "resource": RESOURCE,
        "textPayload": f"line {number}\n",
        "timestamp": "2020-03-31T10:41:15.03093257Z",
        **fields,
    }


def read(data, source="x.json"):
    data = data if isinstance(data, bytes) else data.encode()
    return log_entries.read(io.BytesIO(data), source)


def read_one(**fields):
    shard = read(json.dumps(entry(**fields)))
    assert len(shard.log_entries) == 1, shard.rejects
    return shard.log_entries.iloc[0]


def test_all_fields_of_a_container_entry():
    row = read_one()
    assert row["time"].value == times.parse_ns("2020-03-31T10:41:15.030932570Z")
    assert row["time_granularity"] == "ns"
    assert row["receive_time"].value == times.parse_ns("2020-03-31T10:41:17.100Z")
    expected = {
        "insert_id": "id0", "log_name": "projects/p/logs/stderr", "log_id": "stderr", "severity": "DEFAULT",
        "resource_type": "k8s_container", "project": "p", "location": "europe-west3", "cluster": "c",
        "namespace": "shop", "pod": "web-67d56cdd-g7fvb", "container": "web", "node": "node-1",
        "stream": "stderr", "message": "line 0", "source": "x.json", "line": 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert not isinstance(row["payload"], str)
    assert json.loads(row["labels"])["k8s-pod/app"] == "web"


def test_legacy_entries_read_as_the_newer_model():
    labels = {
        "container.googleapis.com/namespace_name": "cp",
        "container.googleapis.com/pod_name": "po-grafana-5875cff97f-9pbcc",
        "container.googleapis.com/stream": "stdout",
        "compute.googleapis.com/resource_name": "fluentd-gcp-v3.1.0-2bmxq",
    }
    resource = {
        "type": "container",
        "labels": {
            "cluster_name": "gke", "container_name": "grafana", "instance_id": "5925", "namespace_id": "cp",
            "pod_id": "po-grafana-5875cff97f-9pbcc", "project_id": "k", "zone": "europe-west4-a",
        },
    }  # fmt: skip
    row = read_one(labels=labels, resource=resource, logName="projects/k/logs/grafana", textPayload="a\n\n")
    assert row["resource_type"] == "k8s_container"
    assert (row["namespace"], row["pod"], row["container"]) == ("cp", "po-grafana-5875cff97f-9pbcc", "grafana")
    assert (row["location"], row["stream"], row["log_id"]) == ("europe-west4-a", "stdout", "grafana")
    assert not isinstance(row["node"], str)  # the label names the log agent's own pod
    assert row["message"] == "a\n"  # one newline is the agent's, the other the program's


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"msg": "m", "z": 1, "a": 2}, "m"),
        ({"message": {"nested": 1}, "msg": "m"}, "m"),
        ({"MESSAGE": "journald\n"}, "journald"),
        ({"log": "l"}, "l"),
        ({"z": 12345678901234567890123, "a": [1.50]}, None),
    ],
)
def test_json_payloads(payload, message):
    whole = entry(jsonPayload=payload)
    del whole["textPayload"]
    row = read(json.dumps(whole)).log_entries.iloc[0]
    compact = json.dumps(payload, separators=(",", ":"))
    assert row["payload"] == compact
    assert row["message"] == (compact if message is None else message)


def test_an_entry_without_payload_is_a_row():
    whole = entry(httpRequest={"status": 503})
    del whole["textPayload"]
    row = read(json.dumps(whole)).log_entries.iloc[0]
    assert not isinstance(row["message"], str) and not isinstance(row["payload"], str)


def test_log_ids_are_decoded():
    row = read_one(logName="projects/p/logs/cloudaudit.googleapis.com%2Factivity")
    assert row["log_id"] == "cloudaudit.googleapis.com/activity"


WRAPPINGS = {
    "lines": lambda items: "\n".join(map(json.dumps, items)),
    "lines with blanks between": lambda items: "\n\n  \n".join(map(json.dumps, items)) + "\n\n",
    "array": json.dumps,
    "indented array": lambda items: json.dumps(items, indent=2),
    "array, an element a line": lambda items: "[" + ",\n".join(map(json.dumps, items)) + "]",
    "page": lambda items: json.dumps({"entries": items, "nextPageToken": "t"}),
    "indented pages": lambda items: "\n".join(
        [
            json.dumps({"entries": items[:1], "nextPageToken": "t"}, indent=2),
            json.dumps({"nextPageToken": "t"}, indent=2),
            json.dumps({"entries": items[1:]}, indent=1),
        ]
    ),
    "indented objects": lambda items: "\n".join(json.dumps(item, indent=2) for item in items),
    "all on one line": lambda items: "".join(map(json.dumps, items)),
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_every_wrapping_gives_the_same_rows(wrap, tmp_path):
    items = [entry(number, textPayload=f'"}}{{][, {number}') for number in range(3)]
    path = tmp_path / "export"
    path.write_text(wrap(items))
    shard = formats.read(path)
    assert shard.form == "log_entries"
    assert shard.log_entries["insert_id"].tolist() == ["id0", "id1", "id2"]
    assert shard.log_entries["message"].tolist() == [f'"}}{{][, {number}' for number in range(3)]
    assert (shard.records, len(shard.rejects)) == (3, 0)


def test_lines_of_an_indented_array_are_where_entries_begin():
    text = json.dumps([entry(0), entry(1)], indent=2)
    begins = [number for number, line in enumerate(text.splitlines(), 1) if line == "  {"]
    assert read(text).log_entries["line"].tolist() == begins


@pytest.mark.parametrize("text", ["[]", " [\n]\n", '{"nextPageToken": "x"}', '{"entries": []}'])
def test_empty_answers(text, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(text)
    shard = formats.read(path)
    assert (shard.form, shard.records, len(shard.log_entries), len(shard.rejects)) == ("log_entries", 0, 0, 0)


def test_split_entries_become_one_row():
    parts = [
        entry(2, textPayload="two ", split={"uid": "u", "index": 1, "totalSplits": 3}),
        entry(9, textPayload="other"),
        entry(1, textPayload="one\n", split={"uid": "u", "totalSplits": 3}),  # index 0 is left out
        entry(3, textPayload="three\n", split={"uid": "u", "index": 2, "totalSplits": 3}),
    ]
    shard = read("\n".join(map(json.dumps, parts)))
    assert shard.log_entries["message"].tolist() == ["other", "one\ntwo three"]
    assert shard.log_entries["insert_id"].tolist() == ["id9", "id1"]
    assert shard.records == 4


DAMAGED = {
    "{not json": "not JSON",
    "[1, 2]": "not an object",
    "17": "not an object",
    '{"a": 1}': "no logName",
    json.dumps(entry(timestamp="yesterday")): "timestamp",
    json.dumps({key: value for key, value in entry().items() if key != "timestamp"}): "timestamp missing",
    json.dumps(entry(timestamp="9999-01-01T00:00:00Z")): "timestamp",  # beyond 64 bits of nanoseconds
    json.dumps(entry())[:-9]: "not JSON",
    "[" * 100_000: "nested too deeply",
    '{"logName":' * 2_000: "nested too deeply",
    json.dumps(entry()).replace('"line 0\\n"', "1" * 5_000): "not JSON",
}


@pytest.mark.parametrize(("line", "reason"), DAMAGED.items(), ids=range(len(DAMAGED)))
def test_a_damaged_line_is_a_reject_and_the_others_are_read(line, reason):
    shard = read(f"{json.dumps(entry(1))}\n{line}\n{json.dumps(entry(2))}\n")
    assert shard.log_entries["insert_id"].tolist() == ["id1", "id2"]
    assert shard.rejects["line"].unique().tolist() == [2]
    assert reason in shard.rejects["reason"].iloc[0]
    assert shard.rejects["excerpt"].str.len().max() <= 200
    assert shard.log_entries["line"].tolist() == [1, 3]


def test_two_entries_on_one_line_are_both_read():
    shard = read(f"{json.dumps(entry(1))} {json.dumps(entry(2))}\n{json.dumps(entry(3))}")
    assert shard.log_entries["line"].tolist() == [1, 1, 2]
    assert shard.rejects.empty


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (rb'"a\ud800b"', "a\N{REPLACEMENT CHARACTER}b"),
        (rb'"\ud83d\ude00"', "\N{GRINNING FACE}"),
        (b'"a\xff\xfeb"', "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b"),
        (rb'"nul \u0000 esc \u001b[31m"', "nul \0 esc \x1b[31m"),
        (b'"raw\ttab"', "raw\ttab"),
        (b"5", "5"),
    ],
)
def test_hostile_texts_are_kept(text, message):
    good = json.dumps(entry()).encode().replace(rb'"line 0\n"', text)
    assert read(good).log_entries["message"].tolist() == [message]
    payload = json.dumps(entry(jsonPayload={"msg": "here", "n": "keep"})).encode()
    payload = payload.replace(rb'"textPayload": "line 0\n", ', b"").replace(b'"here"', text)
    shard = read(payload)
    assert len(shard.log_entries) == 1 and shard.rejects.empty
    assert json.loads(shard.log_entries["payload"].iloc[0])["n"] == "keep"


def test_the_last_of_two_equal_keys_wins_and_numbers_json_cannot_hold_are_kept():
    text = '{"logName":"a/logs/x","timestamp":"2020-01-01T00:00:00Z","timestamp":"2021-01-01T00:00:00Z",'
    text += '"jsonPayload":{"big":1e999,"nan":NaN}}'
    row = read(text).log_entries.iloc[0]
    assert times.text(row["time"].value) == "2021-01-01T00:00:00Z"
    assert json.loads(row["payload"]) == {"big": "1e999", "nan": "NaN"}


@pytest.mark.parametrize("indent", [None, 2])
def test_a_truncated_array_keeps_what_stood_before_the_break(indent):
    text = json.dumps([entry(number) for number in range(4)], indent=indent)
    cut = text.index('"id3"') + 3
    shard = read(text[:cut])
    assert shard.log_entries["insert_id"].tolist() == ["id0", "id1", "id2"]
    assert len(shard.rejects) == 1
    byte = text.rindex("{", 0, text.index('"id3"'))
    assert f"from byte {byte}" in shard.rejects["reason"].iloc[0]


@pytest.mark.parametrize("indent", [None, 2])
def test_damage_inside_an_array_costs_one_entry(indent):
    text = json.dumps([entry(number) for number in range(4)], indent=indent)
    shard = read(text.replace('"id1",', '"id1" oops'))
    assert shard.log_entries["insert_id"].tolist() == ["id0", "id2", "id3"]
    assert len(shard.rejects) == 1


EVENT = {
    "apiVersion": "v1", "kind": "Event", "type": "Normal", "reason": "Created", "message": "Created container web",
    "eventTime": None, "reportingComponent": "", "source": {"component": "kubelet", "host": "node-9"},
    "metadata": {"name": "web-1.16f48436899e3f4a", "namespace": "shop", "uid": "e-1"},
    "involvedObject": {"kind": "Pod", "name": "web-1", "namespace": "shop", "uid": "u-1",
                       "fieldPath": "spec.containers{web}"},
}  # fmt: skip


def event_entry(resource, payload=EVENT):
    whole = entry(jsonPayload=payload, resource=resource, logName="projects/p/logs/events", labels={})
    del whole["textPayload"]
    return whole | {"timestamp": "2022-06-01T14:05:32Z", "severity": "INFO"}


def test_an_event_is_a_row_of_both_tables():
    resource = {"type": "gke_cluster", "labels": {"project_id": "p", "location": "l", "cluster_name": "c"}}
    shard = read(json.dumps(event_entry(resource)))
    row, event = shard.log_entries.iloc[0], shard.events.iloc[0]
    assert (row["resource_type"], row["pod"], row["namespace"]) == ("k8s_pod", "web-1", "shop")
    assert (row["message"], row["node"]) == ("Created container web", "node-9")
    # the name is 2022-06-01T14:05:32.923764554Z, in the second of the entry
    assert event["time_lower"].value == event["time_upper"].value == 1654092332923764554
    assert (event["time_source"], event["pod_uid"], event["container"]) == ("name", "u-1", "web")
    assert (event["cluster"], event["insert_id"], event["line"]) == ("c", "id0", 1)
    other = EVENT | {"involvedObject": {"kind": "ReplicaSet", "name": "web", "namespace": "shop"}}
    shard = read(json.dumps(event_entry(resource, other)))
    assert shard.log_entries["resource_type"].tolist() == ["k8s_cluster"]
    assert shard.log_entries["pod"].isna().all() and shard.events["pod"].isna().all()


def test_an_application_cannot_forge_events():
    whole = event_entry(RESOURCE) | {"logName": "projects/p/logs/stdout"}
    shard = read(json.dumps(whole))
    assert len(shard.log_entries) == 1 and shard.events.empty


def audit(method, **fields):
    whole = entry(logName="projects/p/logs/cloudaudit.googleapis.com%2Factivity", labels={})
    del whole["textPayload"]
    proto = {
        "@type": "type.googleapis.com/google.cloud.audit.AuditLog",
        "methodName": f"io.k8s.core.v1.pods.{method}",
        "resourceName": "core/v1/namespaces/shop/pods/web-67d56cdd-g7fvb",
    }
    resource = {"type": "k8s_cluster", "labels": {"project_id": "p", "location": "l", "cluster_name": "c"}}
    return whole | {"protoPayload": proto | fields, "resource": resource}


POD = {
    "@type": "core.k8s.io/v1.Pod", "kind": "Pod",
    "metadata": {"name": "web-67d56cdd-g7fvb", "namespace": "shop", "uid": "u-1"},
    "spec": {"containers": [{"name": "web", "env": [{"name": "PASSWORD", "value": "hunter2"}]},
                            {"name": "istio-proxy"}]},
}  # fmt: skip


def test_audited_pods_are_rows_of_pods_and_no_secret_stays():
    shard = read(json.dumps(audit("create", request={"spec": {}}, response=POD, status={"code": 0})))
    pod = shard.pods.iloc[0]
    assert (pod["pod"], pod["pod_uid"], pod["injection"], pod["cluster"]) == (
        "web-67d56cdd-g7fvb", "u-1", "sidecar", "c",
    )  # fmt: skip
    row = shard.log_entries.iloc[0]
    assert row["message"].startswith("io.k8s.core.v1.pods.create core/v1/namespaces/shop")
    assert "hunter2" not in shard.log_entries.to_csv() + shard.pods.to_csv()


def test_a_status_patch_is_a_pod_row_of_conditions_and_states():
    status = {
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-03-31T10:41:58Z"}],
        "containerStatuses": [{"name": "web", "restartCount": "2", "state": {"waiting": {"reason": "X"}}}],
    }
    shard = read(json.dumps(audit("status.patch", request={"metadata": {"uid": "u-1"}, "status": status})))
    pod = shard.pods.iloc[0]
    assert (pod["namespace"], pod["pod"], pod["pod_uid"]) == ("shop", "web-67d56cdd-g7fvb", "u-1")
    assert json.loads(pod["conditions"]) == [{"type": "Ready", "status": "True", "time": "2020-03-31T10:41:58Z"}]
    assert json.loads(pod["container_states"])[0]["restart_count"] == 2
    assert not isinstance(pod["spec"], str) and not isinstance(pod["injection"], str)


@pytest.mark.parametrize(
    "fields",
    [
        {"response": POD, "status": {"code": 7}},  # refused
        {"request": POD},  # what was asked for, before the injector
        {"request": {"kind": "DeleteOptions"}},
    ],
)
def test_calls_that_tell_nothing_about_the_pod(fields):
    shard = read(json.dumps(audit("create", **fields)))
    assert len(shard.log_entries) == 1 and shard.pods.empty


def test_a_dry_run_made_no_pod():
    whole = audit("create", response=POD) | {"labels": {"command.gke.io/dryRun": "All"}}
    assert read(json.dumps(whole)).pods.empty


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
ODD = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
ODD_ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        name: ODD
        for name in ("insertId", "logName", "resource", "labels", "textPayload", "jsonPayload", "protoPayload", "split")
    }
    | {"timestamp": st.just("2020-01-01T00:00:00Z") | ODD},
)
LINES = st.one_of(
    st.builds(lambda value: json.dumps(value).encode(), ODD_ENTRIES | ODD),
    st.binary(max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")),
)


@given(st.lists(LINES, max_size=5))
def test_every_line_is_in_one_of_the_tables(lines):
    data = b"\n".join([json.dumps(entry()).encode(), *lines])
    shard = read(data)
    filled = {number for number, line in enumerate(data.split(b"\n"), 1) if line.replace(b",", b" ").strip()}
    rows = shard.log_entries["line"].tolist() + shard.rejects["line"].tolist()
    values = _values(lines)
    assert set(rows) | values["split or empty"] >= filled
    assert shard.records >= len(rows)
    for name, table in (("log_entries", schema.LOG_ENTRIES), ("events", schema.EVENTS), ("pods", schema.PODS)):
        assert list(getattr(shard, name).columns) == table.names


def _values(lines):
    """Lines that may leave no row of their own: empty arrays and pages, parts of split entries."""
    quiet = set()
    for number, line in enumerate(lines, 2):
        try:
            value = json.loads(line.decode("utf-8", "replace"), strict=False)
        except ValueError:
            continue
        if value == [] or isinstance(value, dict) and value.get("split"):
            quiet.add(number)
    return {"split or empty": quiet}


WHOLE = {
    "lines": "\n".join(json.dumps(entry(number)) for number in range(4)),
    "array": json.dumps([entry(number) for number in range(4)]),
    "indented": json.dumps([entry(number) for number in range(4)], indent=2),
    "page": json.dumps({"entries": [entry(number) for number in range(4)]}),
}


@pytest.mark.parametrize("form", WHOLE)
@given(st.data())
def test_a_file_cut_anywhere_keeps_the_records_before_the_cut(form, data):
    text = WHOLE[form]
    cut = data.draw(st.integers(0, len(text)))
    decoder = json.JSONDecoder()
    ends = []
    at = text.find('{"insertId"') if form != "indented" else text.find("{")
    while at >= 0:
        end = decoder.raw_decode(text, at)[1]
        ends.append(end)
        at = text.find("{", end)
    shard = read(text[:cut])
    assert len(shard.log_entries) == sum(end <= cut for end in ends)


@given(st.integers(0, 400), st.booleans())
def test_a_gzip_file_cut_anywhere_keeps_what_came_before(tmp_path_factory, cut, two_members):
    text = WHOLE["lines"].encode()
    data = gzip.compress(text[:300]) + gzip.compress(text[300:]) if two_members else gzip.compress(text)
    path = tmp_path_factory.mktemp("gz") / "shard"
    path.write_bytes(data[: max(len(data) - cut, 2)])
    shard = formats.read(path, form="log_entries")
    whole = cut == 0
    assert len(shard.log_entries) == 4 or not whole
    # a cut between two members leaves good gzip and a broken line
    told = shard.rejects["reason"].str.contains("gzip|not JSON").any()
    assert told != whole or len(shard.log_entries) == 4


def test_damaged_gzip_is_told(tmp_path):
    data = bytearray(gzip.compress("\n".join(json.dumps(entry(number)) for number in range(5000)).encode()))
    data[len(data) // 2] ^= 0xFF
    path = tmp_path / "shard.gz"
    path.write_bytes(bytes(data))
    shard = formats.read(path)
    assert 0 < len(shard.log_entries) < 5000
    assert shard.rejects["reason"].str.contains("gzip").sum() == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_what_powershell_writes(encoding, tmp_path):
    path = tmp_path / "export.json"
    path.write_bytes(json.dumps([entry()], indent=2).encode(encoding))
    assert len(formats.read(path).log_entries) == 1


def test_a_damaged_audit_entry_shows_nothing_of_its_bodies(tmp_path):
    audit = {
        "insertId": "x",
        "logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity",
        "protoPayload": {"request": {"spec": {"containers": [{"env": [{"name": "K", "value": "s3cret"}]}]}}},
        "timestamp": "yesterday",
    }
    text = json.dumps(audit)
    (tmp_path / "x.json").write_text(f"{text}\n{text[:-9]}\n{text[60:]}\n")
    rejects = formats.read(tmp_path / "x.json").rejects
    assert len(rejects) >= 2
    assert "s3cret" not in rejects.to_csv()
    assert rejects["excerpt"].str.contains("may hold secrets|…").all()
