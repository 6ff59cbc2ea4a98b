"""Training in legs: killed and resumed it ends where an unbroken one does; what diverged or does not fit says so."""

import pytest
import torch
from torch import nn

from bench.data.prepared import Prepared
from bench.errors import Diverged, UserError
from bench.quantities import TrainSpec
from bench.training.train import Card, Task, load, train


class Small(nn.Module):
    """A network with all that makes resuming hard: batch norm's running means and dropout's generator."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.3), nn.Conv2d(width, 1, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def small(width: int = 4) -> Small:
    torch.manual_seed(0)
    return Small(width)


def discs(count: int) -> Prepared:
    """Bright discs on noise, and their masks."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.rand(count, 2, 1, 1, generator=generator) * 20 + 6
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    masks = (((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) < 36).to(torch.uint8)
    noise = torch.randint(0, 60, (count, 3, 32, 32), generator=generator, dtype=torch.uint8)
    return Prepared(tuple(map(str, range(count))), noise + masks[:, None] * 150, masks)


SPEC = TrainSpec(steps=10, leg=4, batch=2, learning_rate=0.05)  # the last leg is cut short


def trained(folder, spec: TrainSpec = SPEC, tell=lambda event: None) -> tuple[Small, Card]:
    network = small()
    card = train(network, Task("key", spec, folder, maps=1, device="cpu"), discs(6), discs(3), tell)
    return network, card


def same(one: nn.Module, other: nn.Module) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


class Killed(BaseException):
    """Stands in for a SIGKILL: nothing of ours catches it. tests/test_worker.py kills real processes."""


def test_a_training_killed_at_any_step_ends_where_an_unbroken_one_does(tmp_path):
    whole, card = trained(tmp_path / "whole")
    for last in (2, 4, 5, 9):

        def kill(event, last=last):
            if event["step"] == last:
                raise Killed

        folder = tmp_path / f"killed-{last}"
        with pytest.raises(Killed):
            trained(folder, tell=kill)
        assert not (folder / "card.json").exists()
        resumed, again = trained(folder)
        assert [point.step for point in again.curve] == [4, 8, 10]
        assert again.model_dump(exclude={"train_images_per_s"}) == card.model_dump(exclude={"train_images_per_s"})
        assert same(whole, resumed)


def test_it_learns_and_says_how_it_went(tmp_path):
    heard = []
    spec = SPEC.model_copy(update={"steps": 60, "leg": 20})
    _, card = trained(tmp_path, spec, heard.append)
    assert [event["step"] for event in heard] == list(range(1, 61))
    assert heard[-1]["loss"] < heard[0]["loss"] / 2
    assert card.curve[-1].val_dice > 0.8
    assert card.best_step in {point.step for point in card.curve}
    best = max(card.curve, key=lambda point: point.val_dice)
    assert best.val_dice == next(point.val_dice for point in card.curve if point.step == card.best_step)
    assert card.train_images_per_s > 0


def test_what_is_kept_loads_into_the_same_network(tmp_path):
    network, card = trained(tmp_path)
    fresh = small()
    assert load(fresh, tmp_path, "key") == card
    assert same(network, fresh)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "card.json", "weights.safetensors"]


def test_there_is_nothing_to_load_before_a_training_is_complete(tmp_path):
    assert load(small(), tmp_path / "none", "key") is None


def test_a_checkpoint_of_another_shape_or_job_or_cut_off_is_refused_in_words(tmp_path):
    trained(tmp_path)
    with pytest.raises(UserError, match=r"layers.0.weight is \(4, 3, 3, 3\), the network's is \(5, 3, 3, 3\)"):
        load(small(width=5), tmp_path, "key")
    with pytest.raises(UserError, match="a checkpoint for key, not for other"):
        load(small(), tmp_path, "other")
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    with pytest.raises(UserError, match=r"weights\.safetensors.*delete .* to train anew"):
        load(small(), tmp_path, "key")


class Explodes(Small):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float("nan")


def test_a_loss_that_is_no_number_stops_the_training_and_says_where(tmp_path):
    task = Task("key", SPEC, tmp_path, maps=1, device="cpu")
    with pytest.raises(Diverged, match="the loss became nan at step 1 of 10"):
        train(Explodes(), task, discs(6), discs(3), lambda event: None)
