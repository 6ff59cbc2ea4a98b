"""Weights of the public MDSA-UNet code: which of ours they are, and that the network then computes what theirs does.

`public_mdsa_unet.txt` lists the names and shapes of the state dict of its network for three channels and one class. The
outputs below are those of its code, with weights that depend on their names alone.
"""

import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.networks import NETWORKS
from bench.training.public_names import own_name
from bench.training.weights import load_weights

LISTED = [line.split(" ") for line in Path(__file__).with_name("public_mdsa_unet.txt").read_text().splitlines()]
SHAPES = {name: tuple(map(int, sides.split("x"))) if sides != "-" else () for name, sides in LISTED}
# Pixels a side: mean, deviation and three values of their output in float64. It has 7 regions a side, and 8.
THEIRS = {
    224: (16.3313268593, 5.6469741304, -4.0332457577, 20.0170932966, 2.0739986843),
    256: (16.5021606632, 5.6671348890, -7.9865754640, 18.8819593205, 1.7230412092),
}


def filled(name: str, shape: tuple[int, ...]) -> Tensor:
    if not shape:
        return torch.tensor(7)
    draws = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) > 1:
        return torch.from_numpy(draws * np.sqrt(shape[0] / draws.size))
    return torch.from_numpy(0.1 * draws if name.endswith(("bias", "mean")) else 1 + 0.1 * draws**2)


def test_each_name_is_one_of_ours_of_the_same_shape():
    own = {name: tuple(value.shape) for name, value in NETWORKS["mdsa_unet"].build(3, 1, 224).state_dict().items()}
    assert {own_name(name): shape for name, shape in SHAPES.items()} == own
    assert len(own) == len(SHAPES)


@pytest.mark.parametrize(("size", "prefix"), zip(THEIRS, ("", "module."), strict=True))
def test_their_weights_give_their_output(tmp_path, size, prefix):
    state = {prefix + name: filled(name, shape) for name, shape in SHAPES.items()}
    torch.save({"state_dict": state, "optimizer": {"param_groups": []}, "epoch": 3}, tmp_path / "theirs.pth")
    network = NETWORKS["mdsa_unet"].build(3, 1, size).double().eval()
    assert load_weights(network, tmp_path / "theirs.pth") == ()
    image = torch.from_numpy(np.random.RandomState(0).standard_normal((1, 3, size, size)))
    with torch.no_grad():
        y = network(image)
        found = [float(v) for v in (y.mean(), y.std(), y[0, 0, 0, 0], y[0, 0, 100, 50], y[0, 0, -1, -1])]
        assert found == pytest.approx(THEIRS[size], abs=1e-9)
        assert torch.allclose(network.float()(image.float()).double(), y, atol=1e-5 * float(y.abs().max()), rtol=0)


@pytest.mark.parametrize("name", ["head.weight", "encoder.layers.0.block.0.attn.router.weight", "cls"])
def test_other_names_stay(name):
    assert own_name(name) == name
