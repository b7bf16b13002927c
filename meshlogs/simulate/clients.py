"""What programs print when a connect is refused, by runtime: the shapes of lines recorded from real clients."""

from collections.abc import Callable
from typing import NamedTuple


class Target(NamedTuple):
    """A destination: the name that is dialled, its address and port."""

    host: str
    ip: str
    port: int


class Client(NamedTuple):
    """One client library: what it prints on a refusal and on success, and what its refusals leave open."""

    runtime: str
    refused: Callable[[Target, str], list[str]]
    ok: str
    structured: bool = False  # one JSON object a failure
    suspected: bool = False
    late_s: float = 0.0


def go(target: Target, stamp: str) -> list[str]:
    """Go's net.Dial."""
    return [
        f"{stamp} failed to connect to {target.host}: dial tcp {target.ip}:{target.port}: connect: connection refused"
    ]


def go_json(target: Target, _stamp: str) -> list[str]:
    """A structured Go logger: the error in a field of its own."""
    return [f"dial tcp {target.ip}:{target.port}: connect: connection refused"]


def python_redis(target: Target, stamp: str) -> list[str]:
    """redis-py, logged with its traceback."""
    error = f"Error 111 connecting to {target.host}:{target.port}. Connection refused."
    return [
        f"{stamp} ERROR app.cache: redis ping failed: {error}",
        "Traceback (most recent call last):",
        '  File "/app/redis/connection.py", line 276, in connect',
        "    sock = self.retry.call_with_retry(",
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
        f'NewConnectionError("{pool}: Failed to establish a new connection: [Errno 111] Connection refused"))'
    ]


def node(target: Target, _stamp: str) -> list[str]:
    """Node's net, the error object printed over several lines."""
    return [
        f"Error: connect ECONNREFUSED {target.ip}:{target.port}",
        "    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {",
        "  errno: -111,",
        "  code: 'ECONNREFUSED',",
        "  syscall: 'connect',",
        f"  address: '{target.ip}',",
        f"  port: {target.port}",
        "}",
    ]


def ioredis(target: Target, _stamp: str) -> list[str]:
    """ioredis, one line."""
    return [f"[ioredis] Unhandled error event: Error: connect ECONNREFUSED {target.ip}:{target.port}"]


def java_netty(target: Target, stamp: str) -> list[str]:
    """Lettuce over Netty: a stack trace with its cause, one entry a line."""
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
    """Java's HttpClient: an exception without a message."""
    return [f"{stamp} ERROR java.net.ConnectException", "\tat java.net.http/jdk.internal.net.http.HttpClientImpl.send"]


def ruby(target: Target, stamp: str) -> list[str]:
    """Ruby's net/http."""
    return [
        f"E, [{stamp} #1] ERROR -- : Errno::ECONNREFUSED: Failed to open TCP connection to {target.host}:{target.port} "
        f'(Connection refused - connect(2) for "{target.host}" port {target.port})'
    ]


def php(_target: Target, _stamp: str) -> list[str]:
    """phpredis: names no destination."""
    return ["PHP Fatal error:  Uncaught RedisException: Connection refused in /app/p.php:3"]


def dotnet(target: Target, stamp: str) -> list[str]:
    """.NET's HttpClient."""
    where = f"({target.host}:{target.port})"
    return [
        f"{stamp} fail: System.Net.Http.HttpRequestException: Connection refused {where}",
        f" ---> System.Net.Sockets.SocketException (111): Connection refused {where}",
    ]


def rust(target: Target, stamp: str) -> list[str]:
    """Rust's reqwest over hyper."""
    return [
        f"{stamp} ERROR error sending request for url (http://{target.host}:{target.port}/): error trying to connect: "
        "tcp connect error: Connection refused (os error 111)"
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


def vault_agent(target: Target, stamp: str) -> list[str]:
    """Vault's agent."""
    url = f"http://{target.host}:{target.port}/v1/auth/kubernetes/login"
    return [
        f'{stamp} [ERROR] agent.auth.handler: error authenticating: error="Put \\"{url}\\": dial tcp '
        f'{target.ip}:{target.port}: connect: connection refused" backoff=1.53s'
    ]


CLIENTS = {
    "go": Client("go", go, "redis ping ok"),
    "go_json": Client("go", go_json, "connected", structured=True),
    "python_redis": Client("python", python_redis, "redis ping ok: True"),
    "python_requests": Client("python", python_requests, "GET http://web/ -> 200"),
    "node": Client("node", node, "connected"),
    "ioredis": Client("node", ioredis, "redis ping ok PONG"),
    "java_netty": Client("java", java_netty, "redis ping ok +PONG"),
    "java_http": Client("java", java_http, "HTTP 200", suspected=True),
    "ruby": Client("ruby", ruby, "http 200"),
    "php": Client("php", php, "redis ping ok true"),
    "dotnet": Client("dotnet", dotnet, "request finished 200"),
    "rust": Client("rust", rust, "status 200 OK"),
    "psql_old": Client("native", psql_old, "1 row"),
    "curl": Client("native", curl, "[200]", suspected=True),
    "vault_agent": Client("go", vault_agent, "authentication successful, sending token to sinks"),
}

# Lines that only look like a refused connect, and ordinary chatter.
LOOK_ALIKES = (
    "stream was reset: REFUSED_STREAM",
    "(403, 'ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.')",
    "will retry if connection refused",
    "OSError: [Errno 101] Network is unreachable",
    "read tcp 10.2.0.7:4711->10.0.0.9:6379: read: connection reset by peer",
    "dial tcp: lookup redis on 10.96.0.10:53: no such host",
    "Refused to connect to 'ws://x/' because it violates the following Content Security Policy directive",
    "0 connections refused since start",
    "upstream request timeout",
)
CHATTER = ("processing task", "GET /healthz 200", "cache warm", "order 4711 shipped", "connection pool size 10")
