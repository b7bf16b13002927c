"""Every known form of export as a table: its title, an example, and what it loses; and the page made of it."""

import pandas as pd

from meshlogs.formats import FORMATS

INTRODUCTION = """\
# Forms of exports

meshlogs finds the form of a file from its content, not from its name, and every form gives the same tables. This page
is written by `meshlogs formats --markdown`.

Any of them may be compressed (gzip, zstd, bzip2, xz), in UTF-16 (a redirection in PowerShell), or inside `.zip`,
`.tar`, `.tar.gz` and other archives, which are read without unpacking them to disk. Names of files may be those of a
copy to Windows (`09_00_00_09_59_59_S0.json`). What cannot be read is counted and kept in `rejects`; values that may be
secrets (environment variables, Secrets) are not kept, not even there.
"""


def known_formats() -> pd.DataFrame:
    """One row per form of export: `form, title, loses, example`, in the order in which forms are tried.

    `form` is what `meshlogs.formats.read` takes; `loses` says what a file of this form cannot tell, "" if it tells
    all that its source knew.

    >>> known_formats()["form"].tolist()[:2]
    ['warehouse', 'log_entries']
    """
    rows = [
        {"form": form, "title": _title(module), "loses": getattr(module, "LOSES", ""), "example": module.EXAMPLE}
        for form, module in FORMATS.items()
    ]
    return pd.DataFrame(rows, columns=["form", "title", "loses", "example"])


def plain(table: pd.DataFrame) -> str:
    """The table as text for a terminal."""
    width = max(map(len, table["form"]))
    parts = []
    for row in table.itertuples():
        loses = [f"{'':{width}}  loses: {row.loses}"] if row.loses else []
        example = [f"{'':{width}}  | {line}" for line in row.example.rstrip("\n").splitlines()]
        parts.append("\n".join([f"{row.form:{width}}  {row.title}", *loses, *example]))
    return "\n\n".join(parts)


def markdown(table: pd.DataFrame) -> str:
    """The page of the docs: docs/FORMATS.md."""
    head = ["| form | what it is | what it loses |", "|---|---|---|"]
    rows = [f"| [`{row.form}`](#{row.form}) | {row.title} | {row.loses or '–'} |" for row in table.itertuples()]
    parts = [INTRODUCTION, "\n".join([*head, *rows])]
    for row in table.itertuples():
        example = row.example.rstrip("\n").replace("\t", " ")
        parts.append(f"## {row.form}\n\n{row.title}.\n\n```\n{example}\n```")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _title(module) -> str:
    """The module's TITLE, else the first line of its docstring."""
    first = (module.__doc__ or "").partition("\n")[0]
    return getattr(module, "TITLE", first.rstrip("."))
