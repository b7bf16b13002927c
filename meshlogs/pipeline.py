"""The steps in order, written once: read, extract, place, reconstruct, judge, tally, advise."""

from collections.abc import Callable, Iterable
from functools import cached_property

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from meshlogs import coverage, engines, remedies, verdicts
from meshlogs.columnar import joins
from meshlogs.columnar.memory import give_back
from meshlogs.display import fleet_html
from meshlogs.engines import groups
from meshlogs.errors import UnknownPodError
from meshlogs.evidence import refused
from meshlogs.export import Export, Paths, read
from meshlogs.incidence import BY, incidence_by
from meshlogs.progress import progress
from meshlogs.verdicts.lessons import Lessons

# So many starts are concluded at a time.
MANY_STARTS = 50_000


class Fleet:
    """The judged fleet: `starts`, `errors`, `remedies`, `incidence(by)`, and the evidence under them.

    `facts` is the placed evidence in groups of pods, `judged` are the errors with the texts that rows share as
    categories: a quarter of the memory.
    `keep`: the export keeps its own copy of the evidence, too; if not, it reads it anew when asked.
    """

    limits: tuple = None, None  # since when and until when entries were asked for

    def __init__(self, export: Export, *, keep: bool = True):
        self.export = export
        self.pods, self.rejects = export.pods, export.rejects
        self.limits = export.since, export.until
        facts = export.facts
        forget = export.forget_facts if not keep else lambda: None
        self.starts, self.judged, self.facts = judged(facts, forget)

    @cached_property
    def evidence(self) -> pd.DataFrame:
        """The evidence by start and time (`schema.EVIDENCE` and `start_id`)."""
        return joins.plain(self.facts.whole())

    @cached_property
    def errors(self) -> pd.DataFrame:
        """Every refused connection with its verdict (`schema.ERRORS`)."""
        return joins.plain(self.judged)

    def errors_of(self, starts: Iterable[str]) -> pd.DataFrame:
        """The refused connections of the starts with these ids."""
        return joins.plain(self.judged[self.judged["start_id"].isin(starts)])

    def evidence_of(self, starts: Iterable[str], *, without: Iterable[str] = ()) -> pd.DataFrame:
        """The evidence of the starts with these ids, without these kinds."""
        starts, without = list(starts), list(without)
        return joins.plain(
            self.facts.those(lambda rows: rows["start_id"].isin(starts) & ~rows["kind"].isin(without), starts)
        )

    @cached_property
    def coverage(self) -> pd.DataFrame:
        """What the export holds, what it lacks, and the queries that would settle what is undetermined."""
        held = self.export.coverage
        rows = [held, coverage.gaps(held), coverage.settle(self.starts, self.judged)]
        return pd.concat([part for part in rows if len(part)], ignore_index=True) if len(held) else held

    @cached_property
    def remedies(self) -> pd.DataFrame:
        """Which remedy applies to which workload (`schema.REMEDIES`)."""
        told = self.facts.those(lambda rows: rows["kind"].isin(remedies.KINDS))
        return remedies.advise(self.starts, self.judged, self.pods, told)

    def incidence(self, by=BY) -> pd.DataFrame:
        """How often starts raced, by these columns of `starts` (`schema.incidence`)."""
        return incidence_by(self.starts, by)

    def __repr__(self) -> str:
        return f"Fleet of {len(self.starts):,} pod starts, {len(self.judged):,} refused connections"

    def _repr_html_(self) -> str:
        return fleet_html(self)

    def start_of(self, pod: str) -> pd.DataFrame:
        """The starts of a pod, by its name or its start_id.

        Raises UnknownPodError, with the nearest names, when there is none.
        """
        rows = self.starts[(self.starts["pod"] == pod) | (self.starts["start_id"] == pod)]
        if rows.empty:
            import difflib

            names = self.starts["pod"].dropna().unique().tolist()
            raise UnknownPodError(pod, tuple(difflib.get_close_matches(pod, names, n=3, cutoff=0.3)))
        return rows


def judged(
    facts: groups.Groups, forget: Callable[[], None] = lambda: None
) -> tuple[pd.DataFrame, pd.DataFrame, groups.Groups]:
    """The starts (`schema.STARTS`), the errors (`schema.ERRORS`, coded) and the placed evidence of settled evidence.

    `forget` is called once the evidence is not needed any more.
    """
    with progress(2 * len(facts) + 1, "judging", unit="steps") as done:

        def step() -> None:
            give_back()
            done(1)

        placed, told = facts.then("place", done=step)
        del facts
        forget()
        lessons = verdicts.lessons.together([Lessons.of_tables(*tables) for tables in told])
        _, told = placed.then("examine", lessons.tables(), done=step)
        found = [groups.examined(*tables) for tables in told]
        del told
        placed = placed.brought()
        placed.homes = _homes(found)
        starts, errors = _decided(found, lessons, placed.homes)
        done(1, f"{len(starts):,} pod starts, {len(errors):,} refused connections")
    return starts, errors, placed


def _homes(found: list[groups.Examined]) -> pd.Series:
    """The number of each start's group, by its id."""
    names = [one.starts["start_id"] for one in found]
    number = np.repeat(np.arange(len(found), dtype=np.int32), list(map(len, names)))
    return pd.Series(number, pd.Index(pd.concat(names, ignore_index=True)))


def _decided(found: list[groups.Examined], lessons: Lessons, homes: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The starts and the errors of a fleet, from what came of its groups, which is emptied."""
    errors = verdicts.decide([one.draft for one in found], lessons)
    give_back()
    told = errors[["start_id", "time", "verdict", "suspected"]]
    group = homes.reindex(told["start_id"].cat.categories).to_numpy()[told["start_id"].cat.codes]
    order = np.argsort(group, kind="stable")
    parts, first = [], 0
    while found:
        some = [found.pop(0)]
        while found and sum(len(one.starts) for one in some) < MANY_STARTS:
            some.append(found.pop(0))
        begin, end = np.searchsorted(group[order], [first, first + len(some)])
        starts, signs = (pd.concat([one[place] for one in some], ignore_index=True) for place in (0, 1))
        theirs = joins.stacked([told.take(order[begin:end])])  # with no names of other starts, which would be looked up
        parts.append(verdicts.concluded(starts, signs, theirs))
        first += len(some)
    del told, group, order
    starts = pd.concat(parts, ignore_index=True)
    del parts
    give_back()
    return joins.reordered(starts, pc.sort_indices(pa.array(starts["start_id"])).to_numpy()), errors


def analyse(export: Export | Paths, *, engine=None) -> Fleet:
    """The judged fleet of an export, or of its paths; `engine` as for `read`."""
    if not isinstance(export, Export):
        return Fleet(read(export, engine=engine), keep=False)
    if engine is not None:
        export.engine = engines.engine_of(engine)
    return Fleet(export)


def evidence_for(fleet: Fleet, error: pd.Series) -> pd.DataFrame:
    """The evidence under one row of `fleet.errors`: what dates its pod's start, its proxy and the error itself.

    Rows of `schema.EVIDENCE` by time, each with log, insert id, source and line.
    """
    rows = fleet.evidence_of([error["start_id"]])
    mine = rows["insert_id"].eq(error["insert_id"]) & rows["time_upper"].eq(error["time"])
    others = rows["kind"].isin([*refused.KINDS, "app_logged"])
    return rows[mine | ~others].reset_index(drop=True)
