"""The switches that all measures share, and their images."""

import torch

from bench.measure.switches import random_images, set_switches


def switches() -> tuple[object, ...]:
    flags = torch.backends.cudnn
    tiny = torch.tensor([1e-39]) * 0.5  # subnormal
    tf32 = torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32
    return torch.get_num_threads(), *tf32, flags.benchmark, flags.deterministic, bool(tiny == 0)


def test_each_switch_is_set_whatever_it_was():
    was = switches()
    set_switches(1, tf32=True, cudnn_benchmark=True, flush_denormal=True)
    assert switches() == (1, True, True, True, False, True)
    set_switches(2, tf32=False)
    assert switches() == (2, False, False, False, False, False)
    set_switches(was[0])
    assert switches() == (was[0], False, True, False, False, False), "torch's own defaults"


def test_images_are_the_same_each_time_and_draw_from_no_other_generator():
    before = torch.get_rng_state()
    images = random_images(2, 3, 8)
    assert images.shape == (2, 3, 8, 8)
    assert 0 <= images.min() < images.max() < 1
    assert torch.equal(images, random_images(2, 3, 8))
    assert torch.equal(before, torch.get_rng_state())
