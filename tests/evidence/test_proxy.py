import re

import pandas as pd
import pytest

from meshlogs import schema, times
from meshlogs.evidence import proxy

T = times.parse_ns("2026-03-02T09:00:10.5Z")


def entry(message, **more):
    return {
        "time": T, "resource_type": "k8s_container", "namespace": "shop", "pod": "web-1", "container": "istio-proxy",
        "message": message, "insert_id": "i", "log_name": "projects/p/logs/stdout", "line": 1, **more,
    }  # fmt: skip


def facts(*messages):
    rows = schema.conform([entry(message) for message in messages], schema.LOG_ENTRIES)
    return proxy.from_logs(rows)


@pytest.mark.parametrize("line", proxy.LINES, ids=lambda line: line.pattern[:40])
def test_every_phrase_is_found_by_its_example(line):
    assert re.search(line.pattern, line.example)
    found = facts(f"2026-03-02T09:00:10.500000Z\t{line.example}")
    assert line.kind in found["kind"].tolist()


def test_the_worker_line_is_the_opening_itself():
    found = facts("2026-03-02T09:00:10.500000Z\tinfo\tall dependencies initialized. starting workers").set_index("kind")
    assert found.loc["proxy_closed", "time_lower"] == pd.Timestamp(T - 50_000_000, tz="UTC")
    assert found.loc["proxy_open", "time_upper"] == pd.Timestamp(T + 50_000_000, tz="UTC")


def test_a_failed_check_of_the_redirection_is_told():
    line = "Error connecting to 127.0.0.6:15002: dial tcp 127.0.0.1:0->127.0.0.6:15002: connect: connection refused"
    rows = schema.conform([entry(line, container="istio-validation")], schema.LOG_ENTRIES)
    assert proxy.from_logs(rows)["kind"].tolist() == ["redirection_missing"]
    assert facts(line).empty


def test_readiness_succeeded_dates_the_process():
    found = facts("2026-03-02T09:00:10.5Z\tinfo\tReadiness succeeded in 1.25s").set_index("kind")
    assert found.loc["proxy_process", "time_lower"] == pd.Timestamp(T - 1_250_000_000, tz="UTC")


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (
            'Get "http://127.0.0.1:15000/stats?usedonly": dial tcp 127.0.0.1:15000: connect: connection refused',
            "closed",
        ),
        (
            'Get "http://127.0.0.1:15000/stats?usedonly": context deadline exceeded (Client.Timeout exceeded)',
            "not_ready",
        ),
    ],
)
def test_only_a_refused_admin_port_proves_a_closed_proxy(cause, kind):
    found = facts(f"2026-03-02T09:00:10.5Z\twarn\tEnvoy proxy is NOT ready: failed to get readiness stats: {cause}")
    assert found["kind"].tolist() == [f"proxy_{kind}"]


def test_a_hot_restart_closes_nothing():
    again = facts(
        "2020-05-27T13:27:53.1Z\tinfo\tReceived new config, creating new Envoy epoch 1",
        "2020-05-27T13:27:53.2Z\tinfo\tEpoch 1 starting",
        "2020-05-27T13:27:53.3Z\tinfo\tEnvoy command: [-c /etc/istio/proxy/envoy-rev1.json --restart-epoch 1]",
        "2020-05-27T13:28:53.3Z\tinfo\tEpoch 0 exited normally",
    )
    assert again.empty
    first = facts("info\tEnvoy command: [-c /etc/istio/proxy/envoy-rev0.json --restart-epoch 0 --drain-time-s 45]")
    assert first["kind"].tolist() == ["proxy_process"]
    started = "[2020-05-27 13:27:53.4][21][info][main] all dependencies initialized. starting workers"
    assert facts(f"[Envoy (Epoch 0)] {started}")["kind"].tolist() == ["proxy_open", "proxy_closed"]
    assert facts(f"[Envoy (Epoch 1)] {started}")["kind"].tolist() == ["proxy_open"]


def test_a_version_line_tells_the_version():
    found = facts("2026-03-02T09:00:10.5Z\tinfo\tVersion 1.19.10-asm.6-abc-Clean")
    assert found["value"].tolist() == ["1.19.10-asm.6-abc-Clean"]


ACCESS = (
    '[2026-03-02T09:00:{}Z] "- - -" 0 - - - "-" 10 20 {} - "-" "-" "-" "-" "10.0.0.9:6379" '
    "{} 10.1.1.1:5000 10.0.0.9:6379 10.1.1.1:4000 - -"
)


def test_outbound_access_proves_an_open_proxy_at_its_start_time():
    found = facts(
        ACCESS.format("03.250", 5000, "outbound|6379||redis.shop.svc.cluster.local"),
        ACCESS.format("02.000", 5000, "inbound|8080||"),
        ACCESS.format("02.000", 5000, "InboundPassthroughClusterIpv4"),
        ACCESS.format("05.000", 10, "PassthroughCluster"),
        ACCESS.format("04.000", 10, "PassthroughCluster"),
    )
    # first and last of the minute
    assert found["time_lower"].tolist() == [
        pd.Timestamp("2026-03-02T09:00:03.25Z"), pd.Timestamp("2026-03-02T09:00:05Z"),
    ]  # fmt: skip
    assert set(found["kind"]) == {"proxy_open"}


def event(message, reason="Unhealthy", container="istio-proxy"):
    stamp = times.parse_ns("2026-03-02T09:00:10Z")
    return {
        "time_lower": stamp, "time_upper": stamp + times.SECOND - 1, "kind": "Pod", "pod": "web-1", "namespace": "shop",
        "reason": reason, "message": message, "container": container, "container_kind": "regular",
    }  # fmt: skip


def test_probe_answers():
    texts = {
        "Readiness probe failed: HTTP probe failed with statuscode: 503": ("503", None),
        'Startup probe failed: Get "http://10.0.0.5:15021/healthz/ready": dial tcp 10.0.0.5:15021: connect: '
        "connection refused": ("refused", 15021),
        'Readiness probe failed: Get "http://10.0.0.5:15021/healthz/ready": context deadline exceeded '
        "(Client.Timeout exceeded while awaiting headers)": ("timeout", 15021),
    }
    found = proxy.from_events(schema.conform([event(text) for text in texts], schema.EVENTS))
    assert set(found.loc[found["kind"] == "pod_address", "value"]) == {"10.0.0.5"}
    found = found[found["kind"] == "probe_failed"]
    assert found["value"].tolist() == [answer for answer, _ in texts.values()]
    assert found["port"].astype(object).where(found["port"].notna(), None).tolist() == [
        port for _, port in texts.values()
    ]


def test_an_image_tells_the_version():
    text = 'Container image "docker.io/istio/proxyv2:1.3.3" already present on machine'
    found = proxy.from_events(schema.conform([event(text, "Pulled")], schema.EVENTS))
    assert found[["kind", "value"]].values.tolist() == [["proxy_version", "1.3.3"]]


def test_other_containers_probes_are_not_the_proxys():
    assert proxy.from_events(schema.conform([event("Readiness probe failed: x", container="web")], schema.EVENTS)).empty


def test_repeats_of_a_startup_probe_keep_the_beat_of_the_first():
    def failed(text, floor, name):
        first = times.parse_ns("2026-03-02T09:00:10.25Z")
        second = times.parse_ns(floor)
        return {
            "kind": "Pod", "pod": "web-1", "namespace": "shop", "container": "istio-proxy", "reason": "Unhealthy",
            "message": f"{text} probe failed: Get http://10.1.1.1:15021/healthz/ready: connect: connection refused",
            "time_lower": second, "time_upper": second + times.SECOND - 1, "time_source": name,
            "event_name": f"web-1.{first:x}",
        }  # fmt: skip

    rows = [
        failed("Startup", "2026-03-02T09:00:14Z", "last_timestamp"),
        failed("Readiness", "2026-03-02T09:00:16Z", "last_timestamp"),
    ]
    found = proxy.from_events(schema.conform(rows, schema.EVENTS))
    probes = found[found["kind"] == "probe_failed"]
    assert probes["time_lower"].tolist() == [
        pd.Timestamp("2026-03-02T09:00:14.15Z"),
        pd.Timestamp("2026-03-02T09:00:16Z"),
    ]
    assert probes["time_upper"].iloc[0] == pd.Timestamp("2026-03-02T09:00:14.35Z")
