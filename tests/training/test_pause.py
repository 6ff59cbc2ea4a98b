"""A training that is asked to end saves its present step; gone on with, it ends where an unbroken one does."""

import pytest
import torch
from toys import LEFT, SPEC, discs, job, left_in, same, small, task, trained

from bench.errors import Paused, UserError
from bench.training.checkpoint import load
from bench.training.train import train


def paused(folder, step, spec=SPEC):
    """Train until a step and ask for an end while it is taken; the steps that were told."""
    steps, network = [], small()
    with pytest.raises(Paused):
        train(
            network, task(job(spec), folder), discs(6), discs(3),
            lambda event: steps.extend([event["step"]] if "step" in event else []),
            lambda: len(steps) >= step - 1,
        )  # fmt: skip
    return steps


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, *trained(folder)


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 7, 8, 9])
def test_asked_to_end_at_any_step_it_ends_there_and_goes_on_to_the_same_end(tmp_path, whole, step):
    folder, network, card = whole
    assert paused(tmp_path, step) == list(range(1, step + 1))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == step
    steps = []
    resumed, again = trained(tmp_path, tell=lambda event: steps.append(event.get("step")))
    assert [one for one in steps if one] == list(range(step + 1, 11))
    assert same(network, resumed)
    assert again.curve == card.curve
    assert (again.best_step, again.val_dice) == (card.best_step, card.val_dice)
    assert (tmp_path / "training.csv").read_text() == (folder / "training.csv").read_text()
    assert left_in(tmp_path) == LEFT


def test_it_may_be_asked_again_and_again(tmp_path, whole):
    for step in (1, 2, 3):  # of each process
        paused(tmp_path, step)
    resumed, again = trained(tmp_path)
    assert same(whole[1], resumed)
    assert again.curve == whole[2].curve


def test_patience_goes_on_too(tmp_path, whole):
    patient = SPEC.model_copy(update={"steps": 100, "patience": 2})
    whole, card = trained(tmp_path / "whole", patient)
    paused(tmp_path / "paused", 6, patient)
    resumed, again = trained(tmp_path / "paused", patient)
    assert again.curve == card.curve
    assert same(whole, resumed)


def test_at_its_last_step_it_is_done(tmp_path, whole):
    steps = []
    network = small()
    card = train(network, task(job(), tmp_path), discs(6), discs(3), steps.append, lambda: len(steps) > 12)
    assert card.curve == whole[2].curve


def test_one_that_was_paused_before_its_first_check_has_no_best_and_is_gone_on_with(tmp_path):
    paused(tmp_path, 2)
    assert not (tmp_path / "best.ckpt").exists()
    assert load(small(), tmp_path, job().training_key, SPEC) is None
    trained(tmp_path)


def test_a_best_that_is_missing_after_a_check_is_told(tmp_path):
    paused(tmp_path, 6)
    (tmp_path / "best.ckpt").unlink()
    with pytest.raises(UserError, match=r"best\.ckpt"):
        load(small(), tmp_path, job().training_key, SPEC)
