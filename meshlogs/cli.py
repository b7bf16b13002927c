"""The command line: each command is one call of the library, with the same words."""

import difflib
import errno
import json
import os
import shlex
import sys
from pathlib import Path

import click

import meshlogs
from meshlogs.engines import workers
from meshlogs.errors import MeshlogsError, UnknownPodError


class _Place(click.ParamType):
    """A path, or an address of object storage."""

    name = "path"

    def convert(self, value, _param, _ctx):
        from meshlogs.storage import place

        return place(value)


PATHS = click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=_Place())
OUT = click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder to write.")
OUT_ANYWHERE = click.option("--out", required=True, type=_Place(), help="Folder to write, or gs://BUCKET/FOLDER.")
ENGINE = click.option("--engine", metavar="ADDRESS", help="Read on a Dask cluster: its scheduler's address (tcp://…).")
OUTCOMES = ("harmed", "exposed", "safe", "init_stalled", "not_meshed", "undetermined")
EVIDENCE = ("refused", "proxy_logs", "events", "audit", "app_logs")
DIALECTS = ("logging", "gcloud", "bigquery", "log-analytics")


class _Main(click.Group):
    """Errors of ours and of the disk end with exit code 2 and their sentence, not with a traceback."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (MeshlogsError, OSError) as error:
            if getattr(error, "errno", None) == errno.EPIPE:  # who reads the output has enough of it
                raise
            click.echo(f"meshlogs: {_plain(error)}", err=True)
            sys.exit(2)


def _plain(told: Exception | str) -> str:
    from meshlogs.text import clean

    return clean(str(told), 2_000)


@click.group(cls=_Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="meshlogs")
def main():
    """Why was the connection refused? Verdicts from exported logs of an Istio or Cloud Service Mesh fleet.

    Exit codes: 0 done; 1 only with --fail-on, when met; 2 the call or the input was wrong.
    """
    # Before Arrow is loaded: its usual memory pool keeps what it once had.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # Before NumPy is: nothing multiplies large matrices, and OpenBLAS's threads cost as much as the rest of NumPy.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@main.command()
@PATHS
@OUT_ANYWHERE
@click.option(
    "--by", multiple=True, help="Column of starts to group them by, or hour; may be repeated.  [namespace, workload]"
)
@click.option("--since", help="Leave out what happened before this time (RFC 3339 or a date, UTC if no zone).")
@click.option("--until", help="Leave out what happened at or after this time.")
@click.option("--csv", is_flag=True, help="Write the tables as CSV too.")
@click.option("--json", "as_json", is_flag=True, help="Print summary.json instead of the table.")
@click.option(
    "--format", "form", type=click.Choice(["table", "md", "json"]), default="table", show_default=True,
    help="What to print: a table, Markdown for a ticket (report.md), or the report for machines (report.json).",
)  # fmt: skip
@click.option(
    "--notebook", "own", type=click.Path(path_type=Path, dir_okay=False),
    help="Make the page of this notebook; it gets PATHS, SINCE, UNTIL and BY after its cell tagged 'parameters'.",
)  # fmt: skip
@ENGINE
@click.option("--redact", is_flag=True, help="Replace names, addresses and secrets, so that the report can be shared.")
@click.option("--fail-on", type=click.Choice(OUTCOMES), multiple=True, help="Exit with 1 if a start had this outcome.")
def report(paths, out, by, since, until, csv, as_json, form, own, engine, redact, fail_on):
    """Judge the exports in PATH... and write report.html, tables and patches to a folder.

    PATH is a file or folder of Cloud Storage sink shards, gcloud or kubectl output, in any mix.
    """
    if engine is None:
        workers.begin_early(paths)
    from meshlogs.incidence import BY, grouping
    from meshlogs.output import write_fleet
    from meshlogs.pipeline import Fleet
    from meshlogs.report import Once, terminal_table
    from meshlogs.storage import folder, is_local, writing
    from meshlogs.written import REPORT, clear

    if as_json and form != "table":
        raise click.UsageError("--json prints summary.json and --format another form: give one of them")
    try:
        by = grouping(by or BY)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--by") from error
    export = _read(paths, engine, *_span(since, until))
    if is_local(out):
        folder(out)  # rather than find out when all is read
    fleet = Fleet(export, keep=False)
    told = {"paths": _from(out, paths), "since": since, "until": until, "own": own}
    if redact:
        if own:
            raise click.UsageError("--notebook reads the export itself, names and all: it does not go with --redact")
        fleet, told = meshlogs.redact(fleet), told | {"paths": ["the export"]}
    fleet = Once(fleet)
    with writing(out) as here:
        summary = write_fleet(fleet, here, by=by, csv=csv, **told)
        ticket = (here / f"report.{form}").read_text(encoding="utf-8") if form != "table" else None
        if not is_local(out):
            clear(out, REPORT)
    if as_json:
        click.echo(json.dumps(summary, indent=2))
    elif ticket is not None:
        click.echo(ticket, nl=False)
    else:
        click.echo(terminal_table(fleet, by))
        click.echo(f"\nreport: {out / 'report.html'}")
    if any((fleet.starts["outcome"] == outcome).any() for outcome in fail_on):
        sys.exit(1)


@main.command()
@click.argument("pod")
@PATHS
@ENGINE
@click.option(
    "--limit", default=40, show_default=True, type=click.IntRange(min=0), help="Most lines of evidence and of errors."
)
def explain(pod, paths, engine, limit):
    """One pod's timeline, evidence, verdict and remedy: the guide's nine steps, done.

    POD is a pod's name or a start_id from the tables. A text log that names no pod and is given as a file (`kubectl
    logs POD > app.log`) is taken for POD's.
    """
    from meshlogs.pipeline import Fleet

    export = _read(paths, engine, pod=None if "/" in pod else pod)
    click.echo(meshlogs.explain(Fleet(export, keep=False), pod, limit=limit))


@main.command()
@PATHS
@OUT_ANYWHERE
@ENGINE
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def convert(paths, out, engine, as_json):
    """Write exports as Parquet: log_entries, events, pods, and rejects."""
    from meshlogs.conversion import write_export
    from meshlogs.storage import writing

    with writing(out) as folder:
        counts = write_export(_read(paths, engine), folder)
    if as_json:
        click.echo(json.dumps(counts, indent=2))
        return
    for name, count in counts.items():
        click.echo(f"{name:12} {count:>12,}")


@main.command()
@click.option("--markdown", is_flag=True, help="Print the page of the docs instead.")
@click.option("--json", "as_json", is_flag=True, help="Print form, title, loses and example as JSON.")
def formats(markdown, as_json):
    """Every form of export that can be read: what it is, what it loses, an example."""
    from meshlogs.formats import catalogue

    table = meshlogs.known_formats()
    if as_json:
        click.echo(json.dumps(table.to_dict("records"), indent=2))
    else:
        click.echo(catalogue.markdown(table) if markdown else catalogue.plain(table) + "\n", nl=False)


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--by", multiple=True, help="Column to show starts by; may be repeated.  [namespace, workload]")
@click.option("--json", "as_json", is_flag=True, help="Print all of it as JSON; `verdict` is one of four words.")
def compare(before, after, by, as_json):
    """Did the remedy work: two folders that `report` wrote, before and after.

    The verdict is worked, no_effect, worse or too_few; error rates of 5 % are stated in docs/COMPARE.md.
    """
    from meshlogs.comparison.page import terminal_page

    try:
        found = meshlogs.compare(before, after, by=list(by) or ["namespace", "workload"])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--by") from error
    click.echo(found.as_json() if as_json else terminal_page(found))


@main.command()
@OUT
@click.option("--project", required=True, help="Google Cloud project.")
@click.option("--since", help="First time (RFC 3339 or a date, UTC if no zone); needed unless --for-report tells it.")
@click.option("--until", help="Time before which to stop.")
@click.option("--cluster", multiple=True, help="Name of a cluster; may be repeated.")
@click.option("--namespace", multiple=True, help="Name of a namespace; may be repeated.")
@click.option("--for", "names", multiple=True, help="A pod, or a workload; may be repeated.")
@click.option(
    "--for-report", "report_", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The pods that were harmed or left undetermined in a folder that `report` wrote.",
)  # fmt: skip
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(EVIDENCE), help="Kind of evidence.  [all but app_logs]"
)
@click.option("--endpoint", help="HOST:PORT of an emulator on this machine.")
def fetch(out, project, since, until, cluster, namespace, names, report_, kinds, endpoint):
    """Download just the evidence from Cloud Logging, as a sink would write it; run again, it goes on.

    Needs the extra 'cloud' and Application Default Credentials.
    """
    from meshlogs import download
    from meshlogs.storage import folder

    (first, last), pods = _span(since, until), []
    if report_:
        begun, ended, pods = download.pods_of(report_)
        first, last = first or begun, last or ended
    if first is None or last is None:
        raise click.UsageError("--since and --until say what to download")
    _in_order(first, last)
    folder(out)
    client = download.connect(endpoint) if endpoint else None
    told = download.fetch(
        project, out, since=first, until=last, kinds=kinds or download.EVIDENCE, clusters=cluster, namespaces=namespace,
        workloads=[name for name in names if not _is_pod(name)], pods=[*pods, *filter(_is_pod, names)], client=client,
    )  # fmt: skip
    click.echo(f"{told['entries']:,} entries of {told['hours']:,} hours in {out}, {told['calls']:,} calls", err=True)
    if told["open"]:
        click.echo(f"{told['open']:,} of them may still get entries: run it again an hour after they end", err=True)
    click.echo(f"meshlogs report {shlex.quote(str(out))} --out report", err=True)


@main.command()
@click.option("--for", "name", help="A pod, or a workload: the pods whose names begin so.")
@click.option(
    "--for-report", "report_", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="What would settle everything undetermined in a folder that `report` wrote.",
)  # fmt: skip
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(EVIDENCE),
    help="Kind of evidence.  [all but app_logs; with --for-report all that it lacks]",
)  # fmt: skip
@click.option(
    "--dialect", type=click.Choice(DIALECTS), default="logging", show_default=True, help="Language of the queries."
)
@click.option("--project", help="Google Cloud project.")
@click.option("--cluster", multiple=True, help="Name of a cluster; may be repeated.")
@click.option("--namespace", multiple=True, help="Name of a namespace; may be repeated.")
@click.option("--since", help="First time (RFC 3339 or a date, UTC if no zone).")
@click.option("--until", help="Last time.")
@click.option("--table", help="BigQuery: PROJECT.DATASET of the sink, or the Log Analytics view.")
def query(name, report_, kinds, dialect, project, cluster, namespace, since, until, table):
    """Print the queries that fetch the evidence: of the guide's steps, of a pod, or what a report lacks.

    Dialects: the Logging query language, a gcloud command line, SQL for BigQuery sinks and for Log Analytics.
    """
    from meshlogs.queries import KINDS

    first, last = _span(since, until)
    if report_:
        limits = {"project": project, "clusters": cluster, "namespaces": namespace, "first": first, "last": last}
        found = _questions(report_, name, {key: value for key, value in limits.items() if value})
        asked = [(one.kind, one.what, one.asked(dialect, table)) for one in found if not kinds or one.kind in kinds]
        if not asked:
            click.echo("nothing is undetermined that another export could settle", err=True)
    else:
        one = {"pods": [name]} if name and _is_pod(name) else {"workloads": [name] if name else []}
        limits = {"project": project, "clusters": cluster, "namespaces": namespace, "table": table} | one
        limits |= {"since": first, "until": last}
        asked = [
            (kind, KINDS[kind], meshlogs.query(kind, dialect=dialect, **limits))
            for kind in kinds or [kind for kind in KINDS if kind != "app_logs"]
        ]
    mark = "#" if dialect == "gcloud" else "--"
    for kind, what, texts in asked:
        for text in texts:
            comment = "#" if text.startswith("kubectl") else mark
            click.echo(f"{comment} {kind}: {what}\n{text}\n")


@main.command()
@click.option("--pods", default=100, show_default=True, type=click.IntRange(min=1), help="How many pods.")
@OUT
@click.option("--seed", default=0, show_default=True, help="The same seed writes the same bytes.")
@click.option(
    "--shards",
    default=1,
    show_default=True,
    type=click.IntRange(min=1),
    help="Files to spread each hour over.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(["proxy_logs", "events", "pod_specs", "app_logs"]),
    help="Leave a source out.",
)
@click.option(
    "--lost-events", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Share of events lost."
)
@click.option(
    "--held", default=0.0, show_default=True, type=click.FloatRange(0, 1), help="Share of applications that are held."
)
@click.option("--legacy", is_flag=True, help="Write legacy resources (container, gke_cluster).")
@click.option("--gzip", is_flag=True, help="Compress the shards.")
def simulate(pods, out, **options):
    """Write a labelled, made-up fleet in real export forms, with the truth beside it."""
    from meshlogs.storage import folder

    meshlogs.simulate_fleet(folder(out), pods=pods, **options)
    click.echo(f"export: {out / 'export'}\ntruth:  {out / 'truth'}")


def _cluster(address: str | None):
    """The engine at an address; its dashboard is told once."""
    if address is None:
        return None
    from meshlogs.engines import engine_of

    engine = engine_of(address)
    click.echo(f"dashboard: {engine.client.dashboard_link}", err=True)
    return engine


def _read(paths, engine: str | None, since=None, until=None, pod=None):
    """The export in these paths; what is left out is told."""
    export = meshlogs.read(paths, since=since, until=until, pod=pod, engine=_cluster(engine))
    for what in export.left_out:
        click.echo(f"left out {_plain(what)}", err=True)
    return export


def _questions(report_: Path, name: str | None, limits: dict) -> list:
    """What would settle what a report leaves open, of a pod or workload if one is named, in these limits of a `Scope`.

    Pods whose cluster or namespace the report does not know are asked for in those that the limits name.
    """
    from meshlogs import schema
    from meshlogs.coverage import questions

    starts, errors = schema.load(report_, "starts", schema.STARTS), schema.load(report_, "errors", schema.ERRORS)
    if name:
        named = [rows[(rows["pod"] == name) | (rows["workload"] == name)] for rows in (starts, errors)]
        if not any(map(len, named)):
            names = {*starts["pod"].dropna(), *starts["workload"].dropna()}
            raise UnknownPodError(name, tuple(difflib.get_close_matches(name, sorted(names), n=3, cutoff=0.3)))
        starts, errors = named
    for column, names in (("cluster", limits.get("clusters")), ("namespace", limits.get("namespaces"))):
        if names:
            starts, errors = (rows[rows[column].isin(names) | rows[column].isna()] for rows in (starts, errors))
    found = []
    for one in questions(starts, errors):
        own = {key: getattr(one.scope, key) for key in ("clusters", "namespaces") if getattr(one.scope, key)}
        scope = one.scope._replace(**limits | own)
        _in_order(scope.first, scope.last)
        found.append(one._replace(scope=scope))
    return found


def _is_pod(name: str) -> bool:
    from meshlogs.formats.names import workload_of

    return workload_of(name).controller != "Pod"


def _from(out, paths) -> list[str]:
    """The paths as they are called from the folder `out`, where its notebook runs."""
    from meshlogs.storage import is_local

    if not is_local(out):
        return [str(path) for path in paths]
    return [os.path.relpath(path, out) if is_local(path) else str(path) for path in paths]


def _span(since: str | None, until: str | None) -> tuple:
    """The first and the last moment, None for one that is not given."""
    first, last = _time(since, "--since"), _time(until, "--until")
    _in_order(first, last)
    return first, last


def _in_order(first, last) -> None:
    if first is not None and last is not None and not first < last:
        raise click.UsageError("--since is not before --until")


def _time(value: str | None, option: str):
    from meshlogs import times

    try:
        return times.moment(value)
    except ValueError as error:
        raise click.BadParameter(f"{value!r} is not a time such as 2026-03-02T09:00:00Z", param_hint=option) from error
