"""What it takes from evidence to verdicts, beside the as-of join alone of named peers: a section of docs/PERFORMANCE.md.

A made-up fleet is read once, and its evidence and pods are multiplied under other names and times. Each task is a process
of its own, run in turns; the tables are there before the clock starts: evidence in files, as meshlogs holds what is too
much for memory, and for duckdb's join of it as Parquet; whole numbers, the least that a join needs, in memory.

    python benchmarks/scale.py --evidence 1000000 20000000 --rounds 3
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import sections

import meshlogs as ml
from meshlogs import schema, timelines
from meshlogs.engines import groups

LETTERS = "bcdfghjklmnpqrstvwxz2456789"
# The clock starts when a line "go" is printed; a process tells its seconds, then ends.
MEASURE = """
import sys, time
print("go", flush=True)
sys.stdin.readline()
begin = time.perf_counter()
{work}
print(time.perf_counter() - begin, flush=True)
"""
LOAD = """
import pyarrow as pa, pyarrow.parquet as pq
from meshlogs import pipeline, schema, verdicts
from meshlogs.engines import local
from meshlogs.columnar import joins
pa.set_memory_pool(pa.system_memory_pool())
def pieces(name, layout):
    for piece in pq.ParquetFile(f"FOLDER/{name}.parquet").iter_batches(100_000):
        yield schema.conform(pa.Table.from_batches([piece]), layout)
parted = local.Local().parted()
for piece in pieces("evidence", schema.EVIDENCE):
    parted.add(joins.coded(piece, schema.SHARED))
gathered = parted.grouped(pieces("pods", schema.PODS))
"""
SETTLE = """
facts, _ = gathered.then("settle")
"""
VERDICTS = """
starts, errors, placed = pipeline.judged(facts)
"""
LIMIT = """
from meshlogs.engines import groups
for rows in facts.frames():
    groups.to_arrow(rows)
"""
TABLES = """
import duckdb, polars as pl, pyarrow.parquet as pq
facts, signs = (pq.read_table(f"FOLDER/{name}.parquet") for name in ("facts", "signs"))
con = duckdb.connect()
con.execute("set threads=2")
con.execute("set enable_progress_bar=false")
"""
ASOF = """
con.sql("select f.*, s.time as opened from facts f asof left join signs s on f.pod = s.pod and f.time >= s.time").to_arrow_table()
"""
WINDOW = """
con.sql('''select *, max(opened) over (partition by pod order by time rows unbounded preceding) as last from (
select pod, time, error, null::timestamp_ns as opened from facts union all select pod, time, false, time from signs)''').to_arrow_table()
"""
CONNECTED = """
import duckdb
con = duckdb.connect()
con.execute("set threads=2")
con.execute("set enable_progress_bar=false")
"""
SAME = """
rows = con.sql('''with facts as (from 'FOLDER/evidence.parquet')
select f.*, s.time_upper as opened from facts f asof left join (from facts where kind = 'proxy_open') s
on f.namespace = s.namespace and f.pod = s.pod and f.time_upper >= s.time_upper''').to_arrow_reader(100_000)
sum(map(len, rows))
"""
FRAMES = """
facts, signs = pl.from_arrow(facts), pl.from_arrow(signs).with_columns(opened="time")
"""
POLARS = """
facts.sort("time").join_asof(signs.sort("time"), on="time", by="pod")
"""
PANDAS_FRAMES = """
import pandas as pd
facts, signs = facts.to_pandas(), signs.to_pandas().assign(opened=lambda rows: rows["time"])
del con
"""
ARRAYS = """
import numpy as np
from meshlogs.columnar import joins
del con
facts, signs = ({name: rows[name].to_numpy() for name in rows.column_names} for rows in (facts, signs))
failed = facts["error"]
"""
BISECTED = """
order = np.lexsort((signs["time"], signs["pod"]))
keys, stamps = signs["pod"][order], signs["time"][order].view("int64")
joins.last_before(facts["pod"][failed], facts["time"][failed].view("int64"), keys, stamps)
"""
PANDAS = """
pd.merge_asof(facts.sort_values("time"), signs.sort_values("time"), on="time", by="pod")
"""
OURS = "meshlogs: evidence to verdicts"
SAME_ROWS = "duckdb: ASOF join alone, of the same evidence, from Parquet to Arrow"
BASE = "duckdb: ASOF join alone, of whole numbers"
TASKS = {
    OURS: (LOAD + SETTLE, VERDICTS),
    "meshlogs: each fact once, failures of several lines as one": (LOAD, SETTLE),
    "limit: that evidence from files to tables and back, on one core, nothing judged": (LOAD + SETTLE, LIMIT),
    "meshlogs: that join, as verdicts ask for it: of the errors alone": (TABLES + ARRAYS, BISECTED),
    SAME_ROWS: (CONNECTED, SAME),
    BASE: (TABLES, ASOF),
    "duckdb: window": (TABLES, WINDOW),
    "polars: join_asof": (TABLES + FRAMES, POLARS),
    "pandas: merge_asof": (TABLES + PANDAS_FRAMES, PANDAS),
}


def generate(folder: Path, rows: int, pods: int = 300, seed: int = 1) -> dict[str, int]:
    """Write evidence and pods of so many rows of evidence, and what a join needs of it; counts of what they hold."""
    ml.simulate_fleet(folder / "made", pods=pods, seed=seed)
    export = ml.read(folder / "made" / "export")
    facts, objects = export.evidence, export.pods
    copies = max(rows // len(facts), 1)
    names = {name: at for at, name in enumerate(sorted(set(facts["pod"].dropna()) | set(objects["pod"])))}
    for name, table, layout in (("evidence", facts, schema.EVIDENCE), ("pods", objects, schema.PODS)):
        with pq.ParquetWriter(folder / f"{name}.parquet", layout) as writer:
            for number in range(copies):
                renamed = {pod: _renamed(pod, at * copies + number) for pod, at in names.items()}
                writer.write_table(schema.to_arrow(_copy(table, renamed, number), layout))
    return _narrow(folder, facts, objects, copies)


def _copy(table: pd.DataFrame, names: dict[str, str], number: int) -> pd.DataFrame:
    """The table for other pods, some seconds later."""
    table = table.assign(pod=table["pod"].map(names).astype("str"), pod_uid=table["pod_uid"] + f"-{number}")
    for name in {"time_lower", "time_upper", "created"} & set(table):
        table[name] += pd.Timedelta(17 * number, "s")
    return table.assign(insert_id=table["insert_id"] + f"-{number}") if "insert_id" in table else table


def _renamed(pod: str, number: int) -> str:
    """A pod of the same workload."""
    base, _, end = pod.rpartition("-")
    if len(end) != 5 or set(end) - set(LETTERS):
        return f"{base}-{number}" if end.isdigit() else f"{pod}-{number}"
    return base + "-" + "".join(LETTERS[number // 27**place % 27] for place in range(5))


def _narrow(folder: Path, facts: pd.DataFrame, pods: pd.DataFrame, copies: int) -> dict[str, int]:
    """Write what a join alone needs: whole numbers; and count."""
    placed = timelines.place(facts, pods).dropna(subset=["time_upper"])
    failed = placed["kind"].isin(["refused", "suspected", "upstream_refused"]).to_numpy()
    start = placed["start_id"].cat.codes.to_numpy().astype("int64")
    time = placed["time_upper"].to_numpy("datetime64[ns]")
    opens = (placed["kind"] == "proxy_open").to_numpy()
    several, one = np.arange(copies).repeat(len(placed)), np.tile(np.arange(len(placed)), copies)
    table = pa.table(
        {
            "pod": start[one] * copies + several,
            "time": time[one] + several * np.timedelta64(17_000_000_000, "ns"),
            "error": failed[one],
        }
    )
    pq.write_table(table, folder / "facts.parquet")
    pq.write_table(table.filter(pa.array(opens[one])).drop_columns("error"), folder / "signs.parquet")
    starts = int(placed["start_id"].nunique()) * copies
    return {"rows": len(facts) * copies, "starts": starts, "errors": int(failed.sum()) * copies}


def measure(script: str) -> tuple[float, float]:
    """(seconds, peak megabytes of the process and its children) once the tables are there."""
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "go\n", "the tables could not be loaded"
    peak, stop = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(psutil.Process(process.pid), peak, stop))
    watcher.start()
    told, _ = process.communicate("\n")
    stop.set()
    watcher.join()
    return float(told), peak[0] / 1e6


def _watch(process: psutil.Process, peak: list[float], stop: threading.Event) -> None:
    """Keep the most memory that a process and its children have at once; what they share of files counts once."""
    while not stop.wait(0.05):
        try:
            mine = [one.memory_info() for one in (process, *process.children(recursive=True))]
        except psutil.Error:
            continue
        peak[0] = max(peak[0], sum(one.rss - one.shared for one in mine) + max(one.shared for one in mine))


def run(rows: int, rounds: int) -> tuple[dict[str, int], dict[str, tuple[float, ...]]]:
    """The counts of what was made, and by task the medians of `measure` over rounds in which all take turns."""
    found: dict[str, list] = {name: [] for name in TASKS}
    with tempfile.TemporaryDirectory() as place:
        counts = generate(Path(place), rows)
        for number in range(rounds):
            for name, (load, work) in TASKS.items():
                told = measure((load + MEASURE.format(work=work)).replace("FOLDER", place))
                found[name].append(told)
                sys.stderr.write(f"{rows:,} rows, round {number + 1}: {name} {told}\n")
    medians = {name: tuple(map(statistics.median, zip(*told, strict=True))) for name, told in found.items()}
    return counts, medians


def section(measured: list[tuple[dict, dict]], rounds: int) -> str:
    """The section of the page."""
    lines = []
    for counts, tasks in measured:
        same, numbers = tasks[SAME_ROWS][0], tasks[BASE][0]
        for name, (seconds, peak) in tasks.items():
            size = f"{counts['rows']:,} | {counts['starts']:,} | {counts['errors']:,}"
            ratios = f"{seconds / same:.2f} | {seconds / numbers:.1f}"
            lines.append(f"| {size} | {name} | {ratios} | {1e6 * seconds / counts['rows']:.2f} µs | {peak:,.0f} MB |")
    table = "\n".join(lines)
    measured_how = "One round" if rounds == 1 else f"Medians of {rounds} rounds in turns"
    return f"""## From evidence to verdicts

{measured_how}, one made-up fleet multiplied. `meshlogs` starts from evidence of {len(schema.EVIDENCE)} columns as it
holds what is too much for memory: in files, in groups of at least {groups.GROUP:,} rows that hold all of a pod, and ends with verdicts,
outcomes and windows; each group is worked on by itself, all cores at once. The peers find no more than the last opening
of the proxy before each row: duckdb once of the same evidence, of which all columns come out again, and all of them
of whole numbers for pods and times, in memory, the least that the question needs.

| evidence | starts | errors | task | time, duckdb's join of the same evidence = 1 | its join of whole numbers = 1 | time per row | peak memory |
|---|---|---|---|---|---|---|---|
{table}
"""


def add(page: Path, rows: list[int], rounds: int) -> None:
    """Measure, and put the section into the page."""
    sections.put(page, section([run(number, rounds) for number in rows], rounds))


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--evidence", type=int, nargs="+", default=[1_000_000], help="rows of evidence")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    add(sections.PAGE, given.evidence, given.rounds)


if __name__ == "__main__":
    main()
