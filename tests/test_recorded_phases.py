"""Lines of clients in nine runtimes and of a real Envoy behind real redirection, in each phase of the proxy's life.

`data/recorded_phases` holds them as log entries, a pod for each phase; the phase alone says what may be claimed.
"""

from pathlib import Path

import pytest

import meshlogs as ml

RECORDED = Path(__file__).parent / "data/recorded_phases"
# Which verdicts do not contradict a phase; what the export cannot tell is undetermined.
MAY_BE = {
    "p1-rules-no-envoy": {"startup_race", "undetermined"},
    "p1i-init-container": {"init_race"},
    "p2a-envoy-up-xds-down": {"startup_race", "undetermined"},
    "p2b-envoy-up-xds-silent": {"startup_race", "undetermined"},
    "p2c-lds-rejected-but-ready": {"startup_race", "undetermined"},
    "p4a-upstream-closed": {"upstream"},
    "p4b-upstream-closed-http-over-tcp-passthrough": {"upstream"},
    "p5a-agent-sigterm-istio-style": {"shutdown_race"},
    "p5b-envoy-sigterm": {"shutdown_race"},
    "p5d-admin-drain-immediate-all": {"shutdown_race", "undetermined"},
    "p6-envoy-kill9": {"proxy_outage"},
    "p7c-excluded-port-closed-no-envoy": {"upstream", "undetermined"},
    "p8a-loopback-not-listening": {"local", "undetermined"},
    "p8b-own-pod-ip-not-listening": {"local", "undetermined"},
}


@pytest.fixture(scope="module")
def recorded():
    return ml.analyse(RECORDED)


def test_no_verdict_contradicts_its_phase(recorded):
    for phase, errors in recorded.errors.groupby("pod"):
        assert set(errors["verdict"]) <= MAY_BE[phase], phase


def test_every_phase_in_which_something_was_refused_is_found(recorded):
    assert set(recorded.errors["pod"]) == set(MAY_BE)


def test_a_destination_that_is_down_is_never_refused_by_an_open_proxy(recorded):
    down = recorded.errors[recorded.errors["pod"].str.startswith("p4")]
    assert set(down["container"]) == {"istio-proxy"}, "only the proxy's own access log tells of the refusal"
