"""One fleet in every form that Kubernetes gives: the same verdicts where the form keeps what they rest on."""

import pytest

import meshlogs as ml
from meshlogs import times
from meshlogs.formats import catalogue
from tests.formats import k8s_writers as write

WRITERS = {
    "Events and pods as `v1` lists in JSON": (write.cloud_logs, write.events_json, write.pods_json),
    "the same in YAML": (write.cloud_logs, write.events_yaml, write.pods_yaml),
    "events as `events.k8s.io/v1`": (write.cloud_logs, write.events_newer, write.pods_json),
    "`kubectl get events -A -o wide`": (write.cloud_logs, write.events_wide, write.pods_json),
    "`kubectl get events -A`": (write.cloud_logs, write.events_table, write.pods_json),
    "`kubectl describe pods -A`": (write.cloud_logs, write.described),
    "`kubectl logs --timestamps`": (write.kubectl_logs, write.events_json, write.pods_json),
    "`kubectl logs --timestamps --prefix` of many pods": (write.mixed_logs, write.events_json, write.pods_json),
    "`stern --timestamps -A`": (write.stern_logs, write.events_json, write.pods_json),
    "files of a node": (write.node_logs, write.events_json, write.pods_json),
    "`kubectl cluster-info dump`, printed": (write.printed_dump,),
    "`kubectl cluster-info dump`, as a folder": (write.dumped_folder,),
    "`istioctl bug-report`": (write.bug_report,),
    "`istioctl bug-report` and `kubectl logs --timestamps`": (write.bug_report, write.kubectl_logs),
}
LISTS = "Events and pods as `v1` lists in JSON"


@pytest.fixture(scope="module")
def told():
    return write.story(12, seed=5)


def judged(folder, writers, told):
    """(errors, starts, fleet): verdict, certainty and reason of each error, outcome and reason of each start."""
    for writer in writers:
        writer(folder, told)
    fleet = ml.analyse(ml.read(folder))
    errors = {
        (row.namespace, row.pod, row.time.value // times.MILLISECOND): (row.verdict, row.certainty, row.reason)
        for row in _filled(fleet.errors, "certainty", "reason").itertuples()
    }
    starts = {
        (row.namespace, row.pod): (row.outcome, row.reason) for row in _filled(fleet.starts, "reason").itertuples()
    }
    assert len(errors) == len(fleet.errors) and len(starts) == len(fleet.starts)
    return errors, starts, fleet


def _filled(table, *columns):
    return table.assign(**{name: table[name].fillna("") for name in columns})


@pytest.fixture(scope="module")
def expected(told, tmp_path_factory):
    return judged(tmp_path_factory.mktemp("lists"), WRITERS[LISTS], told)


def test_the_page_tells_of_every_form():
    assert list(catalogue.KUBERNETES) == list(WRITERS)


@pytest.mark.parametrize("form", WRITERS)
def test_the_fleet_in_this_form(form, told, expected, tmp_path):
    errors, starts, fleet = judged(tmp_path, WRITERS[form], told)
    assert fleet.rejects.empty
    assert set(starts) == set(expected[1])
    if catalogue.KUBERNETES[form][0] == catalogue.SAME:
        assert (errors, starts) == expected[:2]
        return
    assert (errors, starts) != expected[:2], "it keeps everything: say so on the page"
    for key, (verdict, certainty, _) in errors.items():
        # A program writes its line a little before the runtime has it.
        told_verdict, told_certainty, _ = expected[0][_nearest(key, expected[0])]
        assert verdict in (told_verdict, "undetermined")
        assert certainty != "proven" or told_certainty == "proven"
    for key, (outcome, _) in starts.items():
        assert outcome in (expected[1][key][0], "undetermined")


def _nearest(key, errors):
    near = [other for other in errors if other[:2] == key[:2] and 0 <= other[2] - key[2] < 1_000]
    return min(near, key=lambda other: other[2])


def test_the_fleet_is_worth_it(told, expected):
    errors, starts, _ = expected
    assert len({verdict for verdict, *_ in errors.values()}) > 1 or len(errors) > 50
    assert len({outcome for outcome, _ in starts.values()}) > 2
    assert sum(certainty == "proven" for _, certainty, _ in errors.values()) > 20
    assert any(event["count"] and event["count"] > 1 for event in told.events)


def test_times_count_where_no_proxy_tells_its_own(tmp_path, told):
    """A wide table dates what the plain one does not."""
    told = write.Story(**(vars(told) | {"entries": [row for row in told.entries if not _by_proxy(row)]}))
    lists, wide, plain = (
        judged(tmp_path / str(number), WRITERS[form], told)
        for number, form in enumerate((LISTS, "`kubectl get events -A -o wide`", "`kubectl get events -A`"))
    )
    assert wide[:2] == lists[:2] != plain[:2]
    lost = {key for key in lists[1] if lists[1][key] != plain[1][key]}
    assert lost and all(plain[1][key] == ("undetermined", "overlap") for key in lost)


def test_a_table_of_one_namespace_does_not_say_which(tmp_path, told, expected):
    """No message names it either: it is that of the pods of those names."""

    def of_shop(out, told):
        events = [event for event in told.events if event["reason"] != "Scheduled"]
        mine = [event for event in events if event["metadata"]["namespace"] == "shop"]
        write.events_wide(out, write.Story(**(vars(told) | {"events": mine})), is_one=True)

    errors, starts, fleet = judged(tmp_path, (write.cloud_logs, of_shop, write.pods_json), told)
    assert fleet.starts["namespace"].notna().all() and set(starts) == set(expected[1])
    assert fleet.starts.loc[fleet.starts["namespace"] == "shop", "has_events"].all()
    assert {key: found for key, found in errors.items() if key[0] == "shop"} == {
        key: found for key, found in expected[0].items() if key[0] == "shop"
    }


def _by_proxy(row):
    return row["resource"]["labels"]["container_name"] == "istio-proxy"


def test_refusals_without_times_are_not_taken_for_silence(tmp_path, told):
    _, starts, fleet = judged(tmp_path, WRITERS["`kubectl cluster-info dump`, printed"], told)
    undated = {key for key, (_, reason) in starts.items() if reason == "errors_undated"}
    assert undated
    for _, pod in undated:
        assert "refused" in str(fleet.evidence[fleet.evidence["pod"] == pod]["kind"].tolist())
        assert ml.explain(fleet, pod)
