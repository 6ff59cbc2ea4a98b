"""Which samples a process trains on and checks: together with the others' exactly those of one process."""

import pytest
import torch
from toys import discs

from bench.data.prepared import normalized
from bench.quantities import TrainSpec
from bench.training.task import LegSampler, train_loader, val_loader


def spec(devices: int) -> TrainSpec:
    return TrainSpec(steps=20, checkpoint_interval=4, batch=6, devices=devices)


def test_one_process_draws_the_sequence_from_the_step_that_training_has_reached():
    assert list(LegSampler(spec(1), 0, lambda: 0)) == list(range(24))
    assert list(LegSampler(spec(1), 0, lambda: 8)) == list(range(48, 72))


@pytest.mark.parametrize("devices", [2, 3, 6])
def test_in_each_step_the_processes_together_draw_what_one_would(devices):
    whole = list(LegSampler(spec(1), 0, lambda: 8))
    shares = [list(LegSampler(spec(devices), rank, lambda: 8)) for rank in range(devices)]
    share = 6 // devices
    for step in range(4):
        drawn = [draw for one in shares for draw in one[step * share : (step + 1) * share]]
        assert drawn == whole[step * 6 : (step + 1) * 6]
    assert len(LegSampler(spec(devices), 0, lambda: 8)) == len(shares[0])


def test_a_process_loads_its_share_of_a_batch():
    images, _ = next(iter(train_loader(discs(6), spec(3), 1, lambda: 0)))
    whole, _ = next(iter(train_loader(discs(6), spec(1), 0, lambda: 0)))
    assert torch.equal(images, whole[2:4])


@pytest.mark.parametrize(("count", "devices"), [(19, 1), (19, 2), (19, 3), (2, 3)])
def test_a_check_looks_at_each_image_once(count, devices):
    prepared = discs(count)
    checked = [batch for rank in range(devices) for batch in val_loader(prepared, spec(devices), rank)]
    images = torch.cat([images for images, _ in checked])
    order = [index for rank in range(devices) for index in range(rank, count, devices)]
    assert torch.equal(images, normalized(prepared.images[order]))
    assert torch.equal(torch.cat([masks for _, masks in checked]), prepared.masks[order])


def test_a_process_without_images_has_one_empty_batch():
    loader = val_loader(discs(2), spec(3), 2)
    assert [images.shape for images, _ in loader] == [(0, 3, 32, 32)]
    assert len(loader) == 1
