"""A network in a user's file is found, checked before it is run, and built."""

import pytest
import torch

from bench.errors import UserError
from bench.networks import find_network

TINY = """
from torch import nn
from blocks import double

class TinyNet(nn.Module):
    def __init__(self, in_channels, classes, width=8):
        super().__init__()
        self.layers = nn.Sequential(double(in_channels, width), nn.Conv2d(width, classes, 1))

    def forward(self, x):
        return self.layers(x)
"""
BLOCKS = """
from torch import nn

def double(before, after):
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.ReLU())
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "blocks.py").write_text(BLOCKS)
    return tmp_path / "tiny.py"


def test_a_network_of_a_file_is_built_with_its_neighbors_and_arguments(tiny):
    network = find_network("tiny.py:TinyNet?width=4").build(1, 3, 32)
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 3, 32, 32)
    assert network.layers[1].in_channels == 4


def test_a_file_in_a_package_may_import_its_siblings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "lab" / "nets"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder / "tiny.py").write_text(TINY.replace("from blocks", "from .blocks"))
    (folder / "blocks.py").write_text(BLOCKS)
    assert find_network("lab/nets/tiny.py:TinyNet").build(3, 1, 32)(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)


def test_a_file_may_be_called_as_a_module_of_python(tiny):
    import random

    tiny.rename(tiny.with_name("random.py"))
    find_network("random.py:TinyNet").build(3, 1, 32)
    assert random.random() < 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone.py:Net", r"no file 'gone\.py' here"),
        ("tiny.py", r"such as tiny\.py:TinyNet"),
        ("tiny.py:TinyNett", r"unknown name in tiny\.py 'TinyNett'; did you mean 'TinyNet'"),
    ],
)
def test_a_path_that_leads_nowhere_is_told_before_anything_runs(tiny, name, said):
    with pytest.raises(UserError, match=said):
        find_network(name)


def test_a_file_that_is_no_python_names_the_line(tiny):
    tiny.write_text("import torch\nclass Net(:\n")
    with pytest.raises(UserError, match=r"tiny\.py:2: this is not Python"):
        find_network("tiny.py:Net")


def test_a_file_that_cannot_be_imported_says_why(tiny):
    tiny.write_text(f"import a_module_that_nobody_has\n{TINY}")
    with pytest.raises(UserError, match="imports 'a_module_that_nobody_has', which is not installed"):
        find_network("tiny.py:TinyNet").build(3, 1, 32)


def test_a_name_that_came_by_a_star_is_believed(tiny):
    other = tiny.with_name("all.py")
    other.write_text("from tiny import *\n")
    assert find_network("all.py:TinyNet").build(3, 1, 32)(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)
