"""Tables of kubectl: cells under their headings, ages, and the one clock that a wide table tells."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import formats, times
from meshlogs.formats import printed

NOW = times.parse_ns("2023-01-07T20:58:47.65Z")


def table(*rows, padding=3):
    """Cells written as kubectl does: each column as wide as its widest cell."""
    widths = [max(map(len, column)) + padding for column in zip(*rows, strict=True)]
    return "".join(
        "".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in rows
    )


def named(pod, stamp):
    return f"{pod}.{times.parse_ns(stamp):x}"


WIDE = "LAST SEEN|TYPE|REASON|OBJECT|SUBOBJECT|SOURCE|MESSAGE|FIRST SEEN|COUNT|NAME".split("|")
FIRST, BEFORE = "2023-01-07T20:52:12.574763467Z", "2023-01-07T20:51:50.5Z"
ROWS = [
    ["6m57s", "Normal", "Scheduled", "pod/web-0", "", "default-scheduler",
     "Successfully assigned shop/web-0 to node-1", "6m57s", "1", named("web-0", BEFORE)],
    ["6m35s", "Normal", "Started", "pod/web-0", "spec.containers{web}", "kubelet, node-1",
     "Started container web", "6m35s", "1", named("web-0", FIRST)],
    ["84s", "Warning", "Unhealthy", "pod/web-0", "spec.containers{istio-proxy}", "kubelet, node-1",
     "Readiness probe failed: HTTP probe failed with statuscode: 503", "6m34s", "21",
     named("web-0", "2023-01-07T20:52:13.2Z")],
    ["84s", "Normal", "NoPods", "poddisruptionbudget/web", "", "controllermanager", "", "6m34s", "2", "web.abc"],
]  # fmt: skip


def load(tmp_path, text, name="events"):
    (tmp_path / name).write_text(text)
    return formats.read(tmp_path / name)


def values(column):
    return [value if isinstance(value, str) else None for value in column]


def test_a_wide_table_tells_when_it_was_made(tmp_path):
    shard = load(tmp_path, table(WIDE, *ROWS))
    events = shard.events
    assert (shard.form, shard.records, len(events), len(shard.rejects)) == ("kubectl_tables", 4, 4, 0)
    assert values(events["time_source"]) == ["name", "name", "age", "age"]
    started = events.iloc[1]
    assert times.text(started["time_lower"].value) == times.text(started["time_upper"].value) == FIRST
    assert started[["container", "container_kind", "node", "component", "namespace", "pod"]].tolist() == [
        "web", "regular", "node-1", "kubelet", "shop", "web-0",
    ]  # fmt: skip
    # It was made at most 6 m 35 s … 6 m 36 s after the first: its last was 84 s before that.
    unhealthy = events.iloc[2]
    truth = NOW - 84 * times.SECOND
    assert unhealthy["time_lower"].value <= truth <= unhealthy["time_upper"].value
    assert unhealthy["time_upper"].value - unhealthy["time_lower"].value <= 5 * times.SECOND
    assert (unhealthy["count"], unhealthy["first_lower"] == unhealthy["first_upper"]) == (21, True)
    # A row that no name dates is dated by the others'.
    other = events.iloc[3]
    assert other["first_lower"].value <= NOW - 394 * times.SECOND <= other["first_upper"].value
    assert values(events["event_name"])[3] is None and values(events["pod"])[3] is None


def test_a_name_that_is_older_than_its_row_is_no_time(tmp_path):
    stale = [*ROWS[1][:-1], named("web-0", "2023-01-06T08:00:00.5Z")]
    events = load(tmp_path, table(WIDE, *ROWS, stale)).events
    assert values(events["time_source"])[4] == "age"
    assert events["time_lower"].iloc[4].value <= times.parse_ns(FIRST) <= events["time_upper"].iloc[4].value


def test_a_row_that_contradicts_itself_has_no_times(tmp_path):
    last_before_first = ["6m35s", *ROWS[2][1:-3], "5s", "21", "x"]
    in_2262 = [*ROWS[1][:-1], "web-0.7fffffffffffffff"]
    events = load(tmp_path, table(WIDE, *ROWS, last_before_first, in_2262)).events
    assert values(events["time_source"])[4:] == [None, "age"] and events["first_lower"].isna().tolist()[4:] == [
        True,
        False,
    ]


def test_ages_alone_give_no_times(tmp_path):
    rows = [[row[0], *row[1:4], row[6]] for row in ROWS]
    shard = load(tmp_path, table([*WIDE[:4], "MESSAGE"], *rows))
    assert len(shard.events) == 4 and shard.events[["time_lower", "time_upper", "first_lower"]].isna().all(axis=None)
    assert values(shard.events["container"]) == [None, "web", None, None]  # told by the message, for want of a path
    assert values(shard.events["container_kind"]) == [None] * 4


def test_all_namespaces_and_several_tables(tmp_path):
    rows = [["shop", *ROWS[1]], ["pay", *ROWS[2]]]
    text = table(["NAMESPACE", *WIDE], *rows) + "\n" + table(WIDE, ROWS[0])
    shard = load(tmp_path, text)
    assert values(shard.events["namespace"]) == ["shop", "pay", "shop"]
    assert shard.events["line"].tolist() == [2, 3, 6]


def test_the_layout_of_old_versions(tmp_path):
    heading = "LASTSEEN|FIRSTSEEN|COUNT|NAME|KIND|SUBOBJECT|TYPE|REASON|SOURCE|MESSAGE".split("|")
    row = ["6m", "6m", "1", named("web-0", FIRST), "Pod", "spec.initContainers{istio-init}", "Normal", "Started",
           "kubelet, node-1", "Started container with id 0ab1"]  # fmt: skip
    event = load(tmp_path, table(heading, row)).events.iloc[0]
    assert event[["pod", "kind", "container", "container_kind"]].tolist() == [
        "web-0", "Pod", "istio-init", "init",
    ]  # fmt: skip
    assert times.text(event["time_lower"].value) == FIRST


def test_custom_columns_with_absolute_times(tmp_path):
    heading = ["FIRST", "LAST", "NAME", "POD", "FIELDPATH", "REASON", "MESSAGE"]
    row = ["2023-01-07T20:52:12Z", "2023-01-07T20:52:12Z", named("web-0", FIRST), "web-0", "spec.containers{web}",
           "Started", "Started container web"]  # fmt: skip
    event = load(tmp_path, table(heading, row, [*row[:2], "x", *row[3:]])).events
    assert times.text(event["time_lower"].iloc[0].value) == FIRST
    assert event["time_upper"].iloc[1].value - event["time_lower"].iloc[1].value == times.SECOND - 1
    assert event["kind"].tolist() == ["Pod", "Pod"] and event["container"].tolist() == ["web", "web"]


def test_custom_columns_of_any_case(tmp_path):
    heading, row = ["lastSeen", "object", "reason", "message"], ["5s", "pod/web-0", "Started", "Started container web"]
    assert load(tmp_path, table(heading, row)).events["pod"].tolist() == ["web-0"]


def test_the_newer_command_counts_in_its_age(tmp_path):
    row = ["5s (x3 over 2m)", "Warning", "Unhealthy", "Pod/web-0", "Startup probe failed: x"]
    event = load(tmp_path, table([*WIDE[:4], "MESSAGE"], row)).events.iloc[0]
    assert (event["count"], event["kind"], event["pod"]) == (3, "Pod", "web-0")


def test_a_message_of_several_lines_and_lines_of_nothing(tmp_path):
    text = "$ kubectl get events\n" + table([*WIDE[:4], "MESSAGE"], ["5s", "Warning", "Failed", "pod/web-0", "one"])
    shard = load(tmp_path, text + "  two lines\n")
    assert shard.events["message"].tolist() == ["one\n  two lines"]
    assert shard.rejects["line"].tolist() == [1] and shard.records == 2


def test_rows_as_wide_as_they_like(tmp_path):
    text = table([*WIDE[:4], "MESSAGE"], ["5s", "Normal", "Started", "pod/web-0", "Started container web"])
    text += '0s   Normal   Pulled   pod/a-much-longer-name-0   Container image "x" already present on machine\n'
    shard = load(tmp_path, text)
    assert shard.events["pod"].tolist() == ["web-0", "a-much-longer-name-0"] and shard.rejects.empty


def test_no_resources_found(tmp_path):
    shard = load(tmp_path, "No resources found in shop namespace.\n")
    assert (shard.form, shard.records, len(shard.events), len(shard.rejects)) == ("kubectl_tables", 0, 0, 0)


@pytest.mark.parametrize(
    "text", ["NAME    READY   STATUS    RESTARTS   AGE\nweb-0   2/2     Running   0          5m\n", "REASON\nx\n"]
)
def test_other_tables_are_not_of_events(tmp_path, text):
    with pytest.raises(formats.InputError):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "least", "below"),
    [("0s", -2, 1), ("119s", 119, 120), ("9m59s", 599, 600), ("5m", 300, 360), ("179m", 10_740, 10_800),
     ("3h5m", 11_100, 11_160), ("47h", 169_200, 172_800), ("2d5h", 190_800, 194_400), ("9d", 777_600, 864_000)],
)  # fmt: skip
def test_ages_are_bounds(text, least, below):
    assert printed.age_of(text) == (least * times.SECOND, below * times.SECOND)


@pytest.mark.parametrize("text", ["", "5", "m5", "<invalid>", "5s ago", "9" * 40 + "s"])
def test_other_texts_are_no_ages(text):
    assert printed.age_of(text) is None


def kubectl_age(seconds):
    """The age as kubectl 1.11 and later writes it. (k8s.io/apimachinery duration.HumanDuration)"""
    minutes, hours = seconds // 60, seconds // 3600
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m" + (f"{seconds % 60}s" if seconds % 60 else "")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h" + (f"{minutes % 60}m" if minutes % 60 else "")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{hours // 24}d" + (f"{hours % 24}h" if hours % 24 else "")
    return f"{hours // 24}d"


@given(
    st.lists(st.integers(0, 3 * 10**14), min_size=1, max_size=20), st.integers(1_500_000_000 * 10**9, 2 * 10**18),
    st.integers(0, 20),
)  # fmt: skip
def test_the_moment_of_a_table_is_within_its_bounds(ages, now, wrong):
    known = [(now - age, printed.age_of(kubectl_age((now - (now - age) // 10**9 * 10**9) // 10**9))) for age in ages]
    lower, upper = printed.made_at(known)
    assert lower <= now <= upper
    # A minority of names that are no times does not move it.
    strange = [(now - 10**17, printed.age_of("5s"))] * min(wrong, len(known) - 1)
    assert printed.made_at([*known, *strange]) == (lower, upper)
