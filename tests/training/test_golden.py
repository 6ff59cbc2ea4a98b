"""A training and a score give stored figures, so that nobody changes the protocol and leaves its version as it is.

Whoever changes how networks are trained raises `TRAINING_VERSION`, or `SCORING_VERSION` for scores, and adds the new
figures here: those of the failed test. All is computed in float64, where the processor and the order of sums change
less than the tolerance; images have few gray levels, so that none is rounded either way when its brightness changes.
"""

import math
import sys
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss
from torch import nn
from torchvision.transforms import v2

from bench.data import prepared
from bench.data.prepared import Prepared
from bench.data.sample import Sample
from bench.measure.dice import label_maps, score
from bench.quantities import DiceSpec, ImageScore, TrainSpec
from bench.quantities.dice import SCORING_VERSION, TRAINING_VERSION
from bench.quantities.scores import SCORES
from bench.run.job import Job
from bench.training.task import SegmentationTask
from bench.training.train import Task, train

TRAINING: dict[int, dict[str, float]] = {
    2: {
        "loss 1": 1.4462872347, "loss 2": 1.46782980806, "loss 3": 1.5136248608, "loss 4": 1.41262659167,
        "loss 5": 1.52353844034, "val_dice": 0.982456147671, "features.weight": 1821.47527999,
        "norm.weight": 2.14275767819, "norm.bias": 0.364998696477, "norm.running_mean": -14.8678931572,
        "norm.running_var": 99.4455891201, "norm.num_batches_tracked": 5, "main.weight": 1.3972578715,
        "main.bias": -0.169982482552, "further.weight": 1.13672643462, "further.bias": -0.141426359139,
    },
}  # fmt: skip
SCORING: dict[int, dict[str, float]] = {
    2: {
        "tp": 14, "fp": 111, "fn": 49, "own_tp": 86, "own_fp": 666, "own_fn": 292, "dice": 0.148936170213,
        "iou": 0.0804597701149, "dice_own": 0.152212389381, "iou_own": 0.0823754789272, "nsd": 0.172972972973,
        "hd95": 20.6155281067, "assd": 10.9515737708, "sensitivity": 0.222222222222, "precision": 0.112, "failed": 1,
        "missed": 0, "false_alarm": math.nan,
    },
}  # fmt: skip
TOLERANCE = 1e-6  # relative
# Two steps of warm-up; gradients are longer than the norm that they are clipped to.
SPEC = TrainSpec(steps=5, checkpoint_interval=5, batch=2, learning_rate=0.02, warmup_share=0.4, clip_norm=0.1)


class Tiny(nn.Module):
    """A convolution, batch normalization and two maps in training, the second of half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.norm = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.main, self.further = nn.Conv2d(4, 1, 1), nn.Conv2d(4, 1, 1)
        self.double()
        for number, weights in enumerate(self.parameters(), 1):
            weights.data = torch.linspace(-0.5, 0.7, weights.numel(), dtype=torch.float64).view_as(weights) / number

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        found = self.norm(self.features(images)).relu()
        maps = self.main(found)
        return (maps, self.further(nn.functional.avg_pool2d(found, 2))) if self.training else maps


def boxes(count: int) -> Prepared:
    """Bright boxes of several sizes, each nearer to another corner."""
    masks = torch.zeros(count, 16, 16, dtype=torch.uint8)
    for n in range(count):
        masks[n, 1 + n : 8, 2 + n % 3 : 11 - n] = 1
    channels = torch.tensor([40, 60, 90]).view(1, 3, 1, 1)
    return Prepared(tuple(map(str, range(count))), (channels + 110 * masks[:, None]).to(torch.uint8), masks)


@pytest.fixture(autouse=True)
def _in_float64(monkeypatch):
    """Losses and images are converted by `float()`; TensorBoard is not needed and takes long to import."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)


def trained(folder: Path) -> dict[str, float]:
    """The loss of each step, the Dice of the validation and a sum over each tensor of the weights."""
    job = Job(network="tiny", network_digest="", spec=DiceSpec(dataset="boxes", data="", size=16, train=SPEC))
    losses: list[float] = []
    network = Tiny()
    task = Task("tiny", job.network, job.network_digest, job.spec, folder)

    def tell(event: dict[str, float]) -> None:
        losses.extend(event[name] for name in event if name == "loss")

    summary = train(network, task, boxes(6), boxes(3), tell)
    sums = {
        name: float((tensor.double().flatten() * torch.arange(1, tensor.numel() + 1)).sum())
        for name, tensor in network.state_dict().items()
    }
    return {**{f"loss {n}": loss for n, loss in enumerate(losses, 1)}, "val_dice": summary.val_dice, **sums}


class Ramp(nn.Module):
    """Logits that rise to the right, and a little downwards."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        rows, columns = torch.arange(16.0).view(16, 1), torch.arange(16.0).view(1, 16)
        return (0.31 * columns + 0.07 * rows - 2.9).expand(len(images), 1, 16, 16)


def scored() -> dict[str, float]:
    """The scores of one image that is larger than the network's."""
    one = boxes(1)
    mask = one.masks[0].repeat_interleave(2, 0).repeat_interleave(3, 1).numpy()
    sample = Sample("0", "patient", lambda: mask, lambda: mask)
    (found,) = score(Ramp(), one, torch.device("cpu"), [sample], tolerance=3.0).images
    assert isinstance(found, ImageScore)
    counts = {name: float(getattr(found, name)) for name in ("tp", "fp", "fn", "own_tp", "own_fp", "own_fn")}
    return counts | {name: found.score(name) for name in SCORES}


def near(stored: dict[str, float]) -> object:
    return pytest.approx(stored, rel=TOLERANCE, nan_ok=True)


def test_a_training_gives_the_figures_of_its_version(tmp_path):
    assert trained(tmp_path) == near(TRAINING[TRAINING_VERSION])


def test_an_image_gets_the_scores_of_its_version():
    assert scored() == near(SCORING[SCORING_VERSION])


def cosine_alone(task: SegmentationTask, step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / task.spec.steps))


def warm_up_alone(task: SegmentationTask, step: int) -> float:
    return min(1.0, (step + 1) / round(task.spec.warmup_share * task.spec.steps))


def even_maps(output, classes, size, loss):
    maps = [nn.functional.interpolate(one, size, mode="bilinear") for one in output]
    return sum(loss(one) for one in maps) / len(maps)


class Unclipped(pl.Trainer):
    def __init__(self, **given) -> None:
        super().__init__(**given | {"gradient_clip_val": None})


class ClippedByValue(pl.Trainer):
    def __init__(self, **given) -> None:
        super().__init__(**given, gradient_clip_algorithm="value")


class ClippedLonger(pl.Trainer):
    def __init__(self, **given) -> None:
        super().__init__(**given | {"gradient_clip_val": 1.1 * given["gradient_clip_val"]})


def lower(logits: torch.Tensor) -> torch.Tensor:
    """Foreground over a probability of 0.45."""
    return (logits[:, 0].sigmoid() > 0.45).to(torch.uint8)


NO_FLIPS = v2.Compose(prepared.FLIPS.transforms[2:])
NO_TURNS = v2.Compose([*prepared.FLIPS.transforms[:2], *prepared.FLIPS.transforms[3:]])
OF_TRAINING = {
    "weight of Dice": ("bench.training.task.DiceCELoss", partial(DiceCELoss, lambda_dice=0.9)),
    "weight of cross-entropy": ("bench.training.task.DiceCELoss", partial(DiceCELoss, lambda_ce=0.9)),
    "squares in Dice": ("bench.training.task.DiceCELoss", partial(DiceCELoss, squared_pred=True)),
    "weights of further maps": ("bench.training.task.supervised", even_maps),
    "no clipping": ("bench.training.train.pl.Trainer", Unclipped),
    "clipping by value": ("bench.training.train.pl.Trainer", ClippedByValue),
    "another norm": ("bench.training.train.pl.Trainer", ClippedLonger),
    "no warm-up": ("bench.training.task.SegmentationTask._rate", cosine_alone),
    "no cosine": ("bench.training.task.SegmentationTask._rate", warm_up_alone),
    "weight decay in the gradient": ("torch.optim.AdamW", torch.optim.Adam),
    "no flip": ("bench.data.prepared.AUGMENTATIONS", {"flips": NO_FLIPS}),
    "no turn": ("bench.data.prepared.AUGMENTATIONS", {"flips": NO_TURNS}),
    "another order": ("bench.data.prepared.order", lambda seed, epoch, count: torch.arange(count)),
    "another normalization": ("bench.data.prepared.MEAN", [0.5, 0.5, 0.5]),
}


@pytest.mark.parametrize(("where", "mutant"), OF_TRAINING.values(), ids=OF_TRAINING)
def test_another_way_of_training_has_other_figures(tmp_path, monkeypatch, where, mutant):
    monkeypatch.setattr(where, mutant)
    assert trained(tmp_path) != near(TRAINING[TRAINING_VERSION])


def nearest(logits: torch.Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """The label map on the image's own grid from the nearest of the network's logits."""
    return label_maps(nn.functional.interpolate(logits[None], shape, mode="nearest"))[0].numpy()


OF_SCORING = {
    "another threshold": ("bench.measure.dice.label_maps", lower),
    "another way to the image's own size": ("bench.measure.dice.own_label_map", nearest),
    "another Dice of a failure": ("bench.measure.scores.FAILURE", 0.1),
}


@pytest.mark.parametrize(("where", "mutant"), OF_SCORING.values(), ids=OF_SCORING)
def test_another_way_of_scoring_has_other_figures(monkeypatch, where, mutant):
    monkeypatch.setattr(where, mutant)
    assert scored() != near(SCORING[SCORING_VERSION])
