"""A network keeps its look, and the Pareto front is made of those that nothing beats at both."""

from bench.networks import NETWORKS
from bench.report.plot_style import look, pareto_front


def test_each_network_of_the_table_has_a_look_of_its_own():
    assert len({look(name) for name in NETWORKS}) == len(NETWORKS)


def test_a_stranger_has_a_look_too():
    assert look("mine.py:TinyNet") == look("mine.py:TinyNet")


def test_what_is_beaten_at_both_is_no_part_of_the_front():
    points = [(3, 0.9, "c"), (1, 0.5, "a"), (2, 0.4, "b"), (4, 0.9, "d")]
    assert [name for _, _, name in pareto_front(points)] == ["a", "c"]


def test_equals_both_stay_and_nothing_is_nothing():
    assert len(pareto_front([(1, 0.5, "a"), (1, 0.5, "b")])) == 2
    assert pareto_front([]) == []
