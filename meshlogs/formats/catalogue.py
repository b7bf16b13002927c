"""Every known form of export as a table: its title, an example, and what it loses; and the page made of it."""

import pandas as pd

from meshlogs.formats import FORMATS

INTRODUCTION = """\
# Forms of exports

meshlogs finds the form of a file from its content, not from its name, and every form gives the same tables. This page
is written by `meshlogs formats --markdown`.

Any of them may be compressed (gzip, zstd, bzip2, xz), in UTF-16 (a redirection in PowerShell), or inside `.zip`,
`.tar`, `.tar.gz` and other archives, which are read without unpacking them to disk. Names of files may be those of a
copy to Windows (`09_00_00_09_59_59_S0.json`). The parts of a log entry that was split because it was too long are one
entry again, in whichever files they are. What cannot be read is counted and kept in `rejects`, by `convert` of
every line, by `report` of those that it parses, which may matter; values that may be secrets (environment variables,
Secrets) are not kept, not even there, and of a file of no known form only the names before its first values are.

Damage costs as little as it can. Of a compressed file that is cut off or damaged what stands before that is read (of
zstd and bzip2 whole blocks), and one reject says so. Log entries in JSON may follow other lines, as
`gcloud … > file 2>&1` leaves them, or the rest of an entry whose beginning was cut off: each such line is one reject,
and so is the rest of an array's element. They may be the fields that were asked for, `--format="json(timestamp,
resource,textPayload)"`, stand behind record separators (RFC 7464), and, one a line, be mixed with messages of Pub/Sub.
A line of more than 64 MB is one reject. Indented JSON behind lines is not put together: each of its lines is a reject.
"""

# One fleet in each form that Kubernetes gives: form, (are the verdicts those of lists with logs of Cloud Logging, what
# is lost). tests/formats/test_kubernetes_forms.py holds this true.
SAME, LESS = "the same", "less"
KUBERNETES = {
    "Events and pods as `v1` lists in JSON": (SAME, "the cluster; of repeated events all but the first and last"),
    "the same in YAML": (SAME, "the same"),
    "events as `events.k8s.io/v1`": (SAME, "the same"),
    "`kubectl get events -A -o wide`": (SAME, "times of repeats but to the unit of their age; uids"),
    "`kubectl get events -A`": (SAME, "all times of events: without proxies' logs some starts cannot be told"),
    "`kubectl describe pods -A`": (LESS, "all times of events; users, hooks: nothing that rests on them is proven"),
    "`kubectl logs --timestamps`": (SAME, "the cluster; logs of pods that are gone"),
    "`kubectl logs --timestamps --prefix` of many pods": (SAME, "the cluster; logs of pods that are gone"),
    "`stern --timestamps -A`": (SAME, "the same"),
    "files of a node": (SAME, "the cluster; what was rotated away"),
    "`kubectl cluster-info dump`, printed": (LESS, "times of lines that hold none: their errors cannot be judged"),
    "`kubectl cluster-info dump`, as a folder": (LESS, "the same"),
    "`istioctl bug-report`": (LESS, "the logs of applications, so every error"),
    "`istioctl bug-report` and `kubectl logs --timestamps`": (SAME, "the cluster"),
}


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
    parts.append("\n".join(_kubernetes()))
    for row in table.itertuples():
        example = row.example.rstrip("\n").replace("\t", " ")
        parts.append(f"## {row.form}\n\n{row.title}.\n\n```\n{example}\n```")
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _kubernetes() -> list[str]:
    return [
        "## What the forms of Kubernetes keep",
        "",
        "One made-up fleet written in each form; logs, where the form has none, as Cloud Logging exports them.",
        "",
        "| form | verdicts | what is lost |",
        "|---|---|---|",
        *(f"| {form} | {verdicts} | {lost} |" for form, (verdicts, lost) in KUBERNETES.items()),
    ]


def _title(module) -> str:
    """The module's TITLE, else the first line of its docstring."""
    first = (module.__doc__ or "").partition("\n")[0]
    return getattr(module, "TITLE", first.rstrip("."))
