"""A network that draws from any of three generators trains on after a stop as if it had not been stopped."""

import random

import numpy as np
import pytest
import torch
from toys import Killed, Small, discs, job, kill_at, same, task

from bench.training.random_states import numpy_state, python_state, set_numpy_state, set_python_state
from bench.training.train import train

DRAWS = {
    "torch": lambda: float(torch.rand(())), "torch, normal": lambda: float(torch.randn(())),
    "python": random.random, "python, normal": lambda: random.gauss(0, 1),
    "numpy": lambda: float(np.random.rand()), "numpy, normal": lambda: float(np.random.randn()),
}  # fmt: skip


class Draws(Small):
    """Scales its features in training by a number that it draws."""

    def __init__(self, draw):
        torch.manual_seed(0)
        super().__init__()
        self.draw = draw

    def forward(self, x):
        return super().forward(x) * (0.5 + self.draw()) if self.training else super().forward(x)


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_a_training_that_was_killed_draws_on(tmp_path, draw):
    whole, resumed = Draws(draw), Draws(draw)
    sets = discs(6), discs(3)
    card = train(whole, task(job(), tmp_path / "whole"), *sets, lambda event: None)
    with pytest.raises(Killed):
        train(Draws(draw), task(job(), tmp_path / "killed"), *sets, kill_at(7))
    random.seed(5)
    np.random.seed(5)
    again = train(resumed, task(job(), tmp_path / "killed"), *sets, lambda event: None)
    assert again.curve == card.curve
    assert same(whole, resumed)


@pytest.mark.parametrize(
    ("get", "put", "draw"),
    [
        (python_state, set_python_state, lambda: [random.gauss(0, 1) for _ in range(3)]),
        (numpy_state, set_numpy_state, lambda: list(np.random.randn(3))),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 700])
def test_a_state_that_is_put_back_draws_the_same(get, put, draw, before):
    for _ in range(before):
        draw()
    state = get()
    first = draw()
    put(state)
    assert draw() == first
