"""The measure Dice: train or load a network, then score the test split."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import DataSet, open_dataset
from bench.data.sample import thin
from bench.errors import UserError
from bench.quantities import DiceSpec, Scores
from bench.run.build import build
from bench.run.ranks import Ranks
from bench.run.worker import Order, Tell
from bench.training.devices import Process
from bench.training.weights import load_weights, weights_digest

if TYPE_CHECKING:  # they import torch, which is only wanted once there is something to measure
    from torch import nn

    from bench.data.prepared import Prepared
    from bench.measure.dice import Scored
    from bench.training.train import Task


class StopRun(Exception):
    """What the user gave is wrong for every network, so the run stops."""


@contextmanager
def _stopping() -> Iterator[None]:
    """What is wrong in here is wrong for every network."""
    try:
        yield
    except UserError as error:
        raise StopRun(str(error)) from None


def dice(order: Order, tell: Tell) -> Scores | None:
    """The scores of the order's test images; None in a process that only takes part in another's training."""
    from bench.training.checkpoint import complete

    spec = _spec(order)
    network = _network(order, spec)
    with _stopping():
        data = _open(order, spec)
    if order.process.rank:
        _take_part(order, network, data)
        return None
    origin = _trained(order, network, data, tell) if spec.train else _own(order, network)
    found = _score(order, network, data, tell)
    _keep_predictions(order, data, found)
    scores = Scores(**origin, images=found.images, volumes=found.volumes, distance_unit=found.distance_unit)
    if spec.train:
        complete(_folder(order), scores, spec.protocol)
    return scores


def _spec(order: Order) -> DiceSpec:
    assert isinstance(order.job.spec, DiceSpec)
    return order.job.spec


def _folder(order: Order) -> Path:
    return order.out / "checkpoints" / order.job.training_key


def _network(order: Order, spec: DiceSpec) -> "nn.Module":
    import torch

    from bench.measure.dice import refuse_other_outputs
    from bench.measure.switches import set_switches

    # Saturated early outputs of a training give gradients so small that a CPU computes them in microcode.
    set_switches(order.threads, flush_denormal=order.device == "cpu")
    network = build(order, spec.train.seed if spec.train else 0).to(memory_format=torch.channels_last)
    refuse_other_outputs(network, spec)
    return network


def _open(order: Order, spec: DiceSpec) -> DataSet:
    data = open_dataset(spec.dataset, order.data_root, order.options)
    if data.digest != spec.data:
        raise UserError(f"{spec.dataset} changed while the run was under way; start the run again")
    return data


def _own(order: Order, network: "nn.Module") -> dict[str, Any]:
    """Load the user's file; what Scores say of where the weights come from."""
    from bench.networks.adapt import inside

    path = order.weights
    assert path
    with _stopping():
        if weights_digest(path) != _spec(order).weights:
            raise UserError(f"weights {path} changed while the run was under way; start the run again")
        load_weights(inside(network), path)
    return {"loaded": True, "best_step": 0, "curve": (), "train_images_per_s": None, "weights_file": path.name}


def _trained(order: Order, network: "nn.Module", data: DataSet, tell: Tell) -> dict[str, Any]:
    """Load this job's checkpoint, or train; what Scores say of where the weights come from."""
    from bench.measure.switches import set_switches
    from bench.training.checkpoint import load
    from bench.training.train import train

    spec, folder = _spec(order), _folder(order)
    assert spec.train
    with _stopping():
        card = load(network, folder, order.job.training_key, spec.train)
    loaded = card is not None
    if card is None:
        train_set, val_set = _training_sets(order, data, tell)
        with Ranks(order, spec.train.devices, tell) as ranks:
            set_switches(ranks.threads, flush_denormal=order.device == "cpu")
            card = train(network, _task(order, ranks.process), train_set, val_set, tell)
        set_switches(order.threads, flush_denormal=order.device == "cpu")
    return {
        "loaded": loaded, "best_step": card.best_step, "curve": card.curve,
        "train_images_per_s": card.train_images_per_s,
    }  # fmt: skip


def _task(order: Order, process: Process) -> "Task":
    from bench.training.train import Task

    job = order.job
    return Task(job.training_key, job.network, job.network_digest, _spec(order), _folder(order), process)


def _take_part(order: Order, network: "nn.Module", data: DataSet) -> None:
    """Be one of the other processes of a training; the first has filled the cache."""
    from bench.training.train import take_part

    train_set, val_set = _training_sets(order, data, lambda event: None)
    take_part(network, _task(order, order.process), train_set, val_set)


def _training_sets(order: Order, data: DataSet, tell: Tell) -> "tuple[Prepared, Prepared]":
    spec = _spec(order).train
    assert spec
    train_set = _prepared(order, data, "train", spec.train_images, tell)
    return train_set, _prepared(order, data, "val", spec.val_images, tell)


def _score(order: Order, network: "nn.Module", data: DataSet, tell: Tell) -> "Scored":
    import torch

    from bench.measure.dice import score

    spec, device = _spec(order), torch.device(order.device)
    test = _prepared(order, data, "test", spec.test_images, tell)
    originals = thin(data.splits["test"], spec.test_images) if spec.protocol == "per_volume" else ()
    return score(network.to(device), test, device, originals, _counting(tell, "scoring", len(test)))


def _keep_predictions(order: Order, data: DataSet, found: "Scored") -> None:
    """Beside the record, for pictures."""
    from bench.data.prepared import content
    from bench.run.predictions import Predictions, path_of

    spec = _spec(order)
    samples = thin(data.splits["test"], spec.test_images)
    cache = f"cache/{data.name}-{data.digest}/{content(samples)}-{spec.size}"
    kept = Predictions(tuple(sample.id for sample in samples), found.predictions, found.regions, cache)
    kept.save(path_of(order.out, order.job.key))


def _prepared(order: Order, data: DataSet, split: str, limit: int | None, tell: Tell) -> "Prepared":
    from bench.data.prepared import prepare

    samples = thin(data.splits[split], limit)
    cache = order.out / "cache" / f"{data.name}-{data.digest}"
    with _stopping():
        return prepare(samples, _spec(order).size, cache, _counting(tell, f"reading {split}", len(samples)))


def _counting(tell: Tell, doing: str, total: int) -> Callable[[int], None]:
    return lambda done: tell({"doing": doing, "done": done, "of": total})
