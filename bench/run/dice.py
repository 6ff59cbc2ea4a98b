"""The worker's part for the quantity Dice: train or load a network, then score the test split."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from bench.data import DataAt, DataSet
from bench.data.prepared import Prepared, content, prepare
from bench.data.pseudonyms import pseudonymous
from bench.data.sample import SPLITS, Sample, thin
from bench.errors import Diverged, Paused, UserError
from bench.measure.dice import best_candidate, refuse_other_outputs, score
from bench.measure.switches import set_switches
from bench.networks.adapt import OneOfSeveral, inside
from bench.quantities import DiceSpec, Scores, Tried
from bench.run.predictions import Predictions
from bench.run.worker import Ranks, StopRun, Tell, Work, writing
from bench.training.checkpoint import TrainingSummary, complete, load
from bench.training.devices import Process
from bench.training.train import Task, take_part, train
from bench.training.weights import load_weights, weights_digest


def dice(work: Work) -> Scores | None:
    """Train or load, and score the test images.

    Returns None in a secondary process of a training on several devices.
    """
    scoring, process = Scoring(work), work.order.process
    if not process.rank:
        return scoring.result()
    with suppress(Diverged, Paused):  # it is raised in all processes, and the first one tells
        take_part(scoring.network, scoring.task(process.trial, process), *scoring.sets, work.asked_to_end.is_set)
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
        self.network = self._built()
        self.images = self._opened(self.order.data, self.spec, self._sides())

    def _built(self) -> torch.nn.Module:
        """The network with its first random weights."""
        self._set_threads(self.order.threads)
        network = self.work.build(self.spec.train.seed if self.spec.train else 0)
        self._set_threads(self.order.threads)  # again, because the network's code may have set switches
        built: torch.nn.Module = network.to(memory_format=torch.channels_last)
        refuse_other_outputs(built, self.spec)
        return built

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
        origin, trial = self._trained() if self.spec.train else (self._loaded(), 0)
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
            with writing(self.task(trial).folder):
                complete(self.task(trial).folder, scores, self.spec.protocol)
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

    def task(self, trial: int = 0, process: Process | None = None) -> Task:
        """A training of the order by its number, for one of its processes; a lone one has the number 0."""
        job = self.order.job.trials[trial]
        folder = self.order.out / "checkpoints" / job.training_key
        return Task(job.training_key, job.network, job.network_digest, job.spec.at_home, folder, process or Process())

    @cached_property
    def sets(self) -> tuple[Prepared, Prepared]:
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

    def _trained(self) -> tuple[dict[str, Any], int]:
        """Load this job's checkpoints, or train. Returns the fields of Scores that describe it, and its number.

        Of several trainings, each with a learning rate of its own, the best on `val` is left in the network. Raises
        Diverged if all of them did.
        """
        rates = [train.learning_rate for train in self.spec.train.trials] if self.spec.train else []
        found: dict[int, TrainingSummary] = {}
        tried, are_loaded = [], True
        for trial, rate in enumerate(rates):
            try:
                found[trial], is_loaded = self._summary(trial, self._telling(trial, rates))
                tried.append(Tried(learning_rate=rate, val_dice=found[trial].val_dice))
                are_loaded &= is_loaded
            except Diverged as error:
                if len(rates) == 1:
                    raise
                tried.append(Tried(learning_rate=rate, diverged=str(error)))
            if len(rates) > 1:
                self.network = self._built()
        if not found:
            told = "; ".join(f"with the learning rate {one.learning_rate:g} {one.diverged}" for one in tried)
            raise Diverged(f"with none of the learning rates it converged: {told}")
        best = max(found, key=lambda trial: found[trial].val_dice)
        if len(rates) > 1:
            self._load(best)
        told_of = found[best].model_dump(include={"best_step", "curve", "train_images_per_s"})
        return {"loaded": are_loaded, **told_of, "tried": tuple(tried) if len(rates) > 1 else ()}, best

    def _load(self, trial: int) -> TrainingSummary | None:
        """Load the checkpoint of a training into the network, and return its summary; None if there is none."""
        task = self.task(trial)
        with _for_all_networks():
            return load(self.network, task.folder, task.key, task.spec)

    def _summary(self, trial: int, tell: Tell) -> tuple[TrainingSummary, bool]:
        """Load the checkpoint of a training, or train; whether it was loaded."""
        if summary := self._load(trial):
            return summary, True
        sets, task = self.sets, self.task(trial)
        with Ranks(self.order, task.spec.devices, self.work.tell, trial) as ranks:
            self._set_threads(ranks.threads)
            summary = train(self.network, self.task(trial, ranks.process), *sets, tell, self.work.asked_to_end.is_set)
        self._set_threads(self.order.threads)
        self.work.refuse_to_go_on()
        return summary, False

    def _telling(self, trial: int, rates: Sequence[float]) -> Tell:
        """What tells the parent, of several trainings also which one it is."""
        if len(rates) == 1:
            return self.work.tell
        which = f"learning rate {rates[trial]:g} ({trial + 1} of {len(rates)})"

        def tell(event: dict[str, Any]) -> None:
            self.work.tell({**event, "doing": f"{which}, {event['doing']}" if "doing" in event else which})

        return tell

    def _progress(self, doing: str) -> Callable[..., None]:
        """A function of (done, total); only the first process of a training tells."""
        return self.work.progress(doing) if not self.order.process.rank else lambda done, total: None
