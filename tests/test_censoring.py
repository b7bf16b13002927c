import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression

from meshlogs.censoring import _ordered, precedes, quantile, quantile_bounds, turnbull, wilson


def test_precedes_says_when_it_cannot_tell():
    assert precedes(1, 2, 3, 4) == 1
    assert precedes(3, 4, 1, 3) == 0
    assert precedes(1, 4, 2, 3) == -1


def test_exact_values_give_the_empirical_distribution():
    table = turnbull([1.0, 2.0, 2.0, 5.0], [1.0, 2.0, 2.0, 5.0])
    assert table["lower"].tolist() == table["upper"].tolist() == [1.0, 2.0, 5.0]
    assert table["mass"].tolist() == pytest.approx([0.25, 0.5, 0.25])


def test_right_censored_values_give_kaplan_meier():
    # 1, 2+, 3, 4+ : S(1) = 3/4, S(3) = 3/4 * 1/2 = 3/8; the rest is never seen.
    table = turnbull([1.0, 2.0, 3.0, 4.0], [1.0, np.inf, 3.0, np.inf])
    assert table["mass"].tolist() == pytest.approx([1 / 4, 3 / 8, 3 / 8], abs=1e-4)
    assert table["upper"].tolist() == [1.0, 3.0, np.inf]


def test_an_open_left_end_excludes_an_exact_value_there():
    # (1, 3] cannot be the exact 1; both observations get their own mass.
    table = turnbull([1.0, 1.0], [1.0, 3.0])
    assert table[["lower", "upper"]].values.tolist() == [[1.0, 1.0], [1.0, 3.0]]
    assert table["mass"].tolist() == pytest.approx([0.5, 0.5])


def test_quantile_of_a_censored_tail_is_unbounded():
    table = turnbull([0.0, 4.0], [1.0, np.inf])
    assert quantile(table, 0.5) == (0.0, 1.0)
    assert quantile(table, 0.9) == (4.0, np.inf)


windows = st.lists(
    st.tuples(st.integers(0, 20), st.one_of(st.integers(0, 8), st.just(np.inf)), st.floats(0, 1)),
    min_size=1,
    max_size=9,
)


@given(windows, st.sampled_from([0.1, 0.5, 0.9, 1.0]))
def test_the_quantile_of_any_values_inside_their_intervals_is_within_its_bounds(told, q):
    lower = np.array([low for low, _, _ in told], float)
    upper = lower + np.array([width for _, width, _ in told], float)
    inside = lower + np.array([at for _, _, at in told]) * np.where(np.isinf(upper), 50, upper - lower)
    low, high = quantile_bounds(lower, upper, q)
    # The q-quantile as it is defined: the least value such that q of all do not exceed it.
    true = next(value for value in sorted(inside) if (inside <= value).mean() >= q - 1e-9)
    assert low <= true <= high
    # No narrower bounds hold, for all may lie at one end; and where the likeliest distribution has it is between.
    assert (low, high) == (quantile_bounds(lower, lower, q)[0], quantile_bounds(upper, upper, q)[1])
    first, last = quantile(turnbull(lower, upper, tolerance=1e-12), q)
    assert low <= first <= last <= high


def test_quantile_bounds_by_hand():
    assert quantile_bounds([1.0, 1.9, 0.0], [2.0, 4.0, 1.95], 0.5) == (1.0, 2.0)
    assert quantile(turnbull([1.0, 1.9, 0.0], [2.0, 4.0, 1.95]), 0.5) == (1.9, 1.95)  # likeliest, not all there is
    tenths = np.arange(1.0, 11.0)
    assert [quantile_bounds(tenths, tenths, q)[0] for q in (0.5, 0.9, 1.0)] == [5.0, 9.0, 10.0]
    assert quantile_bounds([0.0, 4.0], [1.0, np.inf], 0.9) == (4.0, np.inf)
    assert np.isnan(quantile_bounds([], [], 0.5)).all()


@pytest.mark.parametrize("lower, upper", [([2.0], [1.0]), ([1.0], [1.0, 2.0]), ([np.nan], [1.0])])
def test_bad_intervals_are_refused(lower, upper):
    with pytest.raises(ValueError):
        turnbull(lower, upper)


intervals = st.lists(
    st.tuples(st.integers(0, 6), st.one_of(st.integers(0, 4), st.just(np.inf))), min_size=1, max_size=7
)


@settings(max_examples=60, deadline=None)
@given(intervals)
def test_no_shift_of_mass_makes_the_data_more_likely(pairs):
    """The law of a maximum: moving mass between any two intervals never raises the likelihood."""
    lower = np.array([low for low, _ in pairs], float)
    upper = lower + np.array([width for _, width in pairs], float)
    table = turnbull(lower, upper, tolerance=1e-12, iterations=20_000)
    assert table["mass"].sum() == pytest.approx(1)
    covers = np.array([_covers(low, high, table) for low, high in zip(lower, upper, strict=True)])
    assert covers.any(axis=1).all()
    mass = table["mass"].to_numpy()
    best = np.log(covers @ mass).sum()
    for giver in range(len(mass)):
        for taker in range(len(mass)):
            moved = mass.copy()
            step = min(moved[giver], 1e-3)
            moved[giver] -= step
            moved[taker] += step
            with np.errstate(divide="ignore"):
                assert np.log(covers @ moved).sum() <= best + 1e-9


def _covers(low, high, table):
    """Which innermost intervals (l, u], or points [x, x], lie inside (low, high], or [x, x]."""
    left, right = table["lower"].to_numpy(), table["upper"].to_numpy()
    if low == high:
        return (left == low) & (right == low)
    point = left == right
    return np.where(point, (left > low) & (left <= high), (left >= low) & (right <= high))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.01, 100)), max_size=20))
def test_values_in_order_are_those_of_scipy(pairs):
    values, weights = np.array(pairs, float).reshape(-1, 2).T
    expected = isotonic_regression(values, weights=weights).x if pairs else []
    assert _ordered(values, weights).tolist() == pytest.approx(list(expected), abs=1e-9)


def test_thousands_of_intervals_are_fitted_to_the_end():
    """By the certificate of the maximum: nowhere do the values ask for more than there is."""
    random = np.random.default_rng(5)
    lower = random.exponential(3, 3000).round(2)
    upper = np.where(random.random(3000) < 0.2, np.inf, lower + random.exponential(2, 3000).round(2))
    table = turnbull(lower, upper)
    covers = np.array([_covers(low, high, table) for low, high in zip(lower, upper, strict=True)])
    asked = (covers / (covers @ table["mass"].to_numpy())[:, None]).mean(axis=0)
    assert asked.max() < 1 + 1e-7


@given(st.integers(1, 200), st.integers(0, 200))
def test_wilson_holds_the_share(total, hits):
    hits = min(hits, total)
    low, high = wilson(hits, total)
    assert 0 <= low <= hits / total <= high <= 1
