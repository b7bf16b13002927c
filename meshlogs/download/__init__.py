"""Download just the evidence from Cloud Logging, in the layout of a Cloud Storage sink; what was interrupted goes on.

An hour is fetched whole, in order, written and then noted in a manifest; so an interrupted run, started again, fetches
only the hours that are not noted, and ends with the same bytes. Quota: 60 reads a minute for a project
(cloud.google.com/logging/quotas).
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from meshlogs import schema, times
from meshlogs.download.calls import LOG_IN, Calls
from meshlogs.download.entries import as_json, key_of
from meshlogs.download.shards import Manifest, write
from meshlogs.errors import FetchError
from meshlogs.progress import progress
from meshlogs.queries import KINDS, Scope, queries

AROUND = pd.Timedelta(10, "min")
EVIDENCE = ("refused", "proxy_logs", "events", "audit")
# The longest filter that Cloud Logging takes is 20,000 characters; times are added.
_LONGEST = 19_500
LATE = pd.Timedelta(1, "h")  # so long after an hour its entries may still come
AHEAD = pd.Timedelta(1, "D")  # entries of a later time are refused when they are written
PIECE = 50_000  # entries of a filter that are held in memory


def fetch(
    project: str,
    out: str | Path,
    *,
    since,
    until,
    kinds: Iterable[str] = EVIDENCE,
    clusters: Iterable[str] = (),
    namespaces: Iterable[str] = (),
    workloads: Iterable[str] = (),
    pods: Iterable[str] = (),
    client=None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], pd.Timestamp] | None = None,
) -> dict[str, int]:
    """Write the entries of these kinds with since <= time < until to a folder; returns hours, open, entries, calls.

    `kinds` are those of `queries.KINDS`; names limit what is fetched. `client` is a `LoggingServiceV2Client`, by
    default one with the Application Default Credentials. Started again with the same arguments it goes on where it
    stopped. `open` hours ended less than an hour ago, or did not end yet: entries may still come, so the next run
    fetches them again. Raises FetchError for what cannot be fetched, with what to do; ValueError for an unknown kind.
    """
    first, last = times.span(since, until)
    today = (now or _now)()
    if last > today + AHEAD:
        raise FetchError(f"until ({last})", "Cloud Logging keeps nothing later than a day from now", "End it earlier.")
    # not the project's label: the call names the project, perhaps by its number, and its buckets may hold others' logs
    scope = Scope(None, tuple(clusters), tuple(namespaces), tuple(workloads), tuple(pods))
    filters = _filters(tuple(kinds), scope)
    client = client or _client()
    out = Path(out)
    manifest = Manifest(out, {"project": project, "filters": filters, "since": _stamp(first), "until": _stamp(last)})
    calls = Calls(client, project, clock, sleep)
    hours = _hours(first, last)
    entries = still_open = 0
    with progress(len(hours), "fetching", unit="hours") as done:
        calls.watch = lambda: done(0, f"{entries:,} entries of whole hours, {calls.made:,} calls")
        for begin, end in hours:
            name = _stamp(begin)
            if manifest.has(name):
                entries += manifest.entries(name)
            else:
                files, found = write(out, begin.floor("h"), _pieces(calls, filters, begin, end))
                entries += found
                if end <= today - LATE:
                    manifest.note(name, files, found)
                else:
                    still_open += 1
            done(1)
    return {"hours": len(hours), "open": still_open, "entries": entries, "calls": calls.made}


def pods_of(report: str | Path) -> tuple[pd.Timestamp | None, pd.Timestamp | None, list[str]]:
    """(first, last, pods) of the starts in a report's folder that were harmed or are undetermined.

    The times leave ten minutes on either side; None where no such start has one. Raises InputError for a folder
    without tables, FetchError if there is no such start.
    """
    starts = schema.load(report, "starts", schema.STARTS)
    starts = starts[starts["outcome"].isin(["harmed", "init_stalled", "undetermined"]) & starts["pod"].notna()]
    if starts.empty:
        raise FetchError(str(report), "no start in it was harmed or left undetermined", "Nothing is to be fetched.")
    known = starts[["scheduled_lower", "app_started_lower", "app_started_upper", "errors_first"]].stack().dropna()
    first, last = (known.min() - AROUND, known.max() + AROUND) if len(known) else (None, None)
    return first, last, sorted(starts["pod"].unique())


def connect(endpoint: str):
    """A client of a server on this machine that speaks without encryption, such as an emulator.

    Raises FetchError for any other address: credentials would be sent in the open.
    """
    host = endpoint.rpartition(":")[0].strip("[]")
    if host not in ("localhost", "127.0.0.1", "::1"):
        raise FetchError(endpoint, "not an address of this machine", "Leave --endpoint out to ask Google Cloud.")
    with _installed():
        import grpc
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
        from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport
    channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])
    return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


def _client():
    with _installed():
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    try:
        return LoggingServiceV2Client()
    except GoogleAuthError as error:
        raise FetchError("credentials", "no Application Default Credentials were found", LOG_IN) from error


@contextmanager
def _installed():
    try:
        yield
    except ImportError as error:
        advice = "Install the extra: pip install 'meshlogs[cloud]'."
        raise FetchError("google-cloud-logging", "not installed", advice) from error


def _filters(kinds: tuple[str, ...], scope: Scope) -> list[str]:
    """As few filters as hold what is asked: several kinds in one, joined by OR, while it is short enough."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no kind of evidence named {unknown[0]!r}; there are {', '.join(KINDS)}")
    single = [text for kind in kinds for text in _single(kind, scope)]
    filters: list[str] = []
    for text in single:
        if filters and len(filters[-1]) + len(text) + 6 <= _LONGEST:
            filters[-1] += f" OR ({text})"
        else:
            filters.append(f"({text})")
    return filters


def _single(kind: str, scope: Scope) -> list[str]:
    """The filters of a kind; fewer pods in each where their names are long."""
    found = [" AND ".join(text.split("\n")) for text in queries(kind, scope)]
    if len(scope.pods) < 2 or max(map(len, found)) < _LONGEST:
        return found
    half = len(scope.pods) // 2
    return [
        text for pods in (scope.pods[:half], scope.pods[half:]) for text in _single(kind, scope._replace(pods=pods))
    ]


def _hours(first: pd.Timestamp, last: pd.Timestamp) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The hours of the clock between two times; the first and the last may be cut."""
    edges = [first, *pd.date_range(first.floor("h") + pd.Timedelta(1, "h"), last, freq="h", inclusive="left"), last]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _pieces(calls: Calls, filters: list[str], begin: pd.Timestamp, end: pd.Timestamp) -> Iterator[list[tuple]]:
    """The entries (key, line) of begin <= time < end, each once, in order, in pieces that fit into memory."""
    low, high = begin.as_unit("ns").value, end.as_unit("ns").value
    while low < high:
        cut, found = _piece(calls, filters, low, high)
        yield sorted(found.items())
        low = cut


def _piece(calls: Calls, filters: list[str], low: int, high: int) -> tuple[int, dict[tuple, str]]:
    """The entries from `low` on, up to a time (exclusive, nanoseconds) that is earlier than `high` if they are many."""
    found: dict[tuple, str] = {}
    for text in filters:
        seen = 0
        for entry in calls.entries(f'({text}) AND timestamp>="{times.text(low)}" AND timestamp<"{times.text(high)}"'):
            key = key_of(entry)
            if seen >= PIECE and key[0] > low:
                high = key[0]  # they come by time: nothing before this one is missing
                break
            seen += key not in found
            found.setdefault(key, as_json(entry))
        found = {key: line for key, line in found.items() if key[0] < high}
    return high, found


def _now() -> pd.Timestamp:
    return pd.Timestamp.now("UTC")


def _stamp(time: pd.Timestamp) -> str:
    return time.isoformat().replace("+00:00", "Z")


__all__ = ["EVIDENCE", "connect", "fetch"]
