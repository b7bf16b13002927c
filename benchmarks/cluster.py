"""Reading on a Dask cluster of two worker processes of this machine, against reading without: for docs/PERFORMANCE.md."""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import meshlogs as ml


def add(page: Path, generate: Callable[[Path, int], None], megabytes: int, rounds: int) -> None:
    """Measure and add a section to the page. `generate` writes an export of so many megabytes to a folder."""
    with tempfile.TemporaryDirectory() as place:
        generate(Path(place), megabytes)
        local, dask = measure(Path(place), rounds)
    text = f"""
## On a Dask cluster

Two worker processes on this machine, {megabytes} MB, from the files to the verdicts in both cases, the cluster already there:
{dask / local:.2f} times as long as without ({rounds} interleaved rounds, medians). The errors are the same.
"""
    page.write_text(page.read_text(encoding="utf-8") + text, encoding="utf-8")


def measure(folder: Path, rounds: int) -> tuple[float, float]:
    """Median seconds of `analyse` here, and on the cluster. Raises AssertionError where the errors differ."""
    from distributed import Client, LocalCluster

    found: dict[str, list[float]] = {"here": [], "on Dask": []}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for _ in range(rounds):
            fleets = []
            for name, engine in (("here", None), ("on Dask", client)):
                begin = time.perf_counter()
                fleets.append(ml.analyse(folder, engine=engine))
                found[name].append(time.perf_counter() - begin)
                sys.stderr.write(f"{name}: {found[name][-1]:.2f} s\n")
            assert fleets[0].errors.equals(fleets[1].errors)
    return statistics.median(found["here"]), statistics.median(found["on Dask"])
