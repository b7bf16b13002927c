"""What programs print when a connect is refused, by client: the shapes of lines recorded from real ones."""

from collections.abc import Callable
from typing import NamedTuple


class Target(NamedTuple):
    """A destination: the name that is dialled, its address and port."""

    host: str
    ip: str
    port: int


class Client(NamedTuple):
    """One client library: what it prints, what its words leave open, and how it tries again.

    `refused` gives the lines of one failure, or, for a `structured` client, the payload of its only entry.
    `promoted` is the grain [ns] of the time in its JSON lines, which the log agent takes as the entry's.
    With `patience_s` it tries in silence that long and reports only if nothing has worked by then.
    """

    runtime: str
    refused: Callable
    ok: str
    stream: str = "stderr"
    structured: bool = False
    promoted: int | None = None
    suspected: bool = False
    patience_s: float = 0.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 4.0


def go(target: Target, stamp: str) -> list[str]:
    """Go's net.Dial."""
    return [
        f"{stamp} failed to connect to {target.host}: dial tcp {target.ip}:{target.port}: connect: connection refused"
    ]


def go_http(target: Target, stamp: str) -> list[str]:
    """Go's net/http."""
    url = f"http://{target.host}:{target.port}/"
    return [f'{stamp} http: Get "{url}": dial tcp {target.ip}:{target.port}: connect: connection refused']


def go_json(target: Target, _stamp: str) -> dict:
    """A structured Go logger: the error in a field of its own."""
    error = f"dial tcp {target.ip}:{target.port}: connect: connection refused"
    return {"error": error, "level": "error", "msg": f"{target.host} ping failed"}


def python_redis(target: Target, stamp: str) -> list[str]:
    """redis-py, logged with its traceback."""
    error = f"Error 111 connecting to {target.host}:{target.port}. Connection refused."
    return [
        f"{stamp} ERROR app.cache: redis ping failed: {error}",
        "Traceback (most recent call last):",
        '  File "/app/venv/lib/python3.11/site-packages/redis/connection.py", line 1617, in _connect',
        "    sock.connect(socket_address)",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "",
        "During handling of the above exception, another exception occurred:",
        "",
        "Traceback (most recent call last):",
        '  File "/app/main.py", line 12, in main',
        f"redis.exceptions.ConnectionError: {error}",
    ]


def python_requests(target: Target, stamp: str) -> list[str]:
    """requests, one line."""
    pool = f"HTTPConnectionPool(host='{target.host}', port={target.port})"
    return [
        f"{stamp} ERROR app.http: GET failed: {pool}: Max retries exceeded with url: / (Caused by "
        f"NewConnectionError(\"HTTPConnection(host='{target.host}', port={target.port}): Failed to establish a new "
        'connection: [Errno 111] Connection refused"))'
    ]


def python_json(target: Target, _stamp: str) -> dict:
    """A structured Python logger, the traceback in one field; its time is taken by the log agent."""
    error = (
        f"redis.exceptions.ConnectionError: Error 111 connecting to {target.host}:{target.port}. Connection refused."
    )
    trace = f'Traceback (most recent call last):\n  File "/app/main.py", line 12, in main\n{error}'
    return {"event": "ping failed", "exception": trace, "level": "error", "logger": "app.cache"}


def pymongo(target: Target, stamp: str) -> list[str]:
    """PyMongo: selects a server for 30 s, then reports the last failure."""
    refused = f"{target.host}:{target.port}: [Errno 111] Connection refused"
    return [
        f"{stamp} ERROR app.db: find failed",
        "Traceback (most recent call last):",
        '  File "/app/db.py", line 31, in find',
        f"pymongo.errors.ServerSelectionTimeoutError: {refused}, Timeout: 30s, Topology Description: "
        "<TopologyDescription id: 65e2f0a1c3d4e5f60718293a, topology_type: Unknown, servers: [<ServerDescription "
        f"('{target.host}', {target.port}) server_type: Unknown, rtt: None, error=AutoReconnect('{refused}')>]>",
    ]


def node(target: Target, _stamp: str) -> list[str]:
    """Node's net, the error object printed over several lines."""
    return [
        f"Error: connect ECONNREFUSED {target.ip}:{target.port}",
        "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16) {",
        "  errno: -111,",
        "  code: 'ECONNREFUSED',",
        "  syscall: 'connect',",
        f"  address: '{target.ip}',",
        f"  port: {target.port}",
        "}",
    ]


def ioredis(target: Target, _stamp: str) -> list[str]:
    """The client ioredis, and the line of its frame."""
    return [
        f"[ioredis] Unhandled error event: Error: connect ECONNREFUSED {target.ip}:{target.port}",
        "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
    ]


def node_json(target: Target, _stamp: str) -> dict:
    """Pino: the error with its stack as an object, the time a number that the log agent leaves alone."""
    message = f"connect ECONNREFUSED {target.ip}:{target.port}"
    error = {
        "code": "ECONNREFUSED",
        "message": message,
        "stack": f"Error: {message}\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)",
        "type": "Error",
    }
    return {"err": error, "level": 50, "msg": "request failed", "pid": 1}


def java_netty(target: Target, stamp: str) -> list[str]:
    """Lettuce over Netty: a stack trace with its causes, one entry a line."""
    return [
        f"{stamp} ERROR 1 --- [main] c.e.Cache : cannot connect",
        f"io.lettuce.core.RedisConnectionException: Unable to connect to {target.host}/<unresolved>:{target.port}",
        "\tat io.lettuce.core.RedisConnectionException.create(RedisConnectionException.java:78)",
        "\tat com.example.Cache.main(Cache.java:21)",
        "Caused by: io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: "
        f"{target.host}/{target.ip}:{target.port}",
        "Caused by: java.net.ConnectException: Connection refused",
        "\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)",
        "\t... 12 more",
    ]


def java_http(_target: Target, stamp: str) -> list[str]:
    """Java's HttpClient: an exception without a message, and its cause, without one too."""
    return [
        f"{stamp} ERROR java.net.ConnectException",
        "\tat java.net.http/jdk.internal.net.http.HttpClientImpl.send(HttpClientImpl.java:574)",
        "\tat com.example.Web.main(Web.java:6)",
        "Caused by: java.net.ConnectException",
        "\tat java.net.http/jdk.internal.net.http.common.Utils.toConnectException(Utils.java:1083)",
    ]


def hikari(target: Target, stamp: str) -> list[str]:
    """HikariCP over the PostgreSQL driver: waits 30 s for a connection, then reports the last failure."""
    return [
        f"{stamp} ERROR 1 --- [main] c.e.Orders : query failed",
        "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out "
        "after 30000ms.",
        "\tat com.zaxxer.hikari.pool.HikariPool.createTimeoutException(HikariPool.java:696)",
        f"Caused by: org.postgresql.util.PSQLException: Connection to {target.host}:{target.port} refused. Check that "
        "the hostname and port are correct and that the postmaster is accepting TCP/IP connections.",
        "\tat org.postgresql.core.v3.ConnectionFactoryImpl.openConnectionImpl(ConnectionFactoryImpl.java:342)",
        "Caused by: java.net.ConnectException: Connection refused",
        "\t... 14 more",
    ]


def java_kafka(target: Target, stamp: str) -> list[str]:
    """The Java client of Kafka: does not state the cause."""
    return [
        f"{stamp} WARN 1 --- [ad | producer-1] org.apache.kafka.clients.NetworkClient : [Producer clientId=producer-1] "
        f"Connection to node -1 ({target.host}/{target.ip}:{target.port}) could not be established. Broker may not be "
        "available."
    ]


def ruby(target: Target, stamp: str) -> list[str]:
    """Ruby's net/http."""
    return [
        f"E, [{stamp} #1] ERROR -- : Errno::ECONNREFUSED: Failed to open TCP connection to {target.host}:{target.port} "
        f'(Connection refused - connect(2) for "{target.host}" port {target.port})'
    ]


def ruby_json(target: Target, _stamp: str) -> dict:
    """A structured Ruby logger whose time, in whole seconds, the log agent takes."""
    text = f"Redis::CannotConnectError: Error connecting to Redis on {target.host}:{target.port} (Errno::ECONNREFUSED)"
    return {"level": "ERROR", "message": text, "progname": "worker"}


def php(_target: Target, _stamp: str) -> list[str]:
    """phpredis: names no destination."""
    return ["PHP Fatal error:  Uncaught RedisException: Connection refused in /app/p.php:3"]


def dotnet(target: Target, stamp: str) -> list[str]:
    """.NET's HttpClient."""
    where = f"({target.host}:{target.port})"
    return [
        f"{stamp} fail: System.Net.Http.HttpRequestException: Connection refused {where}",
        f" ---> System.Net.Sockets.SocketException (111): Connection refused {where}",
        "   at System.Net.Http.HttpConnectionPool.ConnectToTcpHostAsync(String host, Int32 port)",
    ]


def rust(target: Target, stamp: str) -> list[str]:
    """Rust's reqwest over hyper."""
    return [
        f"{stamp} ERROR error sending request for url (http://{target.host}:{target.port}/): error trying to connect: "
        "tcp connect error: Connection refused (os error 111)"
    ]


def rdkafka(target: Target, stamp: str) -> list[str]:
    """librdkafka, the C client of Kafka."""
    name = f"{target.host}:{target.port}/bootstrap"
    return [
        f"{stamp} RDKAFKA-3-FAIL: rdkafka#producer-1: [thrd:{name}]: {name}: Connect to ipv4#{target.ip}:{target.port} "
        "failed: Connection refused (after 0ms in state CONNECT)"
    ]


def psql(target: Target, _stamp: str) -> list[str]:
    """Libpq from 14 on: two lines."""
    return [
        f'psql: error: connection to server at "{target.host}" ({target.ip}), port {target.port} failed: '
        "Connection refused",
        "\tIs the server running on that host and accepting TCP/IP connections?",
    ]


def psql_old(target: Target, _stamp: str) -> list[str]:
    """Libpq before 14: three lines."""
    return [
        "psql: could not connect to server: Connection refused",
        f'\tIs the server running on host "{target.host}" ({target.ip}) and accepting',
        f"\tTCP/IP connections on port {target.port}?",
    ]


def curl(target: Target, _stamp: str) -> list[str]:
    """Curl since 7.85: does not state the cause."""
    return [f"curl: (7) Failed to connect to {target.host} port {target.port} after 1 ms: Couldn't connect to server"]


def _login(target: Target) -> str:
    return f"http://{target.host}:{target.port}/v1/auth/kubernetes/login"


def vault_old(target: Target, stamp: str) -> list[str]:
    """Vault's agent up to 1.12."""
    return [
        f'{stamp} [ERROR] auth.handler: error authenticating: error="Put "{_login(target)}": dial tcp '
        f'{target.ip}:{target.port}: connect: connection refused" backoff=1.813357809'
    ]


def vault_agent(target: Target, stamp: str) -> list[str]:
    """Vault's agent from about 1.13 on."""
    return [
        f'{stamp} [ERROR] agent.auth.handler: error authenticating: error="Put \\"{_login(target)}\\": dial tcp '
        f'{target.ip}:{target.port}: connect: connection refused" backoff=1.53s'
    ]


def vault_json(target: Target, stamp: str) -> dict:
    """Vault's agent with the annotation log-format: json."""
    return {
        "@level": "error",
        "@message": "error authenticating",
        "@module": "agent.auth.handler",
        "@timestamp": stamp,
        "backoff": "1.53s",
        "error": f'Put "{_login(target)}": dial tcp {target.ip}:{target.port}: connect: connection refused',
    }


CLIENTS = {
    "go": Client("go", go, "redis ping ok"),
    "go_http": Client("go", go_http, "http 200"),
    "go_json": Client("go", go_json, "connected", structured=True),
    "python_redis": Client("python", python_redis, "redis ping ok: True"),
    "python_requests": Client("python", python_requests, "GET http://web/ -> 200"),
    "python_json": Client("python", python_json, "pong", structured=True, promoted=1_000),
    "pymongo": Client("python", pymongo, "found 3", patience_s=30.0, longest_wait_s=0.5),
    "node": Client("node", node, "connected"),
    "ioredis": Client("node", ioredis, "redis ping ok PONG", first_wait_s=0.05, longest_wait_s=2.0),
    "node_json": Client("node", node_json, "ready", stream="stdout", structured=True),
    "java_netty": Client("java", java_netty, "redis ping ok +PONG", stream="stdout"),
    "java_http": Client("java", java_http, "HTTP 200", stream="stdout", suspected=True),
    "hikari": Client("java", hikari, "order stored", stream="stdout", patience_s=30.0, longest_wait_s=5.0),
    "java_kafka": Client("java", java_kafka, "record sent", stream="stdout", suspected=True, longest_wait_s=1.0),
    "ruby": Client("ruby", ruby, "http 200"),
    "ruby_json": Client("ruby", ruby_json, "job done", stream="stdout", structured=True, promoted=1_000_000_000),
    "php": Client("php", php, "redis ping ok true"),
    "dotnet": Client("dotnet", dotnet, "request finished 200", stream="stdout"),
    "rust": Client("rust", rust, "status 200 OK"),
    "rdkafka": Client("native", rdkafka, "delivered", longest_wait_s=10.0),
    "psql": Client("native", psql, "1 row"),
    "psql_old": Client("native", psql_old, "1 row"),
    "curl": Client("native", curl, "[200]", suspected=True),
}
VAULTS = {
    "vault_agent": Client("go", vault_agent, "authentication successful, sending token to sinks", stream="stdout"),
    "vault_old": Client("go", vault_old, "authentication successful, sending token to sinks", stream="stdout"),
    "vault_json": Client("go", vault_json, "authentication successful", stream="stdout", structured=True),
}
EVERY = CLIENTS | VAULTS

# What a client sees of a broken destination behind a proxy that listens: never a refusal.
BROKEN = (
    "read tcp 10.2.0.7:4711->10.96.10.1:6379: read: connection reset by peer",
    "redis: read: EOF",
    "java.io.EOFException: Unexpected end of stream",
    "[ioredis] Unhandled error event: Error: write EPIPE",
    "Error while reading from redis:6379 : (104, 'Connection reset by peer')",
    "GET / -> 503 upstream connect error or disconnect/reset before headers. reset reason: connection termination",
)
# Lines that only look like a refused connect, and ordinary chatter.
LOOK_ALIKES = (
    "stream was reset: REFUSED_STREAM",
    "(403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.')",
    "will retry if connection refused",
    "OSError: [Errno 101] Network is unreachable",
    "read tcp 10.2.0.7:4711->10.0.0.9:6379: read: connection reset by peer",
    "dial tcp: lookup redis on 10.96.0.10:53: no such host",
    "dial tcp 10.96.10.7:443: i/o timeout",
    "Refused to connect to 'ws://x/' because it violates the following Content Security Policy directive",
    "0 connections refused since start",
    "upstream request timeout",
    "Host '192.168.1.111' is not allowed to connect to this MySQL server",
    "getaddrinfo EAI_AGAIN redis",
)
CHATTER = ("processing task", "GET /healthz 200", "cache warm", "order 4711 shipped", "connection pool size 10")
