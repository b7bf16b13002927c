"""Lines that tell of a connection that was made."""

import pandas as pd
import pytest

from meshlogs import schema
from meshlogs.evidence import connected

WHERE = {
    "lettuce": ("redis", "10.96.10.1", 6379),
    "mongodb_java": ("mongo", None, 27017),
    "mongodb_java_monitor": ("mongo", None, 27017),
    "celery": ("rabbit", None, 5672),
    "spring_amqp": ("10.96.0.7", "10.96.0.7", 5672),
    "kafka_python": ("kafka", None, 9092),
    "zookeeper": ("zk", "10.96.0.5", 2181),
    "curl": ("web", "10.96.10.20", 8080),
    "netcat": ("redis", None, 6379),
}


@pytest.mark.parametrize("line", connected.LINES, ids=lambda line: line.name)
def test_every_phrase_names_its_destination(line):
    assert connected.told(line.example) == (line.name, WHERE[line.name])
    entry = {"resource_type": "k8s_container", "pod": "p", "container": "app", "message": line.example}
    entries = schema.conform([entry | {"time": pd.Timestamp("2026-03-02", tz="UTC")}], schema.LOG_ENTRIES)
    assert connected.from_logs(entries)["port"].tolist() == [WHERE[line.name][2]]


@pytest.mark.parametrize("text", ["Connected to Redis", "Connected to the database", "Opened connection", "succeeded"])
def test_a_connection_to_nowhere_is_none(text):
    assert connected.told(text)[0] is None
