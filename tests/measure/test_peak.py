"""Peak rates against an injected clock, where every time is known."""

import itertools

import pytest
import torch

from bench.measure import peak as module
from bench.measure.peak import last_level_cache_bytes, peak
from bench.quantities import PeakSpec

SPEC = PeakSpec(machine="m", device="cpu", threads=1)
BYTES = 2**20


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Work so small that only the clock counts."""
    monkeypatch.setattr(module, "SIZES", {"cpu": (8, 16, 32)})
    monkeypatch.setattr(module, "COPY_BYTES", {"cpu": BYTES})
    monkeypatch.setattr(module, "last_level_cache_bytes", lambda: 0)


class Work:
    """A clock that only work moves on: each product and each copy takes the next of the given times.

    As a convolution a product takes `slower` times the last of its times.
    """

    def __init__(self, monkeypatch, products: dict[int, list[float]], copies: list[float], slower: float = 2.0) -> None:
        self.now, self.done = 0.0, []
        times = {size: itertools.chain(given, itertools.repeat(given[-1])) for size, given in products.items()}
        copying = itertools.chain(copies, itertools.repeat(copies[-1]))
        multiply, convolve, copy = torch.mm, torch.conv2d, torch.Tensor.copy_

        def timed_product(left, right, out):
            self.now += next(times[len(left)])
            self.done.append((tuple(left.shape), tuple(right.shape), left.dtype))
            return multiply(left, right, out=out)

        def timed_convolution(maps, weights):
            self.now += slower * products[len(weights)][-1]
            found = convolve(maps, weights)
            assert found.numel() == len(weights) ** 2
            return found

        def timed_copy(target, source):
            assert source.nbytes == BYTES
            assert source.data_ptr() != target.data_ptr()
            self.now += next(copying)
            return copy(target, source)

        monkeypatch.setattr(torch, "mm", timed_product)
        monkeypatch.setattr(torch, "conv2d", timed_convolution)
        monkeypatch.setattr(torch.Tensor, "copy_", timed_copy)

    def clock(self) -> float:
        return self.now


def test_the_best_repeat_of_the_best_size_counts(monkeypatch):
    work = Work(monkeypatch, {8: [0.1, 0.01, 0.004], 16: [0.1, 0.02, 0.016, 0.03], 32: [0.03]}, [9.0, 0.5, 0.25, 1.0])
    monkeypatch.setattr(module, "PRODUCTS_S", 60.0)
    found = peak(SPEC, work.clock)
    assert found.macs_per_s == pytest.approx(32**3 / 0.03)
    assert found.bytes_per_s == pytest.approx(2 * BYTES / 0.25)


def test_a_convolution_that_is_faster_counts(monkeypatch):
    work = Work(monkeypatch, {8: [0.1], 16: [0.9], 32: [9.0]}, [1.0], slower=0.5)
    assert peak(SPEC, work.clock).macs_per_s == pytest.approx(8**3 / 0.05)


def test_the_first_call_is_not_timed(monkeypatch):
    work = Work(monkeypatch, {8: [0.0001, 0.5], 16: [0.0001, 4.0]}, [0.0001, 0.5])
    found = peak(SPEC, work.clock)
    assert found.macs_per_s == pytest.approx(8**3 / 0.5)
    assert found.bytes_per_s == pytest.approx(2 * BYTES / 0.5)


def test_a_slow_machine_is_spared_the_large_sizes(monkeypatch):
    work = Work(monkeypatch, {8: [0.1]}, [0.1])
    peak(SPEC, work.clock)
    assert {(left, right) for left, right, _ in work.done} == {((8, 8), (8, 8))}


def test_repeats_go_on_for_a_while_where_they_are_short(monkeypatch):
    work = Work(monkeypatch, {8: [0.01], 16: [1.0]}, [0.1])
    peak(SPEC, work.clock)
    assert sum(shape == (8, 8) for shape, _, _ in work.done) == 1 + 20


def test_it_multiplies_in_the_precision_and_with_the_threads_asked_for(monkeypatch):
    work = Work(monkeypatch, {8: [0.1]}, [0.1])
    peak(SPEC.model_copy(update={"precision": "bfloat16"}), work.clock)
    assert {dtype for _, _, dtype in work.done} == {torch.bfloat16}
    assert torch.get_num_threads() == 1
    assert not torch.backends.cuda.matmul.allow_tf32


def test_caches_that_processors_share_count_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "processors", lambda: (0, 1, 2))
    for number, shared in enumerate(("0-1", "0-1", "2-3")):
        for index, (level, size) in enumerate((("1", "48K"), ("3", "32768K"))):
            folder = tmp_path / f"cpu{number}/cache/index{index}"
            folder.mkdir(parents=True)
            for name, text in (("level", level), ("size", size), ("shared_cpu_list", shared)):
                (folder / name).write_text(text + "\n")
    assert last_level_cache_bytes(tmp_path) == 2 * 32 * 2**20
    assert last_level_cache_bytes(tmp_path / "nowhere") == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(monkeypatch):
    monkeypatch.setattr(module, "SIZES", {"cuda": (2048,)})
    monkeypatch.setattr(module, "COPY_BYTES", {"cuda": 2**26})
    found = peak(SPEC.model_copy(update={"device": "cuda", "precision": "bfloat16"}))
    assert found.macs_per_s > 1e11
    assert found.bytes_per_s > 1e10
