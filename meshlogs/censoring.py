"""Comparing and averaging times that are known only to an interval."""

import numpy as np
import pandas as pd


def precedes(a_lower, a_upper, b_lower, b_upper):
    """Whether event a came before event b: 1 yes, 0 no, -1 cannot tell.

    Bounds are closed intervals, arrays of shape (n,), all in the same unit.

    >>> precedes(4.0, 4.0, 3.0, 9.0)
    array(-1)
    >>> precedes([1.0, 9.0], [2.0, 9.5], [3.0, 3.0], [9.0, 9.0])
    array([1, 0])
    """
    sure = np.asarray(a_upper) < np.asarray(b_lower)
    never = np.asarray(a_lower) >= np.asarray(b_upper)
    return np.where(sure, 1, np.where(never, 0, -1))


def turnbull(lower, upper, *, tolerance: float = 1e-8, iterations: int = 5_000) -> pd.DataFrame:
    """The distribution of a value known only to intervals: a table `lower, upper, mass`.

    Each row is one of the innermost intervals `(lower, upper]` on which the non-parametric maximum
    likelihood estimate can put probability; `mass` sums to 1. How the mass lies inside an interval
    the data cannot say. `lower` and `upper` are arrays of shape (n,), `upper` is `inf` for a value
    never seen (right-censored); equal ends mean a value seen exactly.
    `tolerance`: how much likelier other masses may be, as a logarithm, for each value.
    Raises ValueError for arrays of unequal length, NaN, or lower > upper.
    (B. W. Turnbull, J. R. Statist. Soc. B 38 (1976) 290-295; expectation and maximisation in turns with Newton's steps
    that keep the order, as in J. A. Wellner and Y. Zhan, J. Am. Statist. Assoc. 92 (1997) 945-959.)

    >>> turnbull([0.0, 1.0, 4.0], [2.0, 3.0, np.inf])
       lower  upper      mass
    0    1.0    2.0  0.666667
    1    4.0    inf  0.333333
    """
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    if lower.shape != upper.shape or lower.ndim != 1:
        raise ValueError(f"lower and upper must be arrays of one equal length, not {lower.shape} and {upper.shape}")
    if np.isnan(lower).any() or np.isnan(upper).any() or (lower > upper).any():
        raise ValueError("every interval needs lower <= upper and no NaN")
    if not len(lower):
        return pd.DataFrame({"lower": [], "upper": [], "mass": []}, dtype=float)
    left, right = _innermost(lower, upper)
    # An observation covers the innermost intervals first..last; (l, u] excludes its left end, [x, x] does not.
    exact = lower == upper
    first = np.where(exact, np.searchsorted(right, lower, "left"), np.searchsorted(left, lower, "left"))
    point = left == right
    first = np.where(~exact & (first < len(left)), first + _is_point_at(point, left, first, lower), first)
    last = np.searchsorted(right, upper, "right") - 1
    # Observations that cover the same intervals count together.
    spans, count = np.unique(np.stack([first, last]), axis=1, return_counts=True)
    first, last = spans
    mass = _likeliest(first, last + 1, count / len(lower), len(left), tolerance, iterations)
    return pd.DataFrame({"lower": left, "upper": right, "mass": mass / mass.sum()})


def _likeliest(first, end, share, size: int, tolerance: float, iterations: int) -> np.ndarray:
    """The masses of `size` intervals under which shares of values known to lie in first..end are the likeliest."""
    total = np.linspace(0, 1, size + 1)  # the mass before each interval, and of all

    def chances(total: np.ndarray) -> np.ndarray:
        return np.maximum(total[end] - total[first], 1e-300)

    def likelihood(total: np.ndarray) -> float:
        return share @ np.log(chances(total))

    def pulls(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.bincount(first, weight, size + 1), np.bincount(end, weight, size + 1)

    for _ in range(iterations):
        begins, ends = pulls(share / chances(total))
        # By how much more than its mass the values ask of each interval: no masses are likelier by more than the
        # largest of these, in logarithms and for each value.
        asked = np.cumsum(begins - ends)[:-1]
        if asked.max() < 1 + tolerance:
            break
        total[1:] = np.cumsum(np.diff(total) * asked)
        total /= total[-1]
        chance = chances(total)
        begins, ends = pulls(share / chance)
        bend = sum(pulls(share / chance**2))[1:-1]
        goal = total.copy()
        goal[1:-1] = _ordered(total[1:-1] + (ends - begins)[1:-1] / bend, bend).clip(0, 1)
        # As far towards where Newton's step leads as it is no worse.
        length, now = 1.0, likelihood(total)
        while length > 1e-6 and likelihood(total + length * (goal - total)) < now:
            length /= 2
        total += length * (goal - total) if length > 1e-6 else 0
    return np.diff(total)


def _ordered(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The values that never fall and are nearest to these in weighted squares: those that fall are averaged.

    (Pool adjacent violators: M. Ayer et al., Ann. Math. Statist. 26 (1955) 641-647.)
    """
    pools: list[tuple[float, float, int]] = []
    for mean, weight in zip(values.tolist(), weights.tolist(), strict=True):
        count = 1
        while pools and pools[-1][0] > mean:
            before, heavy, several = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, count + several
        pools.append((mean, weight, count))
    means, _, counts = zip(*pools, strict=True) if pools else ((), (), ())
    return np.repeat(np.array(means, float), np.array(counts, int))


def _innermost(lower: np.ndarray, upper: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a left end directly followed by a right end, in the order of all ends."""
    exact = lower == upper
    values = np.concatenate([lower, upper])
    # At one value: exact left ends, then right ends, then open left ends.
    rank = np.concatenate([np.where(exact, 0, 2), np.full(len(upper), 1)])
    is_right = np.concatenate([np.zeros(len(lower), bool), np.ones(len(upper), bool)])
    order = np.lexsort((rank, values))
    values, is_right = values[order], is_right[order]
    at = np.flatnonzero(~is_right[:-1] & is_right[1:])
    return values[at], values[at + 1]


def _is_point_at(point: np.ndarray, left: np.ndarray, first: np.ndarray, lower: np.ndarray) -> np.ndarray:
    index = np.minimum(first, len(left) - 1)
    return (point[index] & (left[index] == lower)).astype(int)


def quantile_bounds(lower, upper, q: float) -> tuple[float, float]:
    """The least and the most that the q-quantile of these values can be: those of the lower and of the upper ends.

    Each value lies within its interval, which is all that is known; nothing is estimated, and both ends can be
    attained. Arrays of shape (n,); (nan, nan) of nothing. The q-quantile is the least value that q of them do not
    exceed. (A quantile grows with every value: C. F. Manski, Partial Identification of Probability Distributions
    (2003), ch. 1.)

    >>> quantile_bounds([1.0, 1.9, 0.0], [2.0, 4.0, 1.95], 0.5)
    (1.0, 2.0)
    """
    lower, upper = np.sort(np.asarray(lower, dtype=float)), np.sort(np.asarray(upper, dtype=float))
    if not len(lower):
        return float("nan"), float("nan")
    at = max(int(np.ceil(q * len(lower) - 1e-9)), 1) - 1
    return float(lower[at]), float(upper[at])


def quantile(table: pd.DataFrame, q: float) -> tuple[float, float]:
    """The interval in which a `turnbull` table has its q-quantile; (nan, nan) if it is empty, upper `inf` if censored.

    It is an estimate, and no bounds: the values' own quantile may lie outside, see `quantile_bounds`.

    >>> quantile(turnbull([0.0, 1.0, 4.0], [2.0, 3.0, np.inf]), 0.5)
    (1.0, 2.0)
    """
    if table.empty:
        return float("nan"), float("nan")
    at = int(np.searchsorted(np.cumsum(table["mass"].to_numpy()), q - 1e-9))
    row = table.iloc[min(at, len(table) - 1)]
    return float(row["lower"]), float(row["upper"])


def wilson(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion; (nan, nan) of nothing.

    (E. B. Wilson, J. Am. Statist. Assoc. 22 (1927) 209-212.)

    >>> tuple(round(end, 4) for end in wilson(7, 31))
    (0.114, 0.3981)
    """
    if not total:
        return float("nan"), float("nan")
    share, spread = successes / total, z * z / total
    middle = share + spread / 2
    reach = z * np.sqrt(share * (1 - share) / total + spread / (4 * total))
    lower, upper = (middle - reach) / (1 + spread), (middle + reach) / (1 + spread)
    # At the ends the formula gives 0 and 1 exactly, rounding does not.
    return (float(lower) if successes else 0.0), (float(upper) if successes < total else 1.0)
