"""Download just the evidence from Cloud Logging, in the layout of a Cloud Storage sink; what was interrupted goes on.

An hour is fetched whole, sorted, written and then noted in a manifest; so an interrupted run, started again, fetches
only the hours that are not noted, and ends with the same bytes. Quota: 60 reads a minute for a project
(cloud.google.com/logging/quotas).
"""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd

from meshlogs import schema, times
from meshlogs.download.calls import Calls
from meshlogs.download.entries import as_json, key_of
from meshlogs.download.shards import Manifest, write
from meshlogs.errors import FetchError
from meshlogs.progress import progress
from meshlogs.queries import KINDS, Scope, queries

AROUND = pd.Timedelta(10, "min")
EVIDENCE = ("refused", "proxy_logs", "events", "audit")
# The longest filter that Cloud Logging takes is 20,000 characters; times are added.
_LONGEST = 19_500


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
) -> dict[str, int]:
    """Write the entries of these kinds with since <= time < until to a folder; returns hours, entries and calls.

    `kinds` are those of `queries.KINDS`; names limit what is fetched. `client` is a `LoggingServiceV2Client`, by
    default one with the Application Default Credentials. Started again with the same arguments it goes on where it
    stopped. Raises FetchError for what cannot be fetched, with what to do; ValueError for an unknown kind.
    """
    first, last = times.moment(since), times.moment(until)
    if not first < last:
        raise ValueError(f"since ({first}) is not before until ({last})")
    scope = Scope(project, tuple(clusters), tuple(namespaces), tuple(workloads), tuple(pods))
    filters = _filters(tuple(kinds), scope)
    out = Path(out)
    manifest = Manifest(out, {"project": project, "filters": filters, "since": _stamp(first), "until": _stamp(last)})
    calls = Calls(client or _client(), project, clock, sleep)
    hours = _hours(first, last)
    with progress(len(hours), "fetching", unit="hours") as done:
        for begin, end in hours:
            if _stamp(begin) not in manifest.done:
                found = _hour(calls, filters, begin, end)
                manifest.note(_stamp(begin), write(out, begin.floor("h"), found), len(found))
            done(1, f"{manifest.entries:,} entries, {calls.made:,} calls")
    return {"hours": len(hours), "entries": manifest.entries, "calls": calls.made}


def pods_of(report: str | Path) -> tuple[pd.Timestamp, pd.Timestamp, list[str]]:
    """(first, last, pods) of the starts in a report's folder that were harmed or are undetermined.

    The times leave ten minutes on either side. Raises InputError for a folder without tables, FetchError if there is
    no such start.
    """
    starts = schema.load(report, "starts", schema.STARTS)
    starts = starts[starts["outcome"].isin(["harmed", "init_stalled", "undetermined"])]
    times_ = starts[["scheduled_lower", "app_started_lower", "app_started_upper", "errors_first"]].stack()
    if times_.empty:
        raise FetchError(str(report), "no start in it was harmed or left undetermined", "Nothing is to be fetched.")
    return times_.min() - AROUND, times_.max() + AROUND, sorted(starts["pod"].dropna().unique())


def connect(endpoint: str):
    """A client of a server on this machine that speaks without encryption, such as an emulator.

    Raises FetchError for any other address: credentials would be sent in the open.
    """
    import grpc
    from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    from google.cloud.logging_v2.services.logging_service_v2.transports import LoggingServiceV2GrpcTransport

    host = endpoint.rpartition(":")[0].strip("[]")
    if host not in ("localhost", "127.0.0.1", "::1"):
        raise FetchError(endpoint, "not an address of this machine", "Leave --endpoint out to ask Google Cloud.")
    channel = grpc.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", -1)])
    return LoggingServiceV2Client(transport=LoggingServiceV2GrpcTransport(channel=channel))


def _client():
    try:
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.logging_v2.services.logging_service_v2 import LoggingServiceV2Client
    except ImportError as error:
        raise FetchError(
            "google-cloud-logging", "not installed", "Install the extra: pip install 'meshlogs[cloud]'."
        ) from error
    try:
        return LoggingServiceV2Client()
    except GoogleAuthError as error:
        advice = "Run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS."
        raise FetchError("credentials", "no Application Default Credentials were found", advice) from error


def _filters(kinds: tuple[str, ...], scope: Scope) -> list[str]:
    """As few filters as hold what is asked: several kinds in one, joined by OR, while it is short enough."""
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"no kind of evidence named {unknown[0]!r}; there are {', '.join(KINDS)}")
    single = [" AND ".join(text.split("\n")) for kind in kinds for text in queries(kind, scope)]
    filters: list[str] = []
    for text in single:
        if filters and len(filters[-1]) + len(text) + 6 <= _LONGEST:
            filters[-1] += f" OR ({text})"
        else:
            filters.append(f"({text})")
    return filters


def _hours(first: pd.Timestamp, last: pd.Timestamp) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The hours of the clock between two times; the first and the last may be cut."""
    edges = [first, *pd.date_range(first.floor("h") + pd.Timedelta(1, "h"), last, freq="h", inclusive="left"), last]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _hour(calls: Calls, filters: list[str], begin: pd.Timestamp, end: pd.Timestamp) -> list[tuple]:
    """(key, line) of each entry of an hour, once, in order."""
    found: dict[tuple, str] = {}
    for text in filters:
        within = f'({text}) AND timestamp>="{_stamp(begin)}" AND timestamp<"{_stamp(end)}"'
        for entry in calls.entries(within):
            found.setdefault(key_of(entry), as_json(entry))
    return sorted(found.items())


def _stamp(time: pd.Timestamp) -> str:
    return time.isoformat().replace("+00:00", "Z")


__all__ = ["EVIDENCE", "connect", "fetch"]
