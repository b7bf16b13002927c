"""What alone is refused on and on is found for all pods at once as a plain loop over each pod finds it."""

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from meshlogs import times
from meshlogs.verdicts import situation

SECOND = 1_000_000_000
SETTLED, BROKEN_OFF, BURST = 10 * SECOND, 45 * SECOND, 5 * SECOND
ERRORS = st.lists(
    st.fixed_dictionaries(
        {
            "start_id": st.sampled_from(["one", "two"]),
            "at": st.integers(0, 120),
            "host": st.sampled_from(["a", "b", "c", "d"]),
            "redirectable": st.sampled_from([True, True, True, False]),
            "stopping": st.sampled_from([False, False, False, True]),
        }
    ),
    min_size=3,
    max_size=25,
)


def table(rows, closed) -> pd.DataFrame:
    rows = sorted(rows, key=lambda row: (row["start_id"], row["at"]))
    frame = pd.DataFrame(rows).astype({"start_id": "category", "host": "str"})
    ready = times.column([times.NAT if row["start_id"] not in closed else closed[row["start_id"]] for row in rows])
    return frame.assign(
        target=frame["host"].astype("category"),
        time_upper=times.column([row["at"] * SECOND for row in rows]),
        guessed=True,
        is_init=False,
        opened=times.column([times.NAT] * len(rows)),
        proxy_ready_lower=ready,
    )


def plain(rows, closed) -> list[bool]:
    """The same, pod by pod, with Python's own lists."""
    rows = sorted(rows, key=lambda row: (row["start_id"], row["at"]))
    found = [False] * len(rows)
    for start in {row["start_id"] for row in rows}:
        kept, before = [], None
        for number, row in enumerate(rows):
            if row["start_id"] != start or not row["redirectable"]:
                continue
            at = row["at"] * SECOND
            if before is not None and at - before > BROKEN_OFF:
                break
            kept.append((number, row["host"], at))
            before = at
        stamps = {}
        for _, host, at in kept:
            stamps.setdefault(host, []).append(at)
        if len(stamps) < 2:
            continue
        survivor = max(sorted(stamps), key=lambda host: stamps[host][-1])
        others = [ats for host, ats in stamps.items() if host != survivor]
        waits = [later - at for ats in others for at, later in zip(ats, ats[1:], strict=False)]
        if not waits:
            continue
        ended = max(ats[-1] for ats in others)
        if sum(ats[-1] >= ended - BURST for ats in others) < 2:
            continue
        over = ended + 3 * max(waits) + SETTLED
        mine = [(number, at) for number, host, at in kept if host == survivor and not rows[number]["stopping"]]
        beyond = [at for _, at in mine if at > over and not (start in closed and at <= closed[start] + SETTLED)]
        if len(beyond) >= 2:
            for number, _ in mine:
                found[number] = True
    return found


@given(ERRORS, st.dictionaries(st.sampled_from(["one", "two"]), st.integers(0, 100).map(SECOND.__mul__)))
def test_a_plain_loop_over_each_pod_finds_the_same(rows, closed):
    assert situation._outlasts(table(rows, closed)).tolist() == plain(rows, closed)


def refused(*rows):
    return [{"start_id": "one", "at": at, "host": host, "redirectable": True, "stopping": False} for at, host in rows]


def test_a_destination_that_alone_goes_on_is_found():
    rows = refused((0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "c"), (20, "b"), (30, "b"))
    assert situation._outlasts(table(rows, {})).tolist() == [False, True, False, True, False, True, True]


def test_one_other_destination_that_is_refused_no_more_may_have_been_given_up():
    rows = refused((0, "a"), (0, "b"), (1, "a"), (1, "b"), (20, "b"), (30, "b"))
    assert not situation._outlasts(table(rows, {})).any()
