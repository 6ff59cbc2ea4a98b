"""The worker's part for the quantity Dice: train or load a network, then score the test split."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bench.data import DataAt, DataSet
from bench.data.prepared import Prepared, content, prepare
from bench.data.pseudonyms import pseudonymous
from bench.data.sample import SPLITS, Sample, thin
from bench.errors import UserError
from bench.measure.dice import best_candidate, refuse_other_outputs, score
from bench.measure.switches import set_switches
from bench.networks.adapt import OneOfSeveral, inside
from bench.quantities import DiceSpec, Scores
from bench.run.predictions import Predictions
from bench.run.worker import Ranks, StopRun, Work, writing
from bench.training.checkpoint import complete, load
from bench.training.devices import Process
from bench.training.train import Task, take_part, train
from bench.training.weights import load_weights, weights_digest


def dice(work: Work) -> Scores | None:
    """Train or load, and score the test images.

    Returns None in a secondary process of a training on several devices.
    """
    scoring = Scoring(work)
    if not work.order.process.rank:
        return scoring.result()
    take_part(scoring.network, scoring.task(work.order.process), *scoring.training_sets())
    return None


@contextmanager
def _for_all_networks() -> Iterator[None]:
    """Turn a UserError into StopRun, because the problem affects every network."""
    try:
        yield
    except UserError as error:
        raise StopRun(str(error)) from None


def _refuse_no_target(name: str, side: Prepared, size: int) -> None:
    """Raise UserError where all masks of a side of the split are empty: by these every checkpoint is as good."""
    if not side.masks.any():
        what = {"train": "so there is nothing to learn", "val": "so no checkpoint can be told to be the best"}[name]
        advice = "give another split with --split-file, or a larger --budget or --size"
        count = f"the {len(side)} image{'s' if len(side) > 1 else ''} of {name} that are used"
        raise UserError(f"none of {count} has a target at {size} pixels a side, {what}; {advice}")


@dataclass(frozen=True)
class Images:
    """The images of a data set that some conditions use, by side of the split, and the folder of their cache."""

    data: DataSet
    spec: DiceSpec
    cache: Path
    progress: Callable[[str], Callable[..., None]]

    def of(self, split: str) -> Sequence[Sample]:
        """The samples of a side that are used, which may be limited."""
        limits = self.spec if split == "test" else self.spec.train
        return thin(self.data.splits[split], getattr(limits, f"{split}_images", None))

    def prepared(self, split: str) -> Prepared:
        """The same, decoded at the network's size. Raises StopRun where one cannot be read."""
        samples = self.of(split)
        progress = self.progress(f"reading {split}")
        with _for_all_networks():
            return prepare(samples, self.spec.size, self.cache, lambda n: progress(n, len(samples)))


class Scoring:
    """The network and the data of one order, and the steps from initial weights to scores."""

    def __init__(self, work: Work) -> None:
        self.work, self.order = work, work.order
        self.spec: DiceSpec = self.order.job.spec
        self._set_threads(self.order.threads)
        network = work.build(self.spec.train.seed if self.spec.train else 0)
        self._set_threads(self.order.threads)  # again, because the network's code may have set switches
        self.network = network.to(memory_format=torch.channels_last)
        refuse_other_outputs(self.network, self.spec)
        self.images = self._opened(self.order.data, self.spec, self._sides())

    def _opened(self, at: DataAt | None, spec: DiceSpec, sides: tuple[str, ...]) -> "Images":
        assert at, "an order to score names its data set"
        with _for_all_networks():
            data = at.open(sides)
            if data.read(self._progress("reading the data set")) != spec.data:
                raise UserError(f"{spec.dataset} changed while the run was under way; start the run again")
        cache = self.order.out / f"cache/{data.name}-{data.digest}"
        return Images(pseudonymous(data) if spec.pseudonyms else data, spec, cache, self._progress)

    @cached_property
    def home(self) -> "Images":
        """The data set that is trained on; it is opened only where a training needs it."""
        home = self.spec.at_home
        return self.images if home is self.spec else self._opened(self.order.home, home, ("train", "val"))

    def _sides(self) -> tuple[str, ...]:
        """The sides of the split that are needed: all to train, `val` also to choose one of several outputs."""
        if self.spec.train:
            return ("test",) if self.spec.trained_on else SPLITS
        return ("val", "test") if isinstance(self.network, OneOfSeveral) else ("test",)

    def result(self) -> Scores:
        """Train or load, then score. Predictions are saved next to the record, for figures."""
        origin = self._trained() if self.spec.train else self._loaded()
        test, samples, device = self.images.prepared("test"), self.images.of("test"), torch.device(self.order.device)
        progress = self.work.progress("scoring")
        if isinstance(self.network, OneOfSeveral) and not self.spec.train:
            val = self.images.prepared("val")
            self.network.number = best_candidate(self.network.to(device), val, device, self.spec.classes)
        with _for_all_networks():  # the masks are read again, at their own size
            found = score(
                self.network.to(device), test, device, samples, self.spec.protocol, self.spec.tolerance,
                lambda done: progress(done, len(test)),
            )  # fmt: skip
        data, cache = self.images.data, self.images.cache.relative_to(self.order.out)
        kept = Predictions(test.ids, found.predictions, found.regions, f"{cache}/{content(samples)}-{self.spec.size}")
        scores = Scores(
            **origin, **self._seen(), images=found.images, volumes=found.volumes, distance_unit=found.distance_unit,
            patients="named" if data.patients else "images", data_name=data.label, differs=data.differs,
            predictions=self._kept(kept),
            predicted_map=self.network.prediction if isinstance(self.network, OneOfSeveral) else "",
        )  # fmt: skip
        if self.spec.train and not self.spec.trained_on:
            with writing(self.task().folder):
                complete(self.task().folder, scores, self.spec.protocol)
        return scores

    def _seen(self) -> dict[str, int]:
        """How many of the scored images were trained on, or chosen by, where that was on another data set."""
        if not self.spec.trained_on:
            return {}
        from bench.data.seen import FITTED, seen

        with _for_all_networks():
            fitted = [sample for side in FITTED for sample in self.home.of(side)]
            found = seen(fitted, self.images.of("test"), self._progress("comparing the data sets"))
        return {"copies": found.copied, "near_copies": found.near_copied}

    def _kept(self, found: Predictions) -> str:
        with writing(self.order.out):
            return found.keep(self.order.out, self.order.job.key)

    def task(self, process: Process | None = None) -> Task:
        """The training task of the order, for one of its processes."""
        job = self.order.job
        folder = self.order.out / "checkpoints" / job.training_key
        return Task(job.training_key, job.network, job.network_digest, self.spec.at_home, folder, process or Process())

    def training_sets(self) -> tuple[Prepared, Prepared]:
        """The training images and the validation images. Raises StopRun where one of the two shows no target."""
        sides = self.home.prepared("train"), self.home.prepared("val")
        with _for_all_networks():
            for name, side in zip(("train", "val"), sides, strict=True):
                _refuse_no_target(name, side, self.spec.size)
        return sides

    def _set_threads(self, threads: int) -> None:
        """Set threads.

        On a CPU, subnormal numbers (gradients of saturated outputs) are flushed to zero, as they are slow.
        """
        set_switches(threads, flush_denormal=self.order.device == "cpu")

    def _loaded(self) -> dict[str, Any]:
        """Load the user's weights. Returns the fields of Scores that describe their origin."""
        path = self.order.weights
        assert path
        with _for_all_networks():
            if weights_digest(path) != self.spec.weights:
                raise UserError(f"weights {path} changed while the run was under way; start the run again")
            self.work.notes += load_weights(inside(self.network), path)
        name = f"weights-{self.spec.weights}" if self.spec.pseudonyms else path.name
        return {"loaded": True, "best_step": 0, "curve": (), "train_images_per_s": None, "weights_file": name}

    def _trained(self) -> dict[str, Any]:
        """Load this job's checkpoint, or train. Returns the fields of Scores that describe the training."""
        task = self.task()
        with _for_all_networks():
            summary = load(self.network, task.folder, task.key, task.spec)
        loaded = summary is not None
        if summary is None:
            sets = self.training_sets()
            with Ranks(self.order, task.spec.devices, self.work.tell) as ranks:
                self._set_threads(ranks.threads)
                summary = train(self.network, self.task(ranks.process), *sets, self.work.tell)
            self._set_threads(self.order.threads)
        return {"loaded": loaded, **summary.model_dump(include={"best_step", "curve", "train_images_per_s"})}

    def _progress(self, doing: str) -> Callable[..., None]:
        """A function of (done, total); only the first process of a training tells."""
        return self.work.progress(doing) if not self.order.process.rank else lambda done, total: None
