"""A file of somebody's repository is imported as it is, wherever it lies and whatever lies beside it."""

import logging
import multiprocessing
import os
import random
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.errors import UserError
from bench.networks import find_network
from bench.networks.foreign import names_in

BLOCKS = "from torch import nn\nWIDTH = 8\ndef double(a):\n    return nn.Conv2d(a, WIDTH, 3, padding=1)\n"
NET = """
from torch import nn
{imports}

class Net(nn.Module):
    def __init__(self, in_channels=3, num_classes=1):
        super().__init__()
        self.body = double(in_channels)
        self.head = nn.Conv2d(WIDTH, num_classes, 1)

    def forward(self, x):
        return self.head(self.body(x))
"""
BY_HAND = 3 * 8 * 9 + 8 + 8 + 1  # parameters of NET


@pytest.fixture
def lay(tmp_path, monkeypatch):
    """Write files below a folder, and stand in it."""

    def laid(files: dict[str, str], at: str = "repository") -> Path:
        for name, text in files.items():
            file = tmp_path / at / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path / at)
        return tmp_path / at

    return laid


def net(imports: str) -> str:
    return NET.format(imports=imports)


def parameters(name: str) -> int:
    return sum(one.numel() for one in find_network(name).build(3, 1, 32).parameters())


def test_a_folder_whose_name_is_no_utf_8_and_a_file_whose_name_is_no_name(lay):
    lay({"my net.py": net("from blocks import WIDTH, double"), "blocks.py": BLOCKS}, at="lab \udce9")
    assert parameters("./my net.py:Net") == BY_HAND


LAYOUTS = {
    "beside": ("net/model.py", "net/blocks.py", "from .blocks import WIDTH, double"),
    "in the folder where we are": ("model.py", "blocks.py", "from .blocks import WIDTH, double"),
    "two folders up": (
        "models/cnn/net/model.py",
        "models/utils/blocks.py",
        "from ...utils.blocks import WIDTH, double",
    ),
    "above the folder where we are": ("model.py", "../other/blocks.py", "from ..other.blocks import WIDTH, double"),
    "a folder with a dot": ("nets v1.0/model.py", "nets v1.0/blocks.py", "from .blocks import WIDTH, double"),
    "a folder called as a module of Python": ("code/model.py", "code/blocks.py", "from .blocks import WIDTH, double"),
    "a folder called as a library": ("torch/model.py", "torch/blocks.py", "from .blocks import WIDTH, double"),
    "a file with a dot": ("net/unet-2.1.py", "net/blocks.py", "from .blocks import WIDTH, double"),
    "the file of a package": ("net/__init__.py", "net/blocks.py", "from .blocks import WIDTH, double"),
    "absolute, from the root": ("networks/model.py", "networks/blocks.py", "from networks.blocks import WIDTH, double"),
    "absolute, from a folder between": ("a/b/c/model.py", "a/b/d/blocks.py", "from d.blocks import WIDTH, double"),
    "absolute, of a folder beside": ("src/nets/model.py", "lib/blocks.py", "from lib.blocks import WIDTH, double"),
}


@pytest.mark.parametrize(("file", "blocks", "line"), LAYOUTS.values(), ids=list(LAYOUTS))
def test_folders_without_init_files(lay, file, blocks, line):
    lay({file: net(line), blocks: BLOCKS})
    assert parameters(f"{file}:Net") == BY_HAND


def test_from_elsewhere_the_root_is_told_by_its_marks(lay, monkeypatch):
    root = lay(
        {"models/net/model.py": net("from lib.blocks import *"), "lib/blocks.py": BLOCKS, "requirements.txt": ""}
    )
    monkeypatch.chdir("/")
    assert parameters(f"{root}/models/net/model.py:Net") == BY_HAND


def test_a_module_below_the_working_directory(lay):
    lay({"net/model.py": net("from .blocks import WIDTH, double"), "net/blocks.py": BLOCKS})
    assert parameters("net.model:Net") == BY_HAND


def test_the_nearest_folder_that_holds_what_is_imported(lay):
    """`utils` of the root lacks `blocks`; the file beside, `utils.py`, is a module without parts."""
    lay({
        "models/net/model.py": net("from utils.blocks import WIDTH, double\nfrom utils.other import X"),
        "models/net/utils.py": "", "models/utils/blocks.py": BLOCKS, "utils/__init__.py": "", "utils/other.py": "X = 1",
        "utils/blocks/readme.txt": "",
    })  # fmt: skip
    assert parameters("models/net/model.py:Net") == BY_HAND


def test_two_repositories_do_not_get_each_others_packages(lay):
    files = {"model.py": net("from utils.blocks import WIDTH, double"), "utils/blocks.py": BLOCKS}
    one = lay({**files, "requirements.txt": ""}, "one")
    two = lay({**files, "utils/blocks.py": BLOCKS.replace("8", "16"), "requirements.txt": ""}, "two")
    counts = [parameters(f"{root}/model.py:Net") for root in (one, two, one)]
    assert counts == [BY_HAND, 3 * 16 * 9 + 16 + 16 + 1, BY_HAND]


def test_an_edit_of_what_it_imports_is_seen(lay):
    root = lay({"net/model.py": net("from .blocks import WIDTH, double"), "net/blocks.py": BLOCKS})
    parameters("net/model.py:Net")
    time.sleep(0.02)  # longer than a tick of the clock of files
    (root / "net" / "blocks.py").write_text(BLOCKS.replace("8", "9"))  # as long as before, in the same second
    assert parameters("net/model.py:Net") == 3 * 9 * 9 + 9 + 9 + 1


@pytest.mark.parametrize("name", ["random", "types", "statistics", "torch", "timm", "typing_extensions"])
def test_files_beside_it_take_no_place_of_python_or_of_libraries(lay, name):
    text = f"import {name}\nassert not hasattr({name}, 'MINE')\nfrom blocks import *"
    lay({"net/model.py": net(text), "net/blocks.py": BLOCKS, f"net/{name}.py": "MINE = 1\n"})
    assert parameters("net/model.py:Net") == BY_HAND
    assert not hasattr(__import__(name), "MINE")


def test_its_own_package_comes_before_an_installed_one_that_this_program_does_not_need(lay, monkeypatch):
    installed = lay({"lib/__init__.py": "MINE = 1"}, "installed")
    monkeypatch.syspath_prepend(installed)
    lay({"net/model.py": net("from lib.blocks import WIDTH, double"), "lib/blocks.py": BLOCKS})
    assert parameters("net/model.py:Net") == BY_HAND


def test_a_package_that_imports_what_is_not_there_is_taken_without_it(lay):
    """As that of a collection, whose `__init__.py` imports all networks."""
    lay({
        "nets/__init__.py": "from .model import Net\nfrom .other import Other", "nets/blocks.py": BLOCKS,
        "nets/other.py": "import nobody_has_this", "nets/model.py": net("from .blocks import WIDTH, double"),
    })  # fmt: skip
    assert parameters("nets/model.py:Net") == BY_HAND
    lay({"nets/late.py": net("from . import Other\nfrom .blocks import *")})
    with pytest.raises(UserError, match=r"imports 'nobody_has_this', which is not installed \(nets/other.py:1"):
        find_network("nets/late.py:Net").build(3, 1, 32)


def test_a_package_that_ends_the_program_is_taken_without_it(lay):
    files = {"nets/__init__.py": "import sys\nsys.exit('no')", "nets/blocks.py": BLOCKS}
    lay({**files, "nets/model.py": net("from .blocks import WIDTH, double")})
    assert parameters("nets/model.py:Net") == BY_HAND


def test_a_package_further_up_is_not_run(lay):
    lay({
        "models/__init__.py": "raise SystemExit", "models/cnn/model.py": net("from ..lib.blocks import WIDTH, double"),
        "models/lib/blocks.py": BLOCKS,
    })  # fmt: skip
    assert parameters("models/cnn/model.py:Net") == BY_HAND


def test_imports_while_it_runs(lay):
    late = net("from .blocks import *").replace("return", "from late import SCALE\n        return SCALE *")
    lay({"net/model.py": late, "net/blocks.py": BLOCKS, "late.py": "SCALE = 2"})
    network = find_network("net/model.py:Net").build(3, 1, 32)
    assert "late" in sys.modules
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 1, 32, 32)


CHANGES = """
import argparse, logging, multiprocessing, os, random, signal, sys, tempfile, warnings
import numpy, torch
from torch import nn
argparse.ArgumentParser().parse_args()
def change():
    os.chdir(tempfile.gettempdir()); os.environ["BENCH_WAS_HERE"] = "1"; sys.argv.append("x")
    torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False); torch.set_num_threads(7)
    torch.use_deterministic_algorithms(True); torch.backends.cudnn.benchmark = True; sys.path.insert(0, "/nowhere")
    random.seed(1); numpy.random.seed(1); torch.manual_seed(1)
    logging.basicConfig(level=5, force=True); logging.disable(); signal.signal(signal.SIGINT, signal.SIG_IGN)
    multiprocessing.set_start_method("spawn", force=True); warnings.simplefilter("error")
change()
class Net(nn.Conv2d):
    def __init__(self, in_channels=3, num_classes=1):
        super().__init__(in_channels, num_classes, 3, padding=1)
        change()
"""


def state_of_this_process():
    return (
        Path.cwd(), dict(os.environ), list(sys.argv), torch.get_default_dtype(), torch.is_grad_enabled(),
        torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark,
        random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(), sys.path[0],
        list(logging.root.handlers), logging.root.level, logging.root.manager.disable, signal.getsignal(signal.SIGINT),
        multiprocessing.get_start_method(allow_none=True), list(warnings.filters),
    )  # fmt: skip


def test_this_process_is_as_it_was(lay, monkeypatch):
    lay({"net.py": CHANGES})
    monkeypatch.setattr(sys, "argv", ["bench", "run", "--steps", "1"])
    before = state_of_this_process()
    network = find_network("net.py:Net").build(3, 1, 32)
    assert state_of_this_process() == before
    assert network.weight.dtype == torch.float32
    assert network.weight.requires_grad


def test_weights_depend_on_the_seed_alone_however_they_are_drawn(lay):
    drawn = "import random, numpy, torch\nfrom torch import nn\nrandom.seed(0); torch.manual_seed(0)\n"
    drawn += "class Net(nn.Conv2d):\n    def __init__(self):\n        super().__init__(3, 1, 1)\n"
    drawn += "        nn.init.constant_(self.bias, random.random() + numpy.random.rand())\n"
    lay({"net.py": drawn})

    def weights(seed):
        torch.manual_seed(seed)
        network = find_network("net.py:Net").build(3, 1, 32)
        return torch.cat([network.weight.flatten(), network.bias])

    assert torch.equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).all()


NAMES = """
import torch.nn as nn
from functools import partial
if True:
    class InIf(nn.Conv2d):
        def __init__(self, in_channels=3, classes=1, width=3):
            super().__init__(in_channels, classes, width, padding=width // 2)
try:
    import nobody_has_this
except ImportError:
    def in_try(in_channels, classes): return InIf(in_channels, classes)
with open(__file__):
    InWith = InIf
for _ in range(1):
    InLoop = InIf
Alias = InIf
Annotated: type = InIf
Partial = partial(InIf, width=1)
One, Two = InIf, InIf
class Factory:
    make = InIf
"""


@pytest.mark.parametrize(
    "name", ["InIf", "in_try", "InWith", "InLoop", "Alias", "Annotated", "Partial", "One", "Two", "Factory.make"]
)
def test_names_are_found_wherever_a_file_defines_them(lay, name):
    lay({"net.py": NAMES})
    assert find_network(f"net.py:{name}").build(3, 1, 8)(torch.rand(1, 3, 8, 8)).shape == (1, 1, 8, 8)


def test_names_in_functions_and_targets_that_are_no_names_do_not_count():
    import ast

    code = "def f():\n    X = 1\na.b = c[d] = 1\nE: int\nlambda: g"
    assert names_in(ast.parse(code).body) == (["f"], [])


@pytest.mark.parametrize(
    "content", ["\ufeff{}".encode(), "# -*- coding: latin-1 -*-\n# é\n{}".encode("latin-1"), b"# \xc3\xa9\r\n{}"]
)
def test_marks_and_lines_that_tell_an_encoding(lay, content):
    root = lay({"net/blocks.py": BLOCKS})
    (root / "net" / "model.py").write_bytes(content.replace(b"{}", net("from .blocks import *").encode()))
    assert parameters("net/model.py:Net") == BY_HAND


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("net.ipynb:Net", "is a notebook, which is not run; write it to a file: jupyter nbconvert --to script"),
        ("net.yaml:Net", "is no Python file"),
        ("nets/:Net", "is a folder; name the file in it"),
        ("binary.py:Net", "this is not Python|cannot be read"),
        ("hidden.py:Net", "has no 'Net'"),
    ],
)
def test_what_is_no_file_of_a_network(lay, name, said):
    root = lay({"net.ipynb": "{}", "net.yaml": "", "nets/x.py": "", "hidden.py": "if False:\n    class Net: pass"})
    (root / "binary.py").write_bytes(b"\0\xff\xfe")
    with pytest.raises(UserError, match=said):
        find_network(name).build(3, 1, 32)


DATACLASSES = """
from dataclasses import dataclass, field
@dataclass
class Stage:
    width: int = 8

@dataclass(order=True)
class Settings:
    stage: Stage = Stage()
    {more}
"""


def test_an_object_of_a_dataclass_may_be_a_default_as_it_was_until_python_3_10(lay):
    text = DATACLASSES.format(more="") + net("from .blocks import double\nWIDTH = Settings().stage.width")
    lay({"net/model.py": text, "net/blocks.py": BLOCKS})
    assert parameters("net/model.py:Net") == BY_HAND
    lay({"net/model.py": DATACLASSES.format(more="sizes: list = []") + net("from .blocks import WIDTH, double")})
    with pytest.raises(UserError, match="mutable default <class 'list'> for field sizes"):
        parameters("net/model.py:Net")
