"""What is minimized and by which schedule; grouped and dilated convolutions that learn in bfloat16."""

import pytest
import torch
from torch import nn

from bench.quantities import TrainSpec
from bench.training.task import SegmentationTask, avoid_onednn_bug

SPEC = TrainSpec(steps=100, checkpoint_interval=10, batch=2, learning_rate=0.01, warmup_share=0.1)


def task(maps: int) -> SegmentationTask:
    return SegmentationTask(nn.Conv2d(3, maps, 1), SPEC, maps)


def test_the_rate_warms_up_linearly_then_falls_as_a_cosine_to_zero():
    schedule = task(1).configure_optimizers()["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(101):
        rates.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    assert rates[:3] == pytest.approx([0.001, 0.002, 0.003])
    assert rates[10] == pytest.approx(0.01)
    assert rates[55] == pytest.approx(0.005)
    assert rates[100] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("maps", "labels"), [(1, 2), (4, 4)])
def test_a_perfect_prediction_has_no_loss(maps, labels):
    masks = torch.randint(0, labels, (2, 16, 16))
    targets = torch.nn.functional.one_hot(masks, max(labels, maps)).permute(0, 3, 1, 2).float()
    logits = 40 * (targets[:, 1:] - 0.5) if maps == 1 else 40 * targets
    made = task(maps)
    assert made.loss(logits, masks[:, None].float()).item() == pytest.approx(0, abs=1e-3)
    assert made.loss(-logits, masks[:, None].float()).item() > 1


def test_deep_supervision_holds_every_map_against_the_masks():
    class Deep(nn.Module):
        def forward(self, images):
            right = 40 * (images[:, :1] - 0.5)
            return (right, -right[..., ::2, ::2]) if self.training else right

    made = SegmentationTask(Deep(), SPEC, 1)
    masks = torch.randint(0, 2, (2, 16, 16))
    images = masks[:, None].float().expand(-1, 3, -1, -1)
    made.trainer = type("Trainer", (), {"strategy": type("S", (), {"reduce": staticmethod(lambda x, reduce_op: x)})})
    with_both = made.training_step((images, masks), 0)["loss"].item()
    assert with_both > 1  # the second map is all wrong, at a third of the weight


@pytest.mark.parametrize("dilation", [2, 5])
def test_the_gradient_of_the_weights_is_that_of_double_precision(dilation):
    def layer() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Conv2d(16, 16, 3, padding=dilation, dilation=dilation, groups=16))

    network, exact = avoid_onednn_bug(layer().to(memory_format=torch.channels_last)), layer().double()
    images = torch.randn(2, 16, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        output = network(images.to(memory_format=torch.channels_last))
    output.float().square().mean().backward()
    exact(images.double()).square().mean().backward()
    (found,), (wanted,) = ([p.grad for p in one.parameters() if p.dim() == 4] for one in (network, exact))
    assert (found.double() - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_other_layers_are_left_alone():
    network = avoid_onednn_bug(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 4, 3, dilation=2)))
    assert not any(module._forward_pre_hooks for module in network.modules())
