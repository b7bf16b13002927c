"""The counts of a fleet, the finding in one sentence, and the table for a terminal."""

import pandas as pd

from meshlogs.incidence import BY, total

_VERDICTS = (
    "startup_race", "init_race", "proxy_outage", "shutdown_race", "upstream", "local", "no_sidecar", "undetermined",
)  # fmt: skip


def summary(fleet) -> dict:
    """The counts as plain numbers and words, ready for JSON.

    Keys: starts, meshed, at_risk, harmed, exposed, safe, init_stalled, undetermined, not_meshed, errors
    (verdict → count), suspected, share_lower, share_upper, ci_lower, ci_upper, rejects, finding.
    """
    starts, errors = fleet.starts, fleet.judged
    row = total(starts)
    names = ("starts", "meshed", "at_risk", "harmed", "exposed", "safe", "init_stalled", "undetermined")
    counts: dict = {name: int(row[name]) if len(row) else 0 for name in names}
    counts["not_meshed"] = int((starts["outcome"] == "not_meshed").sum())
    by_verdict = errors["verdict"].value_counts()
    counts["errors"] = {name: int(by_verdict.get(name, 0)) for name in _VERDICTS}
    counts["suspected"] = int(errors["suspected"].fillna(False).sum())
    for name in ("share_lower", "share_upper", "ci_lower", "ci_upper"):
        counts[name] = float(row[name]) if len(row) and not pd.isna(row[name]) else None
    counts["rejects"] = len(fleet.rejects)
    counts["finding"] = finding(fleet, counts)
    return counts


def finding(fleet, counts: dict) -> str:
    """The answer in a few sentences: how many, of how many, where, what to do."""
    return " ".join(sentences(fleet, counts))


def sentences(fleet, counts: dict) -> list[str]:
    """The finding's sentences: the answer first, then what else the export shows, then the advice."""
    starts = fleet.starts
    if not counts["starts"]:
        return ["No pod start was found in this export: nothing can be said about refused connections."]
    others = [_open(counts), _stalled(counts), _others(counts)]
    if not counts["at_risk"]:
        first = f"No start at risk was found among {_plural(counts['starts'], 'pod start')}."
        refused = f"{_plural(len(fleet.judged), 'refused connection')} reported."
        return [first, *filter(None, [_stalled(counts), refused])]
    if not counts["harmed"]:
        first = f"No start was harmed by the start-up race, of {counts['at_risk']:,} at risk"
        first += f"; {counts['exposed']:,} ran before their proxy was ready" if counts["exposed"] else ""
        return [f"{first}.", *filter(None, others)]
    low, high = counts["ci_lower"] * 100, counts["ci_upper"] * 100
    share = counts["share_lower"] * 100
    where = _where(starts[starts["outcome"] == "harmed"], counts["harmed"])
    first = (
        f"{counts['harmed']:,} of {_plural(counts['at_risk'], 'start')} at risk {_were(counts['harmed'])} harmed "
        f"({share:.0f} %, 95 % CI {low:.0f} to {high:.0f} %): {_were_refused(counts)} because the proxy did not yet "
        f"listen{where}."
    )
    return [first, *filter(None, [*others, _advice(fleet)])]


def _were_refused(counts: dict) -> str:
    count = counts["errors"]["startup_race"]
    return f"{_plural(count, 'connection')} {_were(count)} refused"


def _where(harmed: pd.DataFrame, total: int) -> str:
    by = harmed.groupby(["namespace", "workload"], dropna=False).size().sort_values(ascending=False, kind="stable")
    names = "/".join(str(part) for part in by.index[0] if isinstance(part, str))
    if len(by) == 1:
        return f", all of them in {names}" if total > 1 else f", in {names}"
    return f", most in {names} ({by.iloc[0]:,}), in {len(by):,} workloads"


def _open(counts: dict) -> str:
    return f"{_plural(counts['undetermined'], 'start')} cannot be told." if counts["undetermined"] else ""


def _stalled(counts: dict) -> str:
    count = counts["init_stalled"]
    return (
        f"{_plural(count, 'pod')} {'stalls' if count == 1 else 'stall'} in Init behind the redirection."
        if count
        else ""
    )


def _others(counts: dict) -> str:
    names = {
        "proxy_outage": "proxy outages",
        "shutdown_race": "pods being stopped",
        "upstream": "the destination itself",
    }
    told = [f"{counts['errors'][key]:,} by {name}" for key, name in names.items() if counts["errors"][key]]
    return f"Refused otherwise: {', '.join(told)}." if told else ""


def _advice(fleet) -> str:
    holding = fleet.remedies[fleet.remedies["remedy"] == "hold_application"]
    applies = holding[holding["applies"].fillna(False).astype(bool)]
    blocked = holding["blocked_by"].dropna()
    if len(applies):
        ready = f"patches for {_plural(len(applies), 'workload')} are ready"
        rest = (
            f"; in {_plural(len(blocked), 'other')} that is blocked, and the report says by what"
            if len(blocked)
            else ""
        )
        return f"Hold the application until its proxy is ready: {ready}{rest}."
    return f"Holding the application is blocked: {blocked.iloc[0]}." if len(blocked) else ""


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def terminal_table(fleet, by=BY, most: int = 12) -> str:
    """The finding and a short table by these columns of starts, as plain text; control characters are made visible."""
    from meshlogs.text import clean

    counts = summary(fleet)
    table = fleet.incidence(by := list(by))
    lines = [clean(counts["finding"], 1_000), ""]
    counted = ("starts", "at risk", "harmed", "exposed", "safe", "undet.", "errors")
    header = (*(name.replace("_", " ") for name in by), *counted)
    rows = [header]
    for row in table.head(most).itertuples():
        names = (clean(getattr(row, name), 24 if name == "namespace" else 40) for name in by)
        numbers = (row.starts, row.at_risk, row.harmed, row.exposed, row.safe, row.undetermined, row.errors)
        rows.append((*names, *(f"{number:,}" for number in numbers)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(header))]
    for row in rows:
        left, right = row[: len(by)], row[len(by) :]
        left = [cell.ljust(width) for cell, width in zip(left, widths[: len(by)], strict=True)]
        right = [cell.rjust(width) for cell, width in zip(right, widths[len(by) :], strict=True)]
        lines.append("  ".join([*left, *right]).rstrip())
    if len(table) > most:
        what = " workloads" if by == list(BY) else ""
        lines.append(f"… and {len(table) - most} more{what}, in tables/incidence.parquet")
    told = [f"{name} {count:,}" for name, count in counts["errors"].items() if count]
    lines += ["", f"refused connections: {', '.join(told) or 'none'}; suspected among them: {counts['suspected']:,}"]
    lines += (
        [f"could not be read: {counts['rejects']:,} records, see tables/rejects.parquet"] if counts["rejects"] else []
    )
    return "\n".join(lines)
