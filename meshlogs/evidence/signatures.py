"""The table of signatures: which texts report a refused connection, which only look alike.

`SIGNATURES` names the spellings, most specific first; adding a spelling is adding a row. `VETOES` are
texts that are never a refused TCP connect of the program that wrote them. `DESTINATIONS` are tried in
order to find whom the program wanted. Sources are public threads (owner/repo#n), or "recorded" for lines
of real clients refused by real redirection.
"""

import re
from typing import NamedTuple


class Signature(NamedTuple):
    """One spelling: its name, pattern, an example, its source, and what it leaves open.

    `suspected`: the text says that connecting failed, not why. `late_s`: seconds by which the program may
    report later than the connect failed.
    """

    name: str
    pattern: str
    example: str
    source: str
    suspected: bool = False
    late_s: float = 0.0


class Veto(NamedTuple):
    """A text that only looks like a refused connect, and why it is none."""

    pattern: str
    example: str
    why: str


SIGNATURES = (
    # Programs that report after a time-out of their own.
    Signature(
        "python_pymongo",
        r"ServerSelectionTimeoutError.*(?:Errno 111|[Cc]onnection refused)",
        "pymongo.errors.ServerSelectionTimeoutError: 127.0.0.1:27017: [Errno 111] Connection refused, Timeout: 30s",
        "pymongo, seen in public threads",
        late_s=30.0,
    ),
    Signature(
        "node_mongodb_selection",
        r"MongoServerSelectionError: .*ECONNREFUSED",
        "MongoServerSelectionError: connect ECONNREFUSED 10.0.0.7:27017",
        "mongodb/node-mongodb-native, serverSelectionTimeoutMS 30000",
        late_s=30.0,
    ),
    Signature(
        "java_hikari",
        r"HikariPool.*(?:Connection is not available, request timed out|Exception during pool initialization).*refused",
        "HikariPool-1 - Connection is not available, request timed out after 30000ms. (Connection refused)",
        "brettwooldridge/HikariCP, connectionTimeout 30000",
        late_s=30.0,
    ),
    # Spellings of the system's error, by runtime.
    Signature(
        "go_dial",
        r"dial tcp[46]?\b.*connection refused",
        "dial tcp 192.168.9.16:19209: connect: connection refused",
        "Google's guide",
    ),
    Signature(
        "node",
        r"ECONNREFUSED",
        "Error: connect ECONNREFUSED 172.20.0.4:5672",
        "amqp-node/amqplib, recorded",
    ),
    Signature(
        "python_redis",
        r"Error 111 connecting to ",
        "redis.exceptions.ConnectionError: Error 111 connecting to redis:6379. Connection refused.",
        "recorded",
    ),
    Signature(
        "python",
        r"\[Errno (?:111|61|10061)\]|Connect call failed",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "recorded",
    ),
    Signature(
        "python_class",
        r"\bConnectionRefusedError\b",
        "ConnectionRefusedError: (111, 'refused')",
        "docs.python.org: exceptions",
    ),
    Signature(
        "libpq",
        r"connection to server at .* failed: Connection refused|could not connect to server: Connection refused",
        'psql: error: connection to server at "postgres" (10.96.10.3), port 5432 failed: Connection refused',
        "recorded",
    ),
    Signature(
        "mysql",
        r"MySQL server on .*\(111|\bMySQL\b.*\(111 ",
        "ERROR 2003 (HY000): Can't connect to MySQL server on '127.0.0.1' (111 \"Connection refused\")",
        "MariaDB client",
    ),
    Signature(
        "java",
        r"(?:ConnectException|AnnotatedConnectException|HttpHostConnectException|PSQLException)\b.*refused",
        "java.net.ConnectException: Connection refused",
        "recorded",
    ),
    Signature(
        "rust",
        r"kind: ConnectionRefused|os error 111\)|ConnectionRefused\b",
        'Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }',
        "tokio-rs/tokio#1903",
    ),
    Signature(
        "elixir", r":econnrefused|\beconnrefused\b", "tcp connect: connection refused - :econnrefused", "postgrex"
    ),
    Signature(
        "windows",
        r"actively refused|\b10061\b",
        "No connection could be made because the target machine actively refused it. (10.0.0.7:80)",
        "WSAECONNREFUSED",
    ),
    Signature(
        "nginx",
        r"connect\(\) failed \(111: ",
        'connect() failed (111: Connection refused) while connecting to upstream, upstream: "http://10.0.0.1:80/"',
        "nginx error log",
    ),
    Signature(
        "kubectl",
        r"connection to the server \S+ was refused",
        "The connection to the server 172.16.128.128:6443 was refused - did you specify the right host or port?",
        "kubernetes/kubectl",
    ),
    Signature(
        "php_code",
        r"\(111\)|SQLSTATE\[HY000\] \[2002\] Connection refused",
        "Connection refused (111)",
        "PHPMailer#1149",
    ),
    Signature(
        "connection_refused",
        r"connection(?: was)? refused",
        "Connection refused - connect(2) for 10.1.0.195:6379",
        "any",
    ),
    # Failed to connect, and the text does not say why.
    Signature(
        "curl",
        r"[Ff]ailed to connect to .*Couldn'?t connect to server|[Cc]ouldn'?t connect to server\b|cURL error 7:",
        "curl: (7) Failed to connect to web port 8080 after 4 ms: Couldn't connect to server",
        "recorded",
        suspected=True,
    ),
    Signature(
        "java_bare",
        r"(?:^|\s|Caused by: )java\.net\.ConnectException(?:: (?:null|Failed to connect to \S+))?\s*$",
        "java.net.ConnectException",
        "recorded",
        suspected=True,
    ),
    Signature(
        "okhttp",
        r"ConnectException: Failed to connect to ",
        "java.net.ConnectException: Failed to connect to /10.0.0.7:8080",
        "square/okhttp",
        suspected=True,
    ),
    Signature("undici", r"TypeError: fetch failed\b", "TypeError: fetch failed", "nodejs/undici", suspected=True),
    Signature(
        "httpx",
        r"All connection attempts failed",
        "httpx.ConnectError: All connection attempts failed",
        "encode/httpx",
        True,
    ),
    Signature(
        "kafka_java",
        r"Connection to node -?\d+ \(\S+\) could not be established",
        "Connection to node -1 (/10.0.0.9:9092) could not be established. Broker may not be available.",
        "apache/kafka NetworkClient",
        suspected=True,
    ),
    Signature(
        "grpc_old",
        r"failed to connect to all addresses",
        "failed to connect to all addresses",
        "grpc/grpc",
        suspected=True,
    ),
    Signature(
        "stackexchange_redis",
        r"UnableToConnect on |It was not possible to connect to the redis server",
        "UnableToConnect on 127.0.0.1:6379/Interactive, Initializing/NotStarted",
        "StackExchange/StackExchange.Redis",
        suspected=True,
    ),
    Signature(
        "mysql_java",
        r"Communications link failure",
        "com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
        "mysql/mysql-connector-j",
        suspected=True,
    ),
    Signature(
        "nats",
        r"no servers available for connection",
        "nats: no servers available for connection",
        "nats-io/nats.go",
        True,
    ),
)

VETOES = (
    Veto(r"dial unix|unix://|unix socket|\.sock\b", "dial unix /var/run/docker.sock: connection refused", "no TCP"),
    Veto(r"REFUSED_STREAM|[Ss]tream refused|RST_STREAM", "stream was reset: REFUSED_STREAM", "HTTP/2 stream"),
    Veto(r"ACCESS_REFUSED|[Ll]ogin was refused", "(403, 'ACCESS_REFUSED - Login was refused", "credentials"),
    Veto(
        r"[Cc]onnac|[Rr]efused?[,:]+\s+(?:not authori[sz]ed|bad user|identifier|unacceptable|server unavailable)"
        r"|refuse, reason code",
        "0x05 Connection Refused: not authorized",
        "an MQTT answer over an open connection",
    ),
    Veto(r"Refused to (?:connect|load|execute|frame|apply)\b", "Refused to connect to 'ws://x'", "a browser's policy"),
    Veto(r"\bREFUSED qr\b|status: REFUSED|rcode[ =:]*REFUSED", 'udp 53 false 512" REFUSED qr,rd 53', "DNS answer"),
    Veto(r"refused to talk to me", "host mx refused to talk to me: 554", "SMTP"),
    Veto(r"is not allowed to connect", "Host '1.2.3.4' is not allowed to connect to this MySQL server", "grants"),
    Veto(
        r"\blookup \S+ on \S+: (?:read|dial) udp|read udp \S+: read: connection refused",
        "dial tcp: lookup redis on 10.96.0.10:53: read udp 10.2.0.1:4->10.96.0.10:53: read: connection refused",
        "name resolution over UDP",
    ),
    Veto(r"(?:Readiness|Liveness|Startup) probe (?:failed|errored)", "Readiness probe failed: dial tcp", "a probe"),
    Veto(r"Envoy proxy is NOT ready", "Envoy proxy is NOT ready: failed retrieving Envoy stats", "the proxy's agent"),
    Veto(
        r"\b(?:stands for|rescu(?:e|ing)|except\s+ConnectionRefusedError|catch\s*\(|if you (?:see|get)|in case of|e\.g\.)",
        "`ECONNREFUSED` stands for connection refused by server",
        "prose or code",
    ),
    Veto(
        r"\b(?:no|zero|0|without(?: any)?) (?:more )?(?:connections? (?:was |were )?refused|refused connections?|"
        r"connection refused errors?|ECONNREFUSED(?: errors?)?)",
        "no connection refused errors since start",
        "negated",
    ),
    Veto(
        r"\b(?:will|would|should|may|might|could|can|to|when|if|on|unless|whether|retry[_-]?on|retries? on|ignor(?:e|ing)|"
        r"handles?|handling|treat(?:s|ing)?)\W+(?:a |an |the |any |is |for |get(?:s|ting)? |fail(?:s|ed)? with |with |"
        r"be |being |see(?:s|ing)? )*(?:connections? (?:is |was |are |were )?refused|connection[- ]refused|ECONNREFUSED)",
        "will retry if connection refused",
        "hypothetical",
    ),
    Veto(
        r"(?:retry|retries|retryable|ignored?)[\w.\- ]*[:=]\s*[\[\"'(]?[\w\", '-]*(?:connection[-_ ]refused|connect-failure"
        r"|refused-stream|ECONNREFUSED)|error codes?\b",
        "retry_on: connection refused",
        "configuration or documentation",
    ),
    Veto(
        r"EADDRNOTAVAIL|Cannot assign requested address",
        "port 5432 failed: Cannot assign requested address",
        "no route",
    ),
)
# A veto of words in running text does not hold where the text also shows the failure itself.
STATED = re.compile(
    r"connect ECONNREFUSED \S|ECONNREFUSED [\d\[:]|dial tcp \S+:\d+: connect: connection refused|\[Errno 111\]"
    r"|Error 111 connecting|Connection refused: \S*/|failed: Connection refused|\(111: |os error 111"
)
FIRM = 11  # the first vetoes hold always; those after are about words

PORT = r"(?P<port>\d{1,5})(?!\d)"
NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
IP4 = r"\d{1,3}(?:\.\d{1,3}){3}"
IP6 = r"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+"

# Named groups: host (name or address), ip, port. In the order in which they are tried.
DESTINATIONS = (
    rf"dial tcp[46]?:?\s+(?:\S+->)?(?:\[(?P<ip6>{IP6})\]|(?P<host>{NAME})):{PORT}",
    rf"(?:connect )?ECONNREFUSED (?:\[(?P<ip6b>{IP6})\]|(?P<ip>{IP4})):{PORT}",
    rf"ECONNREFUSED (?P<ip>{IP6}):{PORT}(?![:\w])",
    rf"ECONNREFUSED (?P<host>{NAME}):{PORT}",
    rf"(?:connection|connect(?:ing)?) to (?P<host>{NAME}):{PORT} (?:failed|refused)",
    rf"(?:refused|failed to connect to|[Cc]onnect to|Connection to node -?\d+ \()\s*:?\s*(?P<host>{NAME})?/(?P<ip>{IP4}):{PORT}",
    rf"(?:refused|connect to)\s*:?\s*(?P<host>{NAME})?/\[?(?P<ip>(?:[0-9A-Fa-f]{{0,4}}:){{7}}[0-9A-Fa-f]{{1,4}})\]?:{PORT}",
    rf"[Cc]onnect to (?P<host>{NAME}):{PORT} \[[^\]/]*/(?P<ip>{IP4})[^\]]*\]",
    rf"address: ['\"]?(?:(?P<ip>{IP4})|(?P<ip6d>{IP6}))['\"]?,?\s+port: {PORT}",
    rf"server at \"(?P<host>[^\"]+)\"(?: \((?P<ip>[^)]+)\))?, port {PORT}",
    rf"host \"(?P<host>[^\"]+)\"(?: \((?P<ip>[^)]+)\))? and accepting\s+TCP/IP connections on port {PORT}",
    rf"host=['\"](?P<host>[^'\"]+)['\"], port={PORT}",
    rf"\(['\"](?P<host>[^'\"]+)['\"], {PORT}(?:, \d+, \d+)?\)",
    rf"Error \d+ connecting to (?P<host>{NAME}):{PORT}",
    rf"Cannot connect to host (?P<host>{NAME}):{PORT}",
    rf"ServerSelectionTimeoutError: (?P<host>{NAME}):{PORT}",
    rf"Redis on (?P<host>{NAME}):{PORT}|TCP connection to (?P<hostb>{NAME}):(?P<portb>\d+)",
    rf"connect\(2\) for \"?(?P<host>{NAME})\"? port {PORT}|connect\(2\) for \"?(?P<hostc>{NAME}):(?P<portc>\d+)",
    rf"[Ff]ailed to connect to (?P<host>{NAME}) port {PORT}",
    rf"connect to (?:host )?(?P<host>{NAME}) port {PORT}",
    rf"upstream: \"\w+://(?:\[(?P<ip6c>{IP6})\]|(?P<host>{NAME})):{PORT}",
    rf"Connect to ipv[46]#(?P<ip>{IP4}|\[?{IP6}\]?):{PORT}",
    rf"(?:at|to|server) \[?(?P<host>{NAME})\]?:{PORT}",
    rf"ipv4:(?P<ip>{IP4}):{PORT}",
    rf"tcp connect \((?P<host>{NAME}):{PORT}\)",
    rf"(?:tcp|amqps?|redis|rediss|mongodb|postgres(?:ql)?|mysql|kafka|nats|https?)://(?:[^@\s/]*@)?(?P<host>{NAME}):{PORT}",
    rf"/dev/tcp/(?P<host>{NAME})/{PORT}",
    rf"\[(?P<host>{IP4})\] {PORT}",
    rf"H=(?P<host>{NAME}) \[(?P<ip>{IP4})\]",
    rf"(?:server on|host) ['\"](?P<host>[\w.-]+?)(?::{PORT})?['\"]",
    rf"(?<![\w.])/(?P<ip>{IP4}):{PORT}",
    rf"\((?P<host>{NAME}\.{NAME}|{IP4}):{PORT}\)",
    rf"(?<![\w.\-/])(?P<host>{IP4}|[A-Za-z][\w-]*(?:\.[\w-]+)*):{PORT}(?=[:,;\s\])'\"]*(?:.{{0,12}})(?:[Cc]onnection refused|failed|connect))",
    r"https?://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?/",
)
# Where only an address was dialled, the text may still name it: in the URL of the request, or before the same port.
NAMED = (r"https?://(?P<host>[A-Za-z][\w.-]*):{port}\b", r"(?<![\w.-])(?P<host>[A-Za-z][\w-]*(?:\.[\w-]+)*):{port}\b")
# Addresses in links to documentation are nobody's destination.
LINKS = re.compile(
    r"https?://(?:curl\.haxx\.se|curl\.se|sqlalche\.me|errors\.\S+|docs\.\S+|github\.com|go\.microsoft\.com)\S*"
)
