"""When a remedy applies, what blocks it, its traps: each row of what is publicly known is a test with its source."""

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from meshlogs.remedies import REMEDIES, hold_application, wait_for_proxy
from meshlogs.remedies.workloads import HARMS

_spec = importlib.util.spec_from_file_location("cases", Path(__file__).with_name("cases.py"))
cases = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cases)
advice, error, fact, pod, start, vault = (
    getattr(cases, name) for name in ("advice", "error", "fact", "pod", "start", "vault")
)

HELD = {"proxy.istio.io/config": '{"holdApplicationUntilProxyStarts": true}'}
NATIVE = {"injection": "native_sidecar", "hold": None}


def applies(table):
    return sorted(table.index[table["applies"].astype(bool)])


@pytest.mark.parametrize("remedy", REMEDIES, ids=lambda remedy: remedy.REMEDY)
def test_a_remedy_says_when_it_works_its_traps_how_to_check_and_where_that_stands(remedy):
    assert set(remedy.TREATS) <= set(HARMS)
    assert remedy.WHEN and remedy.CHECK and remedy.SOURCES
    assert all(trap and source for trap, source in remedy.TRAPS)
    assert remedy.__doc__.splitlines()[0].endswith((".", ")."))


# The start-up race


def test_regular_proxy_without_hook_is_held_or_made_native():
    """istio/istio#24737, #45959: the proxy is a regular container, no postStart."""
    found = advice(pods=[pod()])
    assert applies(found) == ["hold_application", "native_sidecar", "retry_backoff", "wait_for_proxy"]


@pytest.mark.parametrize(
    ("version", "hold", "per_pod", "native"),
    [
        # istio/istio#24737 (1.7, mesh-wide), #27696 (1.8, per pod); #45959 (1.19), #53490 (annotation, 1.24)
        ("1.3.3", False, False, False),
        ("1.6.14", False, False, False),
        ("1.7.8", True, False, False),
        ("1.8.0", True, True, False),
        ("1.18.5", True, True, False),
        ("1.19.10-asm.6", True, True, True),
        ("1.24.1", True, True, True),
    ],
)
def test_versions_decide(version, hold, per_pod, native):
    found = advice([start(proxy_version=version)], pods=[pod()])
    assert found.loc["hold_application", "applies"] == hold
    patch = found.loc["hold_application", "patch"]
    assert isinstance(patch, str) == (per_pod or version < "1.7")  # too old: a patch for after the upgrade
    assert found.loc["native_sidecar", "applies"] == native
    by_pod = isinstance(found.loc["native_sidecar", "patch"], str)
    assert by_pod == (version == "1.24.1")
    if native:
        assert "ENABLE_NATIVE_SIDECARS" in found.loc["native_sidecar", "mesh_patch"]


def later(version, number=2, second=600.0, **more):
    """A start ten minutes after the others."""
    moment = cases.at(second)
    stamps = {f"{what}_{end}": moment for what in ("app_started", "proxy_started") for end in ("lower", "upper")}
    return start(number=number, proxy_version=version, **stamps, **more)


def test_the_newest_starts_proxy_decides():
    """A new pod gets what the newest got, whatever the order of the rows."""
    for starts in ([start(proxy_version="1.3.3"), later("1.20.3")], [later("1.20.3"), start(proxy_version="1.3.3")]):
        found = advice(starts, pods=[pod()])
        assert found.loc["hold_application", "applies"]
        assert (
            "newest start has proxy 1.20.3, others had 1.3.3, which is too old"
            in found.loc["hold_application", "traps"]
        )
    back = advice([start(proxy_version="1.20.3"), later("1.3.3")], pods=[pod()])
    assert "1.3.3" in back.loc["hold_application", "blocked_by"]
    assert pd.isna(back.loc["hold_application", "traps"])


def test_of_starts_at_one_time_the_oldest_proxy_decides():
    found = advice([start(), start(number=2, proxy_version="1.6.0")], pods=[pod()])
    assert "1.6.0" in found.loc["hold_application", "blocked_by"]


@pytest.mark.parametrize("second", [600.0, -600.0])
def test_where_a_proxy_has_no_other_port_the_agents_is_asked(second):
    """Only 15020 answers before Istio 1.6, and it answers in all versions (injection-template.yaml)."""
    starts = [start(proxy_version="1.20.3"), later("1.3.3", second=second)]
    found = advice(starts, pods=[pod(proxy={"readiness": {"port": 15021}})])
    assert "http://localhost:15020/healthz/ready" in found.loc["wait_for_proxy", "patch"]
    told = found.loc["hold_application", "blocked_by"]
    assert second < 0 or "http://localhost:15020/healthz/ready" in told
    both = advice([start(proxy_version="1.20.3"), later("1.6.0")], pods=[pod(proxy={"readiness": {"port": 15021}})])
    assert "http://localhost:15021/healthz/ready" in both.loc["wait_for_proxy", "patch"]


def test_a_port_that_is_none_is_not_asked():
    for port in ("²", "9" * 5_000, "-1"):
        row = advice(pods=[pod(proxy={"readiness": None}, annotations={"status.sidecar.istio.io/port": port})])
        assert "http://localhost:15021/healthz/ready" in row.loc["wait_for_proxy", "patch"]


def test_the_mesh_wide_setting_of_1_9_0_leaves_the_proxy_last():
    """istio/istio#30846."""
    assert "30846" in advice([start(proxy_version="1.9.0")]).loc["hold_application", "traps"]


@pytest.mark.parametrize("hook", [{"post_start": "/bin/own"}, {"pre_stop": "sleep 10"}])
def test_a_lifecycle_of_the_proxys_own_drops_the_hook(hook):
    """istio/istio#41237, #37541."""
    row = advice(pods=[pod(proxy=hook)]).loc["hold_application"]
    assert not row["applies"] and "41237" in row["blocked_by"]


def test_native_sidecars_ignore_holding():
    """istio/istio#59690."""
    row = advice([start(**NATIVE)], pods=[pod()]).loc["hold_application"]
    assert not row["applies"] and "59690" in row["blocked_by"]


@pytest.mark.parametrize(
    ("controller", "policy"), [("Job", "Never"), ("CronJob", "OnFailure"), ("Deployment", "OnFailure")]
)
def test_jobs_are_never_held(controller, policy):
    """istio/istio#45627: native sidecar or a wait in the application instead."""
    found = advice([start(controller=controller)], pods=[pod(restart_policy=policy)])
    assert "45627" in found.loc["hold_application", "blocked_by"]
    assert {"native_sidecar", "wait_for_proxy"} <= set(applies(found))
    assert "quitquitquit" in found.loc["wait_for_proxy", "traps"]


def test_a_hook_that_is_there_and_fails_needs_a_faster_proxy():
    """istio/istio#41086, #40010; raising retries hides it (#39950)."""
    found = advice([start(hold=True, window=(61.0, 70.0))], pods=[pod()], evidence=[fact("hold_failed", 60.0)])
    assert "failed 1 time" in found.loc["hold_application", "blocked_by"]
    assert "41086" in found.loc["hold_application", "blocked_by"]
    assert "hides" in found.loc["retry_backoff", "traps"]
    assert found.loc["hold_application", "expected_effect"].startswith("would have prevented none of its refused")


def test_set_but_no_hook_is_said():
    """istio/istio#51310, #38800: users cannot verify it."""
    row = advice(pods=[pod(annotations=HELD)]).loc["hold_application"]
    assert "51310" in row["blocked_by"] and "the hook is not" in row["blocked_by"]


def test_a_window_longer_than_the_hook_is_not_promised():
    """istio/istio#41086: the hook gives up after 60 s."""
    found = advice([start(), start(number=2, window=(75.0, 80.0))], [error(), error(number=2)], [pod()])
    held = found.loc["hold_application"]
    assert (held["errors_removed_lower"], held["errors_removed_upper"]) == (1, 1)
    assert "60 s" in held["traps"]
    assert found.loc["native_sidecar", "errors_removed_lower"] == 2


def test_managed_control_planes_have_no_mesh_wide_switch():
    """Google's guide: pod level only; native per pod is unproven there (kb.formance.com)."""
    status = {"sidecar.istio.io/status": json.dumps({"revision": "asm-managed-rapid"})}
    found = advice(pods=[pod(annotations=status)])
    assert found["mesh_patch"].isna().all()
    assert "unproven" in found.loc["native_sidecar", "traps"]
    old = advice([start(proxy_version="1.20.8-asm.1")], pods=[pod(annotations=status)])
    assert not old.loc["native_sidecar", "applies"]


def test_the_metadata_server_is_excluded_not_counted_on():
    """GoogleCloudPlatform/kubernetes-engine-samples#468: slow on new pods by itself."""
    found = advice(errors=[error(ip="169.254.169.254", port=80)], pods=[pod()])
    assert "169.254.169.254/32" in found.loc["exclude_outbound", "patch"]
    assert "exclude_outbound" not in advice(pods=[pod()]).index


def test_without_a_spec_the_metadata_server_may_be_redirected():
    """GoogleCloudPlatform/kubernetes-engine-samples#468: likely not the race, but excluding it is right."""
    told = error("upstream", ip="169.254.169.254", port=80, reason="metadata_server")
    found = advice([start("safe")], [told])
    assert list(found.index) == ["exclude_outbound"]
    row = found.loc["exclude_outbound"]
    assert (row["errors_removed_lower"], row["errors_removed_upper"]) == (0, 1)
    assert "169.254.169.254/32" in row["patch"] and "by hand" in row["traps"]


def test_refusals_that_are_not_the_meshs_get_no_remedy():
    """istio/istio#27094, #12139: refused in steady state, not this race."""
    assert advice([start("safe")], [error("upstream")], [pod()]).empty
    assert advice([start("undetermined")], [error("undetermined")], [pod()]).empty


@pytest.mark.parametrize(
    ("version", "proxy", "annotations", "port"),
    [
        ("1.3.3", {"readiness": {"port": 15020}}, {}, 15020),
        ("1.5.0", {"readiness": None}, {}, 15020),  # agent answers (injection-template.yaml)
        ("1.6.0", {"readiness": None}, {}, 15021),
        (None, {"readiness": None}, {}, 15020),  # answers in every version
        ("1.24.1", {"readiness": None}, {"status.sidecar.istio.io/port": "15120"}, 15120),
    ],
)
def test_the_port_to_wait_for(version, proxy, annotations, port):
    found = advice([start(proxy_version=version)], pods=[pod(proxy=proxy, annotations=annotations)])
    assert f"http://localhost:{port}/healthz/ready" in found.loc["wait_for_proxy", "patch"]


def test_nothing_answers_where_the_status_port_is_off():
    row = advice(pods=[pod(annotations={"status.sidecar.istio.io/port": "0"})]).loc["wait_for_proxy"]
    assert not row["applies"]


# Vault and other init containers


def test_vault_behind_istio_init():
    """hashicorp/vault-k8s#41: agent first, or its address or port excluded, or a native sidecar."""
    stalled, logins = vault()
    found = advice([stalled], logins, [pod(init=("istio-init", "vault-agent-init"))])
    assert applies(found) == ["agent_init_first", "exclude_outbound", "exclude_ports", "native_sidecar"]
    assert "10.96.10.4/32" in found.loc["exclude_outbound", "patch"]
    assert "'8200'" in found.loc["exclude_ports", "patch"]
    assert (found["starts_removed_upper"] == 1).all()
    assert (found["errors_removed_upper"] == 2).all()


def test_agent_first_does_not_help_under_the_cni_plug_in():
    """hashicorp/vault#10629, vault-k8s#41."""
    stalled, logins = vault()
    found = advice([stalled], logins, [pod(init=("istio-validation", "vault-agent-init"))])
    assert "10629" in found.loc["agent_init_first", "blocked_by"]
    assert "exclude_outbound" in applies(found)


def test_agent_first_re_breaks_a_native_sidecar():
    """hashicorp/vault-k8s#41; istio/istio pkg/kube/inject/webhook.go puts the proxy first."""
    stalled, logins = vault(**NATIVE)
    init = ("vault-agent-init", "istio-validation", "istio-proxy")
    found = advice([stalled], logins, [pod(init=init, containers=("web",))])
    assert "agent-init-first" in found.loc["native_sidecar", "blocked_by"]
    stalled, logins = vault()
    first = {"vault.hashicorp.com/agent-init-first": "true"}
    found = advice([stalled], logins, [pod(init=("istio-init", "vault-agent-init"), annotations=first)])
    assert "agent-init-first" in found.loc["native_sidecar", "traps"]
    assert "0.3.0" in found.loc["agent_init_first", "blocked_by"]


def test_another_init_container_than_vaults():
    """Any init container behind the redirection, not only Vault's."""
    stalled, _ = vault()
    logins = [error("init_race", 1, 1.0, "10.0.0.7", 443, "migrate")]
    found = advice([stalled], logins, [pod(init=("istio-init", "migrate"))])
    assert "injector" in found.loc["agent_init_first", "blocked_by"]
    assert "serves much else" in found.loc["exclude_ports", "blocked_by"]
    assert "10.0.0.7/32" in found.loc["exclude_outbound", "patch"]


def test_a_stalled_pod_that_says_nothing_has_no_address_to_exclude():
    found = advice([vault()[0]], [], [pod(init=("istio-init", "vault-agent-init"))])
    assert "find it in the agent's log" in found.loc["exclude_outbound", "blocked_by"]
    assert found.loc["agent_init_first", "applies"]


def test_existing_exclusions_are_kept_for_the_annotation_replaces_them():
    """istio/istio injection-template.yaml: the annotation replaces the mesh's value."""
    stalled, logins = vault()
    here = pod(
        init=("istio-init", "vault-agent-init"),
        redirect={"exclude_ranges": ["169.254.169.254/32"], "exclude_ports": ["9000"]},
        annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "9000, 9001"},
    )
    found = advice([stalled], logins, [here])
    assert "169.254.169.254/32,10.96.10.4/32" in found.loc["exclude_outbound", "patch"]
    assert "9000,9001,8200" in found.loc["exclude_ports", "patch"]
    assert "9000,9001,8200" in found.loc["exclude_ports", "mesh_patch"]


def test_strict_mtls_is_a_trap_of_every_exclusion():
    """banzaicloud/bank-vaults#773."""
    stalled, logins = vault()
    found = advice([stalled], logins, [pod(init=("istio-init", "vault-agent-init"))])
    assert all("773" in found.loc[name, "traps"] for name in ("exclude_outbound", "exclude_ports"))


def test_dns_capture_breaks_the_lookup_too():
    """istio/istio#36453."""
    stalled, logins = vault()
    config = {"proxy.istio.io/config": "proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true'}"}
    found = advice([stalled], logins, [pod(init=("istio-init", "vault-agent-init"), annotations=config)])
    assert "36453" in found.loc["exclude_outbound", "traps"]


def test_listed_ranges_are_not_excluded_but_unlisted():
    """istio.io resource annotations: exclusions count only where everything is redirected."""
    stalled, logins = vault()
    here = pod(init=("istio-init", "vault-agent-init"), redirect={"include_ranges": ["10.0.0.0/8"]})
    assert "out of that list" in advice([stalled], logins, [here]).loc["exclude_outbound", "blocked_by"]


# Outages and stops


def test_memory_only_where_memory_was_the_cause():
    """istio/istio injection-template.yaml: one resource annotation replaces all defaults."""
    outage = [error("proxy_outage", second=90.0)]
    killed = advice([start("safe")], outage, [pod()], [fact("container_died", 89.0, value="OOMKilled 137")])
    patch = killed.loc["proxy_resources", "patch"]
    assert "proxyMemoryLimit: 2048Mi" in patch and patch.count("sidecar.istio.io/proxy") == 4
    crashed = advice([start("safe")], outage, [pod()], [fact("container_died", 89.0, value="Error 255")])
    assert "Error 255" in crashed.loc["proxy_resources", "blocked_by"]
    assert "retry_backoff" in applies(crashed)


def test_a_stated_limit_is_doubled():
    limit = {"sidecar.istio.io/proxyMemoryLimit": "1.5Gi", "sidecar.istio.io/proxyCPU": "1"}
    found = advice(
        [start("safe")],
        [error("proxy_outage", second=90.0)],
        [pod(annotations=limit)],
        [fact("container_died", 89.0, value="OOMKilled 137")],
    )
    patch = found.loc["proxy_resources", "patch"]
    assert "proxyMemoryLimit: 3Gi" in patch and "proxyCPU: '1'" in patch


def test_the_drain_covers_what_was_measured():
    """istio/istio#34855 (four settings), #44690 (MINIMUM_DRAIN_DURATION counts with exit on zero)."""
    stopped = [error("shutdown_race", second=100.0), error("shutdown_race", second=112.4)]
    stop = [fact("pod_stopping", 100.0 - 5.0, container=None)]
    found = advice([start("safe")], stopped, [pod(annotations={"proxy.istio.io/config": "concurrency: 4"})], stop)
    assert applies(found) == ["drain", "native_sidecar"]
    patch = found.loc["drain", "patch"]
    assert "terminationDrainDuration: 23s" in patch  # 17.4 s after the stop, whole seconds, and 5 s more
    assert "EXIT_ON_ZERO_ACTIVE_CONNECTIONS: ''true''" in patch and "concurrency: 4" in patch
    old = advice([start("safe", proxy_version="1.9.2")], stopped, [pod()], stop).loc["drain", "patch"]
    assert "terminationDrainDuration: 23s" in old and "EXIT_ON_ZERO" not in old


def test_native_sidecars_need_no_drain():
    """istio/istio#51855."""
    found = advice([start("safe", **NATIVE)], [error("shutdown_race", second=100.0)], [pod()])
    assert applies(found) == []


# What it saves and costs


def test_the_delay_is_what_the_proxy_needs_in_bounds():
    # The proxy started 1 s after the application and was open between 4 and 5 s of the application's clock: held, the
    # application waits for the proxy's own 3 s at least, for the window's 5 s and a poll of 0.5 s at most.
    late = start(window=(4.0, 5.0), proxy_started_lower=cases.at(1.0), proxy_started_upper=cases.at(1.0))
    held = advice([late], pods=[pod()]).loc["hold_application"]
    assert (held["delay_p50_lower_s"], held["delay_p50_upper_s"]) == (3.0, 5.5)
    assert "later by 3.0 to 5.5 s" in held["expected_effect"]


def test_an_unseen_end_is_no_number():
    open_end = start(window=(42.4, float("inf")))
    found = advice([open_end], pods=[pod()])
    assert found.loc["native_sidecar", "delay_p90_upper_s"] == float("inf")
    assert "at least 42.4 s" in found.loc["native_sidecar", "expected_effect"]
    held = found.loc["hold_application"]
    assert (held["errors_removed_lower"], held["errors_removed_upper"]) == (0, 1)
    assert held["delay_p90_upper_s"] <= hold_application.HOOK_LIMIT_S + hold_application.POLL_S


def removed(row, what="starts"):
    return row[f"{what}_removed_lower"], row[f"{what}_removed_upper"]


def test_a_start_with_two_verdicts_counts_once():
    """Start 1 raced and was refused again as it stopped; start 2 raced behind an unseen end; start 3 only stopped."""
    starts = [start(), start(number=2, window=(42.0, float("inf"))), start("safe", 3, (0.0, 0.0))]
    errors = [error(), error(), error("shutdown_race", 1, 90.0), error(number=2), error("shutdown_race", 3, 90.0)]
    found = advice(starts, errors, [pod()])
    assert removed(found.loc["native_sidecar"]) == (3, 3)
    assert "5 refused connections in 3 starts" in found.loc["native_sidecar", "expected_effect"]
    assert removed(found.loc["hold_application"]) == (1, 2)  # it gives up after 60 s
    assert removed(found.loc["drain"]) == (2, 2)


def test_a_start_refused_by_vault_and_by_the_metadata_server_counts_once():
    stalled, logins = vault()
    metadata = {"ip": "169.254.169.254", "port": 80}
    likely = error("upstream", number=2, reason="metadata_server", **metadata)
    both = [*logins, error("startup_race", **metadata), likely, error("init_race", 2, ip="10.96.10.4", port=8200)]
    found = advice([stalled, start("init_stalled", 2)], both, [pod(init=("istio-init", "vault-agent-init"))])
    assert removed(found.loc["exclude_outbound"]) == (2, 2)
    assert removed(found.loc["exclude_outbound"], "errors") == (4, 5)
    assert removed(found.loc["exclude_ports"], "errors") == (3, 3)  # port 80 stays behind the redirection


def test_starts_that_stall_without_a_word_are_let_through_at_most():
    silent = [vault(number)[0] for number in (1, 2)]
    found = advice(silent, [], [pod(init=("istio-init", "vault-agent-init"))])
    for remedy in ("agent_init_first", "native_sidecar", "exclude_outbound"):
        assert removed(found.loc[remedy]) == (0, 2)
        assert "would have let 0 to 2 starts out of Init" in found.loc[remedy, "expected_effect"]
    some = advice([vault(3)[0], *silent], vault(3)[1], [pod(init=("istio-init", "vault-agent-init"))])
    for remedy in ("agent_init_first", "native_sidecar", "exclude_outbound", "exclude_ports"):
        assert removed(some.loc[remedy]) == (1, 3)


def test_delays_are_bounds_whatever_the_windows_inside_their_intervals_were():
    """Of the windows (1, 2], (1.9, 4], (0, 1.95] the middle one is 1 at least, 2 at most, here looked at every 1 s."""
    windows = [(1.0, 2.0), (1.9, 4.0), (0.0, 1.95)]
    found = advice([start(number=at, window=window) for at, window in enumerate(windows)], [error(number=0)], [pod()])
    waiting = found.loc["wait_for_proxy"]
    step = wait_for_proxy.POLL_S
    assert (waiting["delay_p50_lower_s"], waiting["delay_p50_upper_s"]) == (1.0, 2.0 + step)
    assert (waiting["delay_p90_lower_s"], waiting["delay_p90_upper_s"]) == (1.9, 4.0 + step)


def test_held_starts_are_not_delayed_again():
    found = advice([start(), start("safe", 2, (0.0, 0.0), hold=True)], pods=[pod()])
    assert found.loc["hold_application", "delay_p50_lower_s"] == 2.0


def test_a_workload_that_was_only_exposed_needs_nothing():
    """It had no harm: a remedy would have prevented 0 refused connections in 0 starts."""
    assert advice([start("exposed")], []).empty
    elsewhere = advice([start(), start("exposed", 2, workload="api", cluster="d")], [error()])
    assert set(elsewhere["workload"]) == {"web"}
    beside = advice([start(), start("exposed", 2)], [error()])
    assert "2 ran before the proxy was ready, 1 was harmed" in beside.loc["hold_application", "why"]


def test_a_fleet_without_harm_needs_nothing():
    assert advice([start("safe"), start("not_meshed", 2)], []).empty
    assert advice([], []).empty
