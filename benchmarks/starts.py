"""One report of very many pod starts, from the log lines on: a section of docs/PERFORMANCE.md.

A made-up fleet is written as an export in which nearly every line is evidence, as one that `meshlogs query` filtered is.

    python benchmarks/starts.py --pods 100000
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import sections
from processes import measure

import meshlogs as ml


def add(page: Path, pods: int, made: Path | None = None) -> None:
    """Measure, and put the section into the page."""
    with tempfile.TemporaryDirectory() as place:
        made = made or Path(place, "made")
        if not made.exists():
            ml.simulate_fleet(made, pods=pods, seed=7, shards=2)
        out = Path(place, "out")
        script = f"from meshlogs.cli import main; main(['report', {str(made / 'export')!r}, '--out', {str(out)!r}])"
        seconds, peak = measure([sys.executable, "-c", script])
        size = sum(path.stat().st_size for path in (made / "export").rglob("*") if path.is_file())
        counts = json.loads((out / "summary.json").read_text(encoding="utf-8"))
        html = (out / "report.html").stat().st_size
    sections.put(page, section(counts, size, seconds, peak, html))


def section(counts: dict, size: int, seconds: float, peak: float, html: int) -> str:
    """The section of the page."""
    return f"""## One report of very many starts

`meshlogs report` of a made-up fleet of {counts["starts"]:,} pod starts and {sum(counts["errors"].values()):,} refused
connections: {size / 1e9:.1f} GB, in which nearly every line is evidence and is parsed. {size / 1e6 / seconds:.0f} MB a
second, {1e3 * seconds / counts["starts"]:.1f} ms a start; peak memory of the processes {peak:,.0f} MB; the page has
{html / 1e6:.1f} MB.
"""


def main() -> None:
    """Measure and write the section."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pods", type=int, default=100_000)
    parser.add_argument("--made", type=Path, help="the fleet's folder, if `meshlogs simulate` wrote it before")
    given = parser.parse_args()
    add(sections.PAGE, given.pods, given.made)


if __name__ == "__main__":
    main()
