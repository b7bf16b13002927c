"""Each rule on pods whose story one can read: proven, likely, and not claimed."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest

from meshlogs import schema, timelines, verdicts
from meshlogs.verdicts import situation

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


# upstream, local, no_sidecar


def test_an_excluded_destination_refused_by_itself_even_in_the_window():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0, port=5432)]
    assert verdict(facts, [pod({"exclude_ports": ["5432"]})])[:2] == ("upstream", "proven")


def test_what_the_proxy_reports_is_upstream():
    row = refused(9.0) | {"kind": "upstream_refused"}
    assert verdict([*app(), *start(), READY, row], [pod()])[:2] == ("upstream", "proven")


def test_a_destination_refused_while_the_proxy_was_open_bypasses_it_in_the_window_too():
    facts = [*app(), *start(), CLOSED, READY, refused(1.0), refused(60.0)]
    _, errors = judged(facts)
    assert errors["verdict"].tolist() == ["upstream", "upstream"]
    assert set(errors["certainty"]) == {"likely"}


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
    assert starts[["outcome", "reason", "at_risk"]].values.tolist() == [["undetermined", "app_not_started", False]]


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
    return situation.situate(placed, timelines.reconstruct(placed, objects), objects)


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
