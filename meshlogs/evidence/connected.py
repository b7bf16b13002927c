"""Lines in which a program says that it has connected, and to where: a redirected connection was accepted then.

To teach a new phrase, add a row. Only phrases that name their destination count: what a program calls connected
may else be inside its own pod.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import schema
from meshlogs.evidence.proxy import PROXY, VALIDATION
from meshlogs.evidence.signatures import Destination, address
from meshlogs.later import Later

pd = Later("pandas")

KIND = "connected"


class Line(NamedTuple):
    """One phrase: its name, what it looks like (`addr` is the destination), an example."""

    name: str
    pattern: str
    example: str


_A = r"(?P<addr>[^\s,;\"'\])}]{3,200})"
LINES = (
    Line("lettuce", rf"\bReconnected to {_A}", "ConnectionWatchdog: Reconnected to redis/10.96.10.1:6379"),
    Line(
        "mongodb_java",
        rf"\bOpened connection \[connectionId[^\]]*\] to {_A}",
        "org.mongodb.driver.connection: Opened connection [connectionId{localValue:2, serverValue:31}] to mongo:27017",
    ),
    Line(
        "mongodb_java_monitor",
        rf"successfully connected to server with description ServerDescription\{{address={_A}",
        "Monitor thread successfully connected to server with description ServerDescription{address=mongo:27017, "
        "type=STANDALONE, state=CONNECTED}",
    ),
    Line(
        "celery",
        r"\bConnected to (?P<addr>(?:amqps?|rediss?)://[^\s,;\"'\])}]{3,200})",
        "[2026-03-02 09:00:01,074: INFO/MainProcess] Connected to amqp://guest:**@rabbit:5672//",
    ),
    Line("spring_amqp", rf"Created new connection: [^\n]{{0,200}}delegate={_A}",
         "Created new connection: rabbitConnectionFactory#1f:0/SimpleConnection@5e [delegate=amqp://guest@10.96.0.7:5672/]"),
    Line("kafka_python", r"<BrokerConnection [^\n]{0,80}host=(?P<addr>\S+) <connected>",
         "<BrokerConnection node_id=0 host=kafka:9092 <connected> [IPv4 ('10.96.0.9', 9092)]>: Connection complete."),
    Line("zookeeper", rf"Socket connection established[^\n]{{0,120}}server: {_A}",
         "Socket connection established, initiating session, client: /10.8.0.4:51022, server: zk/10.96.0.5:2181"),
    Line("curl", r"\* Connected to (?P<host>[\w.\-]+) \((?P<ip>[0-9a-fA-F.:]+)\) port (?P<port>\d+)",
         "* Connected to web (10.96.10.20) port 8080 (#0)"),
    Line("netcat", r"Connection to (?P<host>[\w.\-]+)(?: \((?P<ip>[^)\s]+)\))? (?P<port>\d+) port \[[^\]]*\] succeeded",
         "Connection to redis 6379 port [tcp/redis] succeeded!"),
)  # fmt: skip

# The quick question put to every line first.
TRIGGER = (
    r"Reconnected to |Opened connection \[|successfully connected to server|Connected to |Created new connection|"
    r"<connected>|Socket connection established|\] succeeded"
)
_COMPILED = tuple((line.name, re.compile(line.pattern)) for line in LINES)


def from_logs(log_entries: pd.DataFrame) -> pd.DataFrame:
    """`connected` rows of the applications' log lines: value is the phrase, with host, ip and port."""
    text = pa.array(log_entries["message"], pa.large_string(), from_pandas=True)
    rows = log_entries[np.asarray(pc.fill_null(pc.match_substring_regex(text, TRIGGER), False))]
    rows = rows[
        rows["resource_type"].eq("k8s_container")
        & ~rows["container"].isin([PROXY, VALIDATION])
        & rows["pod"].notna()
        & rows["time"].notna()
    ]
    if rows.empty:
        return schema.empty(schema.EVIDENCE)
    found = [told(message) for message in rows["message"]]
    facts = rows.assign(
        kind=KIND,
        value=[name for name, _ in found],
        host=[where.host for _, where in found],
        ip=[where.ip for _, where in found],
        port=pd.array([where.port for _, where in found], dtype="Int64"),
        time_lower=rows["time"],
        time_upper=rows["time"],
    )
    return schema.conform(facts[facts["value"].notna()], schema.EVIDENCE)


def told(message: str) -> tuple[str | None, Destination]:
    """The phrase of a line and the destination it names; (None, …) if it tells of no connection.

    >>> told("* Connected to web (10.96.10.20) port 8080 (#0)")
    ('curl', Destination(host='web', ip='10.96.10.20', port=8080))
    """
    for name, pattern in _COMPILED:
        match = pattern.search(message)
        if not match:
            continue
        parts = match.groupdict()
        where = (
            address(parts["addr"])
            if parts.get("addr")
            else Destination(parts["host"], parts.get("ip"), int(parts["port"]))
        )
        if where:
            return name, where
    return None, Destination()
