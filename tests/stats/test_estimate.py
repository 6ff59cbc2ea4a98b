"""Figures and their intervals, from terms of patients: against scipy, statsmodels, closed forms and simulation."""

import math

import numpy as np
import pytest
from scipy import stats
from scoring import several, shares

from bench.stats.estimate import by_class, by_unit, estimate, of_processes, quantiles, sample, undefined


def test_one_training_of_patients_with_an_image_each_has_students_interval():
    values = np.random.default_rng(1).beta(8, 2, 40)
    found = estimate([shares(*values)], bounded=False)
    low, high = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (found.value, found.low, found.high, found.n) == pytest.approx((values.mean(), low, high, 40))
    assert found.deviation is None


def test_limits_of_a_bounded_score_allow_for_one_more_patient():
    """Student's, of the sample with a patient who scores 0 for the lower limit, and who scores 1 for the upper."""
    values = np.random.default_rng(1).beta(8, 2, 40)
    found = estimate([shares(*values)])
    worse, better = np.append(values, 0), np.append(values, 1)
    low, _ = stats.t.interval(0.95, 40, worse.mean(), stats.sem(worse))
    _, high = stats.t.interval(0.95, 40, better.mean(), stats.sem(better))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), low, high))


def test_of_a_share_of_which_nothing_was_seen_the_limit_is_about_three_in_n():
    for patients in (30, 100, 300):
        found = estimate([shares(*[0.0] * patients)])
        assert (found.value, found.low) == (0, 0)
        assert 2.5 / patients < found.high < 3.5 / patients


def test_few_patients_and_rare_misses_leave_the_interval_honest():
    """A network that misses 3 % of targets: Student's interval of 20 patients holds the truth far too rarely."""
    rng, students, ours = np.random.default_rng(1), 0, 0
    truth = 0.97 * 0.93
    for _ in range(300):
        values = np.where(rng.random(20) < 0.03, 0, rng.normal(0.93, 0.02, 20))
        plain, found = estimate([shares(*values)], bounded=False), estimate([shares(*values)])
        students += plain.low <= truth <= plain.high
        ours += found.low <= truth <= found.high
    assert students < 300 * 0.7
    assert ours > 300 * 0.93


def test_images_of_one_patient_count_as_one_unit():
    """Five copies of each image change neither the figure nor its interval, and are no more patients."""
    values = np.random.default_rng(1).beta(8, 2, 20)
    once = estimate([shares(*values)])
    copied = estimate([several({f"{n:03}": [value] * 5 for n, value in enumerate(values)})])
    assert (copied.value, copied.low, copied.high, copied.n) == pytest.approx((once.value, once.low, once.high, 20))


def test_patients_with_different_numbers_of_images_against_a_cluster_robust_regression():
    """The jackknife is close to the variance that statsmodels finds for clusters of unequal size."""
    import statsmodels.api as sm

    rng = np.random.default_rng(2)
    images = {f"{n:03}": list(rng.normal(0.7, 0.1) + rng.normal(0, 0.05, rng.integers(1, 6))) for n in range(120)}
    every = np.concatenate(list(images.values()))
    clusters = np.repeat(np.arange(120), [len(found) for found in images.values()])
    fitted = sm.OLS(every, np.ones(len(every))).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    found = estimate([several(images)], bounded=False)
    half = stats.t.ppf(0.975, 119) * fitted.bse[0]
    assert found.value == pytest.approx(every.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.02)


def test_three_trainings_have_the_interval_of_the_network():
    """Patients without any spread: what is left is Student's interval over the three trainings' figures."""
    figures = np.array([0.6, 0.7, 0.74])
    found = estimate([shares(*[figure] * 15) for figure in figures], bounded=False)
    low, high = stats.t.interval(0.95, 2, figures.mean(), stats.sem(figures))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert (found.deviation, found.seeds) == (pytest.approx(figures.std(ddof=1)), 3)


def test_two_trainings_have_the_interval_of_these_weights():
    values = np.random.default_rng(3).beta(8, 2, (2, 30))
    found, average = estimate([shares(*one) for one in values], bounded=False), values.mean(axis=0)
    low, high = stats.t.interval(0.95, 29, average.mean(), stats.sem(average))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_variances_over_patients_and_trainings_are_added_with_satterthwaites_degrees_of_freedom():
    """By Welch's test of two samples, whose variances are added by the same formula."""
    rng = np.random.default_rng(4)
    shifts, values = rng.normal(0, 0.05, 4), rng.normal(0.7, 0.1, 12)
    found = estimate([shares(*(values + shift)) for shift in shifts], bounded=False)
    welch = stats.ttest_ind(shifts, values, equal_var=False).confidence_interval(0.95)
    assert found.high - found.low == pytest.approx(welch.high - welch.low)


def test_fewer_than_ten_patients_have_a_figure_and_no_interval():
    nine, ten = (estimate([shares(*np.linspace(0.5, 0.9, count))]) for count in (9, 10))
    assert nine.value == pytest.approx(0.7)
    assert not nine.has_interval
    assert ten.has_interval
    assert not ten.without_interval().has_interval


def test_classes_are_averaged_after_patients_and_undefined_ones_left_out():
    two = {"a": np.array([[1.0, 1.0], [0.0, 0.0]]), "b": np.array([[0.0, 1.0], [0.3, 1.0]])}
    assert by_class([two]) == pytest.approx((0.5, 0.3))
    assert estimate([two]).value == pytest.approx(0.4)
    assert by_unit([two]) == pytest.approx({"a": 1.0, "b": 0.15})
    assert undefined([two]) == 1


def test_a_ratio_of_sums_is_left_out_as_one():
    """Without any of these patients the ratio is the same, however large they are."""
    pooled = {str(n): np.array([[3.0 * n, 4.0 * n]]) for n in range(1, 20)}
    found = estimate([pooled], bounded=False)
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75, 0.75))


def test_pseudo_values_of_a_plain_mean_are_the_scores_themselves():
    values = np.linspace(0.2, 0.9, 11)
    found = sample([shares(*values)])
    assert found.pseudo[0] == pytest.approx(values)
    assert found.patients == tuple(f"{n:03}" for n in range(11))


def test_nothing_defined_is_no_figure():
    assert estimate([]) is None
    assert estimate([{}]) is None
    assert estimate([shares(math.nan)]) is None
    assert by_class([shares(math.nan)]) == ()
    assert math.isnan(by_unit([shares(math.nan)])["000"])
    assert quantiles([shares(math.nan)], (0.5,)) == ()


def test_a_class_that_few_patients_have_does_not_push_the_interval_off_the_figure():
    """Twelve of thirteen classes are defined for one patient each: without this patient they are undefined."""
    rng, terms = np.random.default_rng(0), {}
    for n in range(50):
        found = np.zeros((13, 2))
        found[0] = rng.uniform(0.8, 1), 1
        if 0 < n < 13:
            found[n] = 0, 1
        terms[f"{n:03}"] = found
    found = estimate([terms])
    assert found.low <= found.value <= found.high


def test_folds_are_one_result_pooled_by_patient_and_seeds_are_not():
    values = np.linspace(0.3, 0.9, 20)
    every = shares(*values)
    halves = [dict(list(every.items())[:10]), dict(list(every.items())[10:])]
    assert estimate(halves) == estimate([every])
    assert estimate([*halves, *halves]).seeds == 2  # two seeds of two folds
    assert estimate([every, every]).seeds == 2


def test_quantiles_are_of_each_training_and_do_not_depend_on_their_number():
    values = np.random.default_rng(5).beta(2, 1, (4, 25))
    found = quantiles([shares(*one) for one in values], (0.05, 0.25, 0.5))
    assert found == pytest.approx(np.quantile(values, (0.05, 0.25, 0.5), axis=1).mean(axis=1))


def test_processes_count_alike_however_many_samples_they_have():
    found = of_processes([(0.1, 0.2, 0.9), (0.4,) * 9, (0.1, 0.3, 0.3)])
    medians = np.array([0.2, 0.4, 0.3])
    bounds = np.exp(stats.t.interval(0.95, 2, np.log(medians).mean(), stats.sem(np.log(medians))))
    assert (found.value, found.n) == (pytest.approx(stats.gmean(medians)), 3)
    assert (found.low, found.high) == pytest.approx(tuple(bounds))
    assert of_processes([]) is None


def test_one_process_has_no_interval():
    found = of_processes([(0.1, 0.2, 0.9)])
    assert (found.value, found.has_interval) == (pytest.approx(0.2), False)


def test_a_distance_is_never_below_zero():
    found = estimate([shares(*[1.0] * 11, 90.0)], bounded=False)
    assert (found.low, found.high) == (0, pytest.approx(found.value + 2.200985 * 89 / 12, rel=1e-5))
