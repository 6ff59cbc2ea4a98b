"""Measured bytes against what networks of known activations must hold, in one fresh process for all of them."""

import json
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from bench.errors import UserError
from bench.machine import ALLOCATOR
from bench.measure import memory as module
from bench.measure.memory import HighWater, memory
from bench.quantities import Memory, MemorySpec

ROOT = Path(__file__).parents[2]
MIB = 2**20
SPEC = MemorySpec(machine="m", device="cpu", threads=1, size=512)

lowers_its_mark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="needs a system that lets a process lower its own mark"
)


# ---- networks of known size ------------------------------------------------------------------------------------------

CHANNELS, DEPTH = 16, 8
IMAGES = SPEC.batch * 3 * SPEC.size**2 * 4
MAP = SPEC.batch * CHANNELS * SPEC.size**2 * 4  # 16 MiB
TABLE = 16 * MIB


class Sigmoids(nn.Module):
    """Maps of 16 MiB: in inference two are alive at once, in training the DEPTH outputs that backward needs."""

    def __init__(self) -> None:
        super().__init__()
        self.widen = nn.Parameter(torch.ones(CHANNELS, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, :1] * self.widen
        for _ in range(DEPTH):
            x = x.sigmoid()
        return x[:, :1].clone()


class Untouched(nn.Module):
    """Weights of 64 MiB that nothing ever writes or reads; two of their names are for one memory."""

    def __init__(self) -> None:
        super().__init__()
        self.big = nn.Parameter(torch.empty(16 * MIB))
        self.register_buffer("same", self.big.detach()[: 4 * MIB])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :1]


class Dense(nn.Module):
    """Weights of 48 MiB and next to no activations, for images of 32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3072, 3072, bias=False), nn.Linear(3072, 1024, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x.flatten(1)).view(-1, 1, 32, 32)


class Lazy(nn.Module):
    """Makes a table when it is first called, after its map is gone: only in the second pass both are there."""

    def __init__(self) -> None:
        super().__init__()
        self.table: torch.Tensor | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = (x[:, :1].expand(-1, CHANNELS, -1, -1) + 1).mean(1, keepdim=True)
        if self.table is None:
            self.table = torch.ones(TABLE // 4)
        return output


class Small(nn.Module):
    """Remembers what it was called with."""

    seen: set[tuple[object, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        Small.seen = set()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output = self.norm(self.layer(x))
        layout = x.is_contiguous(memory_format=torch.channels_last)
        Small.seen.add((tuple(x.shape), str(x.dtype), str(self.layer(x).dtype), layout, self.training))
        return output


def wasteful() -> nn.Module:
    """Building it takes far more than it keeps."""
    torch.ones(16 * MIB)
    return nn.Conv2d(3, 1, 1)


def conditions(precision: str, mode: str, memory_format: str) -> list[tuple[object, ...]]:
    given = {"precision": precision, "mode": mode, "memory_format": memory_format, "size": 32, "batch": 2, "classes": 4}
    memory(Small, SPEC.model_copy(update=given))
    return sorted(Small.seen)


def measure_all() -> dict[str, object]:
    def of(build: Callable[[], nn.Module], **given: object) -> dict[str, int | None]:
        return memory(build, SPEC.model_copy(update=given)).model_dump()

    return {
        "maps": of(Sigmoids),
        "maps in bfloat16": of(Sigmoids, precision="bfloat16"),
        "maps in training": of(Sigmoids, mode="training"),
        "untouched": of(Untouched, size=32),
        "dense": of(Dense, size=32),
        "dense in training": of(Dense, size=32, mode="training"),
        "lazy": of(Lazy),
        "wasteful": of(wasteful, size=32),
        "half": conditions("bfloat16", "inference", "channels_last"),
        "mixed": conditions("bfloat16", "training", "contiguous"),
    }


@pytest.fixture(scope="module")
def found() -> dict[str, Memory]:
    """What a fresh process measures, under the C library's settings that workers have."""
    variables = {**os.environ, **ALLOCATOR, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, env=variables, check=False)
    assert done.returncode == 0, done.stderr
    values = json.loads(done.stdout.splitlines()[-1])
    return {name: Memory(**value) if isinstance(value, dict) else value for name, value in values.items()}


# ---- the figures -----------------------------------------------------------------------------------------------------


@lowers_its_mark
def test_inference_holds_the_images_and_two_maps(found):
    assert found["maps"].peak_bytes == pytest.approx(IMAGES + 2 * MAP, rel=0.1)


@lowers_its_mark
def test_half_precision_holds_half(found):
    assert found["maps in bfloat16"].peak_bytes == pytest.approx((IMAGES + 2 * MAP) / 2, rel=0.1)


@lowers_its_mark
def test_training_holds_what_backward_needs(found):
    """All outputs, the gradient of the last, and the gradient made from it."""
    assert found["maps in training"].peak_bytes == pytest.approx(IMAGES + (DEPTH + 2) * MAP, rel=0.1)


@lowers_its_mark
def test_weights_count_although_nothing_writes_them_and_once_although_they_have_two_names(found):
    assert found["untouched"].weights_bytes == 64 * MIB
    assert found["untouched"].peak_bytes == pytest.approx(64 * MIB, rel=0.1)


@lowers_its_mark
def test_inference_holds_the_weights_once(found):
    assert found["dense"].weights_bytes == 48 * MIB
    assert found["dense"].peak_bytes == pytest.approx(48 * MIB, rel=0.1)


@lowers_its_mark
def test_training_holds_gradients_and_both_moments_and_the_optimizers_working_room(found):
    held = found["dense in training"].peak_bytes
    assert 4 * 48 * MIB < held < 4 * 48 * MIB + 2.5 * 36 * MIB  # its larger layer has 36 MiB
    assert found["dense in training"].weights_bytes == 48 * MIB


@lowers_its_mark
def test_what_a_network_makes_when_first_called_is_counted(found):
    assert found["lazy"].peak_bytes == pytest.approx(IMAGES + MAP + TABLE, rel=0.1)


@lowers_its_mark
def test_what_building_takes_and_gives_back_is_not_counted(found):
    assert found["wasteful"].peak_bytes < 16 * MIB


@lowers_its_mark
def test_the_pass_is_as_the_conditions_say(found):
    bfloat16, float32 = "torch.bfloat16", "torch.float32"
    assert found["half"] == [[[2, 3, 32, 32], bfloat16, bfloat16, True, False]]
    assert found["mixed"] == [[[2, 3, 32, 32], float32, bfloat16, False, True]]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize(("mode", "maps"), [("inference", 2), ("training", DEPTH + 2)])
def test_on_cuda_the_maps_are_counted_to_the_byte_but_for_rounding(mode, maps):
    found = memory(Sigmoids, SPEC.model_copy(update={"device": "cuda", "mode": mode}))
    assert found.peak_bytes == pytest.approx(IMAGES + maps * MAP, rel=0.1)
    assert found.reserved_bytes >= found.peak_bytes


def test_training_in_float16_is_refused():
    with pytest.raises(UserError, match="give float32 or bfloat16"):
        memory(Small, SPEC.model_copy(update={"precision": "float16", "mode": "training"}))


# ---- the high-water mark ---------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _resident(monkeypatch):
    """This process holds 100 MiB, but not where memory is measured, which is in another process."""
    monkeypatch.setattr(module, "resident_bytes", lambda: 100 * MIB)


def proc(folder: Path, mark: int) -> Path:
    (folder / "status").write_text(f"Name:\tpython\nVmHWM:\t{mark // 1024:8} kB\nVmRSS:\t   {7:8} kB\n")
    return folder


def test_a_lowered_mark_is_the_peak(tmp_path):
    mark = HighWater(proc(tmp_path, 100 * MIB))
    assert (tmp_path / "clear_refs").read_text() == "5"
    assert mark.peak() == 100 * MIB
    proc(tmp_path, 300 * MIB)
    assert mark.peak() == 300 * MIB


def test_a_mark_that_was_not_lowered_is_the_peak_once_it_has_grown(tmp_path):
    (tmp_path / "clear_refs").mkdir()
    mark = HighWater(proc(tmp_path, 500 * MIB))
    proc(tmp_path, 600 * MIB)
    assert mark.peak() == 600 * MIB


@pytest.mark.parametrize("denied", [True, False])
def test_a_mark_that_was_not_lowered_and_has_not_grown_tells_nothing(tmp_path, denied):
    if denied:
        (tmp_path / "clear_refs").mkdir()
    mark = HighWater(proc(tmp_path, 500 * MIB))
    why = r"Is a directory.*clear_refs'" if denied else "this system keeps that mark"
    with pytest.raises(
        UserError, match=rf"below the 500 MiB that the process held earlier, and .*{why}; give a larger"
    ):
        mark.peak()


def test_without_proc_the_system_is_asked_whose_units_differ(tmp_path, monkeypatch):
    for system, unit in (("Linux", 1024), ("Darwin", 1)):
        monkeypatch.setattr(platform, "system", lambda system=system: system)
        kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        assert HighWater(tmp_path)._highest() == pytest.approx(kept, rel=0.05)


if __name__ == "__main__":
    print(json.dumps(measure_all()))
