"""A fleet some pods at a time: its evidence in groups by the pods' names, and the steps that need one group alone.

All evidence of a name is in one group, so nothing about a pod depends on how many groups there are. A small fleet is
one group in memory (`Here`); of a large one the engines hold the groups, in files or on a cluster's workers, and run
the same steps on each. What pods tell of each other (`verdicts.lessons`) is added up between two steps.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from meshlogs import evidence, schema, timelines, verdicts
from meshlogs.columnar import joins
from meshlogs.evidence import presence, proxy
from meshlogs.reading import repeats
from meshlogs.verdicts.lessons import Lessons, lessons_of

# Names fall into so many buckets; a group is some that follow each other, of so many rows of evidence or, where that
# made more than so many groups, of more.
BUCKETS, GROUP, GROUPS = 4096, 150_000, 64


def buckets(pods: pd.Series) -> np.ndarray:
    """The bucket of each pod's name, the same on every machine; a missing name's is 0.

    >>> buckets(pd.Series(["web-1", None, "web-1"])).tolist()
    [2408, 0, 2408]
    """
    codes, names = pd.factorize(pods)
    of_names = [zlib.crc32(name.encode("utf-8", "surrogatepass")) % BUCKETS for name in names]
    return np.array([*of_names, 0], np.int64)[codes]


def bounds(counts: np.ndarray) -> list[int]:
    """The buckets at which groups begin, by the rows in each bucket, and the end of the last group.

    >>> counts = np.full(BUCKETS, 3)
    >>> counts[0] = GROUP
    >>> bounds(counts)
    [0, 1, 4096]
    """
    found, rows, enough = [0], 0, max(GROUP, counts.sum() // GROUPS)
    for bucket, count in enumerate(counts[:-1], start=1):
        rows += int(count)
        if rows >= enough:
            found.append(bucket)
            rows = 0
    return [*found, BUCKETS]


class Examined(NamedTuple):
    """What comes of a group, until all errors have their verdicts: starts, what decides their outcomes, and errors."""

    starts: pd.DataFrame
    signs: pd.DataFrame
    draft: verdicts.Draft


def settle(facts: list[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The facts of these tables, each once and the lines of one failure as one; counts of those that came again."""
    once, counts = distinct(facts)
    return evidence.grouped(once), counts


def distinct(tables: list[pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The facts of these tables, which are emptied, each once (`schema.SHARED` coded); counts of the others."""
    facts, counts = repeats.once(joins.stacked(tables, emptied=True))
    return presence.thin(proxy.thin(facts)), counts


def place(facts: pd.DataFrame, pods: pd.DataFrame) -> tuple[pd.DataFrame, Lessons]:
    """The placed evidence, and what its pods tell of others."""
    placed = timelines.place(facts, pods)
    return placed, lessons_of(placed, pods)


def examine(placed: pd.DataFrame, pods: pd.DataFrame, lessons: Lessons) -> Examined:
    """The starts and errors of placed evidence; `lessons` are those of the whole fleet."""
    known = timelines.Known(placed, pods)
    starts = timelines.reconstruct(placed, pods, known)
    draft = verdicts.draft(placed, starts, known, lessons)
    return Examined(starts, verdicts.signs_of(starts, known, pods, lessons), draft)


class Groups:
    """Evidence in groups and the pod objects of each, as an engine holds them.

    An engine has `frame(held)`, the table that it holds, `each(step, facts, pods, told)`, which runs a step of `STEPS`
    on each group and gives what it keeps and what it tells, in order, `forget(facts)`, which lets tables go, and
    `brought(groups)`, the same groups on this machine. `homes` is the group of each start, once that is known.
    """

    def __init__(self, engine, facts: Sequence, pods: Sequence):
        self.engine, self.facts, self.pods = engine, list(facts), list(pods)
        self.homes: pd.Series | None = None

    def __len__(self) -> int:
        return len(self.facts)

    def then(
        self, step: str, told: Sequence[pd.DataFrame] = (), done: Callable[[], None] = lambda: None
    ) -> tuple["Groups", list[list[pd.DataFrame]]]:
        """The groups of what this step keeps, and what it tells of each group.

        `told` is told to all; `done` is called when a group is done.
        """
        kept, answers = [], []
        for held, answer in self.engine.each(step, self.facts, self.pods, list(told)):
            kept.append(held)
            answers.append(answer)
            done()
        return Groups(self.engine, kept, self.pods), answers

    def forget(self) -> None:
        """Let the evidence go."""
        self.engine.forget(self.facts)
        self.facts = []

    def brought(self) -> "Groups":
        """The same groups on this machine."""
        return self.engine.brought(self)

    def frames(self) -> Iterator[pd.DataFrame]:
        """The evidence of each group."""
        return map(self.engine.frame, self.facts)

    def whole(self) -> pd.DataFrame:
        """All evidence as one table; placed evidence by start, as in each group."""
        frames = list(self.frames())
        if len(frames) == 1:
            return frames[0]
        rows = joins.stacked(frames, emptied=True)
        if "start_id" not in rows:
            return rows
        return rows.take(np.argsort(rows["start_id"].cat.codes, kind="stable")).reset_index(drop=True)

    def those(self, wanted: Callable[[pd.DataFrame], pd.Series], starts: Sequence[str] | None = None) -> pd.DataFrame:
        """The evidence that is wanted, as `whole` orders it; of these starts, if they are all that matters."""
        held = self.facts
        if starts is not None and self.homes is not None:
            held = [held[number] for number in sorted({*self.homes.reindex(starts).dropna().astype(int)}) or [0]]
        frames = [rows[wanted(rows)] for rows in map(self.engine.frame, held)]
        return frames[0] if len(frames) == 1 else Groups(Here(), frames, self.pods).whole()


class Here:
    """One group in memory: the steps are called as they are."""

    def each(self, step: str, facts: list, pods: list, told: list[pd.DataFrame]) -> Iterator[tuple]:
        """Run the step on each group."""
        for held, objects in zip(facts, pods, strict=True):
            kept, answer = STEPS[step](held, objects, told)
            yield held if kept is None else kept, answer

    def frame(self, held: pd.DataFrame) -> pd.DataFrame:
        """What is held is the table."""
        return held

    def forget(self, facts: list) -> None:
        """Nothing to do: a table goes when no one has it any more."""

    def brought(self, held: Groups) -> Groups:
        """The groups are here."""
        return held


def alone(facts: pd.DataFrame, pods: pd.DataFrame) -> Groups:
    """One group in memory."""
    return Groups(Here(), [facts], [pods])


# The steps as engines run them: (evidence, pod objects, what is told to all groups) → (what is kept in place
# of the evidence, or None for the same; what is told of this group), tables all.
def _settle(facts: pd.DataFrame, _pods: pd.DataFrame, _told: list) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    kept, counts = settle([facts])
    return kept, [counts]


def _place(facts: pd.DataFrame, pods: pd.DataFrame, _told: list) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    kept, lessons = place(facts, pods)
    return kept, list(lessons.tables())


def _examine(facts: pd.DataFrame, pods: pd.DataFrame, told: list) -> tuple[None, list[pd.DataFrame]]:
    found = examine(facts, pods, Lessons.of_tables(*told))
    return None, [found.starts, found.signs, *found.draft]


STEPS = {"settle": _settle, "place": _place, "examine": _examine}
KEEP = ("settle", "place")  # those that keep other evidence than they were given


def examined(starts: pd.DataFrame, signs: pd.DataFrame, errors: pd.DataFrame, situations: pd.DataFrame) -> Examined:
    """What the step `examine` told of a group."""
    return Examined(starts, _objects(signs), verdicts.Draft(errors, _objects(situations)))


def _objects(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with texts as Python objects, None for a missing one, as they were before they were sent."""
    texts = [name for name in rows if rows[name].dtype == "str"]
    return rows.assign(**{name: rows[name].astype(object).where(rows[name].notna(), None) for name in texts})


def run(
    step: str, facts: list[pa.Table], pods: pa.Table, told: list[pa.Table]
) -> tuple[pa.Table | None, list[pa.Table]]:
    """A step from Arrow tables to Arrow tables, for an engine that holds them elsewhere, evidence perhaps in pieces."""
    objects = schema.conform(pods, schema.PODS)
    kept, answer = STEPS[step](together(facts), objects, [of_arrow(one) for one in told])
    return None if kept is None else to_arrow(kept), [to_arrow(table) for table in answer]


def cut(table: pa.Table, cuts: list[int]) -> Iterator[pa.Table]:
    """The rows of each group, by the buckets at which groups begin and end."""
    group = np.searchsorted(cuts, buckets(table["pod"].to_pandas()), side="right") - 1
    ends = np.cumsum(np.bincount(group, minlength=len(cuts) - 1))
    rows = table.take(pa.array(np.argsort(group, kind="stable")))
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        yield _lean(rows.slice(begin, end - begin))


def _lean(table: pa.Table) -> pa.Table:
    """The same rows, without most of the texts that none of them has; columns of one kind have one type."""
    for place, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table[place].combine_chunks()
            if len(values.dictionary) > len(values):
                values = values.cast(field.type.value_type).dictionary_encode()
            texts = values.dictionary.cast(pa.large_string())
            table = table.set_column(
                place, field.name, pa.DictionaryArray.from_arrays(values.indices.cast(pa.int32()), texts)
            )
        elif field.type == pa.string():
            table = table.set_column(place, field.name, table[place].cast(pa.large_string()))
    return table


def together(pieces: list[pa.Table]) -> pd.DataFrame:
    """The rows of these pieces of a group, `schema.SHARED` coded."""
    if len(pieces) == 1:
        return joins.recoded(of_arrow(pieces[0]))
    table = pa.concat_tables(pieces).unify_dictionaries().combine_chunks()
    return joins.recoded(of_arrow(table))


def to_arrow(rows: pd.DataFrame) -> pa.Table:
    """The rows as an Arrow table, with only the texts that they use."""
    coded = [name for name in rows if joins.is_coded(rows[name])]
    used = joins.stacked([rows[coded]]) if coded and len(rows) else rows[coded]
    return pa.Table.from_pandas(rows.assign(**{name: used[name].array for name in used}), preserve_index=False)


def of_arrow(table: pa.Table) -> pd.DataFrame:
    """The rows that `to_arrow` was given."""
    return table.to_pandas()
