"""What is a time and what is none; compiled readers agree, or leave it to the careful."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import meshlogs as ml
from meshlogs import times
from meshlogs.formats import bulk, columns, tables
from meshlogs.reading import blocks

NINE = 1_772_442_004 * times.SECOND  # 2026-03-02T09:00:04Z

KNOWN = {
    "2026-03-02T09:00:04Z": NINE,
    "2026-03-02T11:00:04+02:00": NINE,
    "2026-03-02T11:00:04+0200": NINE,
    "2026-03-02T11:00:04+02": NINE,
    "2026-03-02 11:00:04.5+02": NINE + 500_000_000,
    "2026-03-02T09:00:04+00": NINE,
    "2026-03-02T03:30:04-05:30": NINE,
    "2026-03-03T08:59:04+23:59": NINE,
    # A day is left to the ends of 64 bits, 9,223,372,036.85 s before and after 1970.
    "1677-09-22T00:12:45Z": -9_223_285_635 * times.SECOND,
    "2262-04-10T23:47:15.999999999Z": 9_223_285_635 * times.SECOND + 999_999_999,
}
NONE = [
    "2026-03-02T09:00:04+25:00",
    "2026-03-02T09:00:04+24:00",
    "2026-03-02T09:00:04+02:60",
    "2026-03-02T09:00:04+2",
    "2026-03-02T09:00:04+",
    "٢٠٢٦-٠٣-٠٢T٠٩:٠٠:٠٤Z",
    "2026-03-02T09:00:0٤Z",
    "2026-03-02T09:00:04.٣Z",
    "2026-03-02T09:00:04+٠٢",
    "1677-09-21T00:12:43.145224194Z",  # the first nanosecond of 64 bits
    "1677-09-22T00:12:44Z",
    "2262-04-10T23:47:16Z",
    "2262-04-11T23:47:16.854775807Z",  # the last one
    "9999-12-31T23:59:59.999999Z",
]
ALL = KNOWN | dict.fromkeys(NONE, times.NAT)


def line_of(stamp):
    labels = {"cluster_name": "c", "container_name": "app", "namespace_name": "shop", "pod_name": "web-1"}
    line = {"insertId": "a", "logName": "projects/p/logs/stderr", "textPayload": "fine",
            "resource": {"labels": labels, "type": "k8s_container"}, "timestamp": stamp}  # fmt: skip
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@pytest.mark.parametrize("text", ALL)
def test_what_is_a_time(text):
    assert times.parse_ns(text) == tables.stamp(text) == ALL[text]


@pytest.mark.parametrize("text", ALL)
def test_compiled_readers_agree_or_leave_it_to_the_careful(text):
    letters = np.frombuffer(line_of(text), np.uint8)
    for stored in (False, True):
        assert blocks.Lines(letters, stored=stored).times.tolist() in ([], [ALL[text]])
    reader = bulk.Reader("s")
    reader.add(line_of(text))
    shard = reader.shard()
    found = shard.log_entries["time"].cast("int64").to_pylist() or [times.NAT] * len(shard.rejects)
    assert found == [ALL[text]]


PARTS = [st.sampled_from(["2026", "1677", "2262", "9999", "٢٠٢٦"]), st.just("-"), st.sampled_from(["03", "09", "٠٣"]),
         st.just("-"), st.sampled_from(["02", "31", "32"]), st.sampled_from("Tt "), st.sampled_from(["09", "24", "٠٩"]),
         st.just(":00:"), st.sampled_from(["04", "60", "04.5", "04.123456789", "04.1234567891", "04.", "04.٣"]),
         st.sampled_from(["Z", "z", " UTC", "+00", "+02", "+02:00", "-23:59", "+25:00", "", "+٠٢:٠٠"])]  # fmt: skip


@given(st.tuples(*PARTS).map("".join))
def test_what_compiled_code_takes_for_a_time_is_that_time(text):
    found = blocks.Lines(np.frombuffer(line_of(text), np.uint8), stored=False).times.tolist()
    assert found in ([], [times.parse_ns(text)]) and times.NAT not in found


@pytest.mark.parametrize(
    "number", [253_402_300_799_999_999, 253_402_300_799_999, 253_402_300_799, "253402300799999999"]
)
def test_a_warehouses_last_moment_is_no_time(number):
    assert times.parse_ns(columns.time_text(number)) == times.NAT


@pytest.mark.parametrize(
    "number", [NINE, NINE // 1000, NINE // 10**6, NINE // 10**9, f"{NINE // 10**9}", "1.772442004E9"]
)
def test_numbers_are_times_by_their_size(number):
    assert times.parse_ns(columns.time_text(number)) == NINE


def test_digits_of_other_alphabets_are_no_number():
    assert columns.time_text("١٧٧٢٤٤٢٠٠٤") == "١٧٧٢٤٤٢٠٠٤"


@pytest.mark.parametrize("seconds", [0, 5, 900_000_000, NINE // 10**9])
def test_seconds_and_nanoseconds_are_what_they_say(seconds):
    assert times.parse_ns(columns.time_text({"seconds": seconds, "nanos": 7})) == seconds * times.SECOND + 7


FIRST, LAST = "1677-09-21T00:12:43.145224194Z", "2262-04-11T23:47:16.854775807Z"


@pytest.mark.parametrize("stamp", [FIRST, LAST])
@pytest.mark.parametrize("form", ["sink", "warehouse", "kubectl"])
def test_a_time_at_the_ends_of_64_bits_stops_no_report(form, stamp, tmp_path):
    if form == "kubectl":
        text = f"{stamp} dial tcp 10.0.0.9:6379: connect: connection refused\n"
        text += "2026-03-02T09:00:04.123456789Z dial tcp 10.0.0.9:6379: connect: connection refused\n"
        (tmp_path / "web-67d56cdd-g7fvb.log").write_text(text)
    else:
        lines = [line_of(each).decode().replace("fine", "connect: connection refused") for each in (stamp, NINE_TEXT)]
        text = "".join(lines)
        (tmp_path / "a.json").write_text(text if form == "sink" else text.replace("insertId", "insert_id"))
    fleet = ml.analyse(tmp_path)
    assert NINE // times.SECOND in (times.to_ns(fleet.errors["time"]) // times.SECOND).tolist()
    assert len(fleet.rejects) == (form != "kubectl")


NINE_TEXT = "2026-03-02T09:00:04Z"
