"""What the pods of a fleet tell of each other: all that a verdict needs beyond its own pod.

A fleet may be judged some pods at a time (`meshlogs.engines.groups`): each part's `lessons_of` are added up by
`together`, and every part is judged with those of all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from meshlogs import times
from meshlogs.columnar import joins
from meshlogs.evidence.refused import FAILURES
from meshlogs.specs import MESH_CONTAINERS, excludes

# Refusals of one destination that go on for so long, the proxy being open, are no outage that left no trace; nor, for
# the shorter time, are they reports of one failure, or an outage of a proxy whose log is there.
LASTING = 30 * times.SECOND
REPORTED = 3 * times.SECOND


class Lessons(NamedTuple):
    """Small tables about a fleet.

    `addresses`: cluster, namespace ("" for a name with a dot, which is the same in all), host, ip, each different one
    that a failure states. `clusters`, by its name ("" for none):
    `starts`, `first_seen` and `last_seen` (the first and the last log entry or event) and `excluding` (the rules of
    some pod exclude something; of "": of a pod whose cluster is unknown). `namespaces`: cluster, namespace, and
    `first_logged`, the first line of any application: a sink may be one namespace's alone.
    """

    addresses: pd.DataFrame
    clusters: pd.DataFrame
    namespaces: pd.DataFrame

    def tables(self) -> tuple[pd.DataFrame, ...]:
        """Tables without an index of names, for `of_tables`."""
        return self.addresses, self.clusters.rename_axis("cluster").reset_index(), self.namespaces

    @classmethod
    def of_tables(cls, addresses: pd.DataFrame, clusters: pd.DataFrame, namespaces: pd.DataFrame) -> "Lessons":
        """The lessons that `tables` gave."""
        return cls(addresses, clusters.set_index("cluster").rename_axis(None), namespaces)

    def resolved(self, rows: pd.DataFrame) -> pd.Series:
        """The address of each destination; where it is only named, the one that failures of its cluster state."""
        ip, named = rows["ip"], (rows["ip"].isna() & rows["host"].notna()).to_numpy()
        if not named.any() or self.addresses.empty:
            return ip
        key = ["cluster", "namespace", "host"]
        known = self.addresses[~self.addresses.duplicated(key, keep=False)]
        asked = _by_site(rows.loc[named, key])
        found = asked.merge(known, on=key, how="left", validate="many_to_one")["ip"]
        return ip.fillna(found.set_axis(asked.index))

    def trusted(self) -> pd.Series:
        """By cluster whether it has one pod start and nothing speaks of an exclusion, in it or without a cluster.

        Only there is the default redirection more than an assumption: somebody left the specs of several pods out.
        """
        alone = (self.clusters["starts"] <= 1) & ~self.clusters["excluding"]
        return alone & ~self.clusters["excluding"].get("", False)


def lessons_of(placed: pd.DataFrame, pods: pd.DataFrame) -> Lessons:
    """The lessons of these pods: their placed evidence, and their objects."""
    failed = np.flatnonzero(joins.is_one(placed["kind"], FAILURES))
    stated = placed[["cluster", "namespace", "host", "ip"]].take(failed).dropna(subset=["host", "ip"])
    addresses = _by_site(joins.plain(joins.distinct(stated, list(stated))))
    addresses = addresses[addresses["host"] != addresses["ip"]].drop_duplicates(ignore_index=True)
    begins = np.flatnonzero(np.diff(placed["start_id"].array.codes, prepend=-1))  # sorted by start
    starts = placed[["cluster", "namespace", "pod"]].take(begins)
    excluding = _excluding(starts, pods)
    # 0 stands for no name, missing or empty; then come the categories, and what only pod objects name.
    cluster = joins.ranks(placed["cluster"]) + 1
    names = pd.Index(["", *placed["cluster"].dtype.categories], dtype="str")
    names = names.append(pd.Index(excluding, dtype="str").difference(names))
    entries = np.flatnonzero(~joins.is_one(placed["log_name"], ["pods"]))
    seen = placed["time_upper"].take(entries), cluster[entries], len(names)
    columns = {
        "starts": np.bincount(cluster[begins], minlength=len(names)),
        "first_seen": joins.earliest_of(*seen).array,
        "last_seen": joins.latest_of(*seen).array,
        "excluding": names.isin(excluding),
    }
    clusters = pd.DataFrame(columns, names)
    known = (clusters["starts"] > 0) | clusters["excluding"]
    return Lessons(addresses, clusters[known & ~names.duplicated()].sort_index(), _first_logged(placed))


def _first_logged(placed: pd.DataFrame) -> pd.DataFrame:
    of_app = joins.is_one(placed["kind"], ["app_logged"]) & ~joins.is_one(placed["container"], [*MESH_CONTAINERS])
    logged = placed[["cluster", "namespace", "time_lower"]].take(np.flatnonzero(of_app))
    sites, which = joins.questions(logged, ["cluster", "namespace"])
    first = joins.earliest_of(logged["time_lower"], which, len(sites))
    return _first_of_each(joins.plain(sites).fillna("").assign(first_logged=first))


def _first_of_each(namespaces: pd.DataFrame) -> pd.DataFrame:
    return namespaces.sort_values("first_logged").drop_duplicates(["cluster", "namespace"], ignore_index=True)


def _by_site(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without a namespace where it does not matter: a short name is another service in each."""
    rows = rows.fillna({"cluster": "", "namespace": ""})
    return rows.assign(namespace=rows["namespace"].mask(rows["host"].str.contains(".", regex=False), ""))


def together(parts: Sequence[Lessons]) -> Lessons:
    """The lessons of several parts of a fleet, of which each start is in one."""
    addresses, clusters, namespaces = (pd.concat(tables) for tables in zip(*parts, strict=True))
    by_name = clusters.groupby(level=0)
    columns = {
        "starts": by_name["starts"].sum().astype("int64"),
        "first_seen": by_name["first_seen"].min().astype(times.COLUMN),
        "last_seen": by_name["last_seen"].max().astype(times.COLUMN),
        "excluding": by_name["excluding"].agg(lambda told: told.fillna(False).astype(bool).any()).astype(bool),
    }
    return Lessons(addresses.drop_duplicates(ignore_index=True), pd.DataFrame(columns), _first_of_each(namespaces))


def _excluding(starts: pd.DataFrame, pods: pd.DataFrame) -> list[str]:
    """The clusters in which a pod's rules exclude something; "" stands for a pod whose cluster is unknown."""
    those = pods[["namespace", "pod", "cluster"]][joins.asked_once(_excludes, pods["redirect"]).astype(bool)]
    named, unnamed = those["cluster"].dropna(), those[those["cluster"].isna()]
    if unnamed.empty:
        return sorted(set(named))
    sites = joins.plain(starts).drop_duplicates(["namespace", "pod"])
    found = unnamed.drop(columns="cluster").merge(sites, on=["namespace", "pod"], how="left")
    return sorted({*named, *found["cluster"].fillna("")})


def _excludes(rules: str | None) -> bool:
    return isinstance(rules, str) and excludes(rules)


def assumption_holds(errors: pd.DataFrame, situations: pd.DataFrame, lessons: Lessons) -> np.ndarray:
    """Whether nothing in the export speaks against the default redirection of each destination.

    Against it speak: several pods or an exclusion in its cluster (`Lessons.trusted`), and a refusal of the same
    destination after the window. `errors` have cluster, target and situation, the number of their row in `situations`.
    """
    trusted = lessons.trusted()
    of_cluster = np.append(trusted, trusted.get("", False))  # the last for a missing one
    trusted = of_cluster[joins.standing(errors["cluster"], trusted.index)]
    later = situations["later_unexplained"].to_numpy(bool)[errors["situation"]]
    return trusted & ~joins.marked(errors["target"], errors.loc[later, "target"])


def learned(errors: pd.DataFrame, situations: pd.DataFrame, verdict: pd.Categorical) -> tuple[np.ndarray, np.ndarray]:
    """Errors to a destination that bypasses the proxy, and to one that the proxy carries, most likely.

    Only where the pods' rules leave it open, by what the starts of a workload tell of it: what bypasses goes on to be
    refused while the proxy is open; what the proxy carries was refused before the opening, and hardly ever after.
    `errors` as for `assumption_holds`, with time, start_id, namespace and workload; `verdict`: theirs so far.
    """
    of_each = {name: situations[name].to_numpy(bool) for name in _OF_SITUATION}
    may = np.flatnonzero(of_each["guessed"][errors["situation"]])
    rows = errors[["namespace", "workload", "target", "time", "start_id", "situation"]].take(may)
    of_each = {name: flags[rows["situation"]] for name, flags in of_each.items()}
    key = joins.numbered(rows[name] for name in ("namespace", "workload", "target"))
    late = np.asarray(verdict == "upstream")[may] & (of_each["settled"] | of_each["clear"])
    early = np.asarray(verdict == "startup_race")[may]
    start = joins.numbered([pd.Series(key), rows["start_id"]])  # what one start tells of a destination
    told = _told_by_starts(key[joins.firsts(start)], start, late, early, rows["time"], of_each["has_proxy_logs"])

    def any_of(marks: np.ndarray) -> np.ndarray:
        """Whether any of the marked errors is of each destination."""
        return np.bincount(key[marks], minlength=len(told)) > 0

    enough = (told["lasting"] > 0) | (told["several"] > 1)
    enough |= any_of(late & of_each["excludes"]) & any_of(late & of_each["alone"])
    bypasses = enough & (told["late"] >= told["over"])
    bypassing, carried = (np.zeros(len(errors), dtype=bool) for _ in range(2))
    bypassing[may] = bypasses.to_numpy()[key] & ~of_each["is_init"]
    carried[may] = (~bypasses & any_of(early)).to_numpy()[key]
    return bypassing, carried


_OF_SITUATION = ("guessed", "settled", "clear", "is_init", "excludes", "alone", "has_proxy_logs")


def _told_by_starts(
    key: np.ndarray, start: np.ndarray, late: np.ndarray, early: np.ndarray, time: pd.Series, logged: np.ndarray
) -> pd.DataFrame:
    """By destination, what the starts tell of it: `key` is that of each start, `start` that of each error.

    `late`: of how many it was refused while the proxy was open; `over`: of how many before it only. `lasting`: of one
    for so long that it is neither a late report nor an outage that nobody saw; `several`: of how many it is no report
    of what was refused before, for it lasts or nothing was.
    """
    after, before = (np.bincount(start[marks], minlength=len(key)) > 0 for marks in (late, early))
    first, last = (extreme(time[late], start[late], len(key)) for extreme in (joins.earliest_of, joins.latest_of))
    lasts = times.to_ns(last) - times.to_ns(first)  # 0 where there is none
    with_log = np.bincount(start[logged], minlength=len(key)) > 0
    columns = {
        "late": after,
        "over": before & ~after,
        "lasting": lasts >= np.where(with_log, REPORTED, LASTING),
        "several": after & (~before | (lasts >= REPORTED)),
    }
    return pd.DataFrame({name: np.bincount(key, weights=marks) for name, marks in columns.items()})
