"""The tables of meshlogs: names, columns, types and units, in one place.

A step ends with `conform(rows, TABLE)`: the schema is the documentation, the
check and the Parquet layout. Times are `timestamp[ns, UTC]`; a pair
`x_lower, x_upper` holds closed bounds, equal when the time is known exactly;
null means unknown (for an upper bound: never seen). Columns ending in `_s` are seconds.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from meshlogs.errors import InputError, SchemaError
from meshlogs.later import Later

pd = Later("pandas")

TIME = pa.timestamp("ns", tz="UTC")
TEXT, INT, BOOL, SECONDS, NAMES = pa.string(), pa.int64(), pa.bool_(), pa.float64(), pa.list_(pa.string())

_WHERE = [("project", TEXT), ("location", TEXT), ("cluster", TEXT)]
_POD = [*_WHERE, ("namespace", TEXT), ("pod", TEXT)]
_ORIGIN = [("source", TEXT), ("line", INT)]


def _bounds(*names: str) -> list[tuple[str, pa.DataType]]:
    return [(f"{name}_{end}", TIME) for name in names for end in ("lower", "upper")]


LOG_ENTRIES = pa.schema(
    [
        ("time", TIME),
        ("time_granularity", TEXT),  # ns | us | ms | s
        ("receive_time", TIME),
        ("insert_id", TEXT),
        ("log_name", TEXT),  # as written
        ("log_id", TEXT),  # percent-decoded
        ("severity", TEXT),
        ("resource_type", TEXT),  # of the newer model: `container` reads as `k8s_container`
        *_POD,
        ("container", TEXT),
        ("node", TEXT),
        ("stream", TEXT),  # stdout | stderr | null
        ("message", TEXT),  # what a person would read
        ("payload", TEXT),  # JSON text; null for plain text
        ("labels", TEXT),  # JSON text
        *_ORIGIN,
    ]
)

# Parts of entries that were split, whose others may stand elsewhere (`formats.splits`); without an index and all after
# it: the entry was whole.
SPLITS = pa.schema([("split_uid", TEXT), ("split_index", INT), ("split_total", INT), *LOG_ENTRIES])

EVENTS = pa.schema(
    [
        *_bounds("time"),  # this occurrence: the last one of a counted event
        ("time_source", TEXT),  # name | event_time | last_timestamp | entry | age
        *_bounds("first"),
        ("count", INT),  # null where the export dropped it
        ("reason", TEXT),
        ("type", TEXT),  # Normal | Warning
        ("message", TEXT),
        ("kind", TEXT),  # of the object the event is about: Pod, Node, ReplicaSet …
        ("container", TEXT),  # from the field path, never from the message
        ("container_kind", TEXT),  # regular | init | ephemeral
        *_POD,
        ("pod_uid", TEXT),
        ("node", TEXT),
        ("component", TEXT),
        ("event_uid", TEXT),
        ("event_name", TEXT),
        ("insert_id", TEXT),
        *_ORIGIN,
    ]
)

PODS = pa.schema(
    [
        *_POD,
        ("pod_uid", TEXT),
        ("workload", TEXT),
        ("controller", TEXT),  # Deployment | StatefulSet | DaemonSet | Job | CronJob | ReplicaSet | Pod …
        ("revision", TEXT),  # pod-template-hash
        ("node", TEXT),
        ("injection", TEXT),  # sidecar | native_sidecar | none | unknown
        ("containers", NAMES),  # in order
        ("init_containers", NAMES),  # in order
        ("hold_hook", BOOL),  # proxy before the app and its postStart hook waits for Envoy
        ("redirect", TEXT),  # JSON: arguments of the redirection found in the spec
        ("annotations", TEXT),  # JSON
        ("conditions", TEXT),  # JSON: list of {type, status, reason, time}
        ("container_states", TEXT),  # JSON: list, one object a container, see k8s_pods
        ("pod_ip", TEXT),
        ("phase", TEXT),
        ("created", TIME),
        ("deleted", TIME),
        ("labels", TEXT),  # JSON
        ("spec", TEXT),  # JSON: what the verdicts need of each container, see k8s_pods
        *_ORIGIN,
    ]
)

REJECTS = pa.schema([("source", TEXT), ("line", INT), ("reason", TEXT), ("excerpt", TEXT)])

EVIDENCE = pa.schema(
    [
        ("kind", TEXT),  # what is claimed: see meshlogs.evidence.KINDS
        *_bounds("time"),
        *_POD,
        ("pod_uid", TEXT),
        ("container", TEXT),
        ("container_kind", TEXT),
        ("value", TEXT),  # the kind's own word: a signature, a version, a probe's answer
        ("host", TEXT),
        ("ip", TEXT),
        ("port", INT),
        ("late_s", SECONDS),  # how much earlier than its log line the fact may have happened
        ("suspected", BOOL),
        ("message", TEXT),
        ("log_name", TEXT),
        ("insert_id", TEXT),
        *_ORIGIN,
        ("entries", INT),  # how many log entries it spans
        ("insert_ids", TEXT),  # of all of them, joined by ";"
        ("time_granularity", TEXT),  # of the log line's own time
    ]
)

# Texts that many rows of evidence share: while it is worked with they are categories (`joins.coded`).
SHARED = tuple(field.name for field in EVIDENCE if field.type == TEXT and not field.name.startswith("insert_id"))

STARTS = pa.schema(
    [
        ("start_id", TEXT),
        *_POD,
        ("pod_uid", TEXT),
        ("workload", TEXT),
        ("controller", TEXT),
        ("revision", TEXT),
        ("node", TEXT),
        ("proxy_version", TEXT),
        ("injection", TEXT),
        ("hold", BOOL),  # null: unknown
        ("app_container", TEXT),
        *_bounds("scheduled", "proxy_started", "app_started", "proxy_ready"),
        ("window_lower_s", SECONDS),
        ("window_upper_s", SECONDS),  # inf: the proxy was never seen ready
        ("refused", INT),
        ("outcome", TEXT),
        ("reason", TEXT),
        ("has_app_logs", BOOL),
        ("has_proxy_logs", BOOL),
        ("has_events", BOOL),
        ("has_pod_spec", BOOL),
        ("errors_first", TIME),
        ("meshed", BOOL),  # null: unknown
        ("at_risk", BOOL),
        ("ambient", BOOL),  # no proxy of its own, but in the ambient mesh
        ("refused_undated", INT),  # lines that report a refused connection without any time: in no other count
    ]
)

ERRORS = pa.schema(
    [
        *_POD,
        ("pod_uid", TEXT),
        ("container", TEXT),
        ("workload", TEXT),
        ("start_id", TEXT),
        ("time", TIME),
        ("insert_id", TEXT),  # of its first entry
        ("entries", INT),
        ("message", TEXT),
        ("signature", TEXT),
        ("destination_host", TEXT),
        ("destination_port", INT),
        ("suspected", BOOL),
        ("verdict", TEXT),
        ("certainty", TEXT),  # proven | likely; null for undetermined
        ("reason", TEXT),
        *_ORIGIN,
        ("destination_ip", TEXT),
        *_bounds("attempt"),  # when the refused connect itself happened
    ]
)

COUNTS = [
    ("starts", INT),
    ("meshed", INT),
    ("at_risk", INT),
    ("harmed", INT),
    ("exposed", INT),
    ("safe", INT),
    ("init_stalled", INT),
    ("undetermined", INT),
    ("share_lower", SECONDS),  # proportions, 0 to 1
    ("share_upper", SECONDS),
    ("ci_lower", SECONDS),
    ("ci_upper", SECONDS),
    ("errors", INT),
]
# An estimate, and what it lies between: the same quantile of the windows' lower ends, and of their upper ends.
QUANTILES = [(f"window_{q}{end}_s", SECONDS) for q in ("p50", "p90", "max") for end in ("", "_lower", "_upper")]
OPEN = [("undetermined_at_risk", INT)]  # share_upper is (harmed + these) / at_risk; `undetermined` has others, too


def incidence(by: list[str]) -> pa.Schema:
    """Schema of an incidence table grouped by these columns."""
    return pa.schema([(name, TEXT) for name in by] + COUNTS + QUANTILES + OPEN)


REMEDIES = pa.schema(
    [
        ("workload", TEXT),
        ("namespace", TEXT),
        ("cluster", TEXT),
        ("remedy", TEXT),
        ("applies", BOOL),
        ("why", TEXT),
        ("blocked_by", TEXT),
        ("expected_effect", TEXT),
        ("patch_file", TEXT),
        ("patch", TEXT),  # the YAML itself
        ("treats", TEXT),  # the verdict whose refusals it removes
        ("errors_removed_lower", INT),  # of those in the export: at least, at most
        ("errors_removed_upper", INT),
        ("starts_removed_lower", INT),  # harmed or stalled starts
        ("starts_removed_upper", INT),
        ("delay_p50_lower_s", SECONDS),  # how much later the application starts
        ("delay_p50_upper_s", SECONDS),
        ("delay_p90_lower_s", SECONDS),
        ("delay_p90_upper_s", SECONDS),
        ("traps", TEXT),  # what can go wrong with it here
        ("check", TEXT),  # how to see that it took effect
        ("cites", TEXT),  # where its conditions and traps come from
        ("overlay", TEXT),  # a kustomize component beside the patch
        ("mesh_patch", TEXT),  # the same for the whole mesh, as IstioOperator
    ]
)

COVERAGE = pa.schema(
    [
        ("kind", TEXT),  # app_logs | proxy_logs | events | pods | audit | other
        ("project", TEXT),
        ("cluster", TEXT),
        ("hour", TIME),
        ("entries", INT),  # as delivered: those that were not parsed may be repeats, or broken
        ("duplicates", INT),  # among those that gave evidence; `convert` tells all apart
        ("rejects", INT),  # among those that were parsed, which may matter; `convert` parses all
        ("first", TIME),
        ("last", TIME),
        ("loss_markers", INT),
        ("missing", TEXT),
        ("query", TEXT),
    ]
)


def empty(table: pa.Schema) -> pd.DataFrame:
    """A dataframe of no rows with the columns and types of a table."""
    return _empty(table).copy()


@lru_cache
def _empty(table: pa.Schema) -> pd.DataFrame:
    return _to_pandas(table.empty_table())


def load(folder: str | Path, name: str, table: pa.Schema) -> pd.DataFrame:
    """A table of a folder that `meshlogs report --out` wrote. Raises InputError where there is none."""
    import pyarrow.parquet as pq

    found = [
        path for path in (Path(folder, "tables", f"{name}.parquet"), Path(folder, f"{name}.parquet")) if path.is_file()
    ]
    if not found:
        raise InputError(str(folder), f"no tables/{name}.parquet in it", "Give a folder that 'meshlogs report' wrote.")
    return conform(pq.read_table(found[0]), table, name)


def conform(rows, table: pa.Schema, name: str = "") -> pd.DataFrame:
    """The rows as a dataframe with exactly the columns, order and types of a table.

    `rows` is a dataframe, an Arrow table, or a list of dictionaries; columns that are missing
    become null, columns the table does not know are dropped.
    Raises SchemaError, naming the column, when values do not fit its type.
    """
    if isinstance(rows, list):
        if not rows:
            return empty(table)
        return _to_pandas(pa.Table.from_pylist(rows, schema=table))
    converted = conform_arrow(rows, table, name)
    del rows  # so that each column goes as it is converted
    return _to_pandas(converted)


def conform_arrow(rows, table: pa.Schema, name: str = "") -> pa.Table:
    """What `conform` gives for a dataframe or an Arrow table, as an Arrow table."""
    get = rows.column if isinstance(rows, pa.Table) else rows.__getitem__
    columns = set(rows.column_names if isinstance(rows, pa.Table) else rows.columns)
    arrays = []
    for field in table:
        if field.name not in columns:
            arrays.append(pa.nulls(len(rows), field.type))
            continue
        try:
            arrays.append(_cast(get(field.name), field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
            raise SchemaError(name or "rows", f"column {field.name!r} is not {field.type}: {error}") from error
    return pa.Table.from_arrays(arrays, schema=table)


def lookup(keys: pd.Series, table: pd.Series) -> pd.Series:
    """The value of each key in a table with a unique index, null where it has none; the dtype stays.

    (`Series.map` turns an empty table of times into floats.)
    """
    if isinstance(table.index, pd.CategoricalIndex):  # of other categories than the keys, perhaps
        table = table.set_axis(table.index.astype(table.index.categories.dtype))
    if isinstance(keys.dtype, pd.CategoricalDtype):  # each text is looked up once; -1, for a missing one, is the last
        texts = keys.cat.categories
        texts = texts.append(pd.Index([None], dtype=texts.dtype)) if keys.hasnans else texts
        return table.reindex(texts).take(keys.cat.codes).set_axis(keys.index)
    return table.reindex(keys).set_axis(keys.index)


def to_arrow(frame: pd.DataFrame, table: pa.Schema) -> pa.Table:
    """An Arrow table with exactly this schema, from a dataframe that conforms to it."""
    return pa.Table.from_arrays([_cast(frame[field.name], field.type) for field in table], schema=table)


def _cast(values, kind: pa.DataType):
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    if kind == TEXT and values.dtype == object:
        values = values.where(values.notna(), None)
    array = pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if kind == INT and pa.types.is_floating(array.type):
        return array.cast(INT, safe=True)
    return array.cast(kind)


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Pandas dtypes: `str` backed by Arrow, nullable `Int64` and `boolean`, `datetime64[ns, UTC]`."""
    nullable = {INT: pd.Int64Dtype(), BOOL: pd.BooleanDtype()}
    return table.to_pandas(types_mapper=nullable.get, self_destruct=True)
