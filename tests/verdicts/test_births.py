"""What is seen of a proxy in the middle of a pod's life is no first start, nor is another pod's spec this pod's."""

import importlib.util
import json
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("story", Path(__file__).with_name("story.py"))
story = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(story)
app, at, fact, judged, outcome, pod, proxy, refused, start, verdict = (
    getattr(story, name)
    for name in ("app", "at", "fact", "judged", "outcome", "pod", "proxy", "refused", "start", "verdict")
)

HOUR = 3600.0
# The proxy was killed at 1800 s; all that is seen of it is how it comes back.
BACK = [proxy("proxy_process", 1801.0, "agent"), proxy("proxy_closed", 1802.0), proxy("proxy_open", 1804.0)]
LINES = [fact("app_logged", second, "web") for second in (0.0, 600.0, 1790.0)]


@pytest.mark.parametrize(
    ("facts", "pods"),
    [
        (LINES, [pod(created=at(-2 * HOUR))]),
        ([], [pod(created=at(-2 * HOUR))]),
        (LINES, [pod(created=None)]),
        ([*LINES, fact("scheduled", -HOUR, until=-HOUR + 1, log="pods")], [pod(created=None)]),
        ([*LINES, proxy("container_started", 1800.5, log="events")], [pod(created=at(-2 * HOUR))]),
    ],
    ids=["lines, created", "errors alone, created", "lines alone", "scheduled", "event of the restart"],
)
def test_a_restart_in_the_middle_of_a_pods_life_is_no_first_start(facts, pods):
    facts = [*facts, *BACK, refused(1800.5), refused(1801.5)]
    starts, errors = judged(facts, pods)
    assert not set(errors["verdict"]) & {"startup_race"}
    assert "proven" not in set(errors["certainty"])
    assert starts[["outcome", "reason"]].values.tolist() == [["undetermined", "start_not_in_export"]]
    assert not starts["at_risk"].any() and starts["proxy_ready_lower"].isna().all()


def test_a_status_that_counts_restarts_does_not_date_the_first_start():
    running = proxy("container_started", 5000.0, "3", until=5000.999, log="pods", container_kind="regular")
    facts = [*BACK, running, refused(1800.5)]
    assert verdict(facts, [pod(created=at(-2 * HOUR))])[0] == "proxy_outage"


def test_a_later_agent_is_a_later_life_though_the_end_is_not_seen():
    facts = [*app(), *start(), *BACK, refused(1800.5), refused(1801.5)]
    _, errors = judged(facts, [pod()])
    assert errors["verdict"].tolist() == ["proxy_outage", "proxy_outage"]


def test_lines_alone_do_not_show_that_a_start_is_the_first():
    facts = [fact("app_logged", 0.0, "web"), proxy("proxy_process", 0.5, "agent"), proxy("proxy_closed", 4.0)]
    facts += [proxy("proxy_open", 5.0), refused(1.0)]
    assert verdict(facts, [pod(created=None)]) == ("startup_race", "likely", "first_start_assumed")
    assert verdict(facts, [pod(created=at(-3))])[:2] == ("startup_race", "proven")


def test_containers_that_start_together_long_after_the_pod_waited_for_an_init_container():
    facts = [fact("scheduled", -HOUR, log="events"), *app(), *start(), proxy("proxy_closed", 4.0)]
    assert verdict([*facts, proxy("proxy_open", 5.0), refused(1.0)], [pod(created=None)])[:2] == (
        "startup_race",
        "proven",
    )


def test_a_readiness_line_in_mid_life_says_nothing_of_what_came_before():
    facts = [proxy("proxy_closed", 595.0), proxy("proxy_open", 600.0), refused(30.0)]
    assert verdict(facts, [pod(created=None)]) == ("undetermined", None, "start_not_in_export")


# Starts that a list of pods holds, but no entry.


@pytest.mark.parametrize(("second", "expected"), [(-HOUR, False), (0.0, True), (2 * HOUR, False)])
def test_a_start_before_or_after_all_entries_is_not_at_risk(second, expected):
    other = {"pod": "other-6d5f7c9b4d-abcde", "log_name": "pods"}
    states = [
        fact("container_started", second, "web", "0", until=second + 1, container_kind="regular"),
        proxy("container_started", second, "0", until=second + 1, container_kind="regular"),
    ]
    entries = [fact("app_logged", when, "web") for when in (-1.0, HOUR)]
    object_ = pod(pod=other["pod"], created=at(second - 1))
    starts, _ = judged([*entries, *(row | other for row in states)], [pod(), object_])
    found = starts.set_index("pod").loc[other["pod"]]
    assert found["at_risk"] == expected
    assert expected or found["reason"] == "start_not_in_export"


# Whose spec it is.


def test_an_object_made_later_is_another_pods():
    facts = [*app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0), refused(1.0, port=5432)]
    excluded = {"exclude_ports": ["5432"]}
    assert verdict(facts, [pod(excluded)])[:2] == ("upstream", "proven")
    assert verdict(facts, [pod(excluded, created=at(900))])[1] != "proven"


def test_an_object_of_another_address_is_another_pods():
    told = proxy("pod_address", 0.2, "10.8.2.9")
    facts = [*app(), *start(), told, proxy("proxy_open", 5.0), refused(1.0, port=5432)]
    assert verdict(facts, [pod({"exclude_ports": ["5432"]}, pod_ip="10.8.2.9")])[:2] == ("upstream", "proven")
    assert verdict(facts, [pod({"exclude_ports": ["5432"]}, pod_ip="10.8.1.5")])[1] != "proven"


def test_an_object_without_a_cluster_is_nobodys_where_two_clusters_have_its_name():
    facts = [*app(), *start(), proxy("proxy_open", 5.0), refused(1.0, port=5432)]
    there = [row | {"cluster": "east"} for row in [*app(), *start(), proxy("proxy_open", 5.0)]]
    nameless = pod({"exclude_ports": ["5432"]}, cluster=None)
    assert verdict(facts, [nameless])[:2] == ("upstream", "proven")
    assert verdict([*facts, *there], [nameless])[1] != "proven"


# What is inside the pod, and what stays beside it.


@pytest.mark.parametrize(
    ("host", "name", "expected"),
    [
        ("web-6d5f7c9b4d-x2x4z", "web-6d5f7c9b4d-x2x4z", "local"),
        ("kafka-0.kafka-headless.shop.svc.cluster.local", "kafka-0", "local"),
        ("kafka-0.kafka-headless", "kafka-0", "local"),
        ("kafka-0.kafka-headless.pay.svc.cluster.local", "kafka-0", "startup_race"),
        ("redis.pay", "redis", "startup_race"),
    ],
)
def test_a_pods_own_name_is_inside_it(host, name, expected):
    facts = [*app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0)]
    facts = [row | {"pod": name} for row in [*facts, refused(1.0) | {"ip": None, "host": host}]]
    assert verdict(facts, [pod(pod=name)])[:2] == (expected, "proven")


def test_an_address_told_by_the_proxy_alone_moves_no_bound():
    told = proxy("pod_address", 0.2, "10.8.2.9")
    facts = [*app(), *start(), told, proxy("proxy_closed", 1.0), proxy("proxy_open", 30.0)]
    starts, errors = judged([*facts, refused(20.0, ip="10.8.2.9")], [pod(pod_ip=None)])
    assert errors["verdict"].tolist() == ["local"]
    assert starts["proxy_ready_lower"].iloc[0].value == at(1.0)


def test_rules_that_no_part_of_the_pod_states_are_assumed():
    facts = [*app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0), refused(1.0)]
    assert verdict(facts, [pod({"from": None})]) == ("startup_race", "likely", "redirection_assumed")


def test_a_native_sidecar_beside_the_proxy_is_no_init_container():
    stays = {"name": "sql", "kind": "init", "restart_policy": "Always"}
    spec = json.dumps({"containers": [stays, *story.SPEC]})
    row = pod(init=("istio-init", "sql"), spec=spec)
    events = [fact("container_started", 0.0, "sql", log="events", container_kind="init")]
    facts = [*events, *app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0)]
    assert verdict([*facts, refused(1.0, container="sql")], [row])[:2] == ("startup_race", "proven")
    ends = json.dumps({"containers": [stays | {"restart_policy": None}, *story.SPEC]})
    assert verdict([*facts, refused(1.0, container="sql")], [row | {"spec": ends}])[:2] == ("init_race", "proven")


def test_a_native_proxy_without_a_startup_probe_holds_nothing():
    native = {"init": ("istio-init", "istio-proxy"), "containers": ("web",), "injection": "native_sidecar"}
    facts = [*start(), *app(0.5), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0), refused(1.0)]
    probed = json.dumps({"containers": [{"name": "istio-proxy", "startup": {"port": 15021}}, {"name": "web"}]})
    assert verdict(facts, [pod(**native, spec=probed)])[2] == "contradiction"
    assert verdict(facts, [pod(**native)])[:2] == ("startup_race", "proven")


# What ends a proxy's life.


def test_a_proxy_that_ended_normally_was_told_to():
    facts = [*app(), *start(), proxy("proxy_open", 5.0), proxy("proxy_exited", 300.0, "normal"), refused(306.0)]
    assert verdict(facts, [pod()]) == ("shutdown_race", "likely", "stop_not_seen")
    killed = [row | {"value": "killed"} if row["kind"] == "proxy_exited" else row for row in facts]
    assert verdict(killed, [pod()])[:2] == ("proxy_outage", "proven")


def test_another_meshs_proxy_may_have_refused():
    row = pod(injection="none", init=("linkerd-init",), containers=("web", "linkerd-proxy"))
    assert verdict([*app(), refused(1.0)], [row]) == ("no_sidecar", "likely", "other_mesh")


def test_restarts_of_one_container_do_not_show_a_pod_without_a_proxy():
    restarts = [fact("container_started", second, "web", log="events") for second in (10.0, 40.0)]
    assert verdict([*restarts, refused(11.0)]) == ("undetermined", None, "mesh_unknown")
    whole = [fact("scheduled", 0.0, log="events"), *restarts]
    assert verdict([*whole, refused(11.0)])[:2] == ("no_sidecar", "likely")


def test_a_short_name_is_another_service_in_each_namespace():
    window = [*app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0)]
    other = {"namespace": "pay", "pod": "pay-6d5f7c9b4d-abcde"}
    named = refused(1.0) | {"ip": None, "host": "redis"} | other
    facts = [row | other for row in window] + [named, *window, refused(1.0) | {"host": "redis"}]
    ranges = {"exclude_ranges": ["10.9.0.0/16"]}
    _, errors = judged(facts, [pod(ranges), pod(ranges, **other)])
    found = errors.set_index("namespace")[["certainty", "destination_ip"]].T.to_dict("list")
    assert found["shop"] == ["proven", "10.0.0.9"] and found["pay"][0] == "likely"


def test_what_some_proxy_reports_is_upstream_in_a_pod_without_one_too():
    row = refused(9.0) | {"kind": "upstream_refused"}
    assert verdict([*app(), row], [pod(injection="none", containers=("web",))])[0] == "upstream"


def test_a_program_that_is_a_proxy_itself_may_tell_of_its_own_connect():
    facts = [*app(), *start(), proxy("proxy_closed", 4.0), proxy("proxy_open", 5.0)]
    early, late = (refused(second) | {"kind": "upstream_refused"} for second in (1.0, 60.0))
    assert verdict([*facts, early], [pod()]) == ("undetermined", None, "overlap")
    assert verdict([*facts, late], [pod()])[:2] == ("upstream", "proven")
