"""Laws of a made-up fleet: what can be refused at all, and what a pod's story allows."""

import numpy as np
import pytest

from meshlogs.simulate import MIX, _fleet
from meshlogs.simulate.clients import EVERY, Target
from meshlogs.simulate.process import HOLD_LIMIT, METADATA, VAULT, Redirection, minor

START = 1_772_442_000_000_000_000


@pytest.fixture(scope="module", params=[1, 8])
def fleet(request):
    return _fleet(300, MIX, START, np.random.default_rng(request.param))


def test_a_redirected_connect_is_refused_exactly_while_nothing_listens(fleet):
    for pod in fleet:
        for attempt in pod.attempts:
            assert not (pod.redirected(attempt.target) and pod.listening(attempt.time)), pod.name
        for at, target in pod.successes:
            assert pod.listening(at) or not pod.redirected(target), pod.name
        for at, target in pod.broken:
            assert pod.listening(at) and pod.redirected(target), "only the proxy hides that nobody is there"


def test_the_verdict_of_a_refusal_follows_from_where_and_when_it_was(fleet):
    for pod in fleet:
        for attempt in pod.attempts:
            redirected, opened = pod.redirected(attempt.target), [at for at in pod.ready if at <= attempt.time]
            if attempt.verdict == "no_sidecar":
                assert not pod.meshed
            elif attempt.verdict in ("upstream", "local"):
                inside = attempt.target.ip in ("127.0.0.1", pod.ip)
                assert not redirected and inside == (attempt.verdict == "local")
            elif attempt.verdict == "init_race":
                assert attempt.container == "vault-agent-init" and redirected and not pod.runs("istio-proxy")
            elif attempt.verdict == "startup_race":
                assert redirected and not opened
            elif attempt.verdict == "shutdown_race":
                assert redirected and opened and attempt.time >= pod.stopped
            else:
                assert attempt.verdict == "proxy_outage" and redirected and opened


def test_containers_start_in_the_order_of_the_spec_and_only_a_container_that_runs_can_connect(fleet):
    for pod in fleet:
        init = [item for item in pod.containers if item.kind == "init"]
        done = [
            item.runs[0].started if item.name == "istio-proxy" else item.runs[0].ended for item in init if item.runs
        ]
        assert done[:-1] == sorted(done[:-1])
        for item in pod.containers:
            if item.kind == "regular" and item.runs:
                assert all(end is not None and end < item.runs[0].started for end in done)
            spans = [(run.created, run.started, run.ended or float("inf")) for run in item.runs]
            assert all(created < started < ended for created, started, ended in spans)
            assert all(before[2] < after[0] for before, after in zip(spans, spans[1:], strict=False))
        for attempt in pod.attempts:
            runs = pod.runs(attempt.container)
            assert any(run.started <= attempt.time < (run.ended or float("inf")) for run in runs), pod.scenario
            assert attempt.time < attempt.logged


def test_a_held_or_native_application_races_only_if_the_hook_gave_up(fleet):
    assert any(pod.hold_failed for pod in fleet)
    for pod in fleet:
        if pod.hold_failed:
            assert pod.hold_failed == pod.runs("istio-proxy")[0].started + HOLD_LIMIT
            assert pod.runs("app")[0].started > pod.hold_failed
        elif (pod.hold or pod.native) and pod.runs("app"):
            assert pod.ready[0] < pod.runs("app")[0].started
            assert all(attempt.verdict != "startup_race" for attempt in pod.attempts)


def test_a_late_reporter_tells_of_a_connect_within_its_patience(fleet):
    late = [(one, EVERY[one.client]) for pod in fleet for one in pod.attempts if EVERY[one.client].patience_s]
    assert late
    for attempt, client in late:
        assert attempt.logged - attempt.time <= (1.3 * client.longest_wait_s + 0.01) * 1e9


def test_probes_answer_by_the_generation_of_the_proxy(fleet):
    seen = set()
    for pod in fleet:
        version = minor(pod.workload.version)
        for probe in pod.probes:
            assert (probe.answer == "ok") == pod.listening(probe.time)
            # 503: the agent answers itself (up to 1.5), or Envoy's workers run without configuration (1.6).
            assert probe.answer != "503" or version <= (1, 6)
            seen.add((version <= (1, 5), probe.answer))
    assert {(True, "503"), (True, "ok"), (False, "refused"), (False, "ok")} <= seen


def test_what_a_redirection_takes():
    rules = Redirection(included=("10.96.0.0/12",), excluded=("10.96.10.4/32",), excluded_ports=(5432,))
    inside = Target("redis", "10.96.10.1", 6379)
    assert rules.takes(inside)
    assert not rules.takes(VAULT), "an excluded address"
    assert not rules.takes(inside._replace(port=5432)), "an excluded port"
    assert not rules.takes(inside._replace(ip="10.200.0.1")), "not included"
    assert not rules.takes(inside._replace(ip="127.0.0.1")), "loopback"
    assert Redirection().takes(VAULT) and not Redirection().takes(METADATA)


def test_a_pod_that_comes_again_has_the_same_name_and_another_uid(fleet):
    names = [(pod.workload.namespace, pod.workload.cluster, pod.name) for pod in fleet]
    again = [name for name in set(names) if names.count(name) == 2]
    assert again
    for name in again:
        first, second = (pod for pod, other in zip(fleet, names, strict=True) if other == name)
        assert first.uid != second.uid and first.workload.controller == "StatefulSet"
        assert max(run.ended for run in first.runs("app")) < second.created


def test_no_two_pods_of_a_name_live_at_a_time(fleet):
    lives = {}
    for pod in sorted(fleet, key=lambda pod: pod.created):
        assert lives.get(pod.name, 0) < pod.created, pod.name
        lives[pod.name] = max(run.ended for run in pod.runs("app")) if pod.stopped else float("inf")


def test_most_pods_take_no_harm(fleet):
    harmed = sum(any(attempt.verdict == "startup_race" for attempt in pod.attempts) for pod in fleet)
    assert harmed < len(fleet) / 2
