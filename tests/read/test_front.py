from bench.read.front import front


def test_what_is_beaten_at_both_is_left_out():
    assert [name for _, _, name in front([(3, 0.9, "c"), (1, 0.5, "a"), (2, 0.4, "b"), (4, 0.9, "d")])] == ["a", "c"]


def test_equals_both_stay_and_nothing_is_nothing():
    assert len(front([(1, 0.5, "a"), (1, 0.5, "b")])) == 2
    assert front([]) == []
