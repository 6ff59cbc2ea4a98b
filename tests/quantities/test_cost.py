"""When a count is doubted."""

from bench.quantities import Cost, Count


def cost(fvcore: Count, torch: Count) -> Cost:
    return Cost(parameters=1, trainable_parameters=1, parameter_bytes=4, buffer_bytes=0, fvcore=fvcore, torch=torch)


def count(name: str, macs: int | None, **more: object) -> Count:
    return Count(counter=name, macs=macs, **more)


def test_norms_and_resizing_that_only_fvcore_counts_raise_no_doubt():
    fvcore = count("fvcore", 1500, by_operator={"conv": 1000, "batch_norm": 300, "upsample_bilinear2d": 200})
    assert cost(fvcore, count("torch", 1000)).doubt == ""


def test_counters_that_differ_by_more_than_two_percent_are_doubted():
    assert "disagree" in cost(count("fvcore", 1021, by_operator={"conv": 1021}), count("torch", 1000)).doubt
    assert cost(count("fvcore", 1019, by_operator={"conv": 1019}), count("torch", 1000)).doubt == ""


def test_a_counter_that_failed_or_misses_a_formula_is_named():
    good = count("torch", 1000)
    assert cost(count("fvcore", None, error="it broke"), good).doubt == "fvcore failed: it broke"
    assert "einsum" in cost(count("fvcore", 1000, missed=("einsum",)), good).doubt
