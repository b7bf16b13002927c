"""Each rule on pods whose story one can read: proven, likely, and not claimed."""

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from meshlogs import schema, timelines, verdicts
from meshlogs.columnar import joins
from meshlogs.verdicts import lessons, situation

_spec = importlib.util.spec_from_file_location("story", Path(__file__).with_name("story.py"))
story = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(story)
app, fact, judged, outcome, pod, proxy, refused, start, verdict = (
    getattr(story, name) for name in ("app", "fact", "judged", "outcome", "pod", "proxy", "refused", "start", "verdict")
)

READY = proxy("proxy_open", 5.0, "agent_ready")
CLOSED = proxy("proxy_closed", 4.0, "initializing")


# startup_race


def test_refused_before_the_last_proof_of_a_closed_proxy_is_proven():
    assert verdict([*app(), *start(), CLOSED, READY, refused(1.0)], [pod()])[:2] == ("startup_race", "proven")
    assert outcome([*app(), *start(), CLOSED, READY, refused(1.0)], [pod()]) == ("harmed", None)


def test_a_redirected_refusal_in_an_unbroken_first_life_proves_itself():
    assert verdict([*app(), *start(), READY, refused(3.0)], [pod()])[:2] == ("startup_race", "proven")


def test_between_last_closed_and_first_open_is_likely_without_the_proxys_log():
    ready = fact("pod_ready", 5.0, until=5.999, log="pods")
    started = proxy("container_started", 0.0, log="events", container_kind="regular")
    assert verdict([*app(), started, ready, refused(3.0)], [pod()]) == ("startup_race", "likely", "overlap")


def test_without_a_spec_an_exclusion_seen_elsewhere_makes_it_likely():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0)]
    assert verdict(facts)[:2] == ("startup_race", "proven")
    other = pod({"exclude_ports": ["5432"]}, pod="other-6d5f7c9b4d-abcde")
    assert verdict(facts, [other]) == ("startup_race", "likely", "redirection_assumed")


def test_a_text_that_does_not_state_the_cause_is_never_proven():
    row = refused(1.0) | {"kind": "suspected", "suspected": True}
    assert verdict([*app(), *start(), CLOSED, READY, row], [pod()]) == ("startup_race", "likely", "suspected")


def test_a_late_reporter_is_an_interval():
    late = refused(31.0, until=31.0) | {"time_lower": story.at(1.0), "late_s": 30.0}
    assert verdict([*app(), *start(), CLOSED, READY, late], [pod()]) == (
        "startup_race",
        "likely",
        "reported_late",
    )


def test_a_held_application_cannot_race():
    held = pod(hold_hook=True, containers=("istio-proxy", "web"))
    facts = [*start(), *app(6.0), READY, fact("app_logged", 7.0, "web")]
    assert outcome(facts, [held]) == ("safe", None)
    assert verdict([*facts, refused(7.0)], [held]) == ("undetermined", None, "contradiction")


def test_a_failed_hook_holds_nothing():
    held = pod(hold_hook=True, containers=("istio-proxy", "web"))
    failed = proxy("hold_failed", 61.0, log="events")
    facts = [
        *start(),
        *app(61.2),
        failed,
        proxy("proxy_closed", 70.0),
        proxy("proxy_open", 72.0, "agent_ready"),
    ]
    assert verdict([*facts, refused(62.0)], [held])[:2] == ("startup_race", "proven")


def test_without_specs_several_pods_are_an_assumption():
    other = [row | {"pod": "web-6d5f7c9b4d-bbbbb"} for row in app()]
    facts = [*app(), *start(), CLOSED, READY, refused(1.0), *other]
    assert verdict(facts) == ("startup_race", "likely", "redirection_assumed")


def test_the_metadata_server_is_no_race():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0, ip="169.254.169.254", port=80)]
    assert verdict(facts) == ("upstream", "likely", "metadata_server")
    assert verdict(facts, [pod()])[:2] == ("upstream", "proven")


def test_a_proxy_closed_again_after_a_long_pause_had_been_ready():
    started = proxy("container_started", 0.0, log="events", container_kind="regular")
    ready = fact("pod_ready", 95.0, until=95.999, log="pods")
    probes = [proxy("probe_failed", second, "refused", log="events") for second in (1.0, 2.0, 90.0, 91.0)]
    facts = [*app(), started, *probes, ready, refused(89.5)]
    assert verdict(facts, [pod()])[0] == "proxy_outage"
    starts, _ = judged(facts, [pod()])
    assert starts["proxy_ready_lower"].iloc[0] < pd.Timestamp(story.at(3), tz="UTC")


def test_a_probe_that_envoy_answered_503_shows_its_workers_since_1_7():
    answered = proxy("probe_failed", 6.0, "503", log="events", port=15021)
    for version, upper in (("1.18.5", [pd.Timestamp(story.at(6.0), tz="UTC")]), ("1.6.14", [pd.NaT])):
        starts, _ = judged([*app(), *start(), CLOSED, answered, proxy("proxy_version", 0.2, version)], [pod()])
        assert starts["proxy_ready_upper"].tolist() == upper


def test_a_proxy_restarted_before_it_was_ever_open_is_still_in_its_start():
    again = [proxy("proxy_exited", 200.0, "killed"), proxy("proxy_process", 201.0, "agent")]
    again += [proxy("proxy_open", 310.0, "agent_ready")]
    _, errors = judged([*app(), *start(), *again, *(refused(second) for second in range(2, 310, 20))], [pod()])
    assert set(errors["verdict"]) == {"startup_race"}
    # Whether it was open for a moment before it died, nobody saw.
    assert set(errors["certainty"][errors["time"] > pd.Timestamp(story.at(190), tz="UTC")]) == {"likely"}


def test_a_proxy_that_ended_had_been_open_unless_its_agent_told_so_of_its_next_life_only():
    again = [proxy("proxy_exited", 200.0, "killed"), proxy("proxy_process", 201.0, "agent")]
    again += [proxy("proxy_open", 210.0, "agent_ready"), refused(205.0)]
    assert verdict([*app(), *start(), *again], [pod()]) == ("startup_race", "likely", "overlap")
    not_logged = proxy("container_started", 0.0, log="events", container_kind="regular")
    assert verdict([*app(), not_logged, *again], [pod()]) == ("proxy_outage", "likely", "ready_not_seen")


def test_a_proxy_that_its_failed_hook_ended_and_nobody_started_again_was_never_open():
    held = pod(hold_hook=True, containers=("istio-proxy", "web"), controller="Job")
    ended = [proxy("hold_failed", 61.0, log="events"), proxy("proxy_exited", 61.2, "normal")]
    facts = [*start(), *ended, *app(62.0), *(refused(second) for second in (63.0, 73.0, 93.0, 133.0))]
    starts, errors = judged(facts, [held])
    assert errors[["verdict", "certainty", "reason"]].drop_duplicates().values.tolist() == [
        ["startup_race", "likely", "never_ready"]
    ]
    assert starts[["outcome", "reason"]].values.tolist() == [["harmed", "hold_failed"]]


def test_a_proxy_that_ended_long_after_it_was_last_seen_closed_may_have_been_open():
    held = pod(hold_hook=True, containers=("istio-proxy", "web"))
    facts = [*start(), *app(70.0), proxy("proxy_exited", 3000.0, "killed"), refused(3001.0)]
    assert verdict(facts, [held])[0] == "undetermined"


def test_a_refusal_after_the_proxy_ended_does_not_say_that_it_was_closed_before():
    facts = [*app(), *start(), proxy("proxy_exited", 10.0, "killed"), refused(10.2)]
    starts, _ = judged(facts, [pod()])
    assert starts["proxy_ready_lower"].tolist() == [pd.Timestamp(story.at(0.1), tz="UTC")]


def test_a_probes_answer_without_its_port_is_that_of_the_specs_port():
    answered = proxy("probe_failed", 3.0, "503", until=3.999, log="events")
    facts = [*app(), *start(), answered, proxy("proxy_version", 0.2, "1.20.3")]
    assert judged(facts, [pod()])[0]["proxy_ready_upper"].tolist() == [pd.Timestamp(story.at(3.999), tz="UTC")]
    other = json.dumps({"containers": [{"name": "istio-proxy", "readiness": {"port": 15020}}, {"name": "web"}]})
    for pods in ([], [pod(spec=other)]):
        assert judged(facts, pods)[0]["proxy_ready_upper"].isna().all()


def test_workers_that_run_without_listeners_are_no_opening():
    answered = proxy("probe_failed", 3.0, "503", until=3.999, log="events")
    ready = proxy("proxy_open", 61.0, "agent_ready")
    rejected = [refused(second) for second in (4.0, 10.0, 20.0)]
    facts = [*app(), *start(), answered, *rejected, ready, proxy("proxy_version", 0.2, "1.20.3")]
    starts, errors = judged(facts, [pod()])
    assert starts["proxy_ready_upper"].tolist() == [pd.Timestamp(story.at(61.0), tz="UTC")]
    assert set(errors["verdict"]) == {"startup_race"}


def test_the_line_of_the_opening_goes_before_a_late_report():
    told = [proxy("proxy_closed", 4.95, "workers"), proxy("proxy_open", 4.95, "workers", until=5.05)]
    for printed in (5.53, 8.0):
        starts, _ = judged([*app(), *start(), *told, refused(printed)], [pod()])
        assert starts["proxy_ready_lower"].tolist() == [pd.Timestamp(story.at(4.95), tz="UTC")]


# upstream, local, no_sidecar


def test_an_excluded_destination_refused_by_itself_even_in_the_window():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0, port=5432)]
    assert verdict(facts, [pod({"exclude_ports": ["5432"]})])[:2] == ("upstream", "proven")


def test_what_the_proxy_reports_is_upstream():
    row = refused(9.0) | {"kind": "upstream_refused"}
    assert verdict([*app(), *start(), READY, row], [pod()])[:2] == ("upstream", "proven")


def test_a_destination_refused_while_the_proxy_was_open_bypasses_it_in_the_window_too():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0), refused(60.0), refused(75.0)]
    _, errors = judged(facts)
    assert errors["verdict"].tolist() == ["upstream", "upstream", "upstream"]
    assert set(errors["certainty"]) == {"likely"}


def of_another(suffix, facts):
    return [row | {"pod": f"web-6d5f7c9b4d-{suffix}"} for row in facts]


def test_one_late_report_does_not_outweigh_starts_that_were_refused_before_the_opening_only():
    raced = [*app(), *start(), CLOSED, READY, refused(1.0), refused(2.0)]
    facts = [*raced, refused(25.0), *of_another("bbbbb", raced), *of_another("ccccc", raced)]
    _, errors = judged(facts)
    assert errors["verdict"].tolist() == ["startup_race"] * 6 + ["undetermined"]
    assert errors["reason"].tolist() == ["redirection_assumed"] * 6 + ["contradiction"]


def test_an_outage_that_left_no_trace_does_not_turn_the_races_before_into_refusals_of_the_destination():
    outage = [refused(900.0), refused(901.0), refused(902.0)]
    _, errors = judged([*app(), *start(), CLOSED, READY, refused(1.0), *outage])
    assert errors["verdict"].tolist() == ["startup_race"] + ["undetermined"] * 3


def test_a_destination_refused_after_the_opening_in_several_starts_bypasses_the_proxy():
    early = [*app(), *start(), CLOSED, READY, refused(1.0)]
    late = [*app(), *start(), CLOSED, READY, refused(20.0)]
    _, errors = judged([*early, refused(20.0), *of_another("bbbbb", late), *of_another("ccccc", late)])
    assert errors["verdict"].tolist() == ["upstream"] * 4


def test_loopback_and_the_own_address_are_local():
    for ip in ("127.0.0.1", "10.1.1.1"):
        assert verdict([*app(), *start(), CLOSED, READY, refused(1.0, ip=ip)], [pod()])[:2] == (
            "local",
            "proven",
        )


def test_a_pod_without_a_proxy():
    bare = pod(injection="none", init=(), containers=("web",))
    assert verdict([*app(), refused(1.0)], [bare])[:2] == ("no_sidecar", "proven")
    assert outcome([*app(), refused(1.0)], [bare]) == ("not_meshed", None)


def test_a_pod_of_which_only_the_application_is_known():
    assert verdict([refused(1.0)]) == ("undetermined", None, "mesh_unknown")


# init_race


def vault(second=1.0):
    return refused(second, port=8200, container="vault-agent-init")


def test_an_init_container_behind_istio_init():
    facts = [fact("container_started", 0.5, "vault-agent-init", log="events", container_kind="init"), vault()]
    behind = pod(init=("istio-init", "vault-agent-init"))
    assert verdict(facts, [behind])[:2] == ("init_race", "proven")
    assert outcome(facts, [behind]) == ("init_stalled", None)
    before = pod(init=("vault-agent-init", "istio-init"))
    assert verdict(facts, [before])[:2] == ("upstream", "proven")
    cni = pod(init=("vault-agent-init", "istio-validation"))
    assert verdict(facts, [cni])[:2] == ("init_race", "proven")
    excluded = pod({"exclude_ports": ["8200"]}, init=("istio-init", "vault-agent-init"))
    assert verdict(facts, [excluded])[:2] == ("upstream", "proven")


def test_an_init_container_behind_a_native_sidecar_is_proxied():
    native = pod(init=("istio-init", "istio-proxy", "vault-agent-init"), injection="native_sidecar", hold_hook=None)
    facts = [*start(), READY, vault(8.0)]
    assert verdict(facts, [native]) == ("undetermined", None, "contradiction")


def test_a_name_has_the_address_that_other_errors_give_it():
    excluded = pod({"exclude_ranges": ["10.9.0.0/16"]})
    named = refused(1.0) | {"host": "db", "ip": None}
    facts = [*app(), *start(), CLOSED, READY, named]
    assert verdict(facts, [excluded]) == ("startup_race", "likely", "destination_unresolved")
    told = refused(2.0) | {"host": "db", "ip": "10.9.0.3"}
    assert verdict([*facts, told], [excluded])[:2] == ("upstream", "proven")


def test_a_connect_that_worked_bounds_the_window_if_it_was_redirected():
    made = refused(6.0) | {"kind": "connected"}
    starts, _ = judged([*app(), *start(), CLOSED, made], [pod()])
    assert starts["proxy_ready_upper"].iloc[0] == pd.Timestamp(story.at(6.0), tz="UTC")
    starts, _ = judged([*app(), *start(), CLOSED, made], [pod({"exclude_ports": ["6379"]})])
    assert starts["proxy_ready_upper"].isna().all()


# proxy_outage, shutdown_race, contradiction


def test_a_crash_after_ready():
    facts = [*app(), *start(), READY, proxy("proxy_exited", 60.0, "killed"), refused(61.0)]
    back = [proxy("proxy_process", 70.0, "agent"), proxy("proxy_open", 72.0, "agent_ready")]
    assert verdict([*facts, *back], [pod()])[:2] == ("proxy_outage", "proven")


def test_a_restart_whose_end_was_not_seen():
    back = [proxy("proxy_process", 70.0, "agent"), proxy("proxy_open", 72.0, "agent_ready")]
    facts = [*app(), *start(), READY, *back, refused(61.0)]
    assert verdict(facts, [pod()]) == ("proxy_outage", "likely", "death_not_seen")


def test_refused_while_the_pod_stops():
    stop = fact("container_killing", 60.0, "web", "stop", log="events")
    gone = proxy("proxy_exited", 65.0, "normal")
    assert verdict([*app(), *start(), READY, stop, gone, refused(66.0)], [pod()])[:2] == (
        "shutdown_race",
        "proven",
    )
    assert verdict([*app(), *start(), READY, stop, refused(66.0)], [pod()]) == (
        "shutdown_race", "likely", "stop_not_seen",
    )  # fmt: skip


def test_an_application_restarted_by_its_liveness_probe_is_no_stop():
    kill = fact("container_killing", 60.0, "web", "restart", log="events")
    assert verdict([*app(), *start(), READY, kill, refused(66.0)], [pod()]) == (
        "undetermined",
        None,
        "contradiction",
    )


def test_an_application_that_starts_again_was_not_stopped_with_its_pod():
    again = [
        fact("container_killing", 100.0, "web", "stop", until=100.999, log="events"),
        fact("container_started", 101.0, "web", until=101.999, log="events", container_kind="regular"),
    ]
    assert verdict([*app(), *start(), READY, *again, refused(103.0)], [pod()]) == (
        "undetermined", None, "contradiction",
    )  # fmt: skip


def test_refused_redirected_and_proxy_up_is_a_contradiction():
    assert verdict([*app(), *start(), READY, refused(600.0)], [pod()]) == (
        "undetermined",
        None,
        "contradiction",
    )


def test_a_pod_object_is_found_by_name_where_no_line_tells_the_uid():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0, port=5432)]
    assert verdict(facts, [pod({"exclude_ports": ["5432"]}, pod_uid="u1")])[:2] == ("upstream", "proven")
    two = [pod(pod_uid="u1"), pod(pod_uid="u2", created=story.at(900))]
    assert judged(facts, two)[0]["has_pod_spec"].tolist() == [False]


# outcomes


def test_exposed_needs_the_applications_own_silence():
    facts = [*app(), *start(), CLOSED, READY]
    assert outcome([*facts, fact("app_logged", 1.0, "web")], [pod()]) == ("exposed", None)
    assert outcome(facts, [pod()]) == ("undetermined", "no_app_logs")


def test_an_image_that_cannot_be_pulled_is_no_race():
    facts = [*start(), fact("pull_failed", 1.0, "web", log="events"), READY]
    starts, _ = judged(facts, [pod()])
    assert starts[["outcome", "reason", "at_risk"]].values.tolist() == [["undetermined", "image_pull", False]]


def test_what_kept_an_application_from_starting_has_its_own_word():
    died = fact("container_died", 2.0, "istio-validation", "Error 126", log="pods")
    done = fact("container_died", 2.0, "istio-validation", "Completed 0", log="pods")
    scheduled = fact("scheduled", 0.0, log="events")
    assert outcome([scheduled, died], [pod()]) == ("undetermined", "cni_not_ready")
    assert outcome([scheduled, fact("redirection_missing", 2.0, "istio-validation")], [pod()])[1] == "cni_not_ready"
    assert outcome([scheduled, fact("sandbox_failed", 1.0, log="events")], [pod()])[1] == "sandbox_failed"
    assert outcome([scheduled, done], [pod()])[1] == "app_not_started"


def test_what_made_a_window_is_told():
    logged = fact("app_logged", 1.0, "web")
    pulled = [proxy("pulling", 0.1, log="events"), proxy("pulled", 30.0, log="events")]
    facts = [*app(), *start(30.0), proxy("proxy_closed", 31.0), proxy("proxy_open", 32.0), logged]
    assert outcome([*facts, *pulled], [pod()]) == ("exposed", "proxy_image_pull")
    assert outcome([*facts, refused(2.0), *pulled], [pod()]) == ("harmed", "proxy_image_pull")
    assert outcome([*facts, refused(2.0)], [pod()]) == ("harmed", None)
    failed = proxy("hold_failed", 31.0, log="events")
    assert outcome([*facts, failed, refused(2.0)], [pod(hold_hook=True)]) == ("harmed", "hold_failed")


def test_a_pod_of_the_ambient_mesh_has_no_proxy_of_its_own():
    ambient = pod(
        injection="none", init=(), containers=("web",), annotations='{"ambient.istio.io/redirection":"enabled"}'
    )
    assert verdict([*app(), refused(1.0)], [ambient]) == ("no_sidecar", "likely", "ambient")
    assert outcome([*app(), refused(1.0)], [ambient]) == ("not_meshed", "ambient")


def test_exposed_needs_logs_that_reach_back_to_the_start():
    facts = [*app(), *start(), CLOSED, READY]
    assert outcome([*facts, fact("app_logged", 20.0, "web")], [pod()]) == ("undetermined", "no_app_logs")
    other = fact("app_logged", -9.0, "other") | {"pod": "other-6d5f7c9b4d-abcde"}
    starts, _ = judged([*facts, fact("app_logged", 20.0, "web"), other], [pod()])
    assert starts.set_index("pod").loc["web-6d5f7c9b4d-x2x4z", "outcome"] == "exposed"


def test_logs_of_another_namespace_or_of_the_proxy_say_nothing_of_when_the_applications_begin():
    other = fact("app_logged", -9.0, "other") | {"pod": "other-6d5f7c9b4d-abcde", "namespace": "other"}
    own = [proxy("app_logged", 0.1), fact("app_logged", 600.0, "web")]
    starts, _ = judged([*app(), *start(), CLOSED, READY, *own, other], [pod()])
    found = starts.set_index("pod").loc["web-6d5f7c9b4d-x2x4z", ["outcome", "reason"]]
    assert found.tolist() == ["undetermined", "no_app_logs"]


def test_an_application_that_is_slow_to_write_its_first_line_was_silent_before():
    late = [proxy("proxy_closed", 25.0), proxy("proxy_open", 30.0, "agent_ready")]
    assert outcome([*app(), *start(), *late, fact("app_logged", 12.0, "web")], [pod()]) == ("exposed", None)
    whole = fact("app_logged", 0.0, "web") | {"time_lower": None, "time_upper": None}
    assert outcome([*app(), *start(), *late, whole], [pod()]) == ("exposed", None)


def test_a_name_used_again_is_another_start_by_its_address():
    def life(second, ip):
        return [proxy("pod_address", second, ip), refused(second - 0.5), proxy("proxy_open", second + 1)]

    starts, errors = judged([*life(1.0, "10.1.1.1"), *life(300.0, "10.1.1.7")])
    assert starts["start_id"].str.endswith("#2").tolist() == [False, True]
    assert errors["start_id"].tolist() == starts["start_id"].tolist()


# texts without destination, destinations that nobody knows the address of


def unstated(second):
    return refused(second) | {"host": None, "ip": None, "port": None, "message": f"{second} Connection refused"}


def test_a_text_without_destination_that_goes_on_is_not_the_races_alone():
    facts = [*app(), *start(), CLOSED, READY, unstated(1.0), unstated(2.0)]
    assert verdict(facts, [pod()]) == ("startup_race", "likely", "destination_unstated")
    goes_on = [unstated(20.0)]
    assert verdict([*facts, *goes_on], [pod()]) == ("undetermined", None, "destination_unstated")


def test_a_text_without_destination_refused_while_the_proxy_is_open():
    facts = [*app(), *start(), CLOSED, READY, unstated(20.0)]
    assert verdict(facts, [pod()]) == ("local", "likely", "destination_unstated")
    assert verdict(facts, [pod({"exclude_ports": ["5432"]})]) == ("upstream", "likely", "destination_unstated")
    # With a redirected one refused beside it, the proxy was closed after all.
    assert verdict([*facts, refused(20.1)], [pod()]) == ("undetermined", None, "destination_unstated")


def test_what_outlasts_all_others_is_refused_by_itself():
    burst = [refused(second, ip=ip) for second in (1.0, 2.0, 4.0) for ip in ("10.0.0.9", "10.0.0.10")]
    alone = [refused(second, ip="10.0.0.77", port=5432) for second in (1.0, 5.0, 20.0, 30.0, 40.0)]
    probes = [proxy("probe_failed", 3.0, "refused", log="events")]
    started = proxy("container_started", 0.0, log="events", container_kind="regular")
    _, errors = judged([*app(), started, *probes, *burst, *alone])
    by_port = errors.groupby("destination_port")["verdict"].unique()
    assert by_port[6379].tolist() == ["startup_race"]
    assert by_port[5432].tolist() == ["upstream"]


def test_a_client_that_gave_up_says_nothing_of_one_that_tries_on():
    given_up = [refused(second, ip="10.0.0.30", port=8888) for second in (2.1, 4.1, 6.1)]
    tries_on = [refused(second) for second in range(2, 31, 2)]
    started = proxy("container_started", 1.0, log="events", container_kind="regular")
    _, errors = judged([*app(), started, *given_up, *tries_on])
    assert set(errors["verdict"]) == {"startup_race", "undetermined"}


def test_what_began_before_the_export_is_not_told():
    facts = [fact("app_logged", 1.0, "web"), fact("app_logged", 30.0, "istio-proxy"), refused(2.0)]
    assert verdict(facts, [pod()]) == ("undetermined", None, "start_not_in_export")


def test_a_pod_recreated_under_its_name_is_two_starts():
    first = [row | {"pod_uid": "u1"} for row in app()] + [refused(1.0)]
    second = [row | {"pod_uid": "u2"} for row in app(600.0)] + [refused(601.0)]
    starts, errors = judged([*first, *second])
    assert starts["start_id"].tolist() == ["c/shop/web-6d5f7c9b4d-x2x4z", "c/shop/web-6d5f7c9b4d-x2x4z#2"]
    assert errors["pod_uid"].tolist() == ["u1", "u2"]


# laws of the rules

CASES = {
    "no_sidecar": [([*app(), refused(1.0)], [pod(injection="none", init=(), containers=("web",))])],
    "local": [([*app(), *start(), READY, refused(1.0, ip="127.0.0.1")], [pod()])],
    "init_race": [([vault()], [pod(init=("istio-init", "vault-agent-init"))])],
    "upstream": [([*app(), *start(), refused(1.0, port=1)], [pod({"exclude_ports": ["1"]})])],
    "shutdown_race": [
        (
            [
                *app(),
                *start(),
                READY,
                proxy("proxy_draining", 60.0),
                proxy("proxy_exited", 65.0),
                refused(66.0),
            ],
            [pod()],
        )
    ],
    "startup_race": [([*app(), *start(), CLOSED, READY, refused(1.0)], [pod()])],
    "proxy_outage": [([*app(), *start(), READY, proxy("proxy_exited", 60.0, "killed"), refused(61.0)], [pod()])],
}


def situated(facts, pods):
    objects = schema.conform(list(pods), schema.PODS)
    placed = timelines.place(schema.conform(list(facts), schema.EVIDENCE), objects)
    known, told = timelines.Known(placed, objects), lessons.lessons_of(placed, objects)
    errors = situation.situate(placed, timelines.reconstruct(placed, objects, known), known, told)
    errors = errors.astype({name: object for name in errors if joins.is_coded(errors[name])})
    return errors.assign(assumption_holds=told.trusted().to_numpy()[0], carried=False)


@pytest.mark.parametrize("rule", verdicts.RULES, ids=lambda rule: rule.VERDICT)
def test_a_rule_works_on_exactly_its_needs(rule):
    for facts, pods in CASES[rule.VERDICT]:
        errors = situated(facts, pods)[list(rule.NEEDS)]
        assert rule.claims(errors)["certainty"].tolist() == ["proven"]
        for name in rule.NEEDS:
            with pytest.raises((KeyError, AttributeError)):
                rule.claims(errors.drop(columns=name))
        assert rule.claims(errors.iloc[:0]).empty


def test_every_verdict_of_the_contract_has_its_rule():
    assert {rule.VERDICT for rule in verdicts.RULES} == set(CASES)


def test_the_tables_of_an_empty_export_are_empty():
    starts, errors = judged([])
    assert starts.empty and errors.empty
    assert isinstance(starts["proxy_ready_lower"].dtype, pd.DatetimeTZDtype)
