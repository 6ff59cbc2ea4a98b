"""Errors of a stranger's code say what failed, on which of its lines, and what to do."""

import re

import pytest
import torch

from bench.errors import UserError
from bench.networks import find_network
from bench.networks.adapt import notes_of
from bench.networks.explain import explained, has_known_reason

HEAD = "import torch\nfrom torch import nn\n"
BODY = """
class Net(nn.Conv2d):
    def __init__(self, in_channels=3, num_classes=1{more}):
        super().__init__(in_channels, num_classes, 3, padding=1)
        {init}

    def forward(self, x{taken}):
        {forward}
        return super().forward(x)
"""


@pytest.fixture
def said(tmp_path, monkeypatch):
    """What is said of a network in a file `net.py` with these lines in it."""
    monkeypatch.chdir(tmp_path)

    def told(top="", init="pass", forward="pass", taken="", more="", name="net.py:Net"):
        body = BODY.format(init=init, forward=forward, taken=taken, more=more)
        (tmp_path / "net.py").write_text(f"{HEAD}{top}\n{body}")
        with pytest.raises(UserError) as caught:
            find_network(name).build(3, 1, 32)
        return str(caught.value)

    return told


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("from mamba_ssm import Mamba", "mamba-ssm; it needs CUDA"),
        ("import selective_scan_cuda_core", "from its source, as its repository says; it needs CUDA"),
        ("import nobody_has_this.at_all", "pip install nobody-has-this"),
        (
            "import timm.no_such_module",
            r"installed timm [\d.]+ does not have.* another version of timm: change the line",
        ),
        ("from timm.layers import NoSuchLayer", r"'NoSuchLayer' from 'timm.layers', which the installed timm [\d.]+"),
        ("import numpy; numpy.no_such_type", r"'no_such_type' from 'numpy', which the installed numpy [\d.]+"),
    ],
)
def test_packages_that_are_missing_or_of_another_version(said, line, package):
    told = said(top=line)
    assert re.search(package, told)
    assert f"(net.py:3: `{line}`)" in told
    assert told.startswith("'net.py' cannot be imported: it")


def test_an_import_that_failed_silently_is_told_where_its_name_is_missed(said):
    top = "try:\n    from mamba_ssm import Mamba\nexcept ImportError:\n    pass"
    for told in (said(top, init="self.m = Mamba(3)"), said(top, forward="Mamba(3)")):
        assert "it imports 'mamba_ssm', which is not installed (net.py:" in told
        assert "image_size" not in told


@pytest.mark.parametrize(
    "line", ["torch.zeros(1).cuda()", "torch.zeros(1, device='cuda:0')", "torch.ones(1).to('cuda')"]
)
def test_no_gpu(said, line, monkeypatch):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has one")
    assert f"asks for a GPU, and this process has none (net.py:8: `{line}`)" in said(init=line)
    told = said(forward=line)
    assert told.startswith("Net takes no image: it asks for a GPU")
    assert f"(net.py:11: `{line}`)" in told
    assert "it asks for a GPU" in said(forward=f"assert x.shape[-1] == 256; {line}")


def test_a_second_argument(said):
    told = said(taken=", prompt")
    assert told.startswith("Net takes no image: its forward takes more than an image: 'prompt' (net.py:10)")


def test_a_mistake_is_told_with_its_line_and_advice_on_sizes_only_where_they_matter(said):
    told = said(forward="self.boddy(x)")
    assert told == (
        "Net takes no image: AttributeError: 'Net' object has no attribute 'boddy' (net.py:11: `self.boddy(x)`); "
        "correct it there"
    )
    told = said(forward="x = x.reshape(-1, 7, 9, 11)")
    assert "shape '[-1, 7, 9, 11]' is invalid for input of size 3072; net.py:11: `x = x.reshape" in told
    assert "declare what it takes: image_size" in told


def test_a_download_in_the_constructor(said):
    line = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/w.pth')"
    told = said(init=line)
    assert "it downloads http://127.0.0.1:9/w.pth, which failed (" in told
    assert f"(net.py:8: `{line}`)" in told
    assert "--arg pretrained=false" in told


def test_files_that_are_missing_and_programs_that_end(said):
    told = said(init="torch.load('pretrained/w.pth')")
    assert "it reads 'pretrained/w.pth', which is not there (net.py:8: " in told
    assert "--arg pretrained=false" in told
    told = said(init="import numpy; numpy.load('w.npz')")  # which that leaves as it is
    assert "it reads 'w.npz', which is not there (net.py:8: " in told
    assert "pretrained=false" not in told
    assert "it ends the program (net.py:3: `raise SystemExit`)" in said(top="raise SystemExit")
    assert "net.py' cannot be imported: KeyError: 'WORLD'" in said(
        top="import os; os.environ.__class__.get; {}['WORLD']"
    )


def built(tmp_path, monkeypatch, text, name="net.py:Net"):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(HEAD + text)
    return find_network(name).build(3, 1, 32)


def test_weights_are_random_unless_asked_for(tmp_path, monkeypatch):
    text = BODY.format(
        more=", pretrained=True, encoder_weights='imagenet'", taken="", forward="pass",
        init="self.asked = (pretrained, encoder_weights)",
    )  # fmt: skip
    assert built(tmp_path, monkeypatch, text).asked == (False, None)
    assert built(tmp_path, monkeypatch, text, "net.py:Net?pretrained=true").asked == (True, "imagenet")
    assert built(tmp_path, monkeypatch, text, "net.py:Net?encoder_weights=other").asked == (False, "other")


def test_what_a_constructor_always_loads_is_left_out_if_asked(tmp_path, monkeypatch):
    load = "found = torch.hub.load_state_dict_from_url('http://127.0.0.1:9/w.pth', model_dir='.'); "
    load += "found.pop('head'); self.load_state_dict(found['model']); self.load_state_dict(torch.load('gone.pth')); "
    load += "self.state_dict()['weight'][:] = found['conv']['w']; self.weight.data.copy_(found['v'])"
    text = BODY.format(more="", taken="", forward="pass", init=load)
    assert built(tmp_path, monkeypatch, text, "net.py:Net?pretrained=false").weight.std() > 0


DOWNLOAD = "self.load_state_dict(torch.hub.load_state_dict_from_url('http://127.0.0.1:9/w.pth', model_dir='.'))"


def test_what_a_constructor_always_downloads_is_left_out_and_told(tmp_path, monkeypatch):
    text = BODY.format(more="", taken="", forward="pass", init=DOWNLOAD)
    network = built(tmp_path, monkeypatch, text)
    assert network.weight.std() > 0
    assert "starts with random weights, since http://127.0.0.1:9/w.pth was left out" in notes_of(network)


def test_a_network_that_cannot_be_built_without_its_download_tells_the_address(said):
    told = said(init=f"{DOWNLOAD}; assert self.state_dict()['weight'].sum() == 0")
    assert "it downloads http://127.0.0.1:9/w.pth, which failed" in told


def test_a_file_of_the_users_own_is_loaded(tmp_path, monkeypatch):
    torch.save({"weight": torch.ones(1, 3, 3, 3), "bias": torch.ones(1)}, tmp_path / "own.pth")
    text = BODY.format(more="", taken="", forward="pass", init="self.load_state_dict(torch.load('own.pth'))")
    assert (built(tmp_path, monkeypatch, text).weight == 1).all()


def test_a_download_is_not_blamed_for_what_else_is_missing(said):
    told = said(init=f"{DOWNLOAD}; self.cuda()")
    assert "it asks for a GPU" in told or torch.cuda.is_available()


class Unspeakable(Exception):
    def __str__(self):
        raise KeyError


@pytest.mark.timeout(60)
@pytest.mark.parametrize("error", [ValueError("E" * 50_000_000), TypeError("a.b" * 9_000_000), Unspeakable()])
def test_an_error_that_is_very_long_or_cannot_be_told_is_explained_in_no_time(error):
    assert explained(error).startswith(type(error).__name__)
    assert not has_known_reason(error)
