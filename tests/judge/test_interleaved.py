import pytest
from claiming import MACHINE, busy, claim, timed

from bench.judge.evidence import Undecided
from bench.judge.interleaved import LEAST, interleaved

LATENCY = {"metric": "latency", "device": "cpu", "margin": 0.05}
RATIO = claim(**LATENCY, against="unet")


def test_pairs_give_the_quotient_with_an_interval_and_every_record_behind_it():
    found = interleaved(RATIO, [*timed("mdsa_unet", [1, 2, 1, 2]), *timed("unet", [2, 4, 2, 4], 1)], MACHINE)
    assert found.value == pytest.approx(0.5)
    assert (found.n, len(found.records)) == (4, 8)
    assert found.low < 0.5 < found.high, "the control differs from itself, so the quotient cannot be that sure"


def test_two_processes_of_two_days_are_no_pair():
    with pytest.raises(Undecided, match=f"0 sound pairs of processes with unet, {LEAST} needed"):
        interleaved(RATIO, [*timed("mdsa_unet", [1] * 5), *timed("unet", [2] * 5, 120)], MACHINE)


def test_disturbed_processes_decide_nothing():
    records = [*timed("mdsa_unet", [1] * 5), *map(busy, timed("unet", [2] * 5, 1))]
    with pytest.raises(Undecided, match="5 of 5 were disturbed, other processes used 50 %"):
        interleaved(RATIO, records, MACHINE)
    with pytest.raises(Undecided, match="every process of unet was disturbed"):
        interleaved(claim(**LATENCY, network="unet", value=1.0, machine="A CPU"), records, MACHINE)


def test_rounds_that_were_measured_later_are_pairs_of_their_own():
    stale = timed("mdsa_unet", [9] * 5)
    fresh = [*timed("mdsa_unet", [1] * 5, 200, first=5), *timed("unet", [2] * 5, 201, first=5)]
    assert interleaved(RATIO, [*stale, *timed("unet", [2] * 5, 100), *fresh], MACHINE).value == pytest.approx(0.5)


@pytest.mark.parametrize("changes", [{"tf32": True}, {"cudnn_benchmark": True}, {"form": "folded"}, {"batch": 2}])
def test_times_under_other_conditions_are_no_evidence(changes):
    def other(record):
        spec = record.job.spec.model_copy(update=changes)
        return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})

    records = [other(record) for record in (*timed("mdsa_unet", [1] * 4), *timed("unet", [2] * 4, 1))]
    with pytest.raises(Undecided, match="no record of mdsa_unet under these conditions"):
        interleaved(RATIO, records, MACHINE)
    if "form" in changes:
        folded = claim(**LATENCY, against="unet", variant="folded")
        assert interleaved(folded, records, MACHINE).value == pytest.approx(0.5)


def test_pairs_of_two_protocols_are_not_mixed():
    def shorter(record):
        spec = record.job.spec.model_copy(update={"samples": 5})
        return record.model_copy(update={"job": record.job.model_copy(update={"spec": spec})})

    few = [shorter(record) for record in (*timed("mdsa_unet", [9] * 2), *timed("unet", [9] * 2, 1))]
    found = interleaved(RATIO, [*few, *timed("mdsa_unet", [1] * 4, 10), *timed("unet", [2] * 4, 11)], MACHINE)
    assert (found.value, found.n) == (pytest.approx(0.5), 4)


def test_alone_on_its_machine_it_is_the_median_between_fastest_and_slowest():
    alone = claim(**LATENCY, value=1.0, machine="A CPU")
    found = interleaved(alone, timed("mdsa_unet", [1, 2, 4]), MACHINE)
    assert (found.value, found.low, found.high) == (2, 1, 4)
    with pytest.raises(Undecided, match="no record of mdsa_unet"):
        interleaved(claim(**LATENCY, value=1.0, machine="B CPU"), timed("mdsa_unet", [1]), MACHINE)
