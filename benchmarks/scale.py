"""What it takes from evidence to verdicts, beside duckdb's ASOF join alone: a section of docs/PERFORMANCE.md.

A made-up fleet is read once, and its evidence and pods are multiplied under other names and times. Each task is a process
of its own, run in turns; reported are the least CPU seconds of all threads, the tables being in memory already, and the
peak memory of the process.

    python benchmarks/scale.py --evidence 500000 1000000 --rounds 3
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

import meshlogs as ml
from meshlogs import schema, timelines

PAGE = Path(__file__).parent.parent / "docs/PERFORMANCE.md"
HEADING = "## From evidence to verdicts"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"
MEASURE = """
import time
begin = time.process_time()
{work}
seconds = time.process_time() - begin
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # Linux: of this process alone
print([seconds, int(peak.split()[1]) / 1000])
"""
LOAD = """
import pyarrow as pa, pyarrow.parquet as pq
from meshlogs import joins, schema, timelines, verdicts
# As it is gathered from the parts of an export: in pieces, each coded.
pieces = map(pa.Table.from_batches, ([piece] for piece in pq.ParquetFile("FOLDER/evidence.parquet").iter_batches(100_000)))
coded = [joins.coded(schema.conform(piece, schema.EVIDENCE), schema.SHARED) for piece in pieces]
evidence = joins.stacked(coded)
del coded
pods = schema.conform(pq.read_table("FOLDER/pods.parquet"), schema.PODS)
"""
VERDICTS = """
placed = timelines.place(evidence, pods)
known = timelines.Known(placed, pods)
starts = timelines.reconstruct(placed, pods, known)
told = verdicts.lessons.lessons_of(placed, pods)
errors = verdicts.decide([verdicts.draft(placed, starts, known, told)], told)
verdicts.concluded(starts, verdicts.signs_of(starts, known, pods, told), errors)
"""
TABLES = """
import duckdb, pyarrow.parquet as pq
facts, signs = (pq.read_table(f"FOLDER/{name}.parquet") for name in ("facts", "signs"))
con = duckdb.connect()
con.execute("set threads=2")
"""
JOIN = """
con.sql("select f.*, s.time as opened from facts f asof left join signs s on f.pod = s.pod and f.time >= s.time WHERE").to_arrow_table()
"""
TASKS = {
    "meshlogs: evidence to verdicts": (LOAD, VERDICTS),
    "duckdb: ASOF join of all evidence": (TABLES, JOIN.replace("WHERE", "")),
    "duckdb: ASOF join of the errors": (TABLES, JOIN.replace("WHERE", "where f.error")),
}


def generate(folder: Path, rows: int, pods: int = 300, seed: int = 1) -> dict[str, int]:
    """Write evidence and pods of so many rows of evidence; counts of what they hold."""
    ml.simulate_fleet(folder / "made", pods=pods, seed=seed)
    export = ml.read(folder / "made" / "export")
    copies = max(rows // len(export.evidence), 1)
    tables = {"evidence": (export.evidence, schema.EVIDENCE), "pods": (export.pods, schema.PODS)}
    names = {name: at for at, name in enumerate(sorted(set(export.evidence["pod"].dropna()) | set(export.pods["pod"])))}
    for name, (table, layout) in tables.items():
        with pq.ParquetWriter(folder / f"{name}.parquet", layout) as writer:
            for number in range(copies):
                renamed = {pod: _renamed(pod, at * copies + number) for pod, at in names.items()}
                writer.write_table(schema.to_arrow(_copy(table, renamed, number), layout))
    return _narrow(folder)


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


def _narrow(folder: Path) -> dict[str, int]:
    """Write what a join alone needs: whole numbers; and count."""
    evidence = schema.conform(pq.read_table(folder / "evidence.parquet"), schema.EVIDENCE)
    pods = schema.conform(pq.read_table(folder / "pods.parquet"), schema.PODS)
    placed = timelines.place(evidence, pods).dropna(subset=["time_upper"])
    failed = placed["kind"].isin(["refused", "suspected", "upstream_refused"])
    start = placed["start_id"].cat.codes.astype("int64")
    table = pa.table({"pod": start, "time": placed["time_upper"].astype("int64"), "error": failed})
    pq.write_table(table, folder / "facts.parquet")
    pq.write_table(table.filter(pa.array(placed["kind"] == "proxy_open")), folder / "signs.parquet")
    return {"rows": len(evidence), "starts": int(start.nunique()), "errors": int(failed.sum())}


def run(rows: int, rounds: int) -> tuple[dict[str, int], dict[str, tuple[float, float]]]:
    """The counts of what was made, and by task the least CPU seconds and the most megabytes of all rounds."""
    found: dict[str, list] = {name: [] for name in TASKS}
    with tempfile.TemporaryDirectory() as place:
        counts = generate(Path(place), rows)
        for number in range(rounds):
            for name, (load, work) in TASKS.items():
                script = (load + MEASURE.format(work=work)).replace("FOLDER", place)
                told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
                found[name].append(json.loads(told))
                sys.stderr.write(f"{rows:,} rows, round {number + 1}: {name} {found[name][-1]}\n")
    return counts, {name: (min(one[0] for one in told), max(one[1] for one in told)) for name, told in found.items()}


def section(measured: list[tuple[dict, dict]], rounds: int) -> str:
    """The section of the page."""
    lines = []
    for counts, tasks in measured:
        base = tasks["duckdb: ASOF join of all evidence"][0]
        for name, (seconds, peak) in tasks.items():
            size = f"{counts['rows']:,} | {counts['starts']:,} | {counts['errors']:,}"
            per_row = 1e6 * seconds / counts["rows"]
            lines.append(f"| {size} | {name} | {seconds / base:.1f} | {per_row:.1f} µs | {peak:,.0f} MB |")
    table = "\n".join(lines)
    return f"""{HEADING}

Least CPU time of {rounds} rounds in turns, on one made-up fleet multiplied, all tables in memory. `meshlogs` starts from its
wide table of evidence as it is gathered ({len(schema.EVIDENCE)} columns, texts that rows share as categories) and ends with
verdicts and outcomes; the joins have whole numbers for pods and times, and find no more than the last opening of the proxy
before each row. Most of the memory is the tables themselves, before and after they are sorted.

| evidence | starts | errors | task | CPU time, the join of all evidence = 1 | per row of evidence | peak memory |
|---|---|---|---|---|---|---|
{table}

"""


def add(page: Path, rows: list[int], rounds: int) -> None:
    """Measure, and put the section into the page, in place of an earlier one."""
    told = section([run(number, rounds) for number in rows], rounds)
    text = page.read_text(encoding="utf-8")
    before, found, after = text.partition(HEADING)
    after = after[after.index("\n## ") + 1 :] if found else ""
    if not found:
        before, found, after = text.partition("## Why\n")
        after = found + after
    page.write_text(before + told + after, encoding="utf-8")


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--evidence", type=int, nargs="+", default=[500_000], help="rows of evidence")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    add(PAGE, given.evidence, given.rounds)


if __name__ == "__main__":
    main()
