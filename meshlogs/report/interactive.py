"""Pod starts to look through: a timeline that zooms, shows the evidence under the pointer and gives back the rows.

One JavaScript module (`report/timeline.js`) draws it, in JupyterLab through anywidget and in the report's page
inline; neither loads anything from anywhere.
"""

from importlib import resources

import numpy as np
import pandas as pd

from meshlogs import times
from meshlogs.columnar import joins
from meshlogs.evidence.refused import KINDS as REFUSALS
from meshlogs.text import clean

MOST = 20_000  # starts; what a page of 5 MB can hold
MOST_WITH_FACTS = 1_500
FACTS = 24  # of one start
_ORDER = ("harmed", "init_stalled", "undetermined", "exposed", "safe", "not_meshed")
_QUIET = ("app_logged", "proxy_version", "pod_address", *REFUSALS)
_TIMES = ("app_started", "proxy_started", "proxy_ready")


def timeline_data(fleet, *, most: int = MOST, with_facts: int = MOST_WITH_FACTS) -> dict:
    """What the timeline draws, ready for JSON: the worst starts first, `left` says how many there are besides.

    Keys: `strings` (texts, each once), `starts` (one list a start, see `timeline.js`), `total`. Times are whole
    nanoseconds since the start's epoch, which is a text of nanoseconds since 1970; null is unknown.
    The `with_facts` worst starts bring their evidence, at most `FACTS` lines each.
    """
    strings = _Strings()
    starts = _worst_first(fleet).head(most)
    facts = _facts(fleet, starts["start_id"].head(with_facts))
    rows = [_row(start, facts, strings) for start in starts.to_dict("records")]
    return {"strings": strings.texts, "starts": rows, "total": len(fleet.starts)}


def script() -> str:
    """The module that draws the timeline."""
    return resources.files("meshlogs.report").joinpath("timeline.js").read_text(encoding="utf-8")


def style() -> str:
    """Its style sheet."""
    return resources.files("meshlogs.report").joinpath("timeline.css").read_text(encoding="utf-8")


def _worst_first(fleet) -> pd.DataFrame:
    rank = fleet.starts["outcome"].map({outcome: at for at, outcome in enumerate(_ORDER)}).fillna(len(_ORDER))
    rows = fleet.starts.assign(rank=rank, longest=-fleet.starts["window_lower_s"].fillna(0))
    return rows.sort_values(["rank", "longest", "start_id"], kind="stable")


class _Strings:
    """Texts by number, each kept once."""

    def __init__(self):
        self.texts: list[str] = []
        self._at: dict[str, int] = {}

    def __call__(self, value, limit: int = 200) -> int | None:
        if not isinstance(value, str):
            return None
        value = clean(value, limit)
        if value not in self._at:
            self._at[value] = len(self.texts)
            self.texts.append(value)
        return self._at[value]


def _row(start: dict, facts: dict[str, list[dict]], strings: _Strings) -> list:
    told = facts.get(start["start_id"], [])
    bounds = [_ns(start[f"{name}_{end}"]) for name in _TIMES for end in ("lower", "upper")]
    epoch = next((ns for ns in (bounds[1], bounds[0], *bounds, *(fact["lower"] for fact in told)) if ns is not None), 0)

    def since(ns):
        return None if ns is None else ns - epoch

    lines = [
        [
            strings(fact["kind"]), since(fact["lower"]), since(fact["upper"]), strings(fact["container"]),
            strings(fact["value"]), strings(fact["message"], 240), strings(fact["source"]), fact["line"],
            strings(fact["insert_id"]), strings(fact["verdict"]),
        ]
        for fact in told
    ]  # fmt: skip
    high = start["window_upper_s"]
    return [
        start["start_id"],
        *(strings(start[name]) for name in ("pod", "namespace", "cluster", "project", "workload", "outcome", "reason")),
        str(epoch),
        *(since(bound) for bound in bounds),
        None if pd.isna(start["window_lower_s"]) else round(start["window_lower_s"], 3),
        None if pd.isna(high) or np.isinf(high) else round(high, 3),
        int(start["refused"]) if not pd.isna(start["refused"]) else 0,
        lines,
    ]


def _facts(fleet, start_ids: pd.Series) -> dict[str, list[dict]]:
    """The lines to show of each of these starts, by time: its evidence, and its refused connections."""
    evidence = fleet.evidence_of(start_ids, without=_QUIET)
    evidence = _earliest(evidence, ["time_lower", "time_upper", "source", "line"], FACTS)
    mine = np.flatnonzero(fleet.judged["start_id"].isin(start_ids))
    errors = joins.plain(_earliest(fleet.judged, ["time", "source", "line"], FACTS // 2, mine))
    columns = ["start_id", "kind", "lower", "upper", "container", "value", "message", "source", "line", "insert_id"]
    proofs = evidence.assign(lower=evidence["time_lower"], upper=evidence["time_upper"], verdict=None)
    refused = errors.assign(kind="refused", lower=errors["time"], upper=errors["time"], value=errors["reason"])
    found: dict[str, list[dict]] = {}
    for rows in (refused, proofs):
        rows = rows.assign(lower=_all_ns(rows["lower"]), upper=_all_ns(rows["upper"]))
        for row in rows[[*columns, "verdict"]].to_dict("records"):
            row |= {name: None if row[name] == times.NAT else int(row[name]) for name in ("lower", "upper")}
            row["line"] = None if pd.isna(row["line"]) else int(row["line"])
            lines = found.setdefault(row["start_id"], [])
            if len(lines) < FACTS:
                lines.append(row)
    for lines in found.values():
        lines.sort(key=_begin)
    return found


def _begin(fact: dict) -> float:
    """When the fact begins [ns]; undated ones come last."""
    known = [fact[end] for end in ("lower", "upper") if fact[end] is not None]
    return known[0] if known else np.inf


def _earliest(rows: pd.DataFrame, keys: list[str], most: int, among: np.ndarray | slice = slice(None)) -> pd.DataFrame:
    """The first rows of each start by these columns, of those at some positions; no other's texts are moved."""
    order = rows[["start_id", *keys]].iloc[among].sort_values(keys, kind="stable")
    return rows.loc[order.groupby("start_id", sort=False).head(most).index]


def _all_ns(column: pd.Series) -> np.ndarray:
    return times.to_ns(column)


def _ns(value) -> int | None:
    return None if pd.isna(value) else int(value.value)
