"""Is the share of harmed starts another after than before? Units, not starts, are counted as independent.

The statistic is the difference of shares over workloads, each weighted by n0 n1 / (n0 + n1) of its starts
(N. Mantel, W. Haenszel, J. Natl. Cancer Inst. 22 (1959) 719-748), divided by its standard error from units, so that
sides and units may differ in size (E. Chung, J. P. Romano, Ann. Stat. 41 (2013) 484-507). Its distribution if nothing
changed comes from giving the labels before and after to the units of each workload in every other way (M. H. Gail et
al., Stat. Med. 15 (1996) 1069-1092): all of them where they are few, else 9,999 drawn ones, the one found counted among
them (B. Phipson, G. K. Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010) 39). How much was removed, with its interval, is
from the jackknife over units (R. G. Miller, Biometrika 61 (1974) 1-15).
"""

from itertools import combinations
from math import comb, prod
from typing import NamedTuple

import numpy as np
import pandas as pd

ALPHA = 0.05
POWER = 0.8
EXACT = 20_000  # so many ways are enumerated
DRAWS = 9_999
SEED = 20_260_302
ENOUGH = 2 / ALPHA  # with fewer ways the most extreme one and its mirror are more than ALPHA of them


class Shares(NamedTuple):
    """The weighted shares of harmed starts, before and after."""

    before: float
    after: float


class Spread(NamedTuple):
    """Variances and covariance of the two shares by the jackknife, and its degrees of freedom."""

    before: float
    after: float
    both: float
    freedom: int


def shares(units: pd.DataFrame) -> Shares:
    """The shares over workloads that are on both sides; NaN where there is none."""
    sums = _sums(units)
    total = _terms(sums).sum(axis=1)
    return _shares(total)


def _sums(units: pd.DataFrame) -> np.ndarray:
    """Rows: starts before, starts after, harmed before, harmed after; a column for each workload, sorted."""
    sums = units.groupby(["stratum", "after"])[["starts", "harmed"]].sum().unstack("after", fill_value=0)
    sums = sums.reindex(columns=[(name, side) for name in ("starts", "harmed") for side in (False, True)], fill_value=0)
    return sums.to_numpy(float).T


def _terms(sums: np.ndarray) -> np.ndarray:
    """Rows: each workload's weight, weight × share before, weight × share after; 0 for one on a single side."""
    starts_before, starts_after, harmed_before, harmed_after = sums
    total = np.maximum(starts_before + starts_after, 1)
    return np.stack([starts_before * starts_after, harmed_before * starts_after, harmed_after * starts_before]) / total


def _shares(terms: np.ndarray) -> Shares:
    weight, before, after = terms
    return Shares(before / weight, after / weight) if weight > 0 else Shares(float("nan"), float("nan"))


def ways(units: pd.DataFrame) -> int:
    """In how many ways the labels can lie on the units, workload by workload."""
    sides = units.groupby("stratum")["after"].agg(["size", "sum"]).to_numpy(int)
    return prod(comb(int(size), int(after)) for size, after in sides)


def p_value(units: pd.DataFrame) -> tuple[float, bool]:
    """(two-sided p of the difference, whether all ways were tried)."""
    groups = [group for _, group in units.groupby("stratum") if group["after"].nunique() == 2]
    found = _statistic([_excess(group, group["after"].to_numpy(float)[None, :]) for group in groups])
    exact = ways(units) <= EXACT
    if exact:
        excess = np.zeros((2, 1))
        for group in groups:
            more = _excess(group, _all_labels(group))
            excess = (excess[:, :, None] + more[:, None, :]).reshape(2, -1)
        others = _statistic([excess])
    else:
        rng = np.random.default_rng(SEED)
        others = _statistic([_excess(group, _drawn_labels(group, rng)) for group in groups])
    as_far = np.abs(others) >= abs(found[0]) - 1e-9
    return (float(as_far.mean()) if exact else float((1 + as_far.sum()) / (DRAWS + 1))), exact


def _statistic(parts: list[np.ndarray]) -> np.ndarray:
    excess, variance = sum(parts, np.zeros((2, 1)))
    return excess / np.sqrt(np.maximum(variance, 1e-12))


def _excess(group: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    """For each row of labels: harmed starts after beyond those expected if nothing had changed, and its variance.

    The variance is of units, not starts: units may differ in size, and so may the sides.
    """
    starts, harmed = group["starts"].to_numpy(float), group["harmed"].to_numpy(float)
    off = harmed - starts * harmed.sum() / starts.sum()
    after = labels @ starts / starts.sum()
    square_after, square = labels @ off**2, (off**2).sum()
    return np.stack([labels @ off, (1 - after) ** 2 * square_after + after**2 * (square - square_after)])


def _all_labels(group: pd.DataFrame) -> np.ndarray:
    count, after = len(group), int(group["after"].sum())
    chosen = list(combinations(range(count), after))
    labels = np.zeros((len(chosen), count))
    labels[np.repeat(np.arange(len(chosen)), after), np.array(chosen).ravel()] = 1
    return labels


def _drawn_labels(group: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    order = rng.random((DRAWS, len(group))).argsort(axis=1)
    return (order < int(group["after"].sum())).astype(float)


def spread(units: pd.DataFrame) -> Spread | None:
    """How far the shares may be off: leave out one unit at a time; None with fewer than three to leave out.

    Where a workload has one unit on a side, the workload as a whole is left out.
    """
    sizes = units.groupby(["stratum", "after"])["starts"].transform("size")
    lone = (sizes == 1).groupby(units["stratum"]).transform("any")
    at = units["stratum"].astype("category").cat.codes.to_numpy()
    sums = _sums(units)
    whole = _terms(sums)
    total = whole.sum(axis=1)
    left = []
    for stratum in sorted(set(at[lone])):
        left.append(total - whole[:, stratum])
    for row, stratum in zip(units[~lone].itertuples(), at[~lone], strict=True):
        without = sums[:, [stratum]].copy()
        without[int(row.after), 0] -= row.starts
        without[2 + int(row.after), 0] -= row.harmed
        left.append(total - whole[:, stratum] + _terms(without)[:, 0])
    found = np.array([_shares(terms) for terms in left if terms[0] > 1e-9])
    if len(found) < 3:
        return None
    off = found - found.mean(axis=0)
    matrix = (len(found) - 1) / len(found) * off.T @ off
    return Spread(matrix[0, 0], matrix[1, 1], matrix[0, 1], len(found) - 1)


class Removed(NamedTuple):
    """The part of the harm that was removed: 1 all, 0 none, below 0 there is more; NaN where unknown.

    `lower` and `upper` are its 95 % interval, `at_most` the end of a one-sided one: what is beyond it is ruled out at
    `ALPHA`. `lower` is -inf where the harm may have grown any number of times.
    """

    part: float
    lower: float
    upper: float
    at_most: float


def removed(found: Shares, around: Spread | None) -> Removed:
    """The part of the harm that was removed, with the parts that a t test of `after = (1 - part) × before` leaves.

    (E. C. Fieller, J. R. Statist. Soc. B 16 (1954) 175-185.) Where all units are alike the jackknife sees no variance,
    which is no proof that there is none: then nothing is ruled out.
    """
    unknown = float("nan")
    if not found.before > 0:
        return Removed(unknown, unknown, unknown, unknown)
    part = 1 - found.after / found.before
    if around is None:
        return Removed(part, unknown, unknown, unknown)
    if not (around.before > 0 or around.after > 0):
        return Removed(part, float("-inf"), 1.0, 1.0)
    least, most = _kept(found, around, _t(1 - ALPHA / 2, around.freedom))
    one_sided, _ = _kept(found, around, _t(1 - ALPHA, around.freedom))
    return Removed(part, 1 - most, 1 - least, 1 - one_sided)


def _kept(found: Shares, around: Spread, limit: float) -> tuple[float, float]:
    """The least and the greatest ratio after / before, 0 to inf, that is no more than `limit` standard errors off.

    These are the k with (after - k before)² <= limit² (V_after - 2 k C + k² V_before), as a quadratic: square k² -
    2 half k + rest <= 0. The ratio found is one of them. They have no greatest where `before` may be 0.
    """
    square = found.before**2 - limit**2 * around.before
    half = found.before * found.after - limit**2 * around.both
    rest = found.after**2 - limit**2 * around.after
    root = np.sqrt(max(half**2 - square * rest, 0.0))
    least = rest / (half + root) if rest > 0 else 0.0
    return float(least), float((half + root) / square) if square > 0 else float("inf")


def design_effect(units: pd.DataFrame, found: Shares, around: Spread | None) -> float:
    """How many times as large the variance is as that of as many independent starts; at least 1."""
    if around is None:
        return 1.0
    starts = units.groupby("after")["starts"].sum()
    ratios = [1.0]
    for share, variance, side in ((found.before, around.before, False), (found.after, around.after, True)):
        alone = share * (1 - share) / starts.get(side, 1)
        ratios += [variance / alone] if alone > 0 else []
    return float(max(ratios))


def starts_needed(before: float, after: float, held: int, effect: float) -> float:
    """How many starts at risk are needed after, to see this difference with 80 % power; inf: no number would do.

    `held` is the number of starts before, which is what it is. (J. L. Fleiss, B. Levin, M. C. Paik, Statistical
    Methods for Rates and Proportions (2003), ch. 4; times the design effect.)

    >>> round(starts_needed(0.5, 0.25, 100, 1.0))
    41
    """
    if not before > 0 or before == after or not held:
        return float("inf")
    mean = (before + after) / 2
    alike, apart = 2 * mean * (1 - mean), before * (1 - before) + after * (1 - after)
    each = effect * (_z(1 - ALPHA / 2) * np.sqrt(alike) + _z(POWER) * np.sqrt(apart)) ** 2 / (before - after) ** 2
    # Two equal sides of `each` tell as much as `held` and this many.
    rest = 2 / each - 1 / held
    return float(np.ceil(1 / rest)) if rest > 0 else float("inf")


def units_needed(units: pd.DataFrame) -> int:
    """How many more units after would let the test reach `ALPHA` at all (0 if it can)."""
    sides = units.groupby("stratum")["after"].agg(["size", "sum"]).sort_values("size").to_numpy(int)
    if not len(sides):
        return 0
    rest = prod(comb(int(size), int(after)) for size, after in sides[:-1])
    size, after = (int(number) for number in sides[-1])
    more = 0
    while rest * comb(size + more, after + more) < ENOUGH and more < 100:
        more += 1
    return more


def _t(q: float, freedom: int) -> float:
    from scipy.stats import t

    return float(t.ppf(q, freedom))


def _z(q: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(q)
