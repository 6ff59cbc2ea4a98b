"""Somebody's own weights: read from what people save, fitted by name, refused in words."""

import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from toys import same, small

from bench.errors import UserError
from bench.training.weights import load_weights, weights_digest


class Foreign:
    """An object that only its own code can unpickle."""


@pytest.fixture
def theirs() -> nn.Module:
    """The network trained elsewhere: other values under the same names."""
    network = small()
    for value in network.state_dict().values():
        value.copy_(torch.randn(value.shape) if value.is_floating_point() else value + 7)
    return network


def saved(tmp_path, state, name="theirs.pt"):
    torch.save(state, tmp_path / name)
    return tmp_path / name


def prefixed(state, prefix):
    return {prefix + name: value for name, value in state.items()}


def test_the_digest_is_of_the_content(tmp_path):
    path = tmp_path / "w"
    path.write_bytes(b"abc")
    assert weights_digest(path) == hashlib.sha256(b"abc").hexdigest()[:12]


@pytest.mark.parametrize(("name", "text"), [("none.pt", "do not exist"), ("", "are a folder; give the file in it")])
def test_a_digest_of_nothing_is_refused(tmp_path, name, text):
    for ask in (weights_digest, lambda path: load_weights(small(), path)):
        with pytest.raises(UserError, match=f"weights {tmp_path}.* {text}"):
            ask(tmp_path / name)


def test_safetensors_by_whatever_name(tmp_path, theirs):
    network, path = small(), tmp_path / "theirs.bin"
    save_file(theirs.state_dict(), path)
    load_weights(network, path)
    assert same(network, theirs)


@pytest.mark.parametrize("nest", [None, "state_dict", "model_state_dict", "model", "network", "net", "weights", "ema"])
@pytest.mark.parametrize("prefix", ["", "module.", "model.", "_orig_mod.module.", "my.own.net."])
def test_torch_files_as_trainers_write_them(tmp_path, theirs, nest, prefix):
    state = prefixed(theirs.state_dict(), prefix)
    network, path = small(), saved(tmp_path, {nest: state, "epoch": 3, "optimizer": {"lr": 1.0}} if nest else state)
    load_weights(network, path)
    assert same(network, theirs)


def test_the_networks_own_prefix_stays(tmp_path, theirs):
    """All its names begin with `layers.`: that is no trainer's doing."""
    network = nn.Sequential(small())
    load_weights(network, saved(tmp_path, nn.Sequential(theirs).state_dict()))
    assert same(network[0], theirs)


def test_half_precision_becomes_the_networks(tmp_path, theirs):
    network = small()
    load_weights(network, saved(tmp_path, {name: value.half() for name, value in theirs.state_dict().items()}))
    assert network.layers[0].weight.dtype == torch.float32
    assert torch.allclose(network.layers[0].weight, theirs.layers[0].weight, atol=1e-2)


def test_what_does_not_fit_is_named_a_few_of_each_kind(tmp_path, theirs):
    state = theirs.state_dict()
    del state["layers.0.bias"]
    state["layers.4.weight"] = torch.zeros(2, 4, 1, 1)
    state |= {f"layers.9.{n}": torch.zeros(1) for n in range(5)}
    with pytest.raises(UserError) as refused:
        load_weights(small(), saved(tmp_path, prefixed(state, "module.")))
    text = str(refused.value)
    assert "theirs.pt does not fit the network: layers.0.bias is missing; layers.9.0 is not the network's" in text
    assert "layers.9.2 is not the network's; 2 more not the network's" in text
    assert "layers.4.weight is (2, 4, 1, 1), the network's is (1, 4, 1, 1)" in text
    assert text.endswith("give weights of this very network, for as many classes, channels and pixels")


def test_a_file_that_would_run_code_is_not_read(tmp_path, theirs):
    path = saved(tmp_path, {"state_dict": theirs.state_dict(), "trainer": Foreign()})
    with pytest.raises(UserError, match=r"holds more than tensors \(.*Foreign\).*safetensors.torch.save_file"):
        load_weights(small(), path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"hello, world", "neither a safetensors file nor a torch file"),
        (b"", "cannot be read as weights"),
        (b"PK\x03\x04 cut off", "cannot be read as weights"),
        (b"\x90\x01\x00\x00\x00\x00\x00\x00{cut off", "cannot be read as weights"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, text):
    path = tmp_path / "w"
    path.write_bytes(content)
    with pytest.raises(UserError, match=text):
        load_weights(small(), path)


@pytest.mark.parametrize(("found", "text"), [([1, 2], "holds list"), ({"epoch": 3}, "holds a dict of epoch")])
def test_a_file_without_a_state_dict_is_refused(tmp_path, found, text):
    with pytest.raises(UserError, match=f"{text}; give a state dict, by itself or under one of: state_dict, "):
        load_weights(small(), saved(tmp_path, found))
