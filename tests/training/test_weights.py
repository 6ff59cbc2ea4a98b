"""Somebody's own weights: read from what people save, fitted by name, refused in words."""

import hashlib
import pickle
import zipfile
from argparse import Namespace
from pathlib import Path

import numpy as np
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
    path = saved(tmp_path, {name: value.half() for name, value in theirs.state_dict().items()})
    assert load_weights(network, path) == ("float16 is the precision in which they were saved",)
    assert network.layers[0].weight.dtype == torch.float32
    assert torch.allclose(network.layers[0].weight, theirs.layers[0].weight, atol=1e-2)


def thop(state):
    """Its state dict after thop.profile: counts in every layer, and in the network itself."""
    layers = {"", *(f"{name.rpartition('.')[0]}." for name in state)}
    counts = {
        f"{layer}total_{what}": torch.zeros(1, dtype=torch.float64) for layer in layers for what in ("ops", "params")
    }
    return {**state, **dict(sorted(counts.items()))}


AS_SAVED = {
    "after thop.profile": (thop, "and 5 more left out, since the network has no such tensor"),
    "DataParallel of thop's": (lambda state: prefixed(thop(state), "module."), "left out, since the network has no"),
    "BatchNorm before torch 0.4.1": (
        lambda state: {name: value for name, value in state.items() if "num_batches" not in name},
        "layers.1.num_batches_tracked not in the file, kept as built",
    ),
    "some names prefixed": (
        lambda state: {("module." if "layers.0" in name else "") + name: value for name, value in state.items()}, "",
    ),
    "prefixes within names": (
        lambda state: {name.replace("layers.", "layers._orig_mod.module."): value for name, value in state.items()}, "",
    ),
    "Lightning with a loss": (
        lambda state: {"state_dict": {**prefixed(state, "model."), "loss.weight": torch.ones(2)}},
        "loss.weight left out, since the network has no such tensor",
    ),
    "a loss beside plain names": (
        lambda state: {**state, "criterion.pos_weight": torch.ones(1)},
        "criterion.pos_weight left out, since the network has no such tensor",
    ),
    "a student and its teacher": (
        lambda state: {**prefixed({n: v * 0 for n, v in state.items()}, "teacher."), **prefixed(state, "student.")},
        "teacher.layers.0.weight, teacher.layers.0.bias, teacher.layers.1.weight and 6 more left out",
    ),
    "several state dicts": (
        lambda state: {"model_ema": {n: v * 0 for n, v in state.items()}, "model": state},
        "'model' taken, model_ema left out",
    ),
    "under a name of one's own": (lambda state: {"generator": state, "epoch": 3}, ""),
    "beside numbers": (lambda state: {**state, "epoch": 3}, "epoch left out, no tensors"),
    "numpy's numbers": (lambda state: {"model": state, "best": np.float64(0.9), "curve": np.arange(3)}, ""),
    "arguments": (lambda state: {"model": state, "args": Namespace(lr=0.1, out=Path("runs"))}, ""),
    "nnU-Net": (
        lambda state: {"network_weights": state, "init_args": {"device": torch.device("cpu")}, "scaler": None}, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "note"), AS_SAVED.values(), ids=AS_SAVED)
def test_files_as_people_have_them(tmp_path, theirs, written, note):
    network = small()
    batches = network.layers[1].num_batches_tracked.clone()
    notes = load_weights(network, saved(tmp_path, written(theirs.state_dict())))
    assert note in "; ".join(notes)
    assert bool(notes) == bool(note)
    if "num_batches" in note:
        assert network.layers[1].num_batches_tracked == batches
        theirs.layers[1].num_batches_tracked.copy_(batches)
    assert same(network, theirs)


def test_the_format_before_torch_1_6(tmp_path, theirs):
    network, path = small(), tmp_path / "theirs.pth"
    torch.save({"model": theirs.state_dict()}, path, _use_new_zipfile_serialization=False)
    assert load_weights(network, path) == ()
    assert same(network, theirs)


def test_of_two_networks_none_is_guessed(tmp_path, theirs):
    state = {**prefixed(theirs.state_dict(), "one."), **prefixed(theirs.state_dict(), "other.")}
    with pytest.raises(UserError, match=r"holds 2 networks of this kind: one, other; save one of them alone"):
        load_weights(small(), saved(tmp_path, state))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        (
            "layers.4.weight",
            torch.ones(3, 4, 1, 1),
            r"layers.4.weight is \(3, 4, 1, 1\), the network's is \(1, 4, 1, 1\)",
        ),
        (
            "layers.4.weight",
            torch.full((1, 4, 1, 1), torch.nan),
            "4 of 4 values of layers.4.weight are NaN or infinite",
        ),
        ("layers.1.running_var", torch.tensor([1, 1, torch.nan, 1]), "1 of 4 values of layers.1.running_var are NaN"),
        (
            "layers.4.weight",
            torch.ones(1, 4, 1, 1, dtype=torch.int8),
            "is int8, the network's is float32.*not quantized",
        ),
        (
            "layers.1.running_var",
            torch.full((4,), torch.inf),
            "4 of 4 values of layers.1.running_var are NaN or infinite",
        ),
        ("layers.4.weight", torch.ones(1, 4, 1, 1).to_sparse(), "layers.4.weight is sparse"),
        ("layers.4.weight", torch.ones(1, 4, 1, 1, device="meta"), "layers.4.weight has no values, only a shape"),
        ("layers.5.weight", torch.ones(1), "layers.5.weight is not the network's"),
    ],
)
def test_other_values_are_refused(tmp_path, theirs, name, value, text):
    network = small()
    with pytest.raises(UserError, match=text):
        load_weights(network, saved(tmp_path, {**theirs.state_dict(), name: value}))
    assert same(network, small())


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


def test_a_whole_network_and_a_scripted_one_are_refused(tmp_path, theirs):
    with pytest.raises(UserError, match=r"holds a whole network, not its weights alone \(toys.Small, .*save_file"):
        load_weights(small(), saved(tmp_path, theirs))
    torch.jit.script(theirs).save(tmp_path / "scripted.pt")
    with pytest.raises(UserError, match=r"is a TorchScript archive, which holds code and is not run; .*save_file"):
        load_weights(small(), tmp_path / "scripted.pt")


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["a.npy", "b.npy"], "holds arrays of numpy; save them as tensors"),
        (["best.pth", "readme.txt"], r"is an archive of best\.pth, readme\.txt; unpack it"),
        ([], "is an empty archive"),
    ],
)
def test_a_zip_of_something_else_is_refused(tmp_path, names, text):
    with zipfile.ZipFile(tmp_path / "w", "w") as archive:
        for name in names:
            archive.writestr(name, b"")
    with pytest.raises(UserError, match=text):
        load_weights(small(), tmp_path / "w")


def test_weights_of_8_bits_are_taken_and_said(tmp_path, theirs):
    state = {k: v.to(torch.float8_e4m3fn) if v.is_floating_point() else v for k, v in theirs.state_dict().items()}
    network = small()
    assert load_weights(network, saved(tmp_path, state)) == ("float8_e4m3fn is the precision in which they were saved",)
    assert torch.equal(network.state_dict()["layers.4.weight"], state["layers.4.weight"].float())


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_file_that_is_cut_off_is_refused(tmp_path, theirs, old, share):
    path = tmp_path / "theirs.pth"
    torch.save(theirs.state_dict(), path, _use_new_zipfile_serialization=not old)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(UserError, match=r"cannot be read as weights \(.*copy it anew"):
        load_weights(small(), path)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<!DOCTYPE html><html>sign in</html>", "is a web page, not the weights themselves; .* sign in"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
            "is a pointer of Git LFS.*git lfs pull",
        ),
        (b"\x1f\x8b\x08\x00", "is a compressed file; unpack it"),
        (b"\x89HDF\r\n", "is an HDF5 file"),
        (b"hello, world", "neither a safetensors file nor a torch file"),
        (b"", "is empty; copy it anew"),
        (b'{"metadata": {"total_size": 9}, "weight_map": {}}', "is the list of the parts of a file of weights"),
        (pickle.dumps({"a.weight": np.ones(9)}), "is a pickle that torch did not write"),
        (b"PK\x03\x04 cut off", "cannot be read as weights"),
        (b"\x90\x01\x00\x00\x00\x00\x00\x00{cut off", "cannot be read as weights"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, text):
    path = tmp_path / "w"
    path.write_bytes(content)
    with pytest.raises(UserError, match=text):
        load_weights(small(), path)


@pytest.mark.parametrize(
    ("found", "text"),
    [([1, 2], "holds list"), ({"epoch": 3}, r"holds a dict of epoch \(int\)"), ({}, "holds an empty dict")],
)
def test_a_file_without_a_state_dict_is_refused(tmp_path, found, text):
    with pytest.raises(UserError, match=f"{text}; give a state dict, by itself or under one of: state_dict, "):
        load_weights(small(), saved(tmp_path, found))
