"""The Lightning module of a training, and how processes share it.

The module defines the loss, the optimizer, the schedule and the validation at each checkpoint.

Process r of d takes the r-th of d equal parts of each batch, so that d processes train on the same samples as one. In a
validation it takes every d-th image, starting with the r-th.
"""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from monai.losses import DiceCELoss
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only
from torch.utils.data import DataLoader, Sampler

from bench.data.prepared import Prepared, Stream, normalized
from bench.errors import Diverged, Paused
from bench.measure.dice import candidate_scores
from bench.networks.adapt import OneOfSeveral
from bench.networks.output_maps import supervised
from bench.quantities import TrainSpec
from bench.training.devices import Process
from bench.training.random_states import numpy_state, python_state, set_numpy_state, set_python_state


class SegmentationTask(pl.LightningModule):
    """Dice plus cross-entropy with their weights, AdamW, linear warm-up then a cosine to zero over all steps.

    If a network returns several maps in training, all are compared with the masks (deep supervision), each further one
    with half the weight. If several may be the prediction, `val_dice` is that of the best of them, which is the
    network's prediction from then on.

    On several devices each process has its part of the images. The reported figures of a step or validation are over
    all processes and the same in each. `is_to_end` tells after a step whether any of them was `asked_to_end`.
    """

    def __init__(
        self, network: nn.Module, spec: TrainSpec, maps: int, asked_to_end: Callable[[], bool] = lambda: False
    ) -> None:
        super().__init__()
        self.asked_to_end, self.is_to_end = asked_to_end, False
        self.network = avoid_onednn_bug(network.to(memory_format=torch.channels_last))
        self.spec, self.maps = spec, maps
        one = maps == 1
        dice, entropy = spec.loss_weights
        weights: Any = {} if dice == entropy == 1 else {"lambda_dice": dice, "lambda_ce": entropy}
        self.loss = DiceCELoss(sigmoid=one, softmax=not one, to_onehot_y=not one, **weights)
        self.val_scores: list[list[float]] = []

    def forward(self, images: Tensor) -> Any:
        """Logits (N, maps, H, W), possibly several in training. Images are channels-last, which is fast in bfloat16."""
        return self.network(images.contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> dict[str, Tensor]:
        images, masks = batch
        # (N, 1, H, W): 0 or 1 for one map, class numbers for several.
        target, size = masks.unsqueeze(1).float(), (masks.shape[-2], masks.shape[-1])
        # In full precision, because the 8 bits of bfloat16 are too few for a Dice over 50,000 pixels.
        loss = supervised(self(images), self.maps, size, lambda maps: self.loss(maps, target))
        told = torch.stack([loss.detach(), loss.new_tensor(float(self.asked_to_end()))])
        mean, asked = self.trainer.strategy.reduce(told, reduce_op="mean")
        self.is_to_end = bool(asked > 0)  # in all processes after the same step
        if not torch.isfinite(mean):  # raised in all processes at once, so none waits for the others' gradients
            raise Diverged(f"the loss became {mean.item()} at step {self.global_step + 1} of {self.spec.steps}")
        return {"loss": loss, "mean_loss": mean}

    def on_validation_epoch_start(self) -> None:
        equal = self.network.evaluated.equal if isinstance(self.network, OneOfSeveral) else 1
        self.val_scores = [[] for _ in range(equal)]
        if self.spec.devices > 1:
            share_buffers(self.network)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, masks = batch
        if not len(images):
            return
        images = images.contiguous(memory_format=torch.channels_last)
        found = candidate_scores(self.network, images, masks, self.maps)
        self.val_scores = [one + other for one, other in zip(self.val_scores, found, strict=True)]

    def on_validation_epoch_end(self) -> None:
        own = [[sum(one), len(one)] for one in self.val_scores]
        found = torch.tensor(own, dtype=torch.float64, device=self.device)
        sums = self.trainer.strategy.reduce(found, reduce_op="sum").tolist()
        means = [total / count if count else 0.0 for total, count in sums]
        if isinstance(self.network, OneOfSeveral):
            self.network.number = means.index(max(means))  # before the checkpoint is saved, and in it
        self.log("val_dice", max(means), sync_dist=True)  # equal already

    def configure_optimizers(self) -> Any:
        spec = self.spec
        optimizer = torch.optim.AdamW(self.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """The factor of the learning rate at a step."""
        warmup = max(1, round(self.spec.warmup_share * self.spec.steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.spec.steps - warmup)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the random states of torch, Python and numpy, which networks draw from while they train.

        On a CPU a resumed training then equals an uninterrupted one. On CUDA it is as close as two uninterrupted runs
        are, because some kernels sum in varying order. The states of several processes are saved in the order of their
        ranks.
        """
        gather: Any = self.all_gather  # of a tensor a tensor
        checkpoint["generator"] = gather(torch.get_rng_state()).cpu()
        on_cuda = self.device.type == "cuda"
        checkpoint["cuda_generator"] = gather(torch.cuda.get_rng_state()).cpu() if on_cuda else None
        checkpoint["python_generator"] = gather(python_state()).cpu()
        checkpoint["numpy_generator"] = gather(numpy_state()).cpu()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(self._own(checkpoint["generator"]))
        if checkpoint["cuda_generator"] is not None:
            torch.cuda.set_rng_state(self._own(checkpoint["cuda_generator"]))
        if "python_generator" in checkpoint:  # not in those of earlier versions
            set_python_state(self._own(checkpoint["python_generator"]))
            set_numpy_state(self._own(checkpoint["numpy_generator"]))

    def _own(self, states: Tensor) -> Tensor:
        """This process's state out of the states of all processes."""
        return states.cpu().reshape(self.spec.devices, -1)[self.global_rank].clone()


def avoid_onednn_bug(network: nn.Module) -> nn.Module:
    """Make the network's grouped and dilated convolutions work in contiguous memory for any input.

    On a CPU in bfloat16 and channels-last memory, oneDNN's weight gradient of such a convolution is wrong by factors of
    1 to 1e34, or the process crashes. In contiguous memory, in float32 or without dilation it is correct. Observed with
    torch 2.14.1 and AVX-512 BF16; tests/training/test_task.py shows it where a processor multiplies bfloat16.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.dilation) > 1:
            # A copy is needed: a depthwise weight counts as contiguous in both layouts, but oneDNN looks at its
            # strides.
            module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
            module.register_forward_pre_hook(lambda _, inputs: tree_map_only(Tensor, Tensor.contiguous, inputs))
    return network


VAL_BATCH = 8


def train_loader(prepared: Prepared, spec: TrainSpec, rank: int, step: Callable[[], int]) -> DataLoader[Any]:
    """A loader of this process's part of each training batch.

    On a CPU, training already uses all cores, so samples are prepared in the same process.
    """
    workers = min(8, max(1, (os.cpu_count() or 1) // spec.devices)) if spec.device == "cuda" else 0
    return DataLoader(
        Stream(prepared, spec.seed, spec.augmentation),
        batch_size=spec.batch // spec.devices, sampler=LegSampler(spec, rank, step), num_workers=workers,
        persistent_workers=workers > 0, pin_memory=workers > 0, generator=torch.Generator(),
    )  # fmt: skip


def val_loader(prepared: Prepared, spec: TrainSpec, rank: int) -> DataLoader[Any]:
    """A loader of this process's validation images, normalized, in batches; one empty batch if there are too few.

    Processes synchronize at the end of a validation, so each needs at least one batch.
    """
    own = slice(rank, None, spec.devices)
    # A tensor without images splits into one part without images.
    batches: Any = [*zip(prepared.images[own].split(VAL_BATCH), prepared.masks[own].split(VAL_BATCH), strict=True)]
    return DataLoader(
        batches, batch_size=None, collate_fn=lambda batch: (normalized(batch[0]), batch[1]), generator=torch.Generator()
    )


class LegSampler(Sampler[int]):
    """The indices of this process's samples from the present step (also after a resume) to the next checkpoint.

    Its length is that of a whole interval, for Lightning counts the steps before a resume in.
    """

    def __init__(self, spec: TrainSpec, rank: int, step: Callable[[], int]) -> None:
        self.spec, self.rank, self.step = spec, rank, step
        self.share = spec.batch // spec.devices

    def __iter__(self) -> Iterator[int]:
        step, interval, batch = self.step(), self.spec.checkpoint_interval, self.spec.batch
        first = step * batch + self.rank * self.share
        starts = range(first, first + (interval - step % interval) * batch, batch)
        return (draw for start in starts for draw in range(start, start + self.share))

    def __len__(self) -> int:
        return self.spec.checkpoint_interval * self.share


class OneMachine(LightningEnvironment):
    """One machine whose processes are started by bench, because Lightning would not pass them an order."""

    creates_processes_externally, main_address, main_port = True, "127.0.0.1", 0

    def __init__(self, process: Process) -> None:
        super().__init__()
        self.rank, self.main_port = process.rank, process.port

    def local_rank(self) -> int:
        return self.rank

    def node_rank(self) -> int:
        return 0


@contextmanager
def leaving_together() -> Iterator[None]:
    """Leave the process group if all processes finished, all diverged or all paused. If one was lost, it could hang."""
    ended = None
    try:
        yield
    except (Diverged, Paused) as error:
        ended = error
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if ended:
        raise ended


def share_buffers(network: nn.Module) -> None:
    """Copy the buffers of process 0 to all processes, because batch norm statistics differ between them."""
    for buffer in network.buffers():
        packed = buffer.contiguous()
        torch.distributed.broadcast(packed, 0)
        buffer.copy_(packed)
