"""Records in HTML: what each says of itself, some of its samples, and how many there are."""

import math
from html import unescape

from handmade import ENVIRONMENT, cost_record, dice_record, latency_record, record

from bench.quantities import Energy, EnergySpec, Memory, MemorySpec, Peak, PeakSpec
from bench.report.document import document
from bench.report.html import MOST, hint, page


def html(*records):
    """The section of the records, as text of the page."""
    return unescape(page(document(records, [], [])).partition('<section id="records">')[2].partition("</main>")[0])


PASS = {"machine": ENVIRONMENT.fingerprint, "device": "cpu", "threads": 2}


def test_a_record_says_under_what_conditions_where_and_when():
    text = html(latency_record())
    for said in (
        "median 310 ms of 3 calls", "batch 1", "A CPU, 2 cores, 24 GiB, no GPU", "torch 2.14.1", "abc",
        "2026-01-01T00:00:00+00:00, in 1 s", "111111111111", "3 calls in order, ms: 300, 310, 320",
    ):  # fmt: skip
        assert said in text


def test_few_of_many_samples_are_shown_and_counted():
    text = html(latency_record(samples_s=tuple(0.1 + n / 1000 for n in range(MOST + 40))))
    assert f"the first {MOST} of {MOST + 40} calls in order, ms: 100, 101" in text
    assert "159" in text
    assert ", 160" not in text
    assert text.count(" 4V") == MOST


def test_scores_without_a_value_are_listed_and_not_drawn():
    text = html(dice_record(dice=(0.5, math.nan, 0.9)))
    assert "Dice 0.700, the mean of 2 scores" in text
    assert "image-0 0.500, image-1 –, image-2 0.900" in text
    assert text.count(" 4V") == 2


def test_equal_samples_make_no_strip():
    assert "<svg" not in html(latency_record(samples_s=(0.1, 0.1)))
    assert "Dice" not in html(dice_record(dice=()))


def test_counts_name_their_operators():
    assert "2 operators, GMAC by fvcore: conv 36.88, batch_norm 0.00" in html(cost_record())


def test_memory_energy_and_the_machines_rates():
    found = html(
        record("unet", MemorySpec(**PASS), Memory(weights_bytes=2**20, peak_bytes=2**22)),
        record("unet", EnergySpec(**PASS), Energy(joules_per_image=1.5, idle_watts=2.0, images=3)),
        record("u", EnergySpec(**PASS), Energy(joules_per_image=None, idle_watts=None, unreadable="no counter")),
        record("machine", PeakSpec(**PASS), Peak(macs_per_s=2e11, bytes_per_s=1e10)),
    )  # fmt: skip
    for said in ("4.00 MiB, of which weights 1.00", "1.50 J an image", "no counter", "200.00 G multiply-adds/s"):
        assert said in found


def test_a_failure_says_why():
    failed = record("unet", cost_record().job.spec, None, "out_of_memory", "9 < 10 GiB")
    text = html(failed)
    assert "out of memory: 9 < 10 GiB" in text
    assert hint(failed) == "224x224, out of memory"


def test_a_record_of_edited_code_says_so():
    old = cost_record()
    job = old.job.model_copy(update={"network_digest": "2" * 12})
    later = old.before.model_copy(update={"at": "2026-02-01T00:00:00+00:00"})
    text = html(old, old.model_copy(update={"job": job, "before": later, "after": later}))
    assert text.count("older code") == text.count("libraries changed since") == 1
    assert "older code" not in html(old)


def test_a_record_is_told_from_its_neighbors():
    assert hint(latency_record(process=3)) == "eager, batch 1, 224x224, process 3"
    assert hint(dice_record(seed=2)) == "synthetic, seed 2"


def test_a_record_says_the_libraries_of_its_key_and_whether_its_code_was_committed():
    made = cost_record()
    job = made.job.model_copy(update={"libraries": {"fvcore": "0.1.5", "torch": "2.14.1"}})
    machine = made.machine.model_copy(update={"commit": "abc+"})
    text = html(made.model_copy(update={"job": job, "machine": machine}))
    assert "<dd>fvcore 0.1.5, torch 2.14.1</dd>" in text
    assert "<dd>abc, with uncommitted changes</dd>" in text
    assert "uncommitted" not in html(made)
    assert "libraries" not in html(made)
