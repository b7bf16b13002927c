"""Refused connections from log entries, and the lines of one failure as one.

`recorded_lines.jsonl`: what real clients printed in front of a real Envoy (p1 rules without Envoy, p1d the
same with DNS capture, p1i an init container, p2a Envoy without configuration, p3 ready, p4 upstream trouble,
p5a stopped, p6 killed, p7c an excluded port, p8a loopback).
"""

import json
import os
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshlogs import schema, times
from meshlogs.evidence import grouped, refused

T = times.parse_ns("2026-03-02T09:00:10Z")
MS = times.MILLISECOND

RECORDED = [
    json.loads(line) for line in Path(__file__).with_name("recorded_lines.jsonl").read_text("utf-8").splitlines()
]
HARMED = ["p1", "p1i", "p2a", "p5a", "p6", "p7c", "p8a"]

# Said after the refusal, by the client or the shell, or no connect at all.
NOT_STATED = (
    " [000]",
    "Command timed out",
    "Connection is closed",
    "ClosedChannelException",
    "ECONNRESET",
    "IOException",
)


def entry(message, at=0, number=0, **more):
    return {
        "time": T + at, "resource_type": "k8s_container", "project": "p", "namespace": "shop", "pod": "web-1",
        "container": "app", "log_name": "projects/p/logs/stderr", "message": message, "insert_id": f"{number:06d}",
        "source": "f", "line": number, **more,
    }  # fmt: skip


def table(*entries):
    return schema.conform(list(entries), schema.LOG_ENTRIES)


def written(*messages, step=0, **more):
    """Entries of one container, `step` ns apart."""
    return table(*(entry(message, at * step, at, **more) for at, message in enumerate(messages)))


def failures(*messages, **more):
    return refused.group(refused.extract(written(*messages, **more)))


def places(rows):
    port = rows["port"].astype(object).where(rows["port"].notna(), None)
    host = rows["host"].astype(object).where(rows["host"].notna(), None)
    return list(zip(host, port, strict=True))


def recorded(rows):
    return table(
        *(
            entry(
                row["line"], row["t_ns"] - T, at, pod=row["phase"], container=row["client"],
                log_name=f"projects/p/logs/{row['stream']}",
            )
            for at, row in enumerate(rows)
        )
    )  # fmt: skip


# extract


def test_a_row_tells_what_when_where_and_from_which_entry():
    found = refused.extract(
        table(entry("dial tcp 10.0.0.6:6379: connect: connection refused", 5, 7, cluster="c", location="eu", node="n1"))
    )
    row = found.iloc[0]
    assert (row["kind"], row["value"], row["suspected"]) == ("refused", "go_dial", False)
    assert (row["host"], row["ip"], row["port"]) == ("10.0.0.6", "10.0.0.6", 6379)
    assert row["time_lower"] == row["time_upper"] == pd.Timestamp(T + 5, tz="UTC")
    assert (row["cluster"], row["location"], row["pod"], row["container"]) == ("c", "eu", "web-1", "app")
    assert (row["insert_id"], row["source"], row["line"], row["entries"]) == ("000007", "f", 7, 1)
    assert row["message"] == "dial tcp 10.0.0.6:6379: connect: connection refused"


def test_a_late_report_is_an_interval():
    found = refused.extract(
        written("pymongo.errors.ServerSelectionTimeoutError: m:1: [Errno 111] Connection refused, Timeout: 5s")
    )
    assert found["time_lower"].tolist() == [pd.Timestamp(T - 5 * times.SECOND, tz="UTC")]
    assert found["time_upper"].tolist() == [pd.Timestamp(T, tz="UTC")]
    assert found["late_s"].tolist() == [5.0]


@pytest.mark.parametrize(
    "payload",
    [
        {"msg": "ping failed", "err": "dial tcp 10.0.0.6:6379: connect: connection refused"},
        {"level": "error", "error": {"stack": "Error: connect ECONNREFUSED 10.0.0.6:6379\n    at TCPConnectWrap"}},
        {"message": "boom", "exc_info": "ConnectionRefusedError: [Errno 111] Connect call failed ('10.0.0.6', 6379)"},
        {"log": '{"error":"dial tcp 10.0.0.6:6379: connect: connection refused"}'},
        {"code": "ECONNREFUSED", "address": "10.0.0.6", "port": 6379, "syscall": "connect"},
        {"error": "connection refused", "addr": "10.0.0.6:6379", "referer": "https://shop.example.net/"},
    ],
)
def test_every_field_of_a_json_payload_is_read(payload):
    found = refused.extract(written("ping failed", payload=json.dumps(payload)))
    assert found["kind"].tolist() == ["refused"]
    assert places(found) == [("10.0.0.6", 6379)]


@pytest.mark.parametrize(
    "more",
    [
        {"container": "istio-proxy"},
        {"container": "istio-init"},
        {"container": "istio-validation"},
        {"resource_type": "k8s_pod"},
        {"resource_type": "k8s_node"},
        {"resource_type": "k8s_cluster"},
        {"resource_type": "audited_resource"},
        {"resource_type": None},
        {"pod": None},
        {"time": None},
    ],
)
def test_only_containers_of_the_application_are_read(more):
    line = {**entry("dial tcp 10.0.0.6:6379: connect: connection refused"), **more}
    assert refused.extract(table(line)).empty


ACCESS = (
    '[2026-03-02T09:00:06.000Z] "GET / HTTP/1.1" 503 URX,UF upstream_reset_before_response_started'
    '{{remote_connection_failure|{}}} - "{}" 0 121 54 - "-" "curl" "id" "dead:8081" "10.1.2.3:8081" {} - '
    "10.96.10.5:8081 10.244.1.10:33822 - default"
)
OUTBOUND = "outbound|8081||dead.shop.svc.cluster.local"


@pytest.mark.parametrize("cause", ["delayed_connect_error:_111", "delayed_connect_error:_Connection_refused"])
def test_the_proxys_access_log_tells_who_refused_it(cause):
    found = refused.extract(written(ACCESS.format(cause, cause, OUTBOUND), container="istio-proxy"))
    row = found.iloc[0]
    assert (row["kind"], row["container"], row["suspected"]) == ("upstream_refused", "istio-proxy", False)
    assert (row["host"], row["port"]) == ("dead.shop.svc.cluster.local", 8081)
    assert pd.isna(row["ip"])  # the upstream's is not the one that was dialled
    # written four seconds after the request began
    assert row["time_lower"] == pd.Timestamp(T - 4 * times.SECOND, tz="UTC")


def test_access_log_in_json():
    payload = {
        "start_time": "2026-03-02T09:00:09.000Z",
        "response_flags": "UF",
        "upstream_cluster": OUTBOUND,
        "upstream_transport_failure_reason": "delayed_connect_error:_111",
        "downstream_local_address": "10.96.10.5:8081",
    }
    found = refused.extract(written("GET /", payload=json.dumps(payload), container="istio-proxy"))
    assert places(found) == [("dead.shop.svc.cluster.local", 8081)]
    assert found["late_s"].tolist() == [1.0]


def test_a_gateways_own_address_is_no_destination():
    line = ACCESS.format("delayed_connect_error:_111", "-", OUTBOUND.replace("8081", "80"))
    found = refused.extract(written(line.replace("10.96.10.5:8081", "10.8.1.5:8080"), container="istio-proxy"))
    assert places(found) == [("dead.shop.svc.cluster.local", 80)]
    assert found["ip"].isna().all()


@pytest.mark.parametrize(
    ("upstream", "where"), [("10.1.2.3:8081", ("10.1.2.3", 8081)), ("-", ("10.96.10.5", 8081))], ids=["told", "untold"]
)
def test_without_a_name_the_upstream_is_what_was_dialled(upstream, where):
    line = ACCESS.format("delayed_connect_error:_111", "-", "PassthroughCluster").replace("10.1.2.3:8081", upstream)
    found = refused.extract(written(line, container="istio-proxy"))
    assert places(found) == [where]
    assert found["ip"].tolist() == [where[0]]


@pytest.mark.parametrize(
    "line",
    [
        ACCESS.format("delayed_connect_error:_111", "-", "inbound|8080||"),
        ACCESS.format("delayed_connect_error:_111", "-", "InboundPassthroughClusterIpv4"),
        json.dumps({"upstream_cluster": "InboundPassthroughCluster", "details": "delayed_connect_error:_111"}),
        ACCESS.format("delayed_connect_error:_113", "-", OUTBOUND),
        "2026-03-02T09:00:00Z\tinfo\tEnvoy proxy is NOT ready: dial tcp 127.0.0.1:15000: connect: connection refused",
    ],
    ids=["inbound", "inbound passthrough", "inbound in JSON", "no route", "probe"],
)
def test_other_lines_of_the_proxy_are_read_elsewhere(line):
    assert refused.extract(written(line, container="istio-proxy")).empty


def test_hostile_messages_stay_data():
    line = (
        "=cmd|' /C calc'!A0 <script>\x1b]0;x\x07\x00 dial tcp 10.0.0.6:6379: connect: connection refused " + "y" * 9000
    )
    found = refused.extract(written(line))
    assert found["message"].tolist() == [line[:2000]]
    assert places(found) == [("10.0.0.6", 6379)]


def test_empty_tables():
    assert refused.extract(schema.empty(schema.LOG_ENTRIES)).empty
    assert refused.group(schema.empty(schema.EVIDENCE)).empty
    assert grouped(schema.empty(schema.EVIDENCE)).columns.tolist() == schema.EVIDENCE.names
    assert refused.extract(written("all is well")).columns.tolist() == schema.EVIDENCE.names


# what was recorded


def test_recorded_errors_are_found():
    rows = [row for row in RECORDED if row["phase"] in HARMED and row["role"] == "error"]
    stating = [row for row in rows if not any(words in row["line"] for words in NOT_STATED)]
    found = refused.extract(recorded(stating))
    # the fields of Node's error object are part of the failure above them
    objects = sum(row["line"] == "  code: 'ECONNREFUSED'," for row in stating)
    assert Counter(found["kind"] == "refused_context") == {False: len(stating) - objects, True: objects}
    other = [row for row in rows if any(words in row["line"] for words in NOT_STATED)]
    assert not refused.extract(recorded(other))["kind"].isin(["refused", "suspected", "upstream_refused"]).any()


def test_recorded_trouble_behind_a_ready_proxy_is_no_refusal():
    rows = [row for row in RECORDED if row["phase"] in ("p3", "p4a", "p4b", "p4c", "p4e")]
    found = grouped(refused.extract(recorded(rows)))
    assert set(found["kind"]) == {"upstream_refused"}
    assert set(found["container"]) == {"envoy istio-proxy"} or found.empty


def test_recorded_dns_capture_gives_no_refusal():
    rows = [row for row in RECORDED if row["phase"] == "p1d"]
    # Java's bare ConnectException is explained by the cause below it
    assert refused.group(refused.extract(recorded(rows))).empty


def test_recorded_clients_fail_once_each():
    rows = [row for row in RECORDED if row["phase"] == "p1"]
    found = refused.group(refused.extract(recorded(rows)))
    assert Counter(found["container"]) == {
        "go net.Dial": 2, "go net/http": 1, "java HttpClient": 1, "java Socket": 1, "native curl": 1, "native psql": 1,
        "node ioredis": 1, "node net": 1, "php phpredis": 1, "python redis-py": 1, "python requests": 1,
        "ruby net/http": 1, "ruby redis": 1,
    }  # fmt: skip
    assert set(found.loc[found["suspected"], "container"]) == {"java HttpClient", "native curl"}
    by_client = found.drop_duplicates("container").set_index("container")
    ports = by_client["port"].dropna().astype(int).to_dict()
    assert ports == {
        "go net.Dial": 6379, "go net/http": 8080, "native curl": 8080, "native psql": 5432, "node ioredis": 6379,
        "node net": 6379, "python redis-py": 6379, "python requests": 8080, "ruby net/http": 8080, "ruby redis": 6379,
    }  # fmt: skip
    # one exception and eight fields; one exception and seven frames
    assert by_client.loc["node net", "entries"] == 8
    assert by_client.loc["java Socket", "entries"] == 8


def test_all_recordings_when_they_are_there():
    folder = os.environ.get("MESHLOGS_RECORDINGS")
    path = Path(folder).parent / "recorded" / "lines.jsonl" if folder else None
    if path is None or not path.exists():
        pytest.skip("MESHLOGS_RECORDINGS names no folder with recordings beside it")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows = [row for row in rows if row["runtime"] != "envoy"]
    rows = [{**row, "phase": row["phase"].split("_")[0], "client": f"{row['client']} {row['target']}"} for row in rows]
    found = refused.extract(recorded(rows))
    kinds = found[found["kind"] != "refused_context"].set_index("line")["kind"]
    for at, row in enumerate(rows):
        stated = (
            row["phase"][:2] in ("p1", "p2", "p5", "p6", "p7", "p8")
            and row["phase"] != "p1d"
            and row["role"] == "error"
            and row["line"] != "  code: 'ECONNREFUSED',"
            and not any(words in row["line"] for words in NOT_STATED)
        )
        bare = row["phase"] == "p1d" and row["line"].endswith("java.net.ConnectException")
        assert (at in kinds) == (stated or bare), row["line"]


# group


def test_libpq_writes_three_lines():
    found = failures(
        "could not connect to server: Connection refused",
        '\tIs the server running on host "db" (10.0.0.2) and accepting',
        "\tTCP/IP connections on port 5432?",
    )
    row = found.iloc[0]
    assert len(found) == 1
    assert (row["host"], row["ip"], row["port"], row["entries"]) == ("db", "10.0.0.2", 5432, 3)
    assert row["insert_ids"] == "000000;000001;000002"
    assert row["insert_id"] == "000000"
    assert row["message"] == "could not connect to server: Connection refused"


@pytest.mark.parametrize("newer", [False, True])
def test_libpq_tries_each_address_of_a_name(newer):
    def attempt(ip):
        if newer:
            hint = "\tIs the server running on that host and accepting TCP/IP connections?"
            return [f'connection to server at "localhost" ({ip}), port 5432 failed: Connection refused', hint]
        return [
            "could not connect to server: Connection refused",
            f'\tIs the server running on host "localhost" ({ip}) and accepting',
            "\tTCP/IP connections on port 5432?",
        ]

    found = failures(*attempt("::1"), *attempt("127.0.0.1"))
    assert places(found) == [("localhost", 5432)]
    # a second try later on is a second failure
    assert len(failures(*attempt("::1"), *attempt("::1"), step=10 * MS)) == 2


JAVA = [
    "org.springframework.dao.DataAccessResourceFailureException: Unable to connect; nested exception is "
    "java.net.ConnectException: Connection refused",
    *[f"\tat com.example.shop.Cart.step{n}(Cart.java:{n})" for n in range(8)],
    "\t... 41 common frames omitted",
    "Caused by: io.lettuce.core.RedisConnectionException: Unable to connect to redis:6379",
    *[f"\tat io.lettuce.core.Client.step{n}(Client.java:{n})" for n in range(8)],
    "Caused by: io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: redis/10.0.0.3:6379",
    "Caused by: java.net.ConnectException: Connection refused",
    *[f"\tat java.base/sun.nio.ch.Net.step{n}(Net.java:{n})" for n in range(3)],
    "\t... 1 more",
]


@pytest.mark.parametrize("step", [0, MS, 30 * MS])
def test_a_java_trace_is_one_failure(step):
    found = failures(*JAVA, step=step)
    row = found.iloc[0]
    assert len(found) == 1
    assert row["entries"] == len(JAVA) == 25
    assert (row["host"], row["ip"], row["port"]) == ("redis", "10.0.0.3", 6379)
    assert (row["value"], row["suspected"]) == ("java_netty", False)
    assert row["time_upper"] == pd.Timestamp(T, tz="UTC")


def test_two_java_traces_in_a_row_are_two():
    trace = ["java.net.ConnectException: Connection refused", "\tat J.main(J.java:5)"]
    assert failures(*trace, *trace, step=MS)["entries"].tolist() == [2, 2]


def test_the_recorded_python_chain_is_one_failure():
    rows = [row for row in RECORDED if row["phase"] == "p1" and row["client"] == "python redis-py"]
    found = refused.group(refused.extract(recorded(rows)))
    assert places(found) == [("redis", 6379)]
    assert found["message"].str.contains("ERROR app.cache: redis ping failed").all()
    assert found["entries"].tolist() == [len(rows)]


PYTHON = [
    "Traceback (most recent call last):",
    '  File "/app/redis/connection.py", line 1601, in _connect',
    "    sock.connect(socket_address)",
    "ConnectionRefusedError: [Errno 111] Connection refused",
    "During handling of the above exception, another exception occurred:",
    "Traceback (most recent call last):",
    '  File "/app/main.py", line 9, in <module>',
    "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
]


def test_uncaught_the_cause_comes_first():
    found = failures(*PYTHON)
    assert places(found) == [("redis", 6379)]
    assert found["entries"].tolist() == [8]


def test_two_uncaught_chains_in_a_row_are_two():
    assert failures(*PYTHON, *PYTHON)["entries"].tolist() == [8, 8]


def test_a_chain_without_its_traceback_lines():
    found = failures(
        "2026-03-02 ERROR app: ping failed: Error 111 connecting to redis:6379. Connection refused.",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
    )
    assert found["entries"].tolist() == [3]


NODE = [
    "Error: connect ECONNREFUSED 10.0.0.3:6379",
    "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16) {",
    "  errno: -111,",
    "  code: 'ECONNREFUSED',",
    "  syscall: 'connect',",
    "  address: '10.0.0.3',",
    "  port: 6379",
    "}",
]


def test_nodes_error_object_is_one_failure_each_time():
    found = failures(*NODE, *NODE, *NODE, step=MS)
    assert found["entries"].tolist() == [8, 8, 8]
    assert places(found) == [("10.0.0.3", 6379)] * 3


def test_an_old_node_names_the_address_below_only():
    found = failures("Error: connect ECONNREFUSED", *NODE[1:])
    assert places(found) == [("10.0.0.3", 6379)]


def test_fields_alone_are_no_failure():
    assert failures(*NODE[2:]).empty
    assert failures("\tTCP/IP connections on port 5432?", "\tat J.main(J.java:5)").empty


def test_both_families_of_one_name_are_one_failure():
    found = failures(
        "AggregateError [ECONNREFUSED]: ",
        "    at internalConnectMultiple (node:net:1118:18)",
        "  code: 'ECONNREFUSED',",
        "  [errors]: [",
        "    Error: connect ECONNREFUSED ::1:6379",
        "      address: '::1',",
        "      port: 6379",
        "    Error: connect ECONNREFUSED 127.0.0.1:6379",
        "      address: '127.0.0.1',",
        "      port: 6379",
        "  ]",
        "}",
    )
    assert places(found) == [("::1", 6379)]
    assert found["entries"].tolist() == [12]


@pytest.mark.parametrize("addresses", [("10.0.0.10", "10.0.0.11"), ("fd00:1::10", "10.0.0.10")])
def test_all_addresses_of_a_name_are_one_failure(addresses):
    def attempt(ip):
        return [
            f"    Error: connect ECONNREFUSED {ip}:5432",
            "        at createConnectionError (node:net:1652:14)",
            "      errno: -111,",
            "      code: 'ECONNREFUSED',",
            "      syscall: 'connect',",
            f"      address: '{ip}',",
            "      port: 5432",
        ]

    first, last = addresses
    lines = [
        "AggregateError [ECONNREFUSED]: ",
        "    at internalConnectMultiple (node:net:1122:18)",
        "  code: 'ECONNREFUSED',",
        "  [errors]: [",
        *attempt(first),
        "    },",
        *attempt(last),
        "    }",
        "  ]",
        "}",
    ]
    found = failures(*lines, *lines, "Error: connect ECONNREFUSED 10.0.0.12:6379", step=MS)
    assert places(found) == [(first, 5432), (first, 5432), ("10.0.0.12", 6379)]
    assert found["entries"].tolist() == [len(lines), len(lines), 1]


RUBY = [
    "/lib/net/http.rb:987:in `initialize': Failed to open TCP connection to web:8080 (Connection refused - connect(2) "
    'for "web" port 8080) (Errno::ECONNREFUSED)',
    "\tfrom /lib/net/http.rb:987:in `open'",
    '/lib/net/http.rb:987:in `initialize\': Connection refused - connect(2) for "web" port 8080 (Errno::ECONNREFUSED)',
    "\tfrom /lib/net/http.rb:987:in `open'",
]


def test_rubys_exception_and_its_cause_are_one_failure():
    found = failures(*RUBY, *RUBY, step=MS)
    assert places(found) == [("web", 8080)] * 2
    assert found["entries"].tolist() == [4, 4]


SENDING = [
    "Traceback (most recent call last):",
    '  File "/site-packages/gunicorn/instrument/statsd.py", line 131, in _sock_send',
    "    self.sock.send(msg)",
    "ConnectionRefusedError: [Errno 111] Connection refused",
]


@pytest.mark.parametrize(
    "lines",
    [
        SENDING,
        [*SENDING[:3], "    ~~~~~~~~~~~~~~^^^^^", SENDING[3]],
        ["Error sending a metric: [Errno 111] Connection refused", *SENDING],
    ],
)
def test_a_refused_datagram_is_no_failure(lines):
    assert failures(*lines).empty


def test_a_refused_connect_in_a_function_that_sends_is_one():
    connecting = [*SENDING[:3], '  File "/app/pool.py", line 3, in get', "    sock.connect(address)", SENDING[3]]
    assert failures(*connecting)["kind"].tolist() == ["refused"]
    assert failures(*SENDING[:3], SENDING[3], *connecting)["entries"].tolist() == [6]


def test_fetch_failed_with_its_cause_is_refused():
    cause = ["  [cause]: Error: connect ECONNREFUSED 10.0.0.2:8080", "    address: '10.0.0.2',", "    port: 8080"]
    found = failures("TypeError: fetch failed", "    at node:internal/deps/undici:1:1 {", *cause, "}")
    assert found["kind"].tolist() == ["refused"]
    assert found["suspected"].tolist() == [False]
    assert places(found) == [("10.0.0.2", 8080)]


@pytest.mark.parametrize(
    ("first", "cause"),
    [
        ("TypeError: fetch failed", "  [cause]: ConnectTimeoutError: Connect Timeout Error"),
        ("java.net.ConnectException", "Caused by: java.nio.channels.UnresolvedAddressException"),
        ("com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
         "Caused by: java.net.UnknownHostException: db"),
    ],
)  # fmt: skip
def test_a_failed_connect_with_another_cause_is_no_row(first, cause):
    assert failures(first, "    at x", cause).empty
    assert failures(first, "    at x")["kind"].tolist() == ["suspected"]


def test_a_phrase_broken_over_two_entries():
    found = failures("2026-03-02 PANIC dial tcp 127.0.0.1:6379: connect: ", "connection refused")
    assert places(found) == [("127.0.0.1", 6379)]
    assert found["entries"].tolist() == [2]


def test_every_retry_is_a_failure():
    line = "[ioredis] Unhandled error event: Error: connect ECONNREFUSED 10.0.0.3:6379"
    frame = "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)"
    assert failures(*[line, frame] * 20, step=25 * MS)["entries"].tolist() == [2] * 20
    assert len(failures(line, line, step=5 * MS)) == 2


def test_threads_that_write_in_turns_stay_apart():
    found = failures(
        "ERROR [a] Error 111 connecting to redis:6379. Connection refused.",
        "ERROR [b] Error 111 connecting to queue:5672. Connection refused.",
        "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
        "queue.exceptions.ConnectionError: Error 111 connecting to queue:5672. Connection refused.",
        step=MS,
    )
    assert places(found) == [("redis", 6379), ("queue", 5672)]
    assert found["insert_ids"].tolist() == ["000000;000002", "000001;000003"]


def test_a_cause_long_after_is_another_failure():
    found = failures(
        "ERROR refused: connection refused", "ConnectionRefusedError: [Errno 111] Connection refused", step=60 * MS
    )
    assert len(found) == 2


def test_containers_and_streams_do_not_mix():
    lines = [
        entry("Error: connect ECONNREFUSED 10.0.0.3:6379"),
        entry("  port: 6379", 0, 1, container="other"),
        entry("  port: 6379", 0, 2, pod="web-2"),
        entry("  port: 6379", 0, 3, log_name="projects/p/logs/stdout"),
    ]
    assert refused.group(refused.extract(table(*lines)))["entries"].tolist() == [1]


def test_many_lines_in_one_entry_are_one_failure():
    found = failures("\n".join(JAVA))
    assert places(found) == [("redis", 6379)]
    assert found["entries"].tolist() == [1]


def test_other_evidence_passes_untouched():
    facts = refused.extract(written(*NODE))
    other = facts.head(1).assign(kind="proxy_open")
    found = grouped(pd.concat([facts, other], ignore_index=True))
    assert sorted(found["kind"]) == ["proxy_open", "refused"]


# laws

POOL = [
    *PYTHON,
    *NODE,
    *JAVA[:3],
    JAVA[-5],
    "TypeError: fetch failed",
    "all is well",
    "}",
    '{"err":"connection refused"}',
]


@st.composite
def entries(draw):
    drawn = draw(
        st.lists(st.tuples(st.sampled_from(POOL), st.integers(0, 4), st.sampled_from(["a", "b"])), max_size=25)
    )
    stamps = [at for _, at, _ in drawn]
    return [
        entry(message, sum(stamps[:number]) * 20 * MS, number, container=container)
        for number, (message, _, container) in enumerate(drawn)
    ]


@settings(deadline=None, max_examples=60)
@given(entries(), st.integers(0, 1000))
def test_grouping_does_not_depend_on_the_order_of_rows(lines, seed):
    facts = refused.extract(table(*lines))
    shuffled = facts.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(refused.group(shuffled), refused.group(facts))


@settings(deadline=None, max_examples=60)
@given(entries(), st.integers(0, 25))
def test_shards_give_what_the_whole_gives(lines, cut):
    whole = refused.extract(table(*lines))
    parts = [refused.extract(table(*lines[:cut])), refused.extract(table(*lines[cut:]))]
    parts = [part for part in parts if len(part)]
    together = pd.concat(parts, ignore_index=True) if parts else schema.empty(schema.EVIDENCE)
    pd.testing.assert_frame_equal(together, whole)


@settings(deadline=None, max_examples=60)
@given(entries())
def test_no_entry_is_in_two_failures(lines):
    found = refused.group(refused.extract(table(*lines)))
    ids = [one for joined in found["insert_ids"] for one in joined.split(";")]
    assert len(set(ids)) == len(ids) == found["entries"].sum()
    by_place = found.groupby("container")["time_upper"]
    assert all(a <= b for _, group in by_place for a, b in pairwise(group))
