"""One fleet, written in every form that exports have: the same verdicts in each that keeps the needed facts."""

import json

import pandas as pd
import pytest

import meshlogs as ml
from meshlogs import formats, times
from tests.formats import writers

# What each form keeps of the fleet: form -> (writer, the form it is found as, what is lost).
# "": the same rows; "us": the same verdicts, times floored to microseconds; else what else is gone.
FORMS = {
    "lines": (writers.ndjson, "log_entries", ""),
    "array": (writers.array, "log_entries", ""),
    "pages": (writers.pages, "log_entries", ""),
    "yaml": (writers.yaml_documents, "yaml", ""),
    "gz": (writers.gz, "log_entries", ""),
    "zst": (writers.zst, "log_entries", ""),
    "zip": (writers.zipped, "archive", ""),
    "tar.gz": (writers.tarred, "archive", ""),
    "pubsub pull": (writers.pubsub_pull, "pubsub", ""),
    "pubsub push": (writers.pubsub_push, "pubsub", ""),
    "gcloud csv, whole": (writers.gcloud_csv(writers.WHOLE), "csv_entries", ""),
    "gcloud csv, parts": (writers.gcloud_csv(writers.PARTS), "csv_entries", ""),
    "json csv": (writers.gcloud_json_csv, "csv_entries", ""),
    "explorer csv": (writers.explorer_csv, "csv_entries", ""),
    "bigquery lines": (writers.row_lines(writers.bigquery_row), "warehouse", "us"),
    "bigquery array": (writers.row_array(writers.bigquery_row), "warehouse", "us"),
    "bigquery seconds": (writers.row_lines(writers.bigquery_row, writers.as_seconds), "warehouse", "us"),
    "bigquery csv": (writers.row_csv(writers.bigquery_row), "csv_entries", "us"),
    "bigquery parquet": (writers.row_parquet(writers.bigquery_row), "warehouse", "us"),
    "bigquery avro": (writers.row_avro(writers.bigquery_row), "warehouse", "us"),
    "analytics lines": (writers.row_lines(writers.analytics_row), "warehouse", "us"),
    "analytics csv": (writers.row_csv(writers.analytics_row), "csv_entries", "us"),
    "analytics parquet": (writers.row_parquet(writers.analytics_row), "warehouse", "us"),
    "analytics avro": (writers.row_avro(writers.analytics_row, "deflate"), "warehouse", "us"),
    "gcloud csv, leaves": (writers.gcloud_csv(writers.LEAVES), "csv_entries", "no audit entries"),
    "gcloud table": (writers.gcloud_table, "value_tables", "no audit entries"),
    "gcloud value": (writers.gcloud_value, "value_tables", "no events, audit entries or clusters"),
}


STORIES = {
    "race": 3,
    "patient": 1,
    "held": 1,
    "native": 1,
    "vault_behind": 2,
    "outage": 2,
    "upstream": 1,
    "local": 1,
    "unmeshed": 1,
}


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    """Log entries of a fleet: logs, events, and its pods as audit entries."""
    out = ml.simulate_fleet(tmp_path_factory.mktemp("fleet"), pods=12, seed=3, duplicates=0, mix=STORIES)
    rows = [
        json.loads(line) for path in sorted(out.glob("export/*/**/*.json")) for line in path.read_text().splitlines()
    ]
    pods = json.loads((out / "export/pods.json").read_text())["items"]
    place = next(row["resource"]["labels"] for row in rows if "cluster_name" in row["resource"]["labels"])
    for number, pod in enumerate(pods):
        meta = pod["metadata"]
        place = next(row["resource"]["labels"] for row in rows
                     if row["resource"]["labels"].get("pod_name") == meta["name"])  # fmt: skip
        rows.append({
            "insertId": f"audit{number}",
            "logName": "projects/made-up/logs/cloudaudit.googleapis.com%2Factivity",
            "resource": {"type": "k8s_cluster",
                         "labels": {key: place[key] for key in ("project_id", "location", "cluster_name")}},
            "timestamp": meta["creationTimestamp"].replace("Z", ".000001Z"),
            "receiveTimestamp": meta["creationTimestamp"].replace("Z", ".500001Z"),
            "protoPayload": {"@type": "type.googleapis.com/google.cloud.audit.AuditLog", "serviceName": "k8s.io",
                             "methodName": "io.k8s.core.v1.pods.create",
                             "resourceName": f"core/v1/namespaces/{meta['namespace']}/pods/{meta['name']}",
                             "authenticationInfo": {"principalEmail": "system:serviceaccount:kube-system:x"},
                             "response": pod},
        })  # fmt: skip
    return sorted(rows, key=lambda row: (row["timestamp"], row["insertId"]))


@pytest.fixture(scope="module")
def judged(entries, tmp_path_factory):
    """The rows and the verdicts of the fleet as JSON lines."""
    path = tmp_path_factory.mktemp("whole") / "x"
    writers.ndjson(entries, path)
    shard = formats.read(path)
    assert (len(shard.log_entries), len(shard.pods), len(shard.rejects)) == (len(entries), 12, 0)
    return shard, *verdicts(path)


def verdicts(path):
    fleet = ml.analyse(ml.read(path))
    errors = fleet.errors[["namespace", "pod", "container", "verdict", "certainty", "suspected", "entries"]]
    return errors.reset_index(drop=True), fleet.starts[["namespace", "pod", "outcome"]].reset_index(drop=True)


def ordered(rows, without=()):
    """Rows in one order, their JSON with keys in one order."""
    rows = rows.drop(columns=["source", "line", *without])
    for name in {"payload", "labels", "annotations", "message"} & set(rows):
        rows[name] = [sorted_json(text) for text in rows[name].fillna("")]
    key = next(name for name in ("insert_id", "pod") if name in rows)
    return rows.sort_values(key).reset_index(drop=True)


@pytest.mark.parametrize("form", [form for form, (*_, lost) in FORMS.items() if not lost])
def test_forms_that_lose_nothing_give_the_same_rows(form, entries, judged, tmp_path):
    write, found_as, _ = FORMS[form]
    write(entries, tmp_path / "x")
    shard = formats.read(tmp_path / "x")
    assert shard.form == found_as
    assert (shard.records, len(shard.rejects)) == (len(entries), 0)
    for name in ("log_entries", "events", "pods"):
        # gcloud writes numbers and truth values of objects as Python does, the Explorer all as text.
        changed = ("payload", "count") if "csv" in form else ()
        ours, whole = (
            ordered(getattr(found, name), [column for column in changed if column in getattr(found, name)])
            for found in (shard, judged[0])
        )
        if "csv" in form and name == "log_entries":
            ours, whole = (rows[~is_payload(rows)].reset_index(drop=True) for rows in (ours, whole))
        pd.testing.assert_frame_equal(ours, whole)


def sorted_json(text):
    return json.dumps(json.loads(text), sort_keys=True) if text.startswith("{") else text


def is_payload(rows):
    """Entries whose message is their JSON payload."""
    return rows["message"].fillna("").str.startswith("{")


@pytest.mark.parametrize("form", [form for form, (*_, lost) in FORMS.items() if lost == "us"])
def test_warehouses_floor_times_to_the_microsecond(form, entries, judged, tmp_path):
    write, found_as, _ = FORMS[form]
    write(entries, tmp_path / "x")
    shard = formats.read(tmp_path / "x")
    assert shard.form == found_as
    assert (shard.records, len(shard.rejects)) == (len(entries), 0)
    ours, whole = (ordered(found.log_entries) for found in (shard, judged[0]))
    ns = times.to_ns(whole["time"])
    assert (times.to_ns(ours["time"]) == ns // 1000 * 1000).all()
    finer = whole["time_granularity"].replace("ns", "us")
    zeros = ns // 1000 % 1000 == 0  # which look as if no more had been known
    assert (ours["time_granularity"] == finer)[~zeros].all()
    same = ["insert_id", "log_name", "log_id", "severity", "resource_type", "project", "location", "cluster",
            "namespace", "pod", "container", "node", "stream"]  # fmt: skip
    pd.testing.assert_frame_equal(ours[same], whole[same])
    pd.testing.assert_series_equal(*(rows.loc[~is_payload(rows), "message"] for rows in (ours, whole)))
    ours, whole = (ordered(found.events, ["time_source"]) for found in (shard, judged[0]))
    pd.testing.assert_frame_equal(ours, whole)  # an event's own times are in its payload
    pd.testing.assert_frame_equal(*(ordered(found.pods) for found in (shard, judged[0])))


@pytest.mark.parametrize("form", ["yaml", "zip", "pubsub pull", "gcloud csv, whole", "explorer csv", "bigquery lines",
                                  "bigquery parquet", "analytics avro"])  # fmt: skip
def test_verdicts_do_not_depend_on_the_form(form, entries, judged, tmp_path):
    FORMS[form][0](entries, tmp_path / "x")
    errors, starts = verdicts(tmp_path / "x")
    pd.testing.assert_frame_equal(errors, judged[1])
    pd.testing.assert_frame_equal(starts, judged[2])


@pytest.mark.parametrize("form", ["gcloud csv, leaves", "gcloud table", "gcloud value"])
def test_what_a_selection_of_columns_keeps_is_judged_alike(form, entries, judged, tmp_path):
    write, found_as, lost = FORMS[form]
    write(entries, tmp_path / "x")
    shard = formats.read(tmp_path / "x")
    assert shard.form == found_as
    assert len(shard.pods) == 0
    assert (len(shard.events) == 0) == ("events" in lost)
    assert shard.log_entries["cluster"].isna().all() == ("clusters" in lost)
    errors = ml.analyse(ml.read(tmp_path / "x")).errors
    assert len(errors) > len(judged[1]) / 2
    counted = ["pod", "container", "verdict"]
    told = errors[errors["verdict"] != "undetermined"]
    assert len(told) > 50
    ours, whole = (rows.groupby(counted).size() for rows in (told, judged[1]))
    assert (ours <= whole.reindex(ours.index).fillna(0)).all()


def test_the_same_fleet_twice_in_two_forms_is_one(entries, judged, tmp_path):
    for form in ("bigquery parquet", "lines", "explorer csv"):
        FORMS[form][0](entries, tmp_path / form.replace(" ", "-"))
    errors, starts = verdicts(tmp_path)
    pd.testing.assert_frame_equal(errors, judged[1])
    pd.testing.assert_frame_equal(starts, judged[2])
    export = ml.read(tmp_path)
    assert len(export.log_entries) == len(entries)
    assert (export.log_entries["time_granularity"] == "ns").mean() > 0.7  # the finest time stays
