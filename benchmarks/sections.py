"""Sections of docs/PERFORMANCE.md that are measured each by itself."""

from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/PERFORMANCE.md"


def put(page: Path, told: str) -> None:
    """Put a section, which begins with its heading, into the page: in place of an earlier one, else before "Why"."""
    heading = told.splitlines()[0]
    text = page.read_text(encoding="utf-8")
    before, found, after = text.partition(f"{heading}\n")
    if found:
        after = after[after.index("\n## ") + 1 :]
    else:
        before, why, after = text.partition("## Why\n")
        after = why + after
    page.write_text(f"{before}{told.rstrip()}\n\n{after}", encoding="utf-8")
