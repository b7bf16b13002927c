"""The counts of a fleet, the finding in one sentence, and the table for a terminal."""

import pandas as pd

from meshlogs import times
from meshlogs.incidence import BY, total
from meshlogs.markup import percent
from meshlogs.remedies.workloads import PLACE

_VERDICTS = (
    "startup_race", "init_race", "proxy_outage", "shutdown_race", "upstream", "local", "no_sidecar", "undetermined",
)  # fmt: skip


def summary(fleet) -> dict:
    """The counts as plain numbers and words, ready for JSON.

    Keys: starts, meshed, at_risk, harmed, exposed, safe, init_stalled, undetermined, undetermined_at_risk, not_meshed,
    errors (verdict → count), suspected, undated (lines that report a refused connection without any time: in no other
    count), share_lower, share_upper, ci_lower, ci_upper, rejects, since and until (the
    limits that were asked for, or None), finding.
    """
    starts, errors = fleet.starts, fleet.judged
    row = total(starts)
    names = ("starts", "meshed", "at_risk", "harmed", "exposed", "safe", "init_stalled", "undetermined",
             "undetermined_at_risk")  # fmt: skip
    counts: dict = {name: int(row[name]) if len(row) else 0 for name in names}
    counts["not_meshed"] = int((starts["outcome"] == "not_meshed").sum())
    by_verdict = errors["verdict"].value_counts()
    counts["errors"] = {name: int(by_verdict.get(name, 0)) for name in _VERDICTS}
    counts["suspected"] = int(errors["suspected"].fillna(False).sum())
    counts["undated"] = int(starts["refused_undated"].sum())
    for name in ("share_lower", "share_upper", "ci_lower", "ci_upper"):
        counts[name] = float(row[name]) if len(row) and not pd.isna(row[name]) else None
    counts["rejects"] = len(fleet.rejects)
    counts["since"], counts["until"] = (None if end is None else times.text(end.value) for end in fleet.limits)
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
    others = [_stalled(counts), _others(counts), _unexplained(counts), _unnamed(starts), undated(starts)]
    if not counts["at_risk"]:
        unknown = int(starts["reason"].isin(["mesh_unknown", "pod_unnamed"]).sum())
        refused = f"{_plural(len(fleet.judged), 'refused connection')} reported."
        return [_none_at_risk(counts, unknown), *filter(None, [_open(counts, unknown), refused, *others])]
    others = [_open(counts, counts["undetermined_at_risk"]), *others]
    if not counts["harmed"]:
        return [_none_harmed(counts), *filter(None, others)]
    where = _where(starts[starts["outcome"] == "harmed"], counts["harmed"])
    first = (
        f"{counts['harmed']:,} of {_plural(counts['at_risk'], 'start')} at risk {_were(counts['harmed'])} harmed"
        f"{_open_too(counts)} ({_share(counts)}): {_were_refused(counts)} because the proxy did not yet listen{where}."
    )
    return [first, *filter(None, [*others, _advice(fleet)])]


def _none_at_risk(counts: dict, unknown: int) -> str:
    """No start could race, or none that is known to: a reader must not take the one for the other."""
    among = f"among {_plural(counts['starts'], 'pod start')}"
    if not unknown:
        return f"No start at risk was found {among}."
    has = "it has a proxy" if unknown == 1 else "they have a proxy"
    return f"No start is known to be at risk {among}; of {unknown:,} the export does not tell whether {has}."


def _none_harmed(counts: dict) -> str:
    exposed = f"; {counts['exposed']:,} ran before their proxy was ready" if counts["exposed"] else ""
    if not counts["undetermined_at_risk"]:
        return f"No start was harmed by the start-up race, of {counts['at_risk']:,} at risk{exposed}."
    return (
        f"No start is known to be harmed by the start-up race; {counts['undetermined_at_risk']:,} of "
        f"{counts['at_risk']:,} at risk cannot be told{exposed}."
    )


def _open_too(counts: dict) -> str:
    count = counts["undetermined_at_risk"]
    return f", {count:,} cannot be told" if count else ""


def _share(counts: dict) -> str:
    share = percent(counts["share_lower"], counts["share_upper"]).replace(" – ", " to ")
    return f"{share} %, 95 % CI {counts['ci_lower'] * 100:.0f} to {counts['ci_upper'] * 100:.0f} %"


def _were_refused(counts: dict) -> str:
    count = counts["errors"]["startup_race"]
    return f"{_plural(count, 'connection')} {_were(count)} refused"


def _where(harmed: pd.DataFrame, total: int) -> str:
    by = harmed.groupby(PLACE, dropna=False).size().sort_values(ascending=False, kind="stable")
    cluster, *place = by.index[0]
    names = "/".join(str(part) for part in place if isinstance(part, str))
    names += f" of {cluster}" if isinstance(cluster, str) and harmed["cluster"].nunique() > 1 else ""
    if len(by) == 1:
        return f", all of them in {names}" if total > 1 else f", in {names}"
    most = f", most in {names} ({by.iloc[0]:,})" if by.iloc[0] > 1 else ""
    return f"{most}, in {len(by):,} workloads"


def _open(counts: dict, told: int) -> str:
    """The undetermined starts, unless the first sentence has `told` all of them."""
    count, at_risk = counts["undetermined"], counts["undetermined_at_risk"]
    if count == told:
        return ""
    return f"{_plural(count, 'start')} cannot be told{f', {at_risk:,} of them at risk' if at_risk else ''}."


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


def _unexplained(counts: dict) -> str:
    count = counts["errors"]["undetermined"]
    return f"Why {_plural(count, 'connection')} {_were(count)} refused cannot be told." if count else ""


def _unnamed(starts: pd.DataFrame) -> str:
    count = int((starts["reason"] == "pod_unnamed").sum())
    names = "log names" if count == 1 else "logs name"
    how = "call the file POD.log, or write it with kubectl logs --prefix"
    return f"{count:,} {names} no pod, each is counted as a start: {how}." if count else ""


def undated(starts: pd.DataFrame) -> str:
    """How many lines tell of a refused connection without any time, and what to do; "" where there are none."""
    count = int(starts["refused_undated"].sum())
    told = f"{_plural(count, 'line')} {'tells' if count == 1 else 'tell'} of a refused connection without any time"
    return f"{told}, so no verdict can be given: write the log with kubectl logs --timestamps." if count else ""


def _advice(fleet) -> str:
    """How many workloads can be held: with a patch, by hand, or not at all."""
    holding = fleet.remedies[fleet.remedies["remedy"] == "hold_application"]
    applies = holding["applies"].fillna(False).astype(bool)
    blocked = holding["blocked_by"].dropna()
    if not applies.any():
        return f"Holding the application is blocked: {blocked.iloc[0]}." if len(blocked) else ""
    patched = int((applies & holding["patch"].notna()).sum())
    by_hand = int(applies.sum()) - patched
    told = [f"patches for {_plural(patched, 'workload')} are ready"] if patched else []
    told += [f"for {by_hand:,}{' more' if patched else ''} it is to be set by hand or mesh-wide"] if by_hand else []
    told += (
        [f"in {_plural(len(blocked), 'other')} that is blocked, and the report says by what"] if len(blocked) else []
    )
    return f"Hold the application until its proxy is ready: {'; '.join(told)}."


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
    lines += [f"lines that tell of one without any time: {counts['undated']:,}"] if counts["undated"] else []
    lines += (
        [f"could not be read: {counts['rejects']:,} records of those that were parsed, see tables/rejects.parquet"]
        if counts["rejects"]
        else []
    )
    return "\n".join(lines)
