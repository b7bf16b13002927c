"""What `kubectl cluster-info dump` prints: lists of objects as JSON, one after another, and logs between them."""

import re
from collections.abc import Iterator
from typing import BinaryIO

from meshlogs.formats import k8s_objects, pod_logs, splitter
from meshlogs.formats.tables import Shard, Tables, joined
from meshlogs.formats.whose import Whose

TITLE = "Output of `kubectl cluster-info dump` (written to a folder it is JSON lists and logs, each of its own form)"
LOSES = "the cluster's name; times of log lines but those that the program wrote itself; logs of earlier runs"
EXAMPLE = """\
{
    "kind": "NodeList",
    "apiVersion": "v1",
    "items": []
}
{
    "kind": "PodList",
    "apiVersion": "v1",
    "items": [{"metadata": {"name": "web-0", "namespace": "shop"}, "spec": {"containers": [{"name": "web"}]}}]
}
==== START logs for container web of pod shop/web-0 ====
2020-03-31T10:41:15.552Z dial tcp 10.0.0.9:6379: connect: connection refused
==== END logs for container web of pod shop/web-0 ====
"""

# The nodes come first. (kubernetes/kubectl pkg/cmd/clusterinfo)
_BEGINS = re.compile(rb'^\{\s*"kind"\s*:\s*"NodeList"', re.MULTILINE)
_LOG, _LOG_ENDS = b"==== START logs for container ", re.compile(rb"==== END logs for container \S+ of pod \S+ ====\s*$")


def sniff(head: bytes, _name: str) -> bool:
    """Whether these first bytes are the list of nodes, or JSON with logs after it."""
    return bool(_BEGINS.search(head) or head.lstrip().startswith(b"{") and b"\n" + _LOG in head)


def read(file: BinaryIO, source: str) -> Shard:
    """Events, pods and log lines of one file; objects of other kinds count as records only."""
    return joined(chunks(file, source))


def chunks(file: BinaryIO, source: str) -> Iterator[Shard]:
    """The rows of `read` in the same order, as shards of a bounded size."""
    tables = Tables(source)
    return tables.chunks("cluster_dump", _steps(tables, file))


def _steps(tables: Tables, file: BinaryIO) -> Iterator[None]:
    lines = enumerate(file, 1)
    while True:
        objects = _Objects(lines)
        for found in splitter.records_of(b"", objects):
            k8s_objects.add_found(tables, found, objects.before)
            yield
        if objects.heading is None:
            return
        yield from pod_logs.steps(tables, _block(objects.heading, lines), Whose())


def _block(heading: tuple[int, bytes], lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The numbered lines of the logs of a container, its heading and its end among them."""
    yield heading
    for number, data in lines:
        yield number, data
        if _LOG_ENDS.search(data[-2_000:]):
            return


class _Objects:
    """The text up to the next log, as a file; then `heading` is the numbered line that begins it.

    `before` is how many lines stand before the text, once some of it was read.
    """

    def __init__(self, lines: Iterator[tuple[int, bytes]]):
        self._lines, self._rest, self._size = lines, [], 0
        self.heading: tuple[int, bytes] | None = None
        self.before: int | None = None

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        while self._size < size and self.heading is None:
            number, data = next(self._lines, (0, b""))
            if not data:
                break
            if data.startswith(_LOG):
                self.heading = number, data
                break
            self.before = number - 1 if self.before is None else self.before
            self._rest.append(data)
            self._size += len(data)
        text = b"".join(self._rest)
        data, rest = text[:size], text[size:]
        self._rest, self._size = [rest], len(rest)
        return data
