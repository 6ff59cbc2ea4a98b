"""Budgets become training conditions; overrides are taken or refused in words."""

import pytest

from bench.errors import UserError
from bench.quantities import Asked, TrainSpec
from bench.quantities.budget import BUDGETS, Budget, find_budget
from bench.quantities.dice import TRAINING_VERSION, train_spec

MORE = {"devices": 2, "patience": 3}


def training(budget: Budget, images: int, seed: int = 0, **asked) -> TrainSpec:
    return train_spec(Asked(("dice",), budget, "m", "cpu", 2, **asked), images, seed)


def test_an_epoch_is_every_image_once_rounded_up_to_batches():
    spec = training(find_budget("paper"), images=1801)
    assert (spec.checkpoint_interval, spec.steps) == (226, 200 * 226)


def test_an_epoch_of_few_images_is_of_those_alone():
    assert training(find_budget("smoke", epochs=3), images=1801).steps == 3 * 4


def test_steps_override_and_are_saved_about_twelve_times():
    spec = training(find_budget("quick", steps=600), 1800, seed=7)
    assert (spec.steps, spec.checkpoint_interval, spec.seed) == (600, 50, 7)


def test_epochs_override_steps():
    spec = training(find_budget("quick", epochs=2), images=10)
    assert (spec.steps, spec.checkpoint_interval) == (6, 3)


def test_a_training_of_another_length_is_of_images_of_full_size():
    assert find_budget("quick").train_size == 64
    assert find_budget("quick", steps=80).train_size is None
    assert find_budget("quick", epochs=2).train_size is None
    assert find_budget("paper").train_size is None


def test_what_is_asked_is_of_the_training_and_leaves_its_steps_as_they_are():
    plain, more = (training(find_budget("quick"), 100, **given) for given in ({}, MORE))
    assert (plain.devices, plain.patience, plain.precision) == (1, None, "float32")
    assert more == plain.model_copy(update=MORE)
    assert training(find_budget("quick"), 100, precision="bfloat16").precision == "bfloat16"


@pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS)
def test_a_checkpoint_interval_is_never_longer_than_the_training(budget):
    assert training(budget, images=3).checkpoint_interval <= training(budget, images=3).steps
    short = training(find_budget(budget.name, steps=1), images=3)
    assert (short.checkpoint_interval, short.steps) == (1, 1)


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


def test_a_training_names_its_threads_and_the_version_of_the_way_of_training():
    for device in ("cpu", "cuda"):
        asked = Asked(("dice",), BUDGETS["quick"], "m", device, 3)
        spec = train_spec(asked, 100, 0)
        assert (spec.threads, spec.version) == (3, TRAINING_VERSION)
        assert ", 3 threads," in spec.told
