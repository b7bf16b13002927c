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
    Raises ValueError for arrays of unequal length, NaN, or lower > upper.
    (B. W. Turnbull, J. R. Statist. Soc. B 38 (1976) 290-295, by expectation and maximisation, whose steps are made
    longer as in R. Varadhan and C. Roland, Scand. J. Statist. 35 (2008) 335-353.)

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
    total = np.zeros(size + 1)

    def chances(mass: np.ndarray) -> np.ndarray:
        np.cumsum(mass, out=total[1:])
        return np.maximum(total[end] - total[first], 1e-300)

    def step(mass: np.ndarray) -> np.ndarray:
        weight = share / chances(mass)
        change = np.bincount(first, weight, size + 1) - np.bincount(end, weight, size + 1)
        return mass * np.cumsum(change[:-1])

    def likelihood(mass: np.ndarray) -> float:
        return share @ np.log(chances(mass))

    mass = np.full(size, 1 / size)
    for _ in range(iterations):
        one = step(mass)
        way = one - mass
        if np.abs(way).max() < tolerance:
            return one
        two = step(one)
        bend = two - one - way
        length = np.sqrt(way @ way / max(bend @ bend, 1e-300))
        # As far along the bent way as it seems to lead, unless that is worse; what is 0 once, would stay so.
        far = np.maximum(mass + 2 * length * way + length**2 * bend, two / 100)
        far = step(far / far.sum())
        mass = far if likelihood(far) >= likelihood(two) else two
    return mass


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


def quantile(table: pd.DataFrame, q: float) -> tuple[float, float]:
    """Bounds of the q-quantile of a `turnbull` table; (nan, nan) if it is empty, upper `inf` if censored.

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
