"""Two networks on the same images: differences, tests, corrections."""

import numpy as np
import pytest
from handmade import cost_record, dice_record

from bench.quantities.scores import PROTOCOLS
from bench.read.paired import paired, reference_row
from bench.read.sections import sections

BASE = tuple(np.linspace(0.3, 0.6, 30))


def section(**dice: tuple[float, ...]):
    return sections([dice_record(name, values) for name, values in dice.items()])[0]


def test_a_difference_that_chance_does_not_make():
    shifts = [0.1 if n % 5 else -0.02 for n in range(30)]
    found = section(mdsa_unet=BASE, unet=tuple(d + s for d, s in zip(BASE, shifts, strict=True)))
    (one,) = paired(found.rows, reference_row(found.rows))
    assert (one.row.network, one.reference.network) == ("unet", "mdsa_unet")
    assert one.difference.value == pytest.approx(np.mean(shifts), abs=1e-3)
    assert one.difference.low < one.difference.value < one.difference.high
    assert (one.test.won, one.test.lost) == pytest.approx((24 / 30, 6 / 30))
    assert one.test.holm_p < 0.05


def test_equal_networks_do_not_differ():
    found = section(mdsa_unet=BASE, unet=BASE)
    (one,) = paired(found.rows, reference_row(found.rows))
    assert (one.test.p, one.test.holm_p, one.test.won, one.test.lost) == (1, 1, 0, 0)


def test_images_that_only_one_has_or_that_are_undefined_are_left_out():
    found = section(mdsa_unet=(0.5, float("nan"), 0.5, 0.5), unet=(0.6, 0.6, 0.6))
    assert paired(found.rows, reference_row(found.rows))[0].difference.n == 2


def test_whom_the_others_are_compared_with():
    with_subject = section(mdsa_unet=(0.1, 0.2), unet=(0.5, 0.6), unetpp=(0.3, 0.3))
    assert reference_row(with_subject.rows).network == "mdsa_unet"
    assert reference_row(with_subject.rows, "unetpp").network == "unetpp"
    assert reference_row(section(unet=(0.5, 0.6), unetpp=(0.3, 0.3)).rows).network == "unet"
    assert reference_row(sections([cost_record()])[0].rows) is None
    assert reference_row(with_subject.rows, "swin_unet").network == "mdsa_unet"


def test_by_the_pooled_protocol_pairs_are_of_single_images():
    records = [dice_record("unet", (0.2, 0.4)), dice_record("mdsa_unet", (0.5, 0.5))]
    found = sections(records, PROTOCOLS["pooled"])[0]
    assert paired(found.rows, reference_row(found.rows))[0].difference.value == pytest.approx(-0.2)
