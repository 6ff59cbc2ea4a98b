"""Budgets become training conditions; overrides are taken or refused in words."""

import pytest

from bench.errors import UserError
from bench.quantities.budget import BUDGETS, find_budget

MORE = {"devices": 2, "patience": 3}


def test_an_epoch_is_every_image_once_rounded_up_to_batches():
    spec = find_budget("paper").train_spec(images=1801, device="cpu", precision="float32", seed=0)
    assert (spec.leg, spec.steps) == (226, 200 * 226)


def test_steps_override_and_are_saved_about_twelve_times():
    spec = find_budget("quick", steps=600).train_spec(1800, "cpu", "float32", 7)
    assert (spec.steps, spec.leg, spec.seed) == (600, 50, 7)


def test_epochs_override_steps():
    spec = find_budget("quick", epochs=2).train_spec(images=10, device="cpu", precision="float32", seed=0)
    assert (spec.steps, spec.leg) == (6, 3)


def test_devices_and_patience_are_of_the_training_and_leave_its_steps_as_they_are():
    plain, more = (find_budget("quick").train_spec(100, "cpu", "float32", 0, **given) for given in ({}, MORE))
    assert (plain.devices, plain.patience) == (1, None)
    assert more == plain.model_copy(update=MORE)


def test_a_leg_is_never_longer_than_the_training():
    assert all(
        b.train_spec(3, "cpu", "float32", 0).leg <= b.train_spec(3, "cpu", "float32", 0).steps for b in BUDGETS.values()
    )


@pytest.mark.parametrize(
    ("name", "more", "text"),
    [
        ("quik", {}, "unknown budget 'quik'; did you mean 'quick'"),
        ("quick", {"steps": 0}, "--steps must be 1 or more, got 0"),
        ("quick", {"epochs": -2}, "--epochs must be 1 or more, got -2"),
        ("quick", {"steps": 5, "epochs": 5}, "both --steps 5 and --epochs 5"),
    ],
)
def test_refusals(name, more, text):
    with pytest.raises(UserError, match=text):
        find_budget(name, **more)
