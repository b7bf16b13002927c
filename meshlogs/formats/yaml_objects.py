"""YAML documents: what `gcloud logging read` prints by default, kubectl lists and captured streams."""

import re
from pathlib import Path

from meshlogs.formats import k8s_objects, log_entries
from meshlogs.formats.documents import Broken, load, yaml_documents
from meshlogs.formats.shards import Collector, Shard

EXAMPLE = (
    "---\ninsertId: …\nlogName: projects/P/logs/stdout\ntextPayload: …\ntimestamp: '2020-03-31T10:41:15.552128897Z'"
)

_KEYS = re.compile(rb"^(?:insertId|logName|apiVersion|kind|protoPayload|textPayload|jsonPayload):(?:\s|$)", re.M)


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes look like YAML of log entries or Kubernetes objects."""
    return head.lstrip()[:1] not in (b"{", b"[", b"<") and bool(_KEYS.search(head))


def read(path: Path, source: str) -> Shard:
    """The log entries, events and pods of a file."""
    data, damage = load(path)
    collector = Collector("yaml_objects", source)
    for line, value in yaml_documents(data):
        if isinstance(value, Broken):
            collector.records += 1
            collector.broken(line, value)
        elif log_entries.is_entry(value):
            log_entries.add(collector, line, value)
        else:
            k8s_objects.add(collector, line, value)
    if damage:
        collector.reject(data.count(b"\n") + 1, damage)
    log_entries.join_split(collector)
    return collector.shard()
