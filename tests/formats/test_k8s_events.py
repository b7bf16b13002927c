"""Times and containers of events; the nanoseconds in names were worked out by hand."""

import io
import json

import pytest

from meshlogs import times
from meshlogs.formats import k8s_objects
from meshlogs.formats.k8s_events import container_of, event_row, named_time

NAME = "web-1.16f48436899e3f4a"
NAMED = 1654092332923764554  # int("16f48436899e3f4a", 16), 2022-06-01T14:05:32.923764554Z
SECOND = 1654092332000000000
END = SECOND + 999_999_999


def event(**fields):
    return {
        "kind": "Event",
        "metadata": {"name": NAME, "namespace": "shop", "uid": "e"},
        "involvedObject": {"kind": "Pod", "name": "web-1", "namespace": "shop", "uid": "u"},
        **fields,
    }


def bounds(row):
    return row["time_lower"], row["time_upper"], row["time_source"]


def test_the_name_holds_nanoseconds():
    assert named_time(NAME) == NAMED == times.parse_ns("2022-06-01T14:05:32.923764554Z")
    assert named_time("web-1.guide-1") is None
    assert named_time("web-1.16f4") is None
    assert named_time(None) is None


def test_an_event_that_happened_once_is_known_exactly():
    row = event_row(event(firstTimestamp="2022-06-01T14:05:32Z", lastTimestamp="2022-06-01T14:05:32Z", count=1))
    assert bounds(row) == (NAMED, NAMED, "name")
    assert (row["first_lower"], row["first_upper"], row["count"]) == (NAMED, NAMED, 1)


def test_a_repeated_event_has_an_exact_first_and_a_floored_last_time():
    row = event_row(event(firstTimestamp="2022-06-01T14:05:32Z", lastTimestamp="2022-06-01T14:06:00Z", count=7))
    last = times.parse_ns("2022-06-01T14:06:00Z")
    assert bounds(row) == (last, last + 999_999_999, "last_timestamp")
    assert (row["first_lower"], row["first_upper"], row["count"]) == (NAMED, NAMED, 7)


def test_repeated_within_one_second_the_last_came_after_the_first():
    row = event_row(event(firstTimestamp="2022-06-01T14:05:32Z", lastTimestamp="2022-06-01T14:05:32Z", count=2))
    assert bounds(row) == (NAMED, END, "last_timestamp")
    assert (row["first_lower"], row["first_upper"]) == (NAMED, NAMED)


def test_a_name_of_another_second_says_nothing():
    row = event_row(event(firstTimestamp="2022-06-01T14:05:33Z", lastTimestamp="2022-06-01T14:05:33Z"))
    second = SECOND + times.SECOND
    assert bounds(row) == (second, second + 999_999_999, "last_timestamp")
    assert row["first_lower"] == second


def test_inside_a_log_entry_without_times_of_its_own():
    assert bounds(event_row(event(), "2022-06-01T14:05:32Z")) == (NAMED, NAMED, "name")
    later = times.parse_ns("2022-06-01T14:05:40Z")
    assert bounds(event_row(event(), "2022-06-01T14:05:40Z")) == (later, later + 999_999_999, "entry")
    # a fraction: the entry was stamped when it was received, so the event was before
    received = times.parse_ns("2022-06-01T14:05:40.5Z")
    assert bounds(event_row(event(), "2022-06-01T14:05:40.5Z")) == (None, received, "entry")


def test_micro_times_of_newer_events():
    fields = {"eventTime": "2022-06-01T14:05:31.000007Z", "firstTimestamp": None, "lastTimestamp": None}
    at = times.parse_ns("2022-06-01T14:05:31.000007Z")
    assert bounds(event_row(event(**fields))) == (at, at, "event_time")
    series = {"count": 3, "lastObservedTime": "2022-06-01T14:06:31.000007Z"}
    row = event_row(event(**fields, series=series))
    assert bounds(row)[0] == times.parse_ns("2022-06-01T14:06:31.000007Z")
    assert (row["first_lower"], row["count"]) == (at, 3)


def test_an_event_without_any_time_is_kept():
    assert bounds(event_row(event())) == (None, None, None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("spec.containers{istio-proxy}", ("istio-proxy", "regular")),
        ("spec.initContainers{istio-init}", ("istio-init", "init")),
        ("spec.ephemeralContainers{debug}", ("debug", "ephemeral")),
        ("spec.containers{}", ("", "regular")),
        ("spec", (None, None)),
        (None, (None, None)),
        (5, (None, None)),
    ],
)
def test_containers_come_from_the_field_path(path, expected):
    assert container_of(path) == expected


def test_both_api_versions_give_the_same_row():
    core = event(
        reason="Started", message="m", type="Normal", count=1, source={"component": "kubelet", "host": "n"},
        firstTimestamp="2022-06-01T14:05:32Z", lastTimestamp="2022-06-01T14:05:32Z",
    )  # fmt: skip
    names = {
        "involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "count": "deprecatedCount",
        "firstTimestamp": "deprecatedFirstTimestamp", "lastTimestamp": "deprecatedLastTimestamp",
    }  # fmt: skip
    newer = {names.get(key, key): value for key, value in core.items()}
    assert event_row(core) == event_row(newer)
    assert event_row(core)["node"] == "n"


def test_the_node_of_newer_kubelets():
    row = event_row(event(reportingComponent="kubelet", reportingInstance="node-7"))
    assert (row["component"], row["node"]) == ("kubelet", "node-7")
    row = event_row(event(reportingComponent="default-scheduler", reportingInstance="default-scheduler-x"))
    assert (row["component"], row["node"]) == ("default-scheduler", None)


def read(value, **options):
    return k8s_objects.read(io.BytesIO(json.dumps(value, **options).encode()), "e.json")


def test_lists_of_kubectl_and_of_the_api():
    bare = {key: value for key, value in event().items() if key != "kind"}
    pod = {"metadata": {"name": "web-1"}, "spec": {"containers": [{"name": "web"}]}}
    mixed = [event(), pod | {"kind": "Pod"}, {"kind": "ReplicaSet", "metadata": {"name": "r"}}]
    for value, counts in (
        ({"kind": "List", "apiVersion": "v1", "items": mixed}, (1, 1, 3)),
        ({"apiVersion": "v1", "kind": "EventList", "items": [bare, bare]}, (2, 0, 2)),
        ({"apiVersion": "v1", "items": [pod], "kind": "PodList", "metadata": {"resourceVersion": ""}}, (0, 1, 1)),
        ({"apiVersion": "v1", "kind": "List", "items": []}, (0, 0, 0)),
        (event(), (1, 0, 1)),
    ):
        for options in ({}, {"indent": 4}):
            shard = read(value, **options)
            assert (len(shard.events), len(shard.pods), shard.records) == counts
            assert shard.rejects.empty


def test_a_cut_list_keeps_the_items_before_the_break():
    text = json.dumps({"apiVersion": "v1", "kind": "EventList", "items": [event()] * 5}, indent=4)
    cut = text.rindex('"metadata"')
    shard = k8s_objects.read(io.BytesIO(text[:cut].encode()), "e.json")
    assert (len(shard.events), len(shard.rejects)) == (4, 1)


@pytest.mark.parametrize("item", [None, 5, "x", [], {}, {"kind": "Event"}, {"kind": "Pod"}, {"involvedObject": {}}])
def test_items_that_are_no_objects_do_not_stop_the_rest(item):
    shard = read({"kind": "List", "apiVersion": "v1", "items": [event(), item, event()]})
    assert shard.records == 3
    assert len(shard.events) + len(shard.rejects) + len(shard.pods) == 3
