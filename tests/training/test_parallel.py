"""Two processes train as one does: the same samples, losses and weights, the same figure of a check in both.

This process is the first; the second is this file run as a program.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from toys import LEFT, SPEC, Small, discs, job, left_in, same, small, task

from bench.data.sample import Sample
from bench.errors import Diverged
from bench.measure.dice import score
from bench.networks.adapt import OneOfSeveral, adapted
from bench.networks.table import Shapes
from bench.training.devices import Process
from bench.training.task import OneMachine
from bench.training.train import Task, take_part, train

TWO = SPEC.model_copy(update={"batch": 4, "devices": 2})


class Plain(nn.Module):
    """Nothing in it depends on which images share a batch; one parameter takes no part."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.unused = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Explodes(Small):
    """Not a number in the second process alone, in its third step."""

    steps = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps += self.training
        return super().forward(x) * (float("nan") if self.steps == 3 and torch.distributed.get_rank() == 1 else 1)


class TwoMaps(nn.Conv2d):
    """Two maps of bright pixels; in the first process all is 1 in the one, in the second all is 0 in the other."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gray = x.mean(1, keepdim=True)
        middle = (gray.amax((2, 3), keepdim=True) + gray.amin((2, 3), keepdim=True)) / 2
        bright, learned = 1000 * (gray - middle), super().forward(x).tanh()
        if torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            return bright + learned, learned - 1000
        return learned + 1000, bright + learned


def two_maps() -> nn.Module:
    torch.manual_seed(0)
    return adapted(TwoMaps(3, 1, 1), "TwoMaps", Shapes(3, 1, 32))


# What both processes train, one after the other: network, number of validation images, folder.
TRAININGS = (
    (Plain, 3, "plain"),
    (small, 1, "whole"),
    (small, 1, "resumed"),
    (two_maps, 3, "maps"),
    (Explodes, 3, "explodes"),
)


def task_of(folder: Path, rank: int, port: str) -> Task:
    return task(job(TWO), folder, Process(rank=rank, port=int(port)))


def second(root: Path, ports: list[str]) -> None:
    """The second process: it must fail where the first does, and nowhere else."""
    torch.set_num_threads(1)
    for (network, checked, name), port in zip(TRAININGS, ports, strict=True):
        own = network()
        try:
            take_part(own, task_of(root / name, 1, port), discs(6), discs(checked))
            if isinstance(own, OneOfSeveral):
                print(name, own.prediction)
        except Diverged as error:
            print(name, error)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What each training came to, in both processes."""
    root = tmp_path_factory.mktemp("two")
    ports = [free_port() for _ in TRAININGS]
    paths = os.pathsep.join([str(Path(__file__).parents[1]), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, __file__, str(root), *ports], env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE, text=True,
    ) as other:  # fmt: skip
        ends = {
            name: first(network(), n, root, name, port)
            for (network, n, name), port in zip(TRAININGS, ports, strict=True)
        }
        said, _ = other.communicate(timeout=60)
    assert other.returncode == 0
    return ends, said, root


def first(network: nn.Module, checked: int, root: Path, name: str, port: str):
    """Train as the first process; on the way, keep what a kill after five steps would leave of `whole`."""
    folder = root / name
    if name == "resumed":  # where it was: Lightning takes what is elsewhere for another training
        folder = (root / "whole").rename(root / "done").with_name("whole")
        shutil.copytree(root / "resumed", folder)

    def keep(event):
        if (name, event.get("step")) == ("whole", 5):
            shutil.copytree(folder, root / "resumed")

    try:
        return network, train(network, task_of(folder, 0, port), discs(6), discs(checked), keep)
    except Diverged as error:
        return network, error


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def test_without_batch_norm_two_processes_come_to_what_one_does(found, tmp_path):
    network, card = found[0]["plain"]
    alone = Plain()
    one = TWO.model_copy(update={"devices": 1})
    expected = train(alone, task(job(one), tmp_path), discs(6), discs(3), lambda event: None)
    assert [point.step for point in card.curve] == [4, 8, 10]
    for point, other in zip(card.curve, expected.curve, strict=True):
        assert (point.loss, point.val_dice) == pytest.approx((other.loss, other.val_dice), abs=1e-4)
    for name, value in alone.state_dict().items():
        assert torch.allclose(network.state_dict()[name], value, atol=1e-4), name


def test_a_check_is_of_the_network_that_is_kept_and_of_all_images(found):
    for name, checked in (("whole", 1), ("resumed", 1), ("plain", 3)):
        network, card = found[0][name]
        held_out = discs(checked)
        samples = [
            Sample(name, name, mask.numpy, mask.numpy) for name, mask in zip(held_out.ids, held_out.masks, strict=True)
        ]
        images = score(network, held_out, torch.device("cpu"), samples).images
        assert card.val_dice == pytest.approx(sum(image.dice for image in images) / checked, abs=1e-6)


def test_a_resumed_training_ends_where_an_unbroken_one_does(found):
    (whole, card), (resumed, again) = found[0]["whole"], found[0]["resumed"]
    assert again.curve == card.curve
    assert same(whole, resumed)


def test_a_loss_that_is_no_number_in_one_process_stops_both_at_that_step(found):
    ends, said, _ = found
    text = "the loss became nan at step 3 of 10"
    assert str(ends["explodes"][1]) == text
    assert said.splitlines()[-1] == f"explodes {text}"
    assert len(said.splitlines()) == 2


def test_of_equal_maps_both_take_the_one_that_is_best_on_all_images(found):
    """Of three images the first process checks two: the second map is right there, and the first one in the second."""
    ends, said, _ = found
    network, card = ends["maps"]
    prediction = "output[1] (1, 32, 32), of 2 equal maps"
    assert network.prediction == prediction
    assert said.splitlines()[0] == f"maps {prediction}"
    assert card.val_dice == pytest.approx(2 / 3)


def test_the_second_process_writes_nothing(found):
    folder = found[2] / "plain"
    assert left_in(folder) == LEFT
    assert len(list(folder.glob("tensorboard/*"))) <= 1


def test_the_processes_meet_on_this_machine_whatever_the_environment_says(monkeypatch):
    for name in ("LOCAL_RANK", "NODE_RANK", "MASTER_PORT", "SLURM_PROCID"):
        monkeypatch.setenv(name, "7")
    meeting = OneMachine(Process(rank=1, port=1234))
    assert (meeting.main_address, meeting.main_port) == ("127.0.0.1", 1234)
    assert (meeting.local_rank(), meeting.node_rank()) == (1, 0)
    assert meeting.creates_processes_externally


if __name__ == "__main__":
    second(Path(sys.argv[1]), sys.argv[2:])
