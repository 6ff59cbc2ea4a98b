"""A training that is killed and resumed ends where an unbroken one does; one that diverged says so."""

import pytest
import torch
from toys import LEFT, SPEC, Killed, Small, blank, discs, job, kill_at, kill_now, left_in, same, small, task, trained

from bench.errors import Diverged, UserError
from bench.locks import alone_in
from bench.training import checkpoint
from bench.training.checkpoint import load
from bench.training.train import train


def without_speed(card):
    return card.model_dump(exclude={"train_images_per_s"})


def test_a_training_killed_at_any_step_ends_where_an_unbroken_one_does(tmp_path):
    whole, card = trained(tmp_path / "whole")
    for last in (2, 4, 5, 9):
        folder = tmp_path / f"killed-{last}"
        with pytest.raises(Killed):
            trained(folder, tell=kill_at(last))
        assert not (folder / "card.json").exists()
        resumed, again = trained(folder)
        assert [point.step for point in again.curve] == [4, 8, 10]
        assert without_speed(again) == without_speed(card)
        assert same(whole, resumed)


def test_it_is_saved_after_each_leg_also_where_that_was_not_the_best(tmp_path):
    with pytest.raises(Killed):
        trained(tmp_path, SPEC, kill_at(9), blank(3))
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 8
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["global_step"] == 4


def test_the_best_is_known_also_after_the_folder_was_moved(tmp_path):
    """The first check, at step 4, is as good as any by blank masks, and so stays the best."""
    with pytest.raises(Killed):
        trained(tmp_path / "here", SPEC, kill_at(9), blank(3))
    (tmp_path / "here").rename(tmp_path / "there")
    assert trained(tmp_path / "there", SPEC, val_set=blank(3))[1].best_step == 4


def test_a_part_that_has_two_names_is_kept(tmp_path):
    network = small()
    network.again = network.layers[0]
    card = train(network, task(job(), tmp_path), discs(6), discs(3), lambda event: None)
    fresh = small()
    fresh.again = fresh.layers[0]
    assert load(fresh, tmp_path, card.key, SPEC) == card


def test_one_killed_between_weights_and_card_is_completed(tmp_path, monkeypatch):
    whole, card = trained(tmp_path / "whole")
    with monkeypatch.context() as at_the_card:
        at_the_card.setattr(checkpoint, "write_summary", kill_now)
        with pytest.raises(Killed):
            trained(tmp_path / "killed")
    assert load(small(), tmp_path / "killed", card.key, SPEC) is None
    steps = []
    again, completed = trained(tmp_path / "killed", tell=steps.append)
    assert steps == []
    assert same(whole, again)
    assert without_speed(completed) == without_speed(card)
    assert left_in(tmp_path / "killed") == LEFT


def test_one_killed_after_its_card_is_complete(tmp_path, monkeypatch):
    whole, card = trained(tmp_path / "whole")
    write = checkpoint.write_summary
    with monkeypatch.context() as after_the_card:
        after_the_card.setattr(checkpoint, "write_summary", lambda *given: write(*given) or kill_now())
        with pytest.raises(Killed):
            trained(tmp_path / "killed")
    fresh = small()
    assert without_speed(load(fresh, tmp_path / "killed", card.key, SPEC)) == without_speed(card)
    assert same(whole, fresh)


def test_it_learns_and_says_how_it_went(tmp_path):
    heard = []
    spec = SPEC.model_copy(update={"steps": 60, "checkpoint_interval": 20})
    _, card = trained(tmp_path, spec, heard.append)
    steps = [event for event in heard if "step" in event]
    assert [event["step"] for event in steps] == list(range(1, 61))
    assert steps[-1]["loss"] < steps[0]["loss"] / 2
    assert any("checking" in event.get("doing", "") for event in heard), "a long check is no hang"
    assert card.curve[-1].val_dice > 0.8
    best = max(card.curve, key=lambda point: point.val_dice)
    assert (card.best_step, card.val_dice) == (best.step, best.val_dice)
    assert card.train_images_per_s > 0
    assert left_in(tmp_path) == LEFT


def test_the_seed_decides_what_comes_out(tmp_path):
    one, again, other = (
        trained(tmp_path / name, SPEC.model_copy(update={"seed": seed}))[0]
        for name, seed in (("one", 1), ("again", 1), ("other", 2))
    )
    assert same(one, again)
    assert not same(one, other)


class Explodes(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float("nan")


def test_a_loss_that_is_no_number_stops_the_training_and_says_where(tmp_path):
    with pytest.raises(Diverged, match="the loss became nan at step 1 of 10"):
        train(Explodes(), task(job(), tmp_path), discs(6), discs(3), lambda event: None)


def test_two_runs_do_not_train_in_one_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.locks.SINGLE_S", 0.0)
    with alone_in(tmp_path), pytest.raises(UserError, match="another run is working in"):
        trained(tmp_path)
