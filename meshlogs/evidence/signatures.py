"""How programs spell a refused connection: one table of signatures, one of vetoes, one of destinations.

`match` reads one text. What states a refusal is general (`STATED`, minus `VETOES`); a row of `SIGNATURES`
gives it a name, tells how late it is reported, or recognises a text that says only that connecting failed.
To teach a new spelling, add a row: its example is a test. `DESTINATIONS` are tried in their order.
Sources are public issues (`owner/repo#n`), the project that prints the text, or lines we recorded ourselves.
"""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from meshlogs.evidence.prefilter import Patterns


class Refusal(NamedTuple):
    """A connection that a text reports as refused, or (`suspected`) as failed without saying why."""

    signature: str
    host: str | None  # as dialled: the name if one is known, else the address
    ip: str | None
    port: int | None
    suspected: bool
    late_s: float  # how long before its report the connect may have been refused
    upstream: bool  # a proxy was refused by the destination, not this program by the proxy


class Signature(NamedTuple):
    """One spelling: name, who writes it, what it looks like, a real line and where that line is from."""

    name: str
    runtime: str
    pattern: str
    example: str
    source: str
    suspected: bool = False
    late_s: float = 0.0
    upstream: bool = False


class Veto(NamedTuple):
    """A look-alike that is cut out of a text before it is read, an example, and why it is none."""

    pattern: str
    example: str
    why: str
    echoes: bool = False  # another part of the same text may repeat it, without its address


# A text states a refusal when one of these is in it. `errno 61` alone is no refusal: on Linux it is ENODATA.
_STATED = r"""
    (?<![/\w])(?:WSA)?ECONNREFUSED\b(?!\.\w)
    (?<![/\w])connection[\s_-]+(?:(?:was|is|has\s+been|were)\s+)?(?:actively\s+)?refused(?![_\w]|\.html)
    connect(?:ion|ing)?\s+(?:attempt\s+)?to\s+[^\s,;]+(?:\s+[^\s,;]+){0,4}?\s+refused\b(?!\s+to\b)
    actively\s+refused
    \bERR_CONNECTION_REFUSED\b
    refused\s+the\s+(?:network\s+)?connection\b(?!\s+(?:invit|offer))
    (?:\b(?:server|host|peer|broker)|:\d{2,5}/?)\s+refused\s+connection\b(?!\s*(?:from|:))
    \bConnection_?Refused(?:Error|Exception)?\b
    \[Errno\s+111\]
    \bos\s+error\s+(?:111|10061)\b
    WinError\s+10061
    \berrno["']?\s*[:=]\s*-?(?:111|10061)\b
    \bError\s+(?:111|61)\s+connecting\s+to
    \bSocketException\s+\((?:111|10061)\)
    \bsystem:111\b
    \bserver\s+on\s+'[^'\n]{1,300}'\s*\((?:111|61|10061)\b
    \bConnect\s+call\s+failed\s+\(
    \bconnect\s+attempt\s+returned\s+error\s+111\b
    ORA-12541
    conexi[oó]n\s+(?:rehusada|rechazada)
    conex[aã]o\s+recusada
    connexion\s+refus[eé]e
    verbindungsaufbau\s+abgelehnt
    connessione\s+rifiutata
    в\s+соединении\s+отказано
    拒绝连接
    积极拒绝
    接続を拒否されました
"""
STATED = tuple(line.strip() for line in _STATED.strip().splitlines())
# Its last words, before and after which an address may stand.
_PHRASE = re.compile(r"(?:\w+::)?ECONNREFUSED|(?:\b(?:connection|actively|was)[\s_-]+)*refused", re.IGNORECASE)

# The quick question put to every line first (Arrow's RE2): whatever `match` finds has one of these.
TRIGGER = (
    r"(?i:refus|10061|errno\W{0,5}-?111|os error 111|system:111|\((?:111|61)\b|rror (?:111|61) conn|xception \(111"
    r"|connect call failed|returned error 111|12541|rehusada|rechazada|recusada|abgelehnt|rifiutata|отказано|拒绝连接|积极拒绝|拒否"
    r"|delayed.connect.error|net\.connectexception|connect to (?:server|host |broker|the |instance|redis|all )"
    r"|could not be established|unabletoconnect|not possible to connect|fetch failed|all connection attempts"
    r"|servers available for connection|communications link failure|adapter could not establish"
    r"|failed to connect to|unable to connect to|nobrokersavailable|nohostavailable|host\(s\) tried for"
    r"|t reach database server|network-related or instance|endpoints were reachable|exception opening socket"
    r"|amqpconnectionerror|no connection established|error trying to connect|tcp connection to any|nonodeavailable"
    r"|failed connecting to|retrying connect to server|could not connect to|connect to any|cannot connect to"
    r"|any resolved endpoint|client error \(connect\))"
)

_STATES = r"(?:ECONNREFUSED|connection[ _-](?:(?:is|was|gets|being) )?refused|ConnectionRefused(?:Error|Exception)?)"

SIGNATURES = (
    # What a proxy says of its own connects: the destination refused, this program did not notice.
    Signature(
        "envoy_upstream",
        "envoy",
        r"delayed[ _]connect[ _]error:[ _](?:111|connection[ _]refused)",
        "503 upstream connect error or disconnect/reset before headers. reset reason: connection failure, "
        "transport failure reason: delayed connect error: 111",
        "istio/istio#48267",
        upstream=True,
    ),
    Signature(
        "ztunnel_upstream",
        "ztunnel",
        r"\bdst\.addr=\S+[^\n]*refused",
        'error access connection complete src.addr=10.0.0.1:36166 dst.addr=10.0.0.2:15008 direction="outbound" '
        'error="io error: Connection refused (os error 111)"',
        "istio/istio#53696",
        upstream=True,
    ),
    # Go
    Signature(
        "go_vault_auth",
        "go-vault-agent",
        r"error authenticating: [^\n]*dial tcp",
        '2020-06-02T06:09:51.310Z [ERROR] auth.handler: error authenticating: error="Put '
        "http://vault.vault.svc:8200/v1/auth/kubernetes/login: dial tcp 100.64.167.57:8200: connect: "
        'connection refused" backoff=1.8',
        "hashicorp/vault-k8s#29",
    ),
    Signature(
        "go_grpc",
        "go-grpc",
        r"transport: (?:Error while dialing:? )?dial tcp",
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing dial tcp '
        '127.0.0.1:5060: connect: connection refused"',
        "grpc/grpc-go#4820",
    ),
    Signature(
        "go_pgx",
        "go-pgx",
        r"dial error:? \(?(?:timeout: )?dial tcp",
        "failed to connect to `host=localhost user=auth database=postgres`: dial error (dial tcp [::1]:5432: "
        "connect: connection refused)",
        "jackc/pgx v4",
    ),
    Signature(
        "go_dial",
        "go",
        r"dial tcp[46]?\b",
        "dial tcp 192.168.9.16:19209: connect: connection refused",
        "Cloud Service Mesh documentation",
    ),
    # Node and its kin
    Signature(
        "node_mongodb",
        "node-mongodb",
        r"(?:MongooseS|MongoS)erverSelectionError",
        "MongooseServerSelectionError: connect ECONNREFUSED 127.0.0.1:27017",
        "Automattic/mongoose",
        late_s=30.0,
    ),
    Signature(
        "node_ioredis",
        "node-ioredis",
        r"\[ioredis\]",
        "[ioredis] Unhandled error event: Error: connect ECONNREFUSED 127.0.0.1:6379",
        "redis/ioredis#351",
    ),
    Signature(
        "node_redis",
        "node-redis",
        r"Redis connection to \S+ failed",
        "Error: Redis connection to localhost:6379 failed - connect ECONNREFUSED 127.0.0.1:6379",
        "floatinghotpot/casino-server#44",
    ),
    Signature(
        "node_kafkajs",
        "node-kafkajs",
        r"KafkaJS|kafkajs",
        "KafkaJSConnectionError: Connection error: connect ECONNREFUSED 127.0.0.1:9092",
        "mguay22/nestjs-kafka-microservices#1",
    ),
    Signature(
        "node_grpc",
        "node-grpc",
        r"14 UNAVAILABLE",
        "Error: 14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:8080 "
        "(2023-10-19T20:59:35.951Z)",
        "agreatfool/grpc_tools_node_protoc_ts#134",
    ),
    Signature(
        "node_fetch",
        "node-undici",
        r"fetch failed|\[cause\]|request to \S+ failed, reason",
        "FetchError: request to http://localhost:3000/ failed, reason: connect ECONNREFUSED 127.0.0.1:3000",
        "node-fetch/node-fetch",
    ),
    Signature(
        "node_aggregate",
        "node",
        r"AggregateError \[ECONNREFUSED\]",
        "AggregateError [ECONNREFUSED]: ",
        "nodejs/undici#2777",
    ),
    Signature(
        "node_connect",
        "node",
        r"\bconnect\s+ECONNREFUSED",
        "Error: connect ECONNREFUSED 172.20.0.4:5672",
        "amqp-node/amqplib#704",
    ),
    Signature(
        "bun_fetch",
        "bun",
        r"ConnectionRefused: Unable to connect|Is the computer able to access the url",
        'ConnectionRefused: Unable to connect. Is the computer able to access the url?\n path: "http://web:8080/"',
        "oven-sh/bun#1425",
    ),
    Signature(
        "chromium",
        "chromium",
        r"net::ERR_CONNECTION_REFUSED",
        "Error: net::ERR_CONNECTION_REFUSED at http://localhost:3000/",
        "puppeteer/puppeteer",
    ),
    # Python
    Signature(
        "python_pymongo",
        "python-pymongo",
        r"ServerSelectionTimeoutError|Topology Description",
        "pymongo.errors.ServerSelectionTimeoutError: 127.0.0.1:27017: [Errno 111] Connection refused, Timeout: 30s",
        "Bmixo/btSearch#5",
        late_s=30.0,
    ),
    Signature(
        "python_redis",
        "python-redis",
        r"Error (?:111|61) connecting to",
        "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
        "pinterest/snappass#6",
    ),
    Signature(
        "python_urllib3",
        "python-urllib3",
        r"NewConnectionError|urllib3",
        "HTTPConnectionPool(host='web', port=8080): Max retries exceeded with url: / (Caused by NewConnectionError("
        "\"HTTPConnection(host='web', port=8080): Failed to establish a new connection: [Errno 111] Connection "
        'refused"))',
        "recorded",
    ),
    Signature(
        # asyncio raises it with SO_ERROR of the connect; aiohttp prints the text without the number.
        "python_aiohttp",
        "python-aiohttp",
        r"Cannot connect to host \S+ ssl:",
        "ClientConnectorError: Cannot connect to host 127.0.0.1:8000 ssl:default "
        "[Connect call failed ('127.0.0.1', 8000)]",
        "open-webui/open-webui#11440",
    ),
    Signature(
        "python_asyncio",
        "python-asyncio",
        r"Connect call failed",
        "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
        "MagicStack/asyncpg#694",
    ),
    Signature(
        "python_celery",
        "python-kombu",
        r"consumer: Cannot connect to",
        "[2018-06-07 10:30:14,099: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@127.0.0.1:5672//: "
        "[Errno 111] Connection refused.",
        "puckel/docker-airflow#195",
    ),
    Signature(
        "python_pika",
        "python-pika",
        r"AMQPConnect",
        "AMQPConnectionWorkflowFailed: 1 exceptions in all; last exception - AMQPConnectorSocketConnectError: "
        "ConnectionRefusedError(111, 'Connection refused'); first exception - None",
        "bmarsh9/agent7#33",
    ),
    Signature(
        "python_cassandra",
        "python-cassandra",
        r"Tried connecting to \[",
        "[Errno 111] Tried connecting to [('127.0.0.2', 9042)]. Last error: Connection refused",
        "scylladb/scylladb#1335",
    ),
    Signature(
        "python_twisted",
        "python-twisted",
        r"refused by other side",
        "'AmqpFactory connection failed (Connection was refused by other side: 111: Connection refused.)'",
        "praekeltfoundation/vumi#849",
    ),
    # gRPC on its C core: Python, Ruby, PHP, C++
    Signature(
        "grpc_core",
        "grpc-core",
        r"ipv[46]:\S+|failed to connect to all addresses",
        "failed to connect to all addresses; last error: UNKNOWN: ipv4:74.118.152.178:50052: Failed to connect to "
        "remote host: connect: Connection refused (111)",
        "lautenberger/elmfire#86",
    ),
    # JVM
    Signature(
        "java_mongodb",
        "java-mongodb",
        r"Client view of cluster state|MongoSocketOpenException",
        "Timed out after 30000 ms while waiting to connect. Client view of cluster state is {type=UNKNOWN, servers="
        "[{address=localhost:27017, type=UNKNOWN, state=CONNECTING, exception={com.mongodb.MongoSocketOpenException: "
        "Exception opening socket}, caused by {java.net.ConnectException: Connection refused (Connection refused)}}]",
        "opencb/opencga#1378",
    ),
    Signature(
        "java_pgjdbc",
        "java-postgresql",
        r"Check that the hostname and port are correct and that the postmaster",
        "org.postgresql.util.PSQLException: Connection to localhost:5432 refused. Check that the hostname and port "
        "are correct and that the postmaster is accepting TCP/IP connections.",
        "tminglei/slick-pg#632",
    ),
    Signature(
        "java_apache_http",
        "java-httpclient",
        r"Connect to \S+ (?:\[[^\]]*\] )?failed",
        "org.apache.http.conn.HttpHostConnectException: Connect to localhost:8080 [localhost/127.0.0.1] failed: "
        "Connection refused (Connection refused)",
        "zalando-zmon/zmon-controller#668",
    ),
    Signature(
        "java_hadoop",
        "java-hadoop",
        r"Call From \S+ to \S+ failed on connection exception",
        "Call From node2/10.211.55.102 to node1:8020 failed on connection exception: java.net.ConnectException: "
        "Connection refused; For more details see:  http://wiki.apache.org/hadoop/ConnectionRefused",
        "dnafrance/vagrant-hadoop-spark-cluster#1",
    ),
    Signature(
        "java_netty",
        "java-netty",
        r"AnnotatedConnectException|finishConnect\(",
        "io.netty.channel.AbstractChannel$AnnotatedConnectException: Connection refused: localhost/127.0.0.1:6379",
        "openanalytics/containerproxy#46",
    ),
    Signature(
        "java_connect",
        "java",
        r"java\.net\.ConnectException",
        "Caused by: java.net.ConnectException: Connection refused (Connection refused)",
        "mavlink/MAVSDK-Java#29",
    ),
    Signature(
        "logstash",
        "jruby",
        r"Manticore::",
        "Elasticsearch Unreachable: [http://localhost:9200/][Manticore::SocketException] Connection refused",
        "elastic/logstash#7347",
    ),
    # Dart
    Signature(
        "dart",
        "dart",
        r"OS Error: Connection refused",
        "SocketException: OS Error: Connection refused, errno = 111, address = localhost, port = 60944",
        "grpc/grpc#16808",
    ),
    # .NET
    Signature(
        "dotnet_npgsql",
        "dotnet-npgsql",
        r"Npgsql",
        "Npgsql.NpgsqlException (0x80004005): Failed to connect to 127.0.0.1:5432 ---> "
        "System.Net.Sockets.SocketException (111): Connection refused",
        "npgsql/npgsql#5183",
    ),
    Signature(
        "dotnet_socket",
        "dotnet",
        r"System\.Net\.|SocketException|HttpRequestException|actively refused",
        "System.Net.Http.HttpRequestException: Connection refused (localhost:5000)",
        "dotnet/runtime",
    ),
    # Rust, Elixir, Erlang, Ruby, PHP, Perl, C++
    Signature(
        "rust_http",
        "rust-hyper",
        r"tcp connect error",
        "error sending request for url (https://apt.0xe.me/): error trying to connect: tcp connect error: "
        "Connection refused (os error 111)",
        "emmatyping/apt.cli.rs#9",
    ),
    Signature(
        "rust_io",
        "rust",
        r"kind: ConnectionRefused|os error (?:111|61|10061)",
        'Error { kind: Connect, cause: Some(Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }) }',
        "rust-postgres/rust-postgres#557",
    ),
    Signature(
        "elixir",
        "elixir",
        r"(?-i:(?<!:):econnrefused)|DBConnection",
        "Postgrex.Protocol (#PID<0.1025.0>) failed to connect: ** (DBConnection.ConnectionError) tcp connect "
        "(localhost:5432): connection refused - :econnrefused",
        "blockscout/blockscout#1413",
    ),
    Signature(
        "erlang",
        "erlang",
        r"(?-i:\beconnrefused\b)",
        '{failed_connect,[{to_address,{"localhost",8080}},{inet,[inet],econnrefused}]}',
        "erlang/otp httpc",
    ),
    Signature(
        "ruby_errno",
        "ruby",
        r"Errno::ECONNREFUSED|connect\(2\)",
        'Errno::ECONNREFUSED: Failed to open TCP connection to web:8080 (Connection refused - connect(2) for "web" '
        "port 8080)",
        "recorded",
    ),
    Signature(
        "php_pdo",
        "php-pdo",
        r"SQLSTATE\[|\(HY000/2002\)",
        "db: SQLSTATE[HY000] [2002] Connection refused",
        "interconnectit/Search-Replace-DB#80",
    ),
    Signature(
        "php_redis",
        "php-redis",
        r"RedisException|Predis",
        "PHP Fatal error:  Uncaught RedisException: Connection refused",
        "recorded",
    ),
    Signature(
        "php_stream",
        "php",
        r"stream_socket_client|fsockopen|\bPHP\b",
        "stream_socket_client(): unable to connect to pg1.lexo.se:25 (Connection refused)",
        "PHPMailer/PHPMailer#1149",
    ),
    Signature(
        "perl",
        "perl",
        r"\bat \S+\.p[lm] line \d+|Can't connect to \S+:\d+ \(",
        "Could not connect to Redis server at redis:6379: Connection refused at /app/x.pl line 2.",
        "recorded",
    ),
    Signature(
        "cpp_asio",
        "c++",
        r"\[?system:111",
        "connect: Connection refused [system:111]",
        "chriskohlhoff/asio",
    ),
    # Programs and C libraries
    Signature(
        "curl",
        "curl",
        r"Failed to connect to \S+ port \d+",
        "curl: (7) Failed to connect to 172.17.0.40 port 30328: Connection refused",
        "kubernetes/website#19437",
    ),
    Signature(
        "libpq",
        "libpq",
        r'server at "|could not connect to server|Is the server running',
        'connection to server at "localhost" (127.0.0.1), port 5432 failed: Connection refused',
        "worldveil/dejavu#306",
    ),
    Signature(
        "mysql",
        "mysql",
        r"(?:MySQL|MariaDB) server on",
        "ERROR 2003 (HY000): Can't connect to MySQL server on 'mysql' (111)",
        "Ostico/docker_matecat#14",
    ),
    Signature(
        "librdkafka",
        "librdkafka",
        r"rdkafka|/bootstrap|Connect to ipv[46]#",
        "%3|1418300191.571|FAIL|rdkafka#producer-0| localhost:9092/bootstrap: Failed to connect to broker at "
        "[localhost]:9092: Connection refused",
        "edenhill/kcat#16",
    ),
    Signature(
        "nginx",
        "nginx",
        r"\((?:111|61): Connection refused\)",
        "[error] 157783#0: *1 connect() failed (111: Connection refused) while connecting to upstream, client: "
        '10.0.0.9, server: shop, request: "GET / HTTP/1.1", upstream: "fastcgi://127.0.0.1:8001", host: "shop"',
        "lewellyn/virtualmin-nginx#5",
    ),
    Signature(
        "apache_httpd",
        "httpd",
        r"\(111\)Connection refused",
        "[proxy:error] [pid 1081] (111)Connection refused: AH00957: HTTP: attempt to connect to 127.0.0.1:8000 "
        "(127.0.0.1) failed",
        "freedombox/FreedomBox#895",
    ),
    Signature(
        "haproxy",
        "haproxy",
        r"Layer4 connection problem",
        'Server backend_api/resin_api_1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", '
        "check duration: 0ms.",
        "balena-io/open-balena#37",
    ),
    Signature(
        "kubectl",
        "kubectl",
        r"connection to the server \S+ was refused",
        "The connection to the server 172.16.128.128:6443 was refused - did you specify the right host or port?",
        "kubernetes/website#23389",
    ),
    Signature(
        "exim",
        "exim",
        r"\bH=\S+ \[[^\]\s]+\]",
        "  276   H=gmail-smtp-in.l.google.com [173.194.193.26] Connection refused",
        "asciinema/asciinema-server#357",
    ),
    Signature(
        "fluent_bit",
        "fluent-bit",
        r"TCP connection failed: \S+ \(",
        "[error] [net] TCP connection failed: genevabit-aggregator:24224 (Connection refused)",
        "fluent/fluent-bit#4986",
    ),
    Signature(
        "oracle",
        "oracle",
        r"ORA-12541",
        "ORA-12541: TNS:no listener",
        "Oracle Database Error Messages",
    ),
    Signature(
        "kafka_python",
        "python-kafka",
        r"connect attempt returned error 111\b",
        "<BrokerConnection node_id=bootstrap-0 host=kafka:9092 <connecting> [IPv4 ('10.0.0.3', 9092)]>: connect attempt "
        "returned error 111. Disconnecting.",
        "dpkp/kafka-python kafka/conn.py",
    ),
    Signature(
        "shell",
        "shell",
        r"/dev/tcp/|\b(?:nc|ncat|telnet|ssh|wget|redis-cli)\b: |failed: Connection refused\.|\(UNKNOWN\) \[",
        "bash: connect: Connection refused\nbash: /dev/tcp/redis/6379: Connection refused",
        "GNU bash lib/sh/netopen.c",
    ),
    # Whatever else states it.
    Signature("econnrefused", "any", r"ECONNREFUSED", "connect() returned ECONNREFUSED", "POSIX errno.h"),
    Signature("connection_refused", "any", r"", "connect: Connection refused", "POSIX strerror"),
    # Texts that say only that connecting failed.
    Signature(
        "java_connect_bare",
        "java",
        r"\bjava\.net\.ConnectException(?![.\w$])(?!\s*:\s*(?!null\b)\S)",
        "java.net.ConnectException",
        "recorded",
        suspected=True,
    ),
    Signature(
        "curl_bare",
        "curl",
        r"Failed to connect to \S+ port \d+[^\n]*?: (?:Couldn't|Could not) connect to server"
        r"|curl: \(7\) (?:Couldn't|couldn't|Failed to) connect to",
        "curl: (7) Failed to connect to web port 8080 after 4 ms: Couldn't connect to server",
        "recorded",
        suspected=True,
    ),
    Signature(
        "node_fetch_bare",
        "node-undici",
        r"\bTypeError: fetch failed|^[ \t]*fetch failed[ \t]*$",
        "TypeError: fetch failed",
        "recorded",
        suspected=True,
    ),
    Signature(
        "kafka_bare",
        "java-kafka",
        r"Connection to node -?\d+ (?:\([^)]*\) )?could not be established",
        "Connection to node -1 (localhost/127.0.0.1:9092) could not be established. Broker may not be available.",
        "apache/kafka NetworkClient",
        suspected=True,
    ),
    Signature(
        "dotnet_redis_bare",
        "dotnet-redis",
        r"\bUnableToConnect\b|not possible to connect to (?:the|any) redis server",
        "UnableToConnect on 127.0.0.1:6379/Interactive, Initializing/NotStarted, last: NONE, origin: "
        "BeginConnectAsync, outstanding: 0",
        "StackExchange/StackExchange.Redis#1453",
        suspected=True,
    ),
    Signature(
        "grpc_bare",
        "grpc",
        r"failed to connect to all addresses|14 UNAVAILABLE: (?:No connection established|Connect Failed)",
        'status = StatusCode.UNAVAILABLE details = "failed to connect to all addresses"',
        "grpc/grpc",
        suspected=True,
    ),
    Signature(
        "okhttp_bare",
        "java-okhttp",
        r"Failed to connect to [\w.\-]*/[\[\]0-9A-Fa-f:.]+",
        "java.net.ConnectException: Failed to connect to /10.0.2.2:8080",
        "square/okhttp RealConnection",
        suspected=True,
    ),
    Signature(
        "httpx_bare",
        "python-httpx",
        r"All connection attempts failed",
        "httpx.ConnectError: All connection attempts failed",
        "encode/httpx",
        suspected=True,
    ),
    Signature(
        "nats_bare",
        "nats",
        r"nats: no servers available for connection",
        "nats: no servers available for connection",
        "nats-io/nats.go nats.go",
        suspected=True,
    ),
    Signature(
        "mysql_jdbc_bare",
        "java-mysql",
        # After a packet was received the connection broke in mid-life: that is no failed connect.
        r"Communications link failure(?![\s\S]{0,200}successfully received)",
        "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
        "brettwooldridge/HikariCP#1263",
        suspected=True,
    ),
    Signature(
        "oracle_jdbc_bare",
        "java-oracle",
        r"The Network Adapter could not establish the connection",
        "java.sql.SQLRecoverableException: IO Error: The Network Adapter could not establish the connection",
        "Oracle JDBC ORA-17002",
        suspected=True,
    ),
    Signature(
        "java_mongodb_bare",
        "java-mongodb",
        r"MongoSocketOpenException: Exception opening socket",
        "com.mongodb.MongoSocketOpenException: Exception opening socket",
        "ozlerhakan/mongolastic#45",
        suspected=True,
    ),
    Signature(
        "node_mongodb_bare",
        "node-mongodb",
        r"failed to connect to server \[[^\]]+\] on first connect",
        "MongoNetworkError: failed to connect to server [mongo:27017] on first connect",
        "Automattic/mongoose#5550",
        suspected=True,
    ),
    Signature(
        "java_redis_bare",
        "java-redis",
        r"RedisConnectionException: Unable to connect to|Unable to connect to Redis(?: server)?:|"
        r"JedisConnectionException: Failed (?:connecting to|to connect to)|Failed connecting to (?:host )?\S+:\d+",
        "io.lettuce.core.RedisConnectionException: Unable to connect to redis:6379",
        "redis/lettuce RedisConnectionException",
        suspected=True,
    ),
    Signature(
        "kafka_python_bare",
        "python-kafka",
        r"\bNoBrokersAvailable\b",
        "kafka.errors.NoBrokersAvailable: NoBrokersAvailable",
        "dpkp/kafka-python",
        suspected=True,
    ),
    Signature(
        "cassandra_bare",
        "cassandra",
        r"All host\(s\) tried for query failed \(tried: [^\n]*Cannot connect|NoHostAvailable[^\n]*Unable to connect",
        "com.datastax.driver.core.exceptions.NoHostAvailableException: All host(s) tried for query failed (tried: "
        "/172.31.37.207 ([/172.31.37.207] Cannot connect))",
        "brianfrankcooper/YCSB#502",
        suspected=True,
    ),
    Signature(
        "prisma_bare",
        "node-prisma",
        r"Can't reach database server at",
        "Can't reach database server at `localhost`:`5432`",
        "prisma/prisma P1001",
        suspected=True,
    ),
    Signature(
        "sqlserver_bare",
        "dotnet-sqlclient",
        r"network-related or instance-specific error occurred while establishing a connection",
        "A network-related or instance-specific error occurred while establishing a connection to SQL Server. The "
        "server was not found or was not accessible. (provider: TCP Provider, error: 40 - Could not open a "
        "connection to SQL Server)",
        "dotnet/SqlClient",
        suspected=True,
    ),
    Signature(
        "rabbitmq_bare",
        "amqp",
        r"None of the specified endpoints were reachable|pika\.exceptions\.AMQPConnectionError\W*$"
        r"|Could not establish TCP connection to any of the configured hosts",
        "RabbitMQ.Client.Exceptions.BrokerUnreachableException: None of the specified endpoints were reachable",
        "rabbitmq/rabbitmq-dotnet-client",
        suspected=True,
    ),
    Signature(
        "elasticsearch_bare",
        "java-elasticsearch",
        r"NoNodeAvailableException",
        "NoNodeAvailableException[None of the configured nodes are available: [{#transport#-1}{10.0.0.1:9300}]]",
        "elastic/elasticsearch TransportClient",
        suspected=True,
    ),
    Signature(
        "npgsql_bare",
        "dotnet-npgsql",
        r"NpgsqlException[^\n]*: Failed to connect to",
        "Npgsql.NpgsqlException (0x80004005): Failed to connect to 127.0.0.1:5432",
        "npgsql/npgsql#4739",
        suspected=True,
    ),
    Signature(
        "hadoop_retry",
        "java-hadoop",
        r"Retrying connect to server: \S+",
        "INFO ipc.Client: Retrying connect to server: localhost/127.0.0.1:8021. Already tried 0 time(s)",
        "alexholmes/hiped2#3",
        suspected=True,
    ),
    Signature(
        "rust_http_bare",
        "rust-hyper",
        r"error trying to connect\b|client error \(Connect\)",
        "error sending request for url (http://web:8080/): client error (Connect)",
        "mollyim/mollysocket#72",
        suspected=True,
    ),
    Signature(
        "thrift_bare",
        "thrift",
        r"TTransportException[^\n]*Could not connect to|Failed to connect to any resolved endpoint",
        "thrift.transport.TTransport.TTransportException: Could not connect to any of [('127.0.0.1', 9090)]",
        "apache/thrift TSocket.py",
        suspected=True,
    ),
    Signature(
        "docker_bare",
        "docker",
        r"Cannot connect to the Docker daemon at tcp://",
        "Cannot connect to the Docker daemon at tcp://localhost:2375. Is the docker daemon running?",
        "docker/cli",
        suspected=True,
    ),
)

# The source line of a traceback that sends on an open socket: what is refused there is a datagram.
SENDS = r"^[ \t][^\n]*(?:\b|_)sock(?:et)?\.send(?:to|msg)?\("

# After words of success: what was before.
_PAST = rf"[^\n]{{0,160}}?(?:\(|\bwas\b|\bafter\b|\b(?:last|previous) )[^\n]{{0,80}}?{_STATES}[^\n]*"

# An HTTP status that a server answered with, and the beginning of a body behind it.
_ANSWERED = (
    r"\b(?:status(?:[ _]?code)?|HTTP(?:/[\d.]+)?|returned|responded|answered|replied|response|\w*ErrorException[\w$]*)\b"
    r"[^\n{\"]{0,40}?\b[45]\d\d\b"
)
_BODY = r"[^\n{\"]{0,120}\"?\{"

# Cut out of every text before it is read: what they hold is no refused TCP connect of this program.
VETOES = (
    Veto(
        r"^[^\n]*?(?:dial unix|unix:/|unix socket|through socket '|on socket \"|ECONNREFUSED /|[/'\"]\S*\.sock\b)[^\n]*",
        "dial unix /var/run/docker.sock: connect: connection refused",
        "a UNIX socket is never redirected",
        echoes=True,
    ),
    Veto(
        r"\blookup \S+[^\n]*?refused|(?:read|write) udp [^\n]*?refused|communications error to \S+#\d+[^\n]*?refused",
        "dial tcp: lookup redis on 10.96.0.10:53: read udp 10.0.0.1:45728->10.96.0.10:53: read: connection refused",
        "a refused UDP datagram, mostly a DNS question",
        echoes=True,
    ),
    Veto(
        # Only a connect is refused on TCP, and sending or receiving only on UDP.
        r"\b(?:send|recv)(?:to|from|msg)? ECONNREFUSED[^\n]*|refused - (?:send|recv)(?:to|from|msg)?\(2\)[^\n]*"
        r"|\bsend of \d+ bytes failed with errno=111[^\n]*|\bError submitting packet: [^\n]*?refused[^\n]*"
        r"|(?:\berrno: -\d+,\s*)?code: 'ECONNREFUSED',\s*syscall: '(?:send|recv)\w*'[^}]*",
        "Error: send ECONNREFUSED 10.0.0.5:8125",
        "a refused UDP datagram, mostly a metric",
        echoes=True,
    ),
    Veto(
        rf"\budp[46]?\b(?:(?!tcp)[^\n]){{0,80}}?{_STATES}[^\n]*"
        rf"|(?:\[Errno 111\] )?{_STATES}(?:(?!tcp)[^\n]){{0,60}}?\budp\b[^\n]*",
        "failed to send metric over udp to 10.0.0.5:8125: Connection refused (os error 111)",
        "a refused UDP datagram",
        echoes=True,
    ),
    Veto(
        rf"{SENDS}[^\n]*\n(?:[ \t~^]+\n)?[\w.]*ConnectionRefusedError: [^\n]*",
        '  File "statsd.py", line 9, in send\n    self.sock.send(msg)\nConnectionRefusedError: [Errno 111] Connection refused',
        "a refused UDP datagram",
    ),
    Veto(
        r"\b(?:getaddrinfo|query[A-Z]\w*) ECONNREFUSED[^\n]*",
        "Error: querySrv ECONNREFUSED _mongodb._tcp.cluster0.example.net",
        "the DNS server refused",
        echoes=True,
    ),
    Veto(
        r"\[Errno (?!111\b|61\b)\d+\] Connect call failed[^\n]*",
        "OSError: [Errno 113] Connect call failed ('10.0.0.1', 5432)",
        "another cause, same words",
    ),
    Veto(
        r"connection[ _]refused?\s*[:,;.-]*\s*(?:not authori[sz]ed|bad user|unacceptable|(?:incorrect|invalid) |identifier|server unavailable"
        r"|broker unavailable|reason code|client identifier|too many|max(?:imum)?\b|access denied|unauthori[sz]ed"
        r"|authentication|forbidden|quota|not allowed|by (?:the )?(?:acl|policy|firewall|administrator)\b)",
        "5 - 0x05 Connection Refused, not authorized - The Client is not authorized to connect",
        "refused by the protocol over an open TCP connection (MQTT CONNACK and kin)",
    ),
    Veto(
        r"(?:refus|reject)(?:ed|ing) (?:incoming |inbound |new )?connect(?:ion)?s? (?:attempt )?from|refused connection: "
        r"|connection (?:attempt )?from \S+(?: \S+){0,3} (?:was |has been )?refused"
        r"|(?:incoming|inbound|client) connection (?:was |is )?refused",
        "Connection from 10.0.0.9 port 4022 refused",
        "this program refused somebody else",
    ),
    Veto(
        r"\b[45]\d\d[ -][45]\.\d{1,3}\.\d{1,3} [^\n]{0,120}?refused",
        "554 5.7.1 Connection refused, see http://example.net/blocked",
        "an SMTP reply over an open connection",
    ),
    Veto(
        r"(?i:socks5? proxy rejected connection)[^\n]*",
        "Socks5 proxy rejected connection - ConnectionRefused",
        "a SOCKS proxy answered: the connection to it stood",
    ),
    Veto(
        rf"^(?=[^\n{{]*(?:https?://|Http\w+ErrorException))[^\n]*?{_ANSWERED}"
        rf"(?:{_BODY}|[^\n{{\"]{{0,60}}? from (?:[A-Z]{{3,7}} )?https?://)[^\n]*?{_STATES}[^\n]*",
        'unexpected status 500 from http://orders:8080/api: {"error":"dial tcp 10.0.0.7:5432: connect: connection refused"}',
        "another server's answer tells of its own connection",
        echoes=True,
    ),
    Veto(
        r"\b(?:error forwarding port \d+ to pod|error occurred forwarding \d+ -> \d+|inside namespace \")[^\n]*?refused[^\n]*"
        r"|\bchannel \d+: open failed: [^\n]*",
        'error forwarding port 8080 to pod 4f5, uid : failed to connect to localhost:8080 inside namespace "4f5", IPv4: '
        "dial tcp4 127.0.0.1:8080: connect: connection refused",
        "refused at the far end of a tunnel (port-forward, ssh)",
        echoes=True,
    ),
    Veto(
        rf"(?<!be )(?<!not )\breconnected\b{_PAST}|\(was:? [\"'`]?{_STATES}[^\n]*"
        rf"|\b(?:is|are|now) (?:now )?(?:(?:healthy|reachable|available|alive|online|up) again|back (?:up|online))\b{_PAST}"
        rf"|(?<!not )(?<!n't )\bconnected (?:to \S+ )?after (?:\d+ |an? )?{_STATES}[^\n]*"
        rf"|{_STATES}(?: errors?| exceptions?)? (?:have |has )?(?:stopped|ceased|gone|cleared)\b",
        "Reconnected to redis:6379 after 3 attempts (last error: connect ECONNREFUSED 10.0.0.3:6379)",
        "over: it tells of success, the refusal was told before",
        echoes=True,
    ),
    Veto(
        rf"\b(?:opens?|trips?|fires?|triggers?|activates?) (?:up)?on (?:an? )?[\"'`]?{_STATES}",
        "Circuit breaker opens on connection refused, timeouts and 5xx",
        "a rule",
    ),
    Veto(
        rf"\b(?:user|customer)(?:'s)? (?:comment|message|feedback|question|report)s?\b[\"']?\s*[:=][^\n]*?{_STATES}[^\n]*",
        "user comment: 'my app says ECONNREFUSED 10.0.0.1:80, please help'",
        "somebody's words",
        echoes=True,
    ),
    Veto(
        rf"\b(?:no|not|without|zero|never|any|0)\s+(?:an?\s+|a\s+single\s+|more\s+|further\s+|new\s+)?[\"'`]?{_STATES}",
        "no connection refused errors in the last hour",
        "negated",
    ),
    Veto(
        r"\b(?:if|whenever|unless|in case(?: of)?|(?:should|would|could|might|may|can)\b(?! not\b|'t))\b"
        rf"[^.:;,(\n=\"'{{\[]{{0,60}}[\"'`]?{_STATES}",
        "will retry if connection refused",
        "hypothetical",
    ),
    Veto(
        rf"\b(?:expect(?:s|ed|ing)?|simulat\w+|mock\w*|assum\w+|recovered (?:from|after)|no longer)\s+"
        rf"(?:an?\s+|the\s+)?[\"'`]?{_STATES}",
        "simulating connection refused for the chaos test",
        "made up, or over",
    ),
    Veto(
        rf"\bwhen\s+(?:(?:you|we|the|an?|it|client|server)\s+){{0,2}}(?:(?:gets?|sees?|receives?|got|encounters?)\s+)?"
        rf"(?:an?\s+)?[\"'`]?{_STATES}",
        "the client backs off when the connection is refused",
        "hypothetical",
    ),
    Veto(
        r"\bwhen(?:ever)?\s+(?:the\s+|an?\s+)?connection\s+(?:is|was|gets)\s+refused",
        "the client backs off when the connection is refused",
        "hypothetical",
    ),
    Veto(
        rf"\bretr(?:y|ies|ied|yable)[_ -]?(?:on|if|for|errors|codes|when)\b[\"']?\s*[:=]?\s*[\[\"'(]*"
        rf"[^.;\n]{{0,80}}?{_STATES}",
        "retry_on: connection refused, gateway error",
        "a setting",
    ),
    Veto(r"--retry-connrefused[^\n]*", " --retry-connrefused  Retry on connection refused", "a command's help"),
    Veto(
        rf"\b(?:raise|throw|new|errors\.New)[ (][\w.]*\(?[\"'`]{_STATES}|"
        r"(?:(?<!\w)(?:except|rescue|catch|raise[sd]?|throws?|case|instanceof|grep|assert\w*|#define)[ (]+"
        r"|isinstance\(\w+, *|errors\.Is\([^)\n]*|[cC]ontains\([^\n]{0,80}?|includes\(|syscall\.|\berrno\.|===? ?|!==? ?|=~ ?"
        rf"|import (?:\w+, *)*)[\"'`/:(]*(?:\w+(?:\.|::|, *))*{_STATES}",
        "    except (ConnectionRefusedError, OSError) as error:",
        "source text, as tracebacks quote it",
    ),
    Veto(
        rf"{_STATES}[\"'`)\]]*\s+(?:stands for|means|indicates|usually|typically|often|is (?:returned|raised|thrown"
        r"|expected|an?\b|usually|normal)|(?:errors?|exceptions?) (?:are|can|may|might|could|should|is|handling|usually"
        r"|typically|often|means?|indicates?|occurs?|happens?)"
        r"|handling\b|handler\b|can\b|may\b|might\b|could\b|would\b|should\b)",
        "ECONNREFUSED means that nothing listens on that port",
        "an explanation",
        echoes=True,
    ),
    Veto(
        r"\bE(?:CONNRESET|TIMEDOUT|PIPE|NOTFOUND|HOSTUNREACH|AI_AGAIN|CONNABORTED|NETUNREACH)[\"'`]?\s*(?:[,|/]|or\b)\s*"
        r"[\"'`]?ECONNREFUSED|ECONNREFUSED[\"'`]?\s*(?:[,|/]|or\b)\s*[\"'`]?E(?:CONNRESET|TIMEDOUT|PIPE|NOTFOUND"
        r"|HOSTUNREACH|AI_AGAIN|CONNABORTED|NETUNREACH)",
        "retryable: ['ECONNREFUSED', 'ETIMEDOUT']",
        "a list of error codes",
    ),
    Veto(
        rf"{_STATES}(?:[_ ](?:errors?|count(?:er)?|total|rate))*[\"']?\s*[:=]\s*0\b(?![.:x])|{_STATES}"
        rf"[_ ](?:errors?[_ ])?(?:count|total)\b|\{{[^{{}}\n]{{0,300}}{_STATES}[^}}\n]{{0,300}}\}}\s+\d+",
        'client_errors{reason="connection_refused"} 3',
        "a counter",
    ),
)

# Only where no destination is named: prose has none.
WEAK_VETOES = (
    Veto(
        rf"{_STATES} (?:errors|exceptions) (?:will|are|were|can|may|should|must)\b",
        "connection refused errors will be retried 3 times",
        "it says what would be done",
    ),
    Veto(
        rf"\bhandl(?:e|es|ed|ing)(?: of)? (?:\w+ ){{0,2}}[\"'`]?{_STATES}|{_STATES} error code\b",
        "[web] improved handling of ECONNREFUSED",
        "a change note",
    ),
    Veto(
        r"^[ \t*\-•#>]*(?:(?:feat|fix|chore|docs|test|refactor)(?:\([^)\n]*\))?!?: *)?(?:also )?(?:add(?:s|ed|ing)?"
        r"|fix(?:es|ed|ing)?|handl(?:e|es|ed|ing)|improv(?:e|es|ed)|support(?:s|ed)?|remov(?:e|es|ed)|document(?:s|ed)?"
        r"|rescu(?:e|es|ed|ing)|ignor(?:e|es|ed|ing)|prevent(?:s|ed)?|avoid(?:s|ed)?|treat(?:s|ed)?|in addition to"
        r"|note that|see also|examples?|usage|tip|hint|description|troubleshooting|faq|how to|what does)\b"
        rf"[^\n]*?{_STATES}",
        "Also adds the CONNECTION_REFUSED error code",
        "a change note, a help text",
    ),
    Veto(
        rf"`(?:\w+(?:\.|::))*{_STATES}(?:Error)?`",
        "`ECONNREFUSED` stands for something",
        "Markdown: somebody writes about it",
    ),
    Veto(
        rf"(?:✓|✔|√|\bPASS(?:ED)?\b|\bshould\b)[^\n]*{_STATES}",
        "✓ handles connection refused (12 ms)",
        "a test's name",
    ),
    Veto(
        rf"^[ \t]*(?://|#+ |/\*|\* |<!--)[^\n]*{_STATES}",
        "# connection refused: try the next one",
        "a comment",
    ),
    Veto(
        rf"\b(?:if you|you (?:may|might|will|can|could)|common (?:causes?|reasons?|errors?))\b[^\n]*{_STATES}",
        "You may see a connection refused error here",
        "advice",
    ),
)

# Nothing in such a text is the program's own failed connect.
_NEVER = re.compile(r"(?:Readiness|Liveness|Startup) probe (?:failed|errored)|Envoy proxy is NOT ready", re.IGNORECASE)

# Behind these a refusal may be a server's, of which its answer tells, or what this program made of its own: a gRPC
# status in other words than those of a client that could not connect, an HTTP status with a body.
_RELAYED = re.compile(
    r"\b(?:code = \w+ desc = |details = \")"
    r"(?!(?:(?!rpc error)[^\n])*?(?:connection error: |transport: |failed to connect to ))[^\n]*?refused"
    rf"|{_ANSWERED}{_BODY}[^\n]*?{_STATES}",
    re.IGNORECASE,
)

# Said of a failed connect, these are its cause: then it was not refused.
OTHER_CAUSE = re.compile(
    r"time(?:d|s)?[ -]?out|TIMEDOUT|UnknownHost|(?<!<)Unresolved|no such host|not known|ENOTFOUND|EAI_|getaddrinfo"
    r"|(?:could not|cannot|unable to|failed to|name) resol|name resolution|no route|(?<!Broker)unreachable|EHOSTUNREACH"
    r"|ENETUNREACH|\breset\b|ECONNRESET|EPIPE|Broken pipe|\bEOF\b|certificate|SSL(?:Error|Exception|Handshake)|handshake"
    r"|cannot assign|\((?:99|101|104|110|113)\)|permission|denied|aborted|other side closed",
    re.IGNORECASE,
)

# How long a client tried before it wrote the line, where it says so; as Go writes it (`1m0s`), too.
_LATE_WORDS = ("after ", "Timeout: ", "ied for ", "ying for ", "lapsed", "xhausted")
_LATE = re.compile(
    r"(?:Timeout: |[Tt]imed out after |(?:failed|gave up|giving up|port \d+|connect) after |[Rr]etr(?:ied|ying) for "
    r"|\b[Ee]lapsed[=:] ?|[Ee]xhausted (?:after |\()|\bafter (?=[\d.]+ ?\w+ of (?:re)?tr))(?=\d)"
    r"(?:(\d+) ?m(?:in(?:ute)?s?)?(?![a-z]) ?)?(?:(\d+(?:\.\d+)?) ?(ms|milliseconds|s|secs?|seconds?)\b)?"
)
_LATEST_S = 3600.0

# Building stones of addresses. `name/ip:port` is Java's, `[…]:port` and bare `…:port` IPv6.
_JVM = r"[\w.\-]*/(?:<unresolved>|\[?[0-9A-Fa-f:.%]{2,60}\]?):\d{1,5}"
_A = rf"(?:{_JVM}|\[[\w:.%\-]{{2,120}}\]:\d{{1,5}}|(?:[0-9A-Fa-f]{{0,4}}:){{2,8}}[0-9A-Fa-f.]{{0,15}}:\d{{1,5}}|[\w.\-]{{1,253}}:\d{{1,5}})(?![\w.]*:?\d)"
_H = r"[\w.\-:]{1,253}"
_USER = r"(?:[a-z][\w+.\-]*://)?(?:[^\s/@\"']{0,200}@)?"

DESTINATIONS = (
    rf"dial tcp[46]?\s+(?:[^\s>]{{1,90}}->)?(?P<addr>{_A})",
    rf"ECONNREFUSED\s+(?P<addr>{_A})",
    rf"tcp connect error\", (?P<addr>{_A})",
    rf"[Cc]onnection to (?P<addr>{_A}) failed",
    # Dart prints the port of its own end of the socket.
    r"OS Error: [^\n]{0,80}address = (?P<host>[^,\s]+), port = \d+",
    r"[\"']?\baddress[\"']?\s*[:=]\s*[\"']?(?P<host>[\w.\-:]{1,253}?)[\"']?[,\s}]{1,40}"
    r"[\"']?port[\"']?\s*[:=]\s*[\"']?(?P<port>\d+)",
    rf"(?i:refused(?: it\.)?)\)?[\s:(\[]*(?!system:)(?:(?:connect|no further information):\s*)?{_USER}(?P<addr>{_A})",
    rf"[Cc]onnect to {_USER}(?P<addr>{_A})/?\s+\[[\w.\-]*/(?P<ip>[0-9A-Fa-f:.]+)",
    r"server at \"(?P<host>[^\"\s]+)\"(?: \((?P<ip>[^)\s]+)\))?, port (?P<port>\d+)",
    r"host \"(?P<host>[^\"\s]+)\"(?: \((?P<ip>[^)\s]+)\))? and accepting\s+TCP/IP connections on port (?P<port>\d+)",
    r"host \"(?P<host>[^\"\s]+)\"(?: \((?P<ip>[^)\s]+)\))? and accepting",
    rf"[Cc]annot connect to host (?P<addr>{_A}) ssl:",
    r"\b(?:host|hostname|server|address)[\"']?\s*(?:=>|[:=])\s*[\"']?(?P<host>[\w.\-]{1,253})[\"']?[\]\[,;\s]{1,6}"
    r":?[\"']?port[\"']?\s*(?:=>|[:=])\s*[\"']?(?P<port>\d+)",
    r"to_address,\s*\{[\"']?(?P<host>[\w.\-:]+)[\"']?,\s*(?P<port>\d+)",
    r"\(\s*'(?P<host>[\w.\-:]+)',\s*(?P<port>\d+)",
    r"(?:connect(?:ing|x)?|connection) to (?:host |server )?(?P<host>[\w.\-:\[\]]+)(?: \((?P<ip>[^)\s]+)\))?,? port (?P<port>\d+)",
    r"\bport (?P<port>\d+) on (?P<host>[\w.\-:]+?)[:,;]?(?:\s|$)",
    r"connect\(2\) for \"(?P<host>[^\"\s]+)\" port (?P<port>\d+)",
    r"server on '(?P<host>[^'\s:]+)(?::(?P<port>\d+))?'",
    r"\bupstream: \"(?P<url>[^\"\s]+)\"",
    rf"Connect to ipv[46]#(?P<addr>{_A})",
    rf"\bipv[46]:(?P<addr>{_A})",
    r"broker at \[(?P<host>[\w.\-]+)\]:(?P<port>\d+)",
    r"Connecting to (?P<host>[\w.\-]+)(?: \([^)\n]*\))?\|(?P<ip>[^|\s]+)\|:(?P<port>\d+)",
    r"(?:\(UNKNOWN\)|(?P<host>[\w.\-]{1,253})) \[(?P<ip>[0-9A-Fa-f.:]+)\] (?P<port>\d+) \(",
    r"\bH=(?P<host>\S{1,253}) \[(?P<ip>[^\]\s]+)\](?::(?P<port>\d+))?[^\n]*(?P<smtp>refused)",
    r"connect to (?P<host>[\w.\-]+)\[(?P<ip>[^\]\s]+)\]:(?P<port>\d+)",
    r"/dev/tcp/(?P<host>[^/\s]+)/(?P<port>\d+)",
    rf"Call From \S+ to (?P<addr>{_A}) failed",
    rf"for server (?P<addr>{_A})",
    rf"\bnode -?\d+ \((?P<addr>{_A})\)",
    rf"SendThread\((?P<addr>{_A})\)",
    rf"attempt to connect to (?P<addr>{_A})",
    r"`(?P<host>[\w.\-]+)`:`(?P<port>\d+)`",
    rf"<BrokerConnection [^\n]{{0,80}}?\bhost=(?P<addr>{_A})",
    r"host: Some\((?:Domain\(\"|Ipv4\(|Ipv6\()(?P<host>[\w.\-:]+)\"?\)\), port: Some\((?P<port>\d+)\)",
    r"outbound\|(?P<port>\d+)\|[^|\s]*\|(?P<host>[\w.\-]+)",
    rf"\bdst\.addr=(?P<addr>{_A})",
    rf"\baddress=(?P<addr>{_A})",
    rf"EndPoint: \"(?:Unspecified/)?(?P<addr>{_A})",
    rf"Connecting to (?P<addr>{_A}) \((?P<ip>[0-9A-Fa-f.:]+?)(?::\d+)?\)",
    r"connect to address (?P<host>[0-9A-Fa-f.:]+?):? ",
    r"remote host \((?P<host>[\w.\-:]+)\)",
)

_URL = re.compile(r"(?P<url>[a-z][a-z0-9+.\-]{1,20}://[^\s\"'<>|\\`,;]{1,400})", re.IGNORECASE)
# Words of an address that was dialled; ports of clients and of source lines follow other words.
_DIALLED = re.compile(
    r"(?i:\b(?:to|at|on|for|with|host|hostname|server|broker|node|endpoint|endpoints|connecting|dialing|via|reach|failed"
    r"|addr|address|target|dest|destination|dst|upstream|backend|redis|database|db|instance|bootstrap|connect|connection|dial"
    rf")[\"']?\s*[=:]?>?\s*[\"'`\[({{]*){_USER}(?P<addr>{_A})"
)
_BEFORE_PHRASE = re.compile(rf"(?P<addr>{_A})[\"'`\])]*[\s:,(]{{1,4}}(?:[\w\[\] ()]{{0,40}}[:\s(]+)?$")
_DIALLED_IP = re.compile(r"(?i:\b(?:to|at|host|server|reach)\s+)(?P<host>\d{1,3}(?:\.\d{1,3}){3})\b")
# Links to explanations, which are no destinations.
_DOCUMENTATION = re.compile(
    r"https?://(?:[\w.\-]*\.)?(?:curl\.haxx\.se|curl\.se|sqlalche\.me|apache\.org|github\.com|stackoverflow\.com"
    r"|nodejs\.org|mysql\.com|mongodb\.com/docs|mongodb\.org|pris\.ly|prisma\.io|microsoft\.com|aka\.ms|redis\.io"
    r"|readthedocs\.io|bit\.ly|goo\.gl|kubernetes\.io|grpc\.io|postgresql\.org|rabbitmq\.com|docker\.com"
    r"|golang\.org|python\.org|w3\.org|oracle\.com|elastic\.co)[^\s\"')>]*",
    re.IGNORECASE,
)
# Of a proxied request nginx names the client, the server and the Host header, too; only the upstream was dialled.
_NGINX = re.compile(r"\b(?:client|server|request|host|referrer): (?:\"[^\"\n]*\"|[^,\s]+)")
# A request that this program served: the host is the one that the request named, mostly this program itself.
_IS = r"(?:=|\": ?)\"?"  # as logfmt and JSON write it
_REQUEST = re.compile(rf"\b(?:method{_IS}[A-Z]{{3,7}}\b|(?:uri|path|url){_IS}/|status(?:_code)?{_IS}[1-5]\d\d\b)")
_SIGNS = tuple(key + sign for key in ("method", "uri", "path", "url", "status", "_code") for sign in ("=", '":'))
_OF_REQUEST = re.compile(rf"\b(?:(?:host|hostname|server){_IS}[^\",\s]+:\d+|url{_IS}[a-z]+://[^\",\s]+)", re.IGNORECASE)

_AUTHORITY = re.compile(r"(?:[^/?#]*@)?(\[[^\]]*\](?::\d+)?|[^/?#)\]}]*)")
_FILE = re.compile(
    r"\.(?:py|js|jsx|ts|tsx|mjs|cjs|go|java|rb|php|c|cc|cpp|h|rs|ex|exs|erl|pm|scala|kt|cs|lua|html|log)$"
)
_SCHEME_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_ESCAPE = re.compile(r"\\+(?:[\"'/ntr]|u[0-9a-fA-F]{4})")
_SHORT = 1_000
_LONGEST = 20_000
_WINDOW = 8_000

_TRIGGER = re.compile(TRIGGER)
_LINES = re.IGNORECASE | re.MULTILINE
_VETOED = Patterns(((veto.pattern, veto.echoes) for veto in VETOES), _LINES)
_WEAK = Patterns(((veto.pattern, None) for veto in WEAK_VETOES), _LINES)
_UPSTREAM = Patterns(((row.pattern, row) for row in SIGNATURES if row.upstream), _LINES)
_REFUSED = Patterns(((row.pattern, row) for row in SIGNATURES if not row.suspected and not row.upstream), _LINES)
_SUSPECTED = Patterns(((row.pattern, row) for row in SIGNATURES if row.suspected), _LINES)
_STATING = Patterns(((pattern, None) for pattern in STATED), re.IGNORECASE)
_NAMING = Patterns((pattern, None) for pattern in DESTINATIONS)

SPECIFICITY = {row.name: place for place, row in enumerate(SIGNATURES)}


class Destination(NamedTuple):
    """Where a connection went, as far as a text tells."""

    host: str | None = None
    ip: str | None = None
    port: int | None = None


def match(text: str) -> Refusal | None:
    """The refused (or, suspected, failed) connection that a text reports; None if it reports none.

    The text may span lines, be JSON, or hold JSON in a string.

    >>> match("dial tcp 10.0.0.1:6379: connect: connection refused")[:4]
    ('go_dial', '10.0.0.1', '10.0.0.1', 6379)
    >>> match("will retry if connection refused") is None
    True
    """
    # Clients repeat themselves; long texts are not worth the memory.
    return _remembered(text) if len(text) <= _SHORT else _matched(text)


def _matched(text: str) -> Refusal | None:
    text = plain(text)
    if not _triggers(text) or _NEVER.search(text):
        return None
    for _, pattern, row in _UPSTREAM.of(text):
        if found := pattern.search(text):
            return _refusal(row, destination(text, found.start()), text)
    kept, echoed = _without_vetoed(text)
    stated = [found for _, pattern, _ in _STATING.of(kept) if (found := pattern.search(kept))]
    if stated:
        stated = min(stated, key=re.Match.start)
        phrase = _PHRASE.search(kept, stated.start()) or stated
        where = destination(kept, phrase.start(), stated.end())
        if where == Destination() and (echoed or any(veto.search(text) for _, veto, _ in _WEAK.of(text))):
            return None
        row = next(row for _, pattern, row in _REFUSED.of(kept) if pattern.search(kept))
        found = _refusal(row, where, text)
        return found._replace(suspected=True) if _relayed(kept) else found
    for _, pattern, row in _SUSPECTED.of(kept):
        found = pattern.search(kept)
        if found and not OTHER_CAUSE.search(text):
            return _refusal(row, destination(kept, found.end()), text)
    return None


_remembered = lru_cache(maxsize=4096)(_matched)


def _relayed(text: str) -> bool:
    # Most texts hold none of these.
    return any(sign in text for sign in ("desc = ", "details = ", "{")) and bool(_RELAYED.search(text))


def _triggers(text: str) -> bool:
    # What nearly all say is found quicker than by the pattern.
    return "refus" in text or bool(_TRIGGER.search(text))


def _without_vetoed(text: str) -> tuple[str, bool]:
    """The text without its look-alikes, and whether one of them may be repeated elsewhere in it."""
    echoed, begin = False, 0
    while True:
        for place, pattern, echoes in _VETOED.of(text, begin):
            text, count = pattern.subn(" ", text)
            if count:  # what stood apart may stand together now: the rest is chosen anew
                echoed, begin = echoed or echoes, place + 1
                break
        else:
            return text, echoed


def _refusal(row: Signature, where: Destination, text: str) -> Refusal:
    return Refusal(row.name, *where, row.suspected, _late(text, row.late_s), row.upstream)


def _late(text: str, usual: float) -> float:
    """Seconds that the client tried before it wrote the text, where it says so."""
    found = any(word in text for word in _LATE_WORDS) and _LATE.search(text)
    if not found:
        return usual
    minutes, number, unit = found.groups("0")
    seconds = 60 * float(minutes) + float(number) / (1000 if unit.startswith("m") else 1)
    return seconds if 0 < seconds <= _LATEST_S else usual


def destination(text: str, start: int = 0, end: int | None = None) -> Destination:
    """The destination that a text names; `start` and `end` say where in it the refusal is stated.

    >>> destination("Connection refused: localhost/0:0:0:0:0:0:0:1:32770")
    Destination(host='localhost', ip='::1', port=32770)
    """
    end = start if end is None else end
    if "upstream" in text:
        text = _NGINX.sub(lambda found: " " * len(found.group()), text)
    if any(sign in text for sign in _SIGNS) and _REQUEST.search(text):
        text = _OF_REQUEST.sub(lambda found: " " * len(found.group()), text)
    text = _DOCUMENTATION.sub(lambda found: " " * len(found.group()), text)
    for _, pattern, _ in _NAMING.of(text):
        for found in pattern.finditer(text):
            where = _of(found.groupdict())
            if where:
                return _completed(where, text)
    return _completed(_near(text, start, end) or Destination(), text)


def _near(text: str, start: int, end: int) -> Destination | None:
    """An address beside the phrase: the last one before it on its line, else the next after it."""
    line = text.rfind("\n", 0, start) + 1
    close = text.find("\n", end)
    before, after = text[line:start], text[end : close if close >= 0 else len(text)]
    at_phrase = [where for found in _BEFORE_PHRASE.finditer(before) if (where := _of(found.groupdict(), loose=True))]
    if at_phrase:
        return at_phrase[-1]
    for part, pick in ((before, -1), (after, 0), (text, 0)):
        for pattern in (_DIALLED, _URL, _DIALLED_IP):
            places = [where for found in pattern.finditer(part) if (where := _of(found.groupdict(), loose=True))]
            if places:
                return places[pick]
    return None


def _of(groups: dict[str, str | None], *, loose: bool = False) -> Destination | None:
    """The destination in a pattern's groups: addr, url, or host, ip and port; None if they make no sense."""
    if groups.get("url"):
        return address(groups["url"])
    if groups.get("addr"):
        where = address(groups["addr"])
        if where and loose and where.ip is None and _FILE.search(where.host or ""):
            return None
        return where._replace(ip=ip_of(groups["ip"])) if where and groups.get("ip") else where
    port = _port(groups.get("port"))
    if groups.get("smtp") and port is None:
        port = 25  # exim writes the port only where it is another one
    host = (groups.get("host") or "").strip("[]") or None
    ip = ip_of(groups.get("ip") or host)
    host = host or ip
    if host and ip_of(host) is None and not re.search(r"[A-Za-z]", host):
        return None
    return Destination(host, ip, port) if host or port else None


def address(text: str) -> Destination | None:
    """The parts of an address such as `h:1`, `h/10.0.0.1:1`, `[::1]:1`, `::1:1`, `tcp://u:p@h:1/path`; None if it is none.

    The port of an http or ws URL is its scheme's where it names none; other ports are not assumed.

    >>> address("https://api.example.net/v1"), address("<unresolved>")
    (Destination(host='api.example.net', ip=None, port=443), None)
    """
    text = text.rstrip(".,;:)]}'\"")
    scheme, found, rest = text.partition("://")
    rest = rest if found else text
    name = ""
    if found:
        rest = _AUTHORITY.match(rest).group(1)
    elif "/" in rest:
        name, rest = rest.split("/", 1)
    bracket = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", rest)
    if bracket:
        host, port = bracket.groups()
    elif ":" in rest and ip_of(rest) is None or (not found and ip_of(rest.rpartition(":")[0])):
        host, _, port = rest.rpartition(":")
    else:
        host, port = rest, None
    host = host.strip("[]().,;'\"")
    if host == "<unresolved>":
        host, name = name, ""
    number = _port(port) or (_SCHEME_PORTS.get(scheme.lower()) if found and not port else None)
    ip = ip_of(host)
    if (port and not _port(port)) or not host or (not found and number is None):
        return None
    if ip is None and not re.fullmatch(r"(?=[\w.\-]*[A-Za-z])\w[\w.\-]*", host):
        return None
    return Destination(name or (host if ip is None or "." in host else ip), ip, number)


@lru_cache(maxsize=4096)
def ip_of(text: str | None) -> str | None:
    """The address in its shortest spelling, IPv4 in IPv6 as IPv4; None if the text is none.

    >>> ip_of("0:0:0:0:0:0:0:1"), ip_of("::ffff:10.0.0.1"), ip_of("redis")
    ('::1', '10.0.0.1', None)
    """
    text = (text or "").strip("[]").partition("%")[0]
    if text.count(":") < 2:
        return text if _IPV4.fullmatch(text) else None
    try:
        ip = ipaddress.IPv6Address(text)
    except ValueError:
        return None
    return str(ip.ipv4_mapped or ip)


_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\.(?!$)|$)){4}")


def _port(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and 0 < int(text) < 65536 else None


def _completed(where: Destination, text: str) -> Destination:
    """The destination with its name or its address, where the text gives both for the same port."""
    if where.port is None or where.host is None:
        return where
    port = str(where.port)
    if where.ip is None:
        found = next((found[1] for found in _IP_AND_PORT.finditer(text) if found[2] == port), None)
        return where._replace(ip=ip_of(found)) if found else where
    if ip_of(where.host) is None:
        return where
    name = _name_beside(f"{where.host}:{port}", port, text)
    if name is None and "://" in text:
        urls = (address(found.group()) for found in _URL.finditer(text))
        names = [url.host for url in urls if url and url.port == where.port and url.ip is None]
        return where._replace(host=names[0]) if names else where
    return where if name is None or _FILE.search(name) else where._replace(host=name)


def _name_beside(dialled: str, port: str, text: str) -> str | None:
    """The name that a text gives to the address and port that were dialled."""
    if f"{dialled} (" in text and (found := re.search(re.escape(dialled) + r" \(([A-Za-z][\w.\-]*)\)", text)):
        return found[1]
    begin, _, _ = text.partition(dialled)
    if text.count(f":{port}") > 1 or begin == text or _NAME_END.search(begin):  # another may have the same port
        for found in _NAME_AND_PORT.finditer(text):
            if found[2] == port:
                return found[1]
    found = _NAME_IN_SETTINGS.search(text) if "`host=" in text else None
    return found[1] if found else None


_NAME_END = re.compile(r"[\w.\-]$")
_IP_AND_PORT = re.compile(r"(?<![\d.])(\d{1,3}(?:\.\d{1,3}){3})(?:', ?|:)(\d+)\b")
_NAME_AND_PORT = re.compile(r"(?<![\w.\-@/])(?:[a-z+]+://(?:[^\s/@]*@)?)?((?=[\w.\-]*[A-Za-z])\w[\w.\-]*):(\d+)\b")
_NAME_IN_SETTINGS = re.compile(r"`host=([A-Za-z][\w.\-]*) ")


def plain(text: str) -> str:
    """The text as a person would read it: JSON as its strings, one a line; no escapes; of very long texts a part."""
    if len(text) > _LONGEST:
        middle = text.lower().find("refused")
        if middle < 0:
            found = _TRIGGER.search(text)
            middle = found.start() if found else 0
        text = text[max(0, middle - _WINDOW) : middle + _WINDOW]
    text = _ANSI.sub("", text) if "\x1b" in text else text
    if text.lstrip()[:1] in ("{", "["):
        value = _decoded(text)
        if value is not None:
            text = "\n".join(_strings(value))
    if "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
    if "%5B" in text:
        text = text.replace("%5B", "[").replace("%5D", "]")
    return (_ANSI.sub("", text) if "\x1b" in text else text).replace("\x00", " ")


def _unescaped(found: re.Match) -> str:
    code = found.group().lstrip("\\")
    return {"n": "\n", "r": "\n", "t": "\t"}.get(code) or (chr(int(code[1:], 16)) if code[0] == "u" else code)


def _decoded(text: str) -> Any:
    try:
        value = msgspec.json.decode(text.encode("utf-8", "replace"))
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


_LINK = re.compile(r"\s*[a-z][a-z0-9+.\-]*://\S+\s*$", re.IGNORECASE)
_FIRST = ("message", "msg", "error", "err", "exception", "reason", "cause")
_SETTINGS = re.compile(
    r"retry.?on|retryable|^help$|usage|documentation|description|^(?:re(?:q(?:uest)?|s(?:ponse)?)_?)?headers$"
    r"|^res(?:ponse)?_?body$",
    re.IGNORECASE,
)
# Calls that TCP does not refuse, as Node names them.
_DATAGRAM = ("send", "recvmsg")
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# What an object says of a served request: its host, or its own address.
_OF_SERVED = ("host", "hostname", "server", "url")
_PLACES = ("address", "host", "hostname", "addr", "endpoint", "target", "broker", "server", "upstream", "url", "uri")


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    """The strings in a JSON value, what people read first; addresses with their keys."""
    if isinstance(value, str):
        inner = _decoded(value) if depth < 8 and value[:1] in ("{", "[") and _triggers(value) else None
        if inner is not None:
            yield from _strings(inner, depth + 1)
        elif not _LINK.match(value):  # such as a Referer
            yield value
    elif isinstance(value, list) and depth < 20:
        for item in value:
            yield from _strings(item, depth + 1)
    elif isinstance(value, dict) and depth < 20 and value.get("syscall") not in _DATAGRAM:
        keys = sorted(value, key=lambda key: (key.lower() not in _FIRST, key.lower() in _PLACES))
        for key in keys:
            if not _SETTINGS.search(key) and key.lower() not in _PLACES:
                yield from _strings(value[key], depth + 1)
        yield from _places(value, depth)


def _places(value: dict, depth: int) -> Iterator[str]:
    port = next((value[key] for key in value if key.lower() == "port" and isinstance(value[key], int | str)), None)
    if _served(value):
        value = {key: told for key, told in value.items() if key.lower() not in _OF_SERVED}
    for key in sorted(value, key=lambda key: _PLACES.index(key.lower()) if key.lower() in _PLACES else 99):
        if key.lower() not in _PLACES:
            return
        if not isinstance(value[key], str):
            yield from _strings(value[key], depth + 1)
        elif port is not None and ":" not in value[key].removeprefix("::"):
            yield f"{key}: '{value[key]}', port: {port}"
        else:
            yield f"{key}={value[key]}"
    code = value.get("errno")
    if isinstance(code, int):
        yield f"errno: {code}"


def _served(value: dict) -> bool:
    """Whether an object tells of an HTTP request: then its host is the one that the request named."""
    told = {key.lower(): value[key] for key in value}
    path = any(isinstance(told.get(key), str) and told[key].startswith("/") for key in ("uri", "path", "url"))
    status = str(told.get("status", told.get("status_code")))
    return path or str(told.get("method")).upper() in _VERBS or bool(re.fullmatch(r"[1-5]\d\d", status))
