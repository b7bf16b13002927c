"""A server on loopback that speaks LoggingServiceV2 and misbehaves as told."""

import re
from concurrent import futures

import grpc
from google.cloud.audit import audit_log_pb2
from google.cloud.logging_v2.types import ListLogEntriesRequest, ListLogEntriesResponse, LogEntry
from google.protobuf import json_format

from meshlogs import times

METHOD = "google.logging.v2.LoggingServiceV2"
_LIMIT = re.compile(r'timestamp(>=|<)"([^"]+)"')


class Logging:
    """Serves entries (dictionaries as the REST API gives them) by time; `faults` are raised, one a call."""

    def __init__(self, entries, page=3, faults=(), twice=False, empty=False):
        self.pages, self.faults, self.requests = page, list(faults), []
        self.twice, self.empty = twice, empty
        self.entries = sorted(map(parsed, entries), key=lambda one: (one.timestamp.seconds, one.timestamp.nanos))

    def list(self, data, context):
        """One page, or the next fault."""
        request = ListLogEntriesRequest.pb(ListLogEntriesRequest.deserialize(data))
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if fault:
            context.abort(*fault)
        found = self._within(request.filter)
        at = int(request.page_token.partition(".")[0] or 0)
        response = ListLogEntriesResponse.pb(ListLogEntriesResponse())
        if self.empty and not request.page_token.endswith(".0"):
            response.next_page_token = f"{at}.0"  # a page without entries, and a token
            return response.SerializeToString()
        size = min(self.pages, request.page_size)
        response.entries.extend(found[max(at - self.twice, 0) : at + size])
        if at + size < len(found):
            response.next_page_token = str(at + size)
        return response.SerializeToString()

    def _within(self, text):
        limits = _LIMIT.findall(text)[-2:]
        low, high = (times.parse_ns(limit) for _, limit in limits)
        return [one for one in self.entries if low <= one.timestamp.seconds * 10**9 + one.timestamp.nanos < high]


def parsed(entry):
    """The protobuf of an entry."""
    assert audit_log_pb2
    return json_format.ParseDict(entry, LogEntry.pb(LogEntry()))


class Serving:
    """A running server; `address` is where."""

    def __init__(self, logging):
        self.server = grpc.server(futures.ThreadPoolExecutor(2))
        handler = grpc.unary_unary_rpc_method_handler(lambda data, context: logging.list(data, context))
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(METHOD, {"ListLogEntries": handler}),)
        )
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()
