"""How fast meshlogs reads, against named peers doing comparable work, in one run: docs/PERFORMANCE.md.

Every task is a process of its own; the tasks of a round are run one after another, round after round, so that a busy
moment of the machine hits all of them alike. Reported are medians, as ratios to duckdb's load, and the peak memory of
the process with its children. Peers that are not installed are said to be absent.

    python benchmarks/speed.py --megabytes 256 --rounds 3
"""

import argparse
import gzip
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cluster
import scale
import sections
import starts
from processes import measure

from meshlogs import gather
from meshlogs.evidence.signatures import TRIGGER

ROOT = Path(__file__).parent.parent
FIGURE = ROOT / "docs/img/performance.png"
WORDS = ("request handled cache miss for key user session token refreshed in ms upstream latency bucket flushed metrics "
         "batch written offset partition consumer group rebalanced heartbeat ok scheduler tick worker idle").split()  # fmt: skip
RELEVANT = 0.01  # share of lines that report a refused connection


def generate(folder: Path, megabytes: int, shards: int = 8, seed: int = 1) -> None:
    """Write shards as a Cloud Storage sink does: 400 pods, text and JSON payloads in turn, an hour each."""
    rng = random.Random(seed)
    letters = "bcdfghjklmnpqrstvwxz2456789"
    pods = [f"svc-{n % 40}-{rng.getrandbits(32):08x}-{''.join(rng.choices(letters, k=5))}" for n in range(400)]
    lines = megabytes * 1_000_000 // 1_060 // shards
    for shard in range(shards):
        with (folder / f"{shard:02}:00:00_{shard:02}:59:59_S0.json").open("w", encoding="utf-8") as file:
            for number in range(lines):
                file.write(json.dumps(_entry(rng, pods, shard, number, lines), separators=(",", ":")) + "\n")


def _entry(rng: random.Random, pods: list[str], hour: int, number: int, lines: int) -> dict:
    ns = number * 3_600_000_000_000 // lines + rng.randrange(1000)
    stamp = f"2026-03-02T{hour:02}:{ns // 60_000_000_000:02}:{ns // 1_000_000_000 % 60:02}.{ns % 1_000_000_000:09}Z"
    pod = rng.choice(pods)
    text = " ".join(rng.choices(WORDS, k=60))
    if rng.random() < RELEVANT:
        text = f"dial tcp 10.0.{number % 250}.{number % 199}:6379: connect: connection refused"
    payload = (
        {"textPayload": text} if number % 2 else {"jsonPayload": {"level": "info", "message": text, "caller": "x.go:7"}}
    )
    return {
        "insertId": f"{rng.getrandbits(64):016x}",
        **payload,
        "labels": {"k8s-pod/app": pod[:6], "k8s-pod/pod-template-hash": "67d56cdd", "compute.googleapis.com/resource_name": "gke-1"},
        "logName": "projects/shop/logs/stdout",
        "receiveTimestamp": stamp,
        "resource": {
            "labels": {"cluster_name": "prod", "container_name": "app", "location": "europe-west1", "namespace_name": pod[:5],
                       "pod_name": pod, "project_id": "shop"},
            "type": "k8s_container",
        },
        "severity": "INFO",
        "timestamp": stamp,
    }  # fmt: skip


COLUMNS = (
    "{insertId:'VARCHAR',logName:'VARCHAR',receiveTimestamp:'VARCHAR',timestamp:'VARCHAR',severity:'VARCHAR',"
    "textPayload:'VARCHAR',jsonPayload:'STRUCT(message JSON, msg JSON)',labels:'MAP(VARCHAR,VARCHAR)',"
    "resource:'STRUCT(type VARCHAR, labels MAP(VARCHAR,VARCHAR))'}"
)
DUCKDB = f"""
import duckdb, glob
con = duckdb.connect(); con.execute("set threads=2"); con.execute("set enable_progress_bar=false")
source = "read_json('FOLDER/*', format='newline_delimited', columns={COLUMNS})"
"""
SCAN = """
import os
from pathlib import Path
from meshlogs.reading import scan
stretches = [one for file in sorted(Path('FOLDER').iterdir()) for one in scan.stretches(file, file.name)]
child = os.fork()
for one in stretches[bool(child)::2]:
    scan.scan(one)
os.waitpid(child, 0) if child else os._exit(0)
"""
SCRIPTS = {
    "meshlogs: scan": SCAN,
    "meshlogs: scan and evidence": "import meshlogs as ml; ml.read('FOLDER').evidence",
    "meshlogs report": "from meshlogs.cli import main; main(['report', 'FOLDER', '--out', 'OUT'])",
    "meshlogs convert": "from meshlogs.cli import main; main(['convert', 'FOLDER', '--out', 'OUT'])",
    "duckdb: load into Arrow": DUCKDB + "con.sql(f'select * from {source}').to_arrow_table()",
    "duckdb: filter": DUCKDB
    + "con.sql(f\"select * from {source} where regexp_matches(coalesce(textPayload,'')||coalesce(jsonPayload.message::varchar,''), $$TRIGGER$$)\").to_arrow_table()",
    "polars: load": "import polars as pl; pl.scan_ndjson('FOLDER/*', infer_schema_length=200).collect()",
    "pandas: read_json": "import pandas as pd, glob; [pd.read_json(f, lines=True) for f in glob.glob('FOLDER/*')]",
    "msgspec: parse every line": "import msgspec, glob; d=msgspec.json.Decoder()\nfor f in glob.glob('FOLDER/*'):\n for l in open(f,'rb'): d.decode(l)",
}  # fmt: skip
COMMANDS = {
    "ripgrep: count the same patterns": ["rg", "--count", "--no-filename", "--threads", "2", TRIGGER, "FOLDER"],
    "jq: select by text": ["sh", "-c", "jq -c 'select((.textPayload // .jsonPayload.message) | test(\"refused\"; \"i\"))' FOLDER/*"],
    "wc -l": ["sh", "-c", "cat FOLDER/* | wc -l"],
}  # fmt: skip
FORMS = ("zipped", "array", "rows", "tables")
OTHERWISE = {  # the same export in other forms
    "meshlogs: scan and evidence, gzip": "import meshlogs as ml; ml.read('ZIPPED').evidence",
    "meshlogs: scan, gzip": SCAN.replace("FOLDER", "ZIPPED"),
    "zlib-ng alone, two files at a time": """
import os, glob
from zlib_ng import zlib_ng
files = sorted(glob.glob('ZIPPED/*'))
child = os.fork()
for name in files[bool(child)::2]:
    inflate = zlib_ng.decompressobj(wbits=31)
    with open(name, 'rb') as file:
        while data := file.read(1 << 18):
            while data:
                inflate.decompress(data, 1 << 20)
                data = inflate.unconsumed_tail
os.waitpid(child, 0) if child else os._exit(0)
""",
    "meshlogs: scan and evidence, one JSON array": "import meshlogs as ml; ml.read('ARRAY').evidence",
    "meshlogs: scan and evidence, rows of BigQuery": "import meshlogs as ml; ml.read('ROWS').evidence",
    "meshlogs: scan and evidence, tables of BigQuery": "import meshlogs as ml; ml.read('TABLES').evidence",
    "duckdb: filter tables of BigQuery": "import duckdb\ncon = duckdb.connect(); con.execute('set threads=2')\n"
    "con.sql(\"select * from read_parquet('TABLES/*') where regexp_matches(coalesce(textPayload,'')||coalesce(jsonPayload.message,''), $$TRIGGER$$)\").to_arrow_table()",
    "duckdb: load one JSON array": DUCKDB.replace("FOLDER/*', format='newline_delimited'", "ARRAY/*', format='array', records=true")
    + "con.sql(f'select * from {source}').to_arrow_table()",
}  # fmt: skip


def commands(place: Path) -> dict[str, list[str]]:
    """Name -> command of every task that can be run here."""
    folders = {name.upper(): name for name in FORMS} | {"FOLDER": "export", "OUT": "out"}

    def told(text: str) -> str:
        for word, name in folders.items():
            text = text.replace(word, str(place / name))
        return text.replace("TRIGGER", TRIGGER)

    found = {
        name: [sys.executable, "-c", told(text)] for name, text in (SCRIPTS | OTHERWISE).items() if _installed(name)
    }
    return found | {
        name: [told(word) for word in words]
        for name, words in COMMANDS.items()
        if shutil.which(words[0] if words[0] != "sh" else name.split(":")[0].split()[0])
    }


def _installed(name: str) -> bool:
    package = name.split(":")[0].split()[0]
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def run(sizes: list[int], rounds: int, only: set[str] | None = None) -> dict[int, dict[str, tuple[float, float]]]:
    """Medians of seconds and megabytes by size [MB] and task, over rounds in which all of them take turns."""
    found: dict[int, dict[str, list]] = {size: {} for size in sizes}
    with tempfile.TemporaryDirectory() as place:
        tasks = {size: _prepared(Path(place, str(size)), size, only) for size in sizes}
        for number in range(rounds):
            for size, name in [(size, name) for size, mine in tasks.items() for name in mine]:
                shutil.rmtree(Path(place, str(size), "out"), ignore_errors=True)
                told = measure(tasks[size][name])
                found[size].setdefault(name, []).append(told)
                sys.stderr.write(f"{size} MB, round {number + 1}: {name} {told[0]:.2f} s\n")
    return {
        size: {
            name: tuple(statistics.median(column) for column in zip(*told, strict=True)) for name, told in of.items()
        }
        for size, of in found.items()
    }


def _prepared(place: Path, megabytes: int, only: set[str] | None) -> dict[str, list[str]]:
    """The commands for an export that is made here, of these names, or all, for which it is compressed too."""
    for name in ("export", *FORMS):
        (place / name).mkdir(parents=True)
    folder = place / "export"
    generate(folder, megabytes)
    if only is None:
        _write_array(sorted(folder.iterdir()), place / "array" / "entries.json")
        for path in folder.iterdir():
            (place / "zipped" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 6))
            rows = list(map(_row, path.open(encoding="utf-8")))
            text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
            (place / "rows" / path.name).write_text(text, encoding="utf-8")
            _write_table(rows, place / "tables" / f"{path.stem}.parquet")
    return {name: words for name, words in commands(place).items() if only is None or name in only}


SIZED = {
    "meshlogs: scan",
    "ripgrep: count the same patterns",
    "meshlogs: scan and evidence",
    "meshlogs report",
    "meshlogs convert",
    "duckdb: load into Arrow",
    "duckdb: filter",
}


def page(full: dict, sized: dict[int, dict], megabytes: int, rounds: int) -> str:
    """The page of the docs."""
    base = full["duckdb: load into Arrow"][0]
    rows = [
        f"| {name} | {seconds / base:.2f} | {_memory(peak)} |"
        for name, (seconds, peak) in sorted(full.items(), key=lambda one: one[1][0])
    ]
    sizes = sorted(sized)
    small, large = sizes[0], sizes[-1]
    cost = _further(sized)
    fixed = {name: sized[small][name][0] - cost[name] * small / 1000 for name in cost}
    load = cost["duckdb: load into Arrow"]
    further = [
        f"| {name} | {cost[name] / load:.2f} | {max(fixed[name], 0):.1f} s | {sized[large][name][1]:,.0f} MB |"
        for name in cost
    ]
    absent = [name for name in (*SCRIPTS, *COMMANDS, *OTHERWISE) if name not in full]
    versions = ", ".join(
        f"{name} {version(name)}"
        for name in ("duckdb", "polars", "pandas", "msgspec", "pyarrow", "hyperscan")
        if _installed(name)
    )
    return f"""# How fast it reads

Written by `make bench`; medians of {rounds} interleaved rounds on {os.cpu_count()} cores ({platform.machine()}, Python
{platform.python_version()}; {versions}). The export is made up: {megabytes} MB in 8 shards as a Cloud Storage sink writes
them (one JSON array: the same entries as `gcloud logging read` prints them; rows and tables: as `bq extract` does), 400 pods, {RELEVANT:.0%} of the lines report a refused connection, each another one. Ratios hold from machine to machine
better than seconds do, so the tables give ratios.

## One export, whole processes

Time from start to end of a process, as a ratio to duckdb loading the same files into Arrow ({base:.1f} s here); peak memory of
the process with its children.

| task | time, duckdb's load = 1 | peak memory |
|---|---|---|
{chr(10).join(rows)}

{_gzip_cost(full)}

{"Absent here: " + ", ".join(absent) + "." if absent else "All peers were there."}

## What a further gigabyte costs

From {small} MB to {large} MB; what is left is the fixed cost (starting Python and a worker, the page, the notebook).

| task | a further GB, duckdb's load = 1 | fixed cost | peak memory at {large} MB |
|---|---|---|---|
{chr(10).join(further)}

![Seconds against size](img/performance.png)

`scan` is the first stage alone: it finds the lines that may matter, parses them, and counts the others by container and
hour. Its peers are ripgrep, which only counts, and duckdb's filter.

## Why

- A line is parsed only if its bytes may matter: one search by hyperscan for all patterns. Which container wrote each line,
  and when, is told from its bytes by code that is compiled at installation. The first and last line of each container and
  hour are kept as proof that it logged.
- The elements of a JSON array are made lines of a sink by compiled code, and go the same way; an array in which anything
  is unsound is read one element after another.
- A warehouse's rows go the same way, whether in lines or in a table, whose texts are searched as they lie in memory; what
  is parsed of them takes the careful road for renamed columns.
- Evidence is taken where the lines are read, and only evidence comes together, each fact once and each text that facts
  share once, so memory grows with what matters and not with the logs; beyond {gather.VERY_MANY:,} facts it lies in files,
  in groups that hold all of a pod, and all cores judge one group after another.
- `convert` does parse every line: usual ones by code that is compiled at installation, checks them as strictly as any
  parser and copies their texts straight into Arrow columns, in threads of one process; all others one after another. It
  also finds repeats, and compresses what a database's load only holds in memory.
"""


def _gzip_cost(full: dict) -> str:
    """What a scan of gzip files takes beside what it consists of."""
    alone = full["zlib-ng alone, two files at a time"][0] + full["meshlogs: scan"][0]
    ratio = full["meshlogs: scan, gzip"][0] / alone
    return f"A scan of the gzip files takes {ratio:.2f} times as long as to inflate them and to scan what they hold."


def _memory(megabytes: float) -> str:
    """Peak memory, of a process that was there long enough to be looked at."""
    return f"{megabytes:,.0f} MB" if megabytes >= 1 else "too short to tell"


def _write_array(shards: list[Path], path: Path) -> None:
    """The entries of these shards as `gcloud logging read --format=json` prints them."""
    with path.open("w", encoding="utf-8") as file:
        before = "["
        for shard in shards:
            for line in shard.open(encoding="utf-8"):
                file.write(before + "\n  " + json.dumps(json.loads(line), indent=2).replace("\n", "\n  "))
                before = ","
        file.write("\n]\n")


def _row(line: str) -> dict:
    """An entry as a BigQuery sink's table holds it, and `bq extract` writes it in JSON."""
    entry = json.loads(line)
    for name in ("timestamp", "receiveTimestamp"):
        entry[name] = entry[name][:26].replace("T", " ") + " UTC"
    entry["labels"] = {name.translate(str.maketrans("/.-", "___")): value for name, value in entry["labels"].items()}
    return entry


def _write_table(rows: list[dict], path: Path) -> None:
    """Rows as `bq extract` writes them in Parquet: with times that are none of JSON's texts."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([{"textPayload": None, "jsonPayload": None} | row for row in rows])
    for name in ("timestamp", "receiveTimestamp"):
        moments = pa.array([text.removesuffix(" UTC") for text in table[name].to_pylist()])
        stamps = moments.cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(name), name, stamps)
    pq.write_table(table, path)


def _further(sized: dict[int, dict]) -> dict[str, float]:
    """Seconds that a further gigabyte takes each task."""
    small, large = min(sized), max(sized)
    return {name: (sized[large][name][0] - sized[small][name][0]) / (large - small) * 1000 for name in sized[large]}


def figure(sized: dict[int, dict]) -> None:
    """Seconds against size, with the points that were measured; ours are drawn through, peers broken."""
    import matplotlib.pyplot as plt

    chart, ax = plt.subplots(figsize=(8, 4), layout="constrained")
    cost, sizes = _further(sized), sorted(sized)
    # In the order in which they end, as the lines do.
    names = sorted(cost, key=lambda name: -sized[sizes[-1]][name][0])
    for name, mark in zip(names, "osD^vPX", strict=True):
        line = "-" if name.startswith("meshlogs") else ":"
        ax.plot(sizes, [sized[size][name][0] for size in sizes], marker=mark, linestyle=line, label=name)
    share = cost["meshlogs report"] / cost["duckdb: load into Arrow"]
    ax.set(
        xlabel="size of the export [MB]",
        ylabel="time [s]",
        xlim=(0, None),
        ylim=(0, None),
    )
    ax.set_title(f"A further GB takes a report {share:.0%} of the time that duckdb's bare load takes", loc="left")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    FIGURE.parent.mkdir(exist_ok=True)
    chart.savefig(FIGURE, dpi=110)


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=256, help="size of the export for all peers")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[128, 512, 1024], help="sizes for the cost of a further GB"
    )
    parser.add_argument("--evidence", type=int, nargs="+", default=[500_000], help="rows from evidence to verdicts")
    parser.add_argument("--pods", type=int, default=10_000, help="of a report of very many starts")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    full = run([given.megabytes], given.rounds)[given.megabytes]
    sized = run(given.sizes, given.rounds, SIZED)
    sections.PAGE.write_text(page(full, sized, given.megabytes, given.rounds), encoding="utf-8")
    figure(sized)
    scale.add(sections.PAGE, given.evidence, given.rounds)
    starts.add(sections.PAGE, given.pods)
    cluster.add(sections.PAGE, generate, max(given.sizes), given.rounds)


if __name__ == "__main__":
    main()
