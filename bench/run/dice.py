"""Trains or loads a network, then scores the test split: what a worker does for the quantity Dice."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.data import DataSet, open_dataset
from bench.data.sample import thin
from bench.errors import UserError
from bench.quantities import DiceSpec, Scores
from bench.run.ranks import Ranks
from bench.run.worker import StopRun
from bench.training.devices import Process
from bench.training.weights import load_weights, weights_digest

if TYPE_CHECKING:  # they import torch, which is only wanted once there is something to measure
    from torch import nn

    from bench.data.prepared import Prepared
    from bench.measure.dice import Scored
    from bench.run.child import Work
    from bench.training.train import Task


def dice(work: "Work") -> Scores | None:
    """The scores of the order's test images; None in a process that only takes part in another's training."""
    scoring = Scoring(work)
    if work.order.process.rank:
        scoring.take_part()
        return None
    return scoring.result()


@contextmanager
def _for_all_networks() -> Iterator[None]:
    """What is wrong in here is wrong for every network."""
    try:
        yield
    except UserError as error:
        raise StopRun(str(error)) from None


class Scoring:
    """The network and the data of one order, from the first weights to the last score."""

    def __init__(self, work: "Work") -> None:
        self.work, self.order, self.tell = work, work.order, work.tell
        self.spec: DiceSpec = self.order.job.spec
        self.folder: Path = (
            self.order.out / "checkpoints" / self.order.job.training_key if self.spec.train else self.order.out
        )
        self.network = self._network()
        with _for_all_networks():
            self.data = self._open()

    def result(self) -> Scores:
        """Train or load, then score; predictions are kept beside the record, for pictures."""
        from bench.training.checkpoint import complete

        origin = self._trained() if self.spec.train else self._loaded()
        found = self._score()
        self._keep_predictions(found)
        scores = Scores(**origin, images=found.images, volumes=found.volumes, distance_unit=found.distance_unit)
        if self.spec.train:
            complete(self.folder, scores, self.spec.protocol)
        return scores

    def take_part(self) -> None:
        """Be one of the other processes of a training; the first has filled the cache."""
        from bench.training.train import take_part

        take_part(self.network, self._task(self.order.process), *self._training_sets())

    def _network(self) -> "nn.Module":
        import torch

        from bench.measure.dice import refuse_other_outputs

        self._set_threads(self.order.threads)
        network = self.work.build(self.spec.train.seed if self.spec.train else 0)
        network = network.to(memory_format=torch.channels_last)
        refuse_other_outputs(network, self.spec)
        return network

    def _set_threads(self, threads: int) -> None:
        """Subnormal numbers are zero on a CPU: early, saturated outputs give such gradients, which take microcode."""
        from bench.measure.switches import set_switches

        set_switches(threads, flush_denormal=self.order.device == "cpu")

    def _open(self) -> DataSet:
        data = open_dataset(self.spec.dataset, self.order.data_root, self.order.options)
        if data.digest != self.spec.data:
            raise UserError(f"{self.spec.dataset} changed while the run was under way; start the run again")
        return data

    def _loaded(self) -> dict[str, Any]:
        """Load the user's file; what Scores say of where the weights come from."""
        from bench.networks.adapt import inside

        path = self.order.weights
        assert path
        with _for_all_networks():
            if weights_digest(path) != self.spec.weights:
                raise UserError(f"weights {path} changed while the run was under way; start the run again")
            load_weights(inside(self.network), path)
        return {"loaded": True, "best_step": 0, "curve": (), "train_images_per_s": None, "weights_file": path.name}

    def _trained(self) -> dict[str, Any]:
        """Load this job's checkpoint, or train; what Scores say of where the weights come from."""
        from bench.training.checkpoint import load
        from bench.training.train import train

        train_spec = self.spec.train
        assert train_spec
        with _for_all_networks():
            card = load(self.network, self.folder, self.order.job.training_key, train_spec)
        loaded = card is not None
        if card is None:
            train_set, val_set = self._training_sets()
            with Ranks(self.order, train_spec.devices, self.tell) as ranks:
                self._set_threads(ranks.threads)
                card = train(self.network, self._task(ranks.process), train_set, val_set, self.tell)
            self._set_threads(self.order.threads)
        kept = {name: getattr(card, name) for name in ("best_step", "curve", "train_images_per_s")}
        return {"loaded": loaded, **kept}

    def _task(self, process: Process) -> "Task":
        from bench.training.train import Task

        job = self.order.job
        return Task(job.training_key, job.network, job.network_digest, self.spec, self.folder, process)

    def _training_sets(self) -> "tuple[Prepared, Prepared]":
        train = self.spec.train
        assert train
        return self._prepared("train", train.train_images), self._prepared("val", train.val_images)

    def _score(self) -> "Scored":
        import torch

        from bench.measure.dice import score

        test, device = self._prepared("test", self.spec.test_images), torch.device(self.order.device)
        originals = thin(self.data.splits["test"], self.spec.test_images) if self.spec.protocol == "per_volume" else ()
        progress = self.work.progress("scoring")
        return score(self.network.to(device), test, device, originals, lambda done: progress(done, len(test)))

    def _keep_predictions(self, found: "Scored") -> None:
        from bench.data.prepared import content
        from bench.run.predictions import Predictions, path_of

        samples = thin(self.data.splits["test"], self.spec.test_images)
        cache = f"cache/{self.data.name}-{self.data.digest}/{content(samples)}-{self.spec.size}"
        kept = Predictions(tuple(sample.id for sample in samples), found.predictions, found.regions, cache)
        kept.save(path_of(self.order.out, self.order.job.key))

    def _prepared(self, split: str, limit: int | None) -> "Prepared":
        from bench.data.prepared import prepare

        samples = thin(self.data.splits[split], limit)
        cache = self.order.out / "cache" / f"{self.data.name}-{self.data.digest}"
        progress = self.work.progress(f"reading {split}") if not self.order.process.rank else lambda done, total: None
        with _for_all_networks():
            return prepare(samples, self.spec.size, cache, lambda done: progress(done, len(samples)))
