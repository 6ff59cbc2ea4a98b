"""The user's settings of a training: which are refused, in words, and what becomes of the others."""

import math

import pytest

from bench.errors import UserError
from bench.quantities import Asked, AskedData, DiceSpec, TrainSpec
from bench.quantities.budget import find_budget
from bench.quantities.dice import QUANTITY, train_spec
from bench.quantities.training import NOTHING, Training

REFUSED = {
    "no rate": ({"learning_rates": (0,)}, "--lr takes a learning rate over 0 and up to 10.*; got 0"),
    "one of them": ({"learning_rates": (1e-3, -1)}, "--lr takes .*; got 0.001,-1"),
    "no number": ({"learning_rates": (math.nan,)}, "--lr takes .*; got nan"),
    "endless": ({"learning_rates": (math.inf,)}, "--lr takes .*; got inf"),
    "absurd": ({"learning_rates": (11,)}, "--lr takes .*; got 11"),
    "huge": ({"learning_rates": (10**400,)}, "--lr takes "),
    "a text": ({"learning_rates": "fast"}, "--lr takes .*; got fast"),
    "too many": ({"learning_rates": tuple(n / 100 for n in range(1, 22))}, "or up to 20 of them"),
    "decay": ({"weight_decay": -0.1}, "--weight-decay takes a number from 0 to 10; got -0.1"),
    "much decay": ({"weight_decay": 1e9}, "--weight-decay takes a number from 0 to 10; got 1e\\+09"),
    "warm-up alone": ({"warmup_share": 1}, "--warmup takes a share of the steps, from 0 to less than 1, .*; got 1"),
    "no warm-up": ({"warmup_share": math.nan}, "--warmup takes a share .*; got nan"),
    "no image": ({"batch": 0}, "--train-batch takes 1 to 65535 images; got 0"),
    "half an image": ({"batch": 2.5}, "--train-batch takes 1 to 65535 images; got 2.5"),
    "true": ({"batch": True}, "--train-batch takes 1 to 65535 images; got True"),
    "augmentation": ({"augmentation": "flip"}, "unknown --augmentation 'flip'; did you mean 'flips'"),
    "no loss": ({"loss_weights": (0, 0)}, "--loss-weights takes two weights from 0 to 1000, .* not both 0, .* got 0,0"),
    "one weight": ({"loss_weights": (1,)}, "--loss-weights takes two weights .*; got 1"),
    "below 0": ({"loss_weights": (1, -1)}, "--loss-weights takes two weights .*; got 1,-1"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "text"), REFUSED.values(), ids=REFUSED)
def test_with_what_nothing_can_be_trained_is_refused_in_words(given, text):
    with pytest.raises(UserError, match=text):
        Training(**given)


def spec(training: Training = NOTHING, own: Training = NOTHING, images: int = 1800, **budget) -> TrainSpec:
    asked = Asked(("dice",), find_budget(**budget), "m", "cpu", 2, training=training, own_training={"unet": own})
    return train_spec(asked.of("unet"), images, 0)


def test_what_is_given_is_of_the_training_and_all_else_as_it_was():
    plain = spec(name="quick")
    given = {"weight_decay": 0.1, "warmup_share": 0.0, "batch": 8, "augmentation": "none", "loss_weights": (1, 0.5)}
    assert spec(Training((3e-4,), **given), name="quick") == plain.model_copy(update={"learning_rate": 3e-4, **given})
    assert spec(Training((1e-3,)), name="quick") == plain


def test_a_single_rate_is_the_same_training_however_it_was_given():
    one = spec(Training([0.5, 0.5]), name="quick")
    assert (one.learning_rate, one.learning_rates) == (0.5, ())
    whole = spec(Training((1,)), name="quick")
    assert whole.model_dump_json() == whole.with_rates((1.0,)).model_dump_json()


def test_of_several_rates_there_is_a_training_with_each():
    several = spec(Training((1e-3, 3e-4)), name="quick")
    assert several.trials == (spec(name="quick"), spec(Training((3e-4,)), name="quick"))
    assert spec(name="quick").trials == (spec(name="quick"),)
    assert "of the learning rates 0.001, 0.0003 the best on val" in several.told
    weighted = spec(Training(loss_weights=(1, 0.5)), name="quick")
    assert "1 x Dice + 0.5 x cross-entropy" in weighted.told


def test_a_networks_own_settings_replace_those_of_all():
    found = spec(Training((1e-3,), weight_decay=0.1), Training((3e-4,)), name="quick")
    assert (found.learning_rate, found.weight_decay) == (3e-4, 0.1)


@pytest.mark.parametrize("budget", [{"name": "quick"}, {"name": "paper"}, {"name": "quick", "steps": 600}])
@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_a_network_with_a_batch_of_its_own_sees_as_many_images_and_is_checked_as_often(budget, batch):
    common, own = spec(**budget), spec(own=Training(batch=batch), **budget)
    assert own.batch == batch
    assert 0 <= own.steps * own.batch - common.steps * common.batch < batch
    checks = [math.ceil(one.steps / one.checkpoint_interval) for one in (common, own)]
    assert checks[1] == pytest.approx(checks[0], abs=1, rel=0.01)


def test_steps_are_steps_of_the_batch_of_all():
    assert spec(Training(batch=2), name="quick", steps=600).steps == 600


def test_several_rates_take_as_long_as_their_trainings():
    data = AskedData("synthetic", "0" * 12, 1, ("object",), "per_image", {"train": 100, "val": 20, "test": 30})
    asked = Asked(("dice",), find_budget("quick"), "m", "cpu", 2, data=data)

    def passes(training: Training) -> float:
        (job,) = QUANTITY.jobs(Asked(("dice",), find_budget("quick"), "m", "cpu", 2, data=data, training=training))
        return QUANTITY.passes(job, asked)

    one, three = passes(NOTHING), passes(Training((1e-3, 1e-4, 1e-5)))
    assert 2.5 < three / one < 3


def test_rates_in_a_record_are_one_or_several_different_ones():
    for wrong in ({"learning_rates": (0.1,)}, {"learning_rates": (0.1, 0.1)}, {"loss_weights": (0, 0)}):
        with pytest.raises(ValueError, match=r"learning rate|weight over 0"):
            DiceSpec(dataset="d", data="1", train=TrainSpec(steps=1, checkpoint_interval=1, batch=1, **wrong))
