"""The ratio of two times: closed formulas, and by simulation whether the interval is as sure as it says."""

import math

import numpy as np
import pytest
from scipy import stats

from bench.stats.ratio import ratio, ratio_with_control, spread_ratio


def simulated(runs: int, pairs: int, true_ratio: float = 1.0, heavy: bool = False):
    """Runs of `pairs` rounds: drift that both share, luck of each process (3 %), noise of each call (5 %)."""
    random = np.random.default_rng(1)
    for _ in range(runs):
        drift = random.normal(0, 0.2, pairs)[:, None]
        luck = 0.03 * (random.standard_t(2, (2, pairs)) if heavy else random.normal(0, 1, (2, pairs)))[:, :, None]
        calls = random.normal(0, 0.05, (2, pairs, 15))
        seconds = 0.05 * np.exp(drift + luck + calls)
        yield seconds[0] * true_ratio, seconds[1]


def covered(runs: int, pairs: int, true_ratio: float = 1.0, heavy: bool = False) -> float:
    """Of 100 intervals, how many contain the true ratio."""
    found = [ratio(*sides) for sides in simulated(runs, pairs, true_ratio, heavy)]
    return 100 * float(np.mean([one.low <= true_ratio <= one.high for one in found]))


@pytest.mark.parametrize("pairs", [3, 5, 10])
def test_the_interval_contains_the_truth_95_times_in_100(pairs):
    assert 93 <= covered(1000, pairs) <= 97
    assert 93 <= covered(1000, pairs, true_ratio=1.3) <= 97


def test_processes_that_are_far_out_widen_the_interval_and_do_not_void_it():
    assert 90 <= covered(400, 5, heavy=True) <= 99


def test_a_percentile_bootstrap_over_five_pairs_would_be_too_sure():
    random = np.random.default_rng(2)
    contained = []
    for first, second in simulated(400, 5):
        logs = np.log(np.median(first, axis=1) / np.median(second, axis=1))
        low, high = np.percentile(logs[random.integers(0, 5, (500, 5))].mean(axis=1), [2.5, 97.5])
        contained.append(low <= 0 <= high)
    assert 100 * np.mean(contained) < 90


def test_a_true_difference_is_seen():
    found = [ratio(*sides) for sides in simulated(100, 5, true_ratio=1.2)]
    assert np.mean([one.differs for one in found]) > 0.95
    assert np.mean([one.value for one in found]) == pytest.approx(1.2, rel=0.02)


def test_by_hand():
    """Medians 2, 8 and 1, 2: quotients 2 and 4, whose geometric mean is the root of 8."""
    found = ratio([(1.0, 2.0, 30.0), (8.0,)], [(1.0,), (2.0, 2.0)])
    half = stats.t.ppf(0.975, 1) * math.log(2) / 2  # two numbers a distance d apart: s / sqrt(2) is d / 2
    assert found.value == pytest.approx(math.sqrt(8))
    assert found.high == pytest.approx(math.sqrt(8) * math.exp(half))
    assert found.low == pytest.approx(math.sqrt(8) / math.exp(half))
    assert found.resolution == pytest.approx(math.exp(half) - 1)
    assert found.pairs == 2


def test_it_agrees_with_another_t_test():
    first, second = next(simulated(1, 7))
    logs = [np.log(np.median(side, axis=1)) for side in (first, second)]
    interval = stats.ttest_rel(*logs).confidence_interval(0.95)
    found = ratio(first, second)
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_equal_times_differ_by_nothing():
    found = ratio([(0.1,), (0.2,)], [(0.1,), (0.2,)])
    assert (found.value, found.low, found.high, found.resolution, found.differs) == (1, 1, 1, 0, False)


def test_one_pair_tells_no_interval():
    found = ratio([(2.0,)], [(1.0,)])
    assert (found.value, found.low, found.high, found.differs) == (pytest.approx(2), 0, math.inf, False)


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([(1.0,)], [(1.0,), (1.0,)]), ([(0.0,)], [(1.0,)]), ([()], [(1.0,)])]
)
@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_what_is_no_pair_of_times_is_refused(first, second):
    with pytest.raises(ValueError, match=r"same number of processes|above 0 s"):
        ratio(first, second)


def test_processes_that_are_no_pairs_are_compared_by_welchs_t():
    """Against scipy's own Welch interval on the logarithms."""
    from scipy.stats import ttest_ind

    first, second = [1.0, 1.2, 1.1], [2.0, 2.1, 2.3, 2.2]
    found = spread_ratio([[value] for value in first], [[value] for value in second])
    theirs = ttest_ind(np.log(first), np.log(second), equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(np.exp([theirs.low, theirs.high])))
    assert found.pairs == 3


def test_a_single_process_says_nothing_of_its_spread_and_equal_ones_have_none():
    assert spread_ratio([[1.0]], [[2.0], [2.1]]).high == float("inf")
    assert spread_ratio([[1.0], [1.0]], [[2.0], [2.0]]).high == pytest.approx(0.5)
    with pytest.raises(ValueError, match="at least one process"):
        spread_ratio([], [[1.0]])
    with pytest.raises(ValueError, match="above 0 s"):
        spread_ratio([[0.0]], [[1.0]])


def test_a_control_that_differs_from_itself_widens_the_interval():
    first, second = [[1.0], [2.0], [1.0], [2.0]], [[2.0], [4.0], [2.0], [4.0]]
    found, noise = ratio_with_control(first, second)
    assert noise == pytest.approx(ratio(second[1:], second[:-1]).resolution)
    assert noise > 0
    assert (found.value, found.pairs) == (pytest.approx(0.5), 4)
    assert (found.low, found.high) == pytest.approx((0.5 / (1 + noise), 0.5 * (1 + noise)))


def test_a_steady_control_leaves_the_interval_as_it_is():
    first, second = [[1.0], [1.2], [1.1], [1.0]], [[2.0]] * 4
    assert ratio_with_control(first, second) == (ratio(first, second), 0)
