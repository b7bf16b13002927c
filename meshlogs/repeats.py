"""What an export delivers again: facts and entries that are there more than once, which exports may do."""

import numpy as np
import pandas as pd

from meshlogs import joins, schema
from meshlogs.evidence import proxy


def repeats_of(rows: pd.DataFrame, content: list[str]) -> pd.Series:
    """Whether each row has the content of another, which stays: the one with the finest time, else the first.

    Times of entries with an insert id are compared to the microsecond, for warehouses keep no more of them.
    """
    stamps = [name for name in content if isinstance(rows[name].dtype, pd.DatetimeTZDtype)]

    def compared(names: list[str], at: np.ndarray) -> pd.DataFrame:
        found, known = rows[names].take(at), rows["insert_id"].take(at).notna()
        floors = {name: found[name].dt.floor("us").where(known, found[name]) for name in set(stamps) & set(names)}
        return found.assign(**floors)

    # Few agree in id and time; only those are compared.
    several = np.flatnonzero(rows["insert_id"].duplicated(keep=False))
    alike = compared(["insert_id", *stamps], several)
    number = joins.numbered(alike[name] for name in alike)
    several = several[np.bincount(number)[number] > 1]
    finest = rows[stamps].take(several).max(axis=1).reset_index(drop=True).sort_values(ascending=False, kind="stable")
    several = several[finest.index]
    repeated = np.zeros(len(rows), dtype=bool)
    repeated[several] = compared(content, several).duplicated()
    return pd.Series(repeated, rows.index)


def once(facts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same evidence with each fact once, the first by source and line; and the counts of entries delivered again.

    Counted are the entries that say something: of the others it is not known.
    """
    order = facts[["source", "line"]].sort_values(["source", "line"], kind="stable").index
    facts = facts if order.is_monotonic_increasing else facts.take(order).reset_index(drop=True)
    content = [name for name in facts.columns if name not in ("source", "line")]
    # Lines of plain log files have no id: the same line twice is two.
    known = facts["insert_id"].notna() | facts["log_name"].isin(["events", "pods"])
    repeated = repeats_of(facts, content) & known & (facts["kind"] != "app_logged")
    again = facts[repeated & facts["insert_id"].notna() & (facts["value"] != "access_log")]
    again = again.drop_duplicates(["source", "line", "insert_id"])
    counts = again.assign(
        kind=np.select(
            [again["log_name"] == "events", again["container"] == proxy.PROXY], ["events", "proxy_logs"], "app_logs"
        ),
        hour=again["time_upper"].dt.floor("h"),
        entries=0,
        duplicates=1,
    )
    return facts[~repeated] if repeated.any() else facts, schema.conform(counts, schema.COVERAGE)
