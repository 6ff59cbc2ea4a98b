"""The Lightning module, and how processes share a training.

The module says what is minimized, by which optimizer and schedule, and what is checked at each checkpoint.

Process r of d takes the r-th of d equal stretches of each batch, so that d processes train on exactly the samples that
one would; and every d-th image of a check, from the r-th on.
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
from bench.errors import Diverged
from bench.measure import scores
from bench.measure.dice import label_maps
from bench.networks.output_maps import supervised
from bench.quantities import TrainSpec
from bench.training.devices import Process


class SegmentationTask(pl.LightningModule):
    """Dice plus cross-entropy, AdamW, linear warm-up then a cosine to zero over all steps.

    Of a network that returns several maps in training, all are held against the masks (deep supervision), further ones
    with halved weights.

    On several devices each process has its share of the images, and what is said of a step or a check is of all of
    them, the same in each process.
    """

    def __init__(self, network: nn.Module, spec: TrainSpec, maps: int) -> None:
        super().__init__()
        self.network = avoid_onednn_bug(network.to(memory_format=torch.channels_last))
        self.spec, self.maps = spec, maps
        one = maps == 1
        self.loss = DiceCELoss(sigmoid=one, softmax=not one, to_onehot_y=not one)
        self.val_scores: list[float] = []

    def forward(self, images: Tensor) -> Any:
        """Logits (N, maps, H, W), in training maybe several; channels-last, which is what bfloat16 is fast in."""
        return self.network(images.contiguous(memory_format=torch.channels_last))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> dict[str, Tensor]:
        images, masks = batch
        # (N, 1, H, W): 0 or 1 for one map, class numbers for several.
        target, size = masks.unsqueeze(1).float(), (masks.shape[-2], masks.shape[-1])
        # In full precision: a Dice over 50,000 pixels does not fit bfloat16's eight bits.
        loss = supervised(self(images), self.maps, size, lambda maps: self.loss(maps, target))
        mean = self.trainer.strategy.reduce(loss.detach().clone(), reduce_op="mean")
        if not torch.isfinite(mean):  # in all processes at once, so none waits for the others' gradients
            raise Diverged(f"the loss became {mean.item()} at step {self.global_step + 1} of {self.spec.steps}")
        return {"loss": loss, "mean_loss": mean}

    def on_validation_epoch_start(self) -> None:
        self.val_scores = []
        if self.spec.devices > 1:
            share_buffers(self.network)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        images, masks = batch
        if not len(images):
            return
        for prediction, truth in zip(label_maps(self(images)).cpu().numpy(), masks.cpu().numpy(), strict=True):
            by_class = [scores.dice(prediction == label, truth == label) for label in range(1, max(2, self.maps))]
            self.val_scores += [dice for dice in by_class if not math.isnan(dice)]

    def on_validation_epoch_end(self) -> None:
        found = torch.tensor([sum(self.val_scores), len(self.val_scores)], dtype=torch.float64, device=self.device)
        total, count = self.trainer.strategy.reduce(found, reduce_op="sum").tolist()
        self.log("val_dice", total / count if count else 0.0, sync_dist=True)  # equal already; Lightning cannot know

    def configure_optimizers(self) -> Any:
        spec = self.spec
        optimizer = torch.optim.AdamW(self.parameters(), lr=spec.learning_rate, weight_decay=spec.weight_decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _rate(self, step: int) -> float:
        """The share of the learning rate at a step."""
        warmup = max(1, round(self.spec.warmup_share * self.spec.steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.spec.steps - warmup)))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the generators that dropout draws from: on a CPU a resumed training then ends as an unbroken one does.

        On CUDA it comes as close as two unbroken runs come to each other, for some of its kernels add up in any order.
        Several processes' generators are kept in the order of their ranks.
        """
        gather: Any = self.all_gather  # of a tensor a tensor
        checkpoint["generator"] = gather(torch.get_rng_state()).cpu()
        on_cuda = self.device.type == "cuda"
        checkpoint["cuda_generator"] = gather(torch.cuda.get_rng_state()).cpu() if on_cuda else None

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        torch.set_rng_state(self._own(checkpoint["generator"]))
        if checkpoint["cuda_generator"] is not None:
            torch.cuda.set_rng_state(self._own(checkpoint["cuda_generator"]))

    def _own(self, states: Tensor) -> Tensor:
        """This process's line of the states of all."""
        return states.cpu().reshape(self.spec.devices, -1)[self.global_rank].clone()


def avoid_onednn_bug(network: nn.Module) -> nn.Module:
    """The network, whose grouped and dilated convolutions now work in contiguous memory whatever comes in.

    oneDNN's gradient of the weights of such a convolution is wrong in bfloat16 and channels-last memory on a CPU, by
    factors of 1 to 1e34, or the process crashes; in contiguous memory, in float32 or without dilation it is right. Seen
    with torch 2.14.1 and AVX-512 BF16; tests/training/test_task.py shows it where a processor multiplies bfloat16.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1 and max(module.dilation) > 1:
            # A copy: of a depthwise weight both layouts count as contiguous, but not the strides that oneDNN goes by.
            module.weight.data = module.weight.data.clone(memory_format=torch.contiguous_format)
            module.register_forward_pre_hook(lambda _, inputs: tree_map_only(Tensor, Tensor.contiguous, inputs))
    return network


VAL_BATCH = 8


def train_loader(prepared: Prepared, spec: TrainSpec, rank: int, step: Callable[[], int]) -> DataLoader[Any]:
    """This process's share of each training batch.

    On a CPU training uses all cores already, so samples are made in its own process.
    """
    workers = min(8, max(1, (os.cpu_count() or 1) // spec.devices)) if spec.device == "cuda" else 0
    return DataLoader(
        Stream(prepared, spec.seed, spec.augmentation),
        batch_size=spec.batch // spec.devices, sampler=LegSampler(spec, rank, step), num_workers=workers,
        persistent_workers=workers > 0, pin_memory=workers > 0, generator=torch.Generator(),
    )  # fmt: skip


def val_loader(prepared: Prepared, spec: TrainSpec, rank: int) -> DataLoader[Any]:
    """This process's validation images, normalized, in batches; one empty batch where there are too few for all.

    Processes meet at the end of a check, so each must have something to begin it with.
    """
    own = slice(rank, None, spec.devices)
    # A tensor without images splits into one part without images.
    batches: Any = [*zip(prepared.images[own].split(VAL_BATCH), prepared.masks[own].split(VAL_BATCH), strict=True)]
    return DataLoader(
        batches, batch_size=None, collate_fn=lambda batch: (normalized(batch[0]), batch[1]), generator=torch.Generator()
    )


class LegSampler(Sampler[int]):
    """This process's draws up to the next checkpoint, from the step that training has reached, also when it resumes."""

    def __init__(self, spec: TrainSpec, rank: int, step: Callable[[], int]) -> None:
        self.spec, self.rank, self.step = spec, rank, step
        self.share = spec.batch // spec.devices

    def __iter__(self) -> Iterator[int]:
        first, batch = self.step() * self.spec.batch + self.rank * self.share, self.spec.batch
        starts = range(first, first + self.spec.checkpoint_interval * batch, batch)
        return (draw for start in starts for draw in range(start, start + self.share))

    def __len__(self) -> int:
        return self.spec.checkpoint_interval * self.share


class OneMachine(LightningEnvironment):
    """One machine, whose processes were started by us: Lightning's own start would give them no order to read."""

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
    """Part from the other processes where all are done or all diverged; where one is lost, parting could hang."""
    diverged = None
    try:
        yield
    except Diverged as error:
        diverged = error
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if diverged:
        raise diverged


def share_buffers(network: nn.Module) -> None:
    """Give all processes the first one's buffers: each batch norm has followed its own share of the images."""
    for buffer in network.buffers():
        packed = buffer.contiguous()
        torch.distributed.broadcast(packed, 0)
        buffer.copy_(packed)
