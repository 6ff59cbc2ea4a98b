"""A network that was built here is the same in the process that gets it, or it is said why it cannot be."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from orders import tiny
from torch import nn
from toys import small

from bench.errors import UserError
from bench.networks import find_network
from bench.networks.handed import Handed, hand_over, received

ROOT = Path(__file__).parent.parent.parent
CELL = """
import torch
from torch import nn
import torch.nn.functional as F

def act(x):
    return F.relu(x)

class Cell(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.first, self.last = nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 1, 1)
        self.gate = lambda x: torch.sigmoid(x) * width
        self.tied = self.last

    def forward(self, x):
        return self.gate(self.tied(act(self.first(x))))
"""
# What a process that got a network tells: its kind, its output for some images, and whether tied layers still are.
ELSEWHERE = (
    "import sys, torch; from pathlib import Path; from bench.networks.handed import Handed, received\n"
    "network = received(Handed(Path(sys.argv[1]), tuple(sys.path), sys.argv[2])).eval()\n"
    "torch.save((str(type(network)), network(torch.ones(1, 3, 32, 32)).detach()), sys.argv[3])\n"
)


@pytest.fixture(autouse=True)
def path(monkeypatch):
    """The folders to import from, which `received` sets."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def elsewhere(handed: Handed, folder: Path):
    """The kind of a network in another process, and its output for images of ones."""
    asked = [sys.executable, "-c", ELSEWHERE, str(handed.file), handed.name, str(folder / "out")]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "out")


def same(network: nn.Module, output: torch.Tensor) -> bool:
    return torch.equal(network.eval()(torch.ones(1, 3, 32, 32)), output)


def test_a_network_of_a_notebooks_cell_does_the_same_in_another_process(tmp_path):
    cell = {"__name__": "__main__"}
    exec(compile(CELL, "<cell>", "exec"), cell)
    network = cell["Cell"]()
    handed = hand_over(network, "Cell", tmp_path / "n")
    assert network.training, "it stays as it was"
    kind, output = elsewhere(handed, tmp_path)
    assert "Cell" in kind
    assert same(network, output)


def test_a_network_of_a_file_is_found_by_the_name_it_was_built_by(tmp_path):
    name = tiny(tmp_path)
    network = find_network(name).build(3, 1, 32)
    kind, output = elsewhere(hand_over(network, "Tiny", tmp_path / "n", name), tmp_path)
    assert "Tiny" in kind
    assert same(network, output)


def test_weights_that_were_trained_here_go_with_it(tmp_path):
    network = small()
    with torch.no_grad():
        network.layers[0].weight.fill_(0.5)
    found = received(hand_over(network, "Small", tmp_path / "n"))
    assert type(found) is type(network)
    assert bool((found.layers[0].weight == 0.5).all())
    assert found.layers[0].weight is not network.layers[0].weight


def test_what_cannot_be_pickled_is_named_and_what_to_do(tmp_path):
    network = small()
    network.lock = threading.Lock()
    with pytest.raises(UserError, match=r"Small cannot be handed .*lock.*write what makes it to a file of its own"):
        hand_over(network, "Small", tmp_path / "n")


def test_a_module_that_the_other_process_does_not_have_is_named(tmp_path, monkeypatch):
    (tmp_path / "of_yesterday.py").write_text("from torch import nn\n\nclass Net(nn.Identity):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import of_yesterday

    handed = hand_over(of_yesterday.Net(), "Net", tmp_path / "n")
    monkeypatch.delitem(sys.modules, "of_yesterday")
    assert type(received(handed)).__name__ == "Net"
    (tmp_path / "of_yesterday.py").unlink()
    monkeypatch.delitem(sys.modules, "of_yesterday")
    with pytest.raises(UserError, match=r"cannot be put together in a process of its own \(No module named"):
        received(handed)
