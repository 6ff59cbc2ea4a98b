"""A study: what the user asks to measure. It is validated before anything is read or measured."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from bench.data import DataAt, DataSet
from bench.errors import UserError, unknown
from bench.machine import this_machine, training_precision
from bench.machine.launched import end_spare_copy
from bench.networks import find_network, origin_of
from bench.quantities import MEASURABLE, QUANTITIES, Asked, AskedData, Device, Settings, TrainingPrecision
from bench.quantities.budget import Budget
from bench.quantities.training import NOTHING
from bench.quantities.variants import conditions
from bench.training.devices import check_devices
from bench.training.weights import weights_digest

SMALLEST = 32  # pixels a side


@dataclass(frozen=True)
class Study(Settings):
    """The networks, quantities, budget, data sets and device of a run.

    Each network is trained on each of the data sets of `data`, once for each of the `seeds`, or not at all if `weights`
    are given. It is scored there, and on those of `test_on` with the same classes. A job that sends no event for
    `silence_s` seconds is killed. CPU operators use `threads`, by default one a core; trainings may have
    `training_threads` and a `precision` of their own, else the one that is fast on this machine. With `elsewhere` it
    runs on other machines, so their cores and GPUs are not asked for here. Raises UserError if the study is not
    possible.
    """

    networks: tuple[str, ...]
    measures: tuple[str, ...]
    budget: Budget
    data: tuple[DataAt, ...]
    device: Device
    test_on: tuple[DataAt, ...] = ()
    weights: Path | None = None
    silence_s: float = 600.0
    threads: int | None = None
    precision: TrainingPrecision | None = None
    training_threads: int | None = None
    elsewhere: bool = False

    def __post_init__(self) -> None:
        for name in self.networks:
            find_network(name)
        for measure in self.measures:
            if measure not in MEASURABLE:
                raise unknown("measure", measure, MEASURABLE)
        if (size := min((self.size, *self.sizes))) < SMALLEST:
            raise UserError(f"--size must be {SMALLEST} or more pixels a side, got {size}")
        for variant in self.variants:
            conditions(variant)
        if not self.elsewhere:
            self._check_machine()
        self._check_scored()
        if self.weights is not None:
            self._check_weights(self.weights)

    def _check_machine(self) -> None:
        """Refuse more cores or devices than there are here. Of several copies of a run, those too many end."""
        end_spare_copy(self.devices, self.device == "cuda")
        if self.threads is not None and self.threads not in range(1, (cores := this_machine().cores) + 1):
            raise UserError(
                f"--threads must be from 1 to the {cores} cores that this process may use, got {self.threads}; "
                "leave it out to use all"
            )
        for batch in dict.fromkeys(self.training_of(name).batch or self.budget.batch for name in self.networks):
            check_devices(self.devices, batch, self.device)

    def _check_scored(self) -> None:
        """Refuse to train or score nothing but networks that share another's scores."""
        shared = {name: origin for name in self.networks if (origin := origin_of(name))}
        if len(shared) == len(self.networks) > 0 and (self.weights or set(self.measures) == {"dice"}):
            name, origin = next(iter(shared.items()))
            raise UserError(f"{name} computes what {origin} computes and shares its Dice; name {origin}")

    def _check_weights(self, path: Path) -> None:
        if len(self.networks) != 1:
            named = ", ".join(self.networks)
            raise UserError(f"--weights {path} is for one network, got {named}; name the one it was trained for")
        if len(self.seeds) > 1 or self.devices > 1 or self.patience:
            raise UserError(f"--weights {path} is trained already; leave --seeds, --devices and --patience out")
        if self.training_of(self.networks[0]) != NOTHING:
            options = "--lr, --weight-decay, --warmup, --loss-weights, --train-batch and --augmentation"
            raise UserError(f"--weights {path} is trained already; leave {options} out")
        if "dice" not in self.measures:
            raise UserError(f"--weights {path} is there to be scored; add dice to --measure, or leave it out")

    def asked(self, data: DataSet | None, tests: Sequence[DataSet] = ()) -> Asked:
        """The settings that the quantities need, for this machine, a data set and others to test on."""
        machine = this_machine()
        asked = Asked(
            self.measures, self.budget, machine.fingerprint, self.device, self.threads or machine.cores,
            self.training_threads or self.threads or allotted_cores(),
            weights_file=str(self.weights or ""), **{each.name: getattr(self, each.name) for each in fields(Settings)},
        )  # fmt: skip
        if data is None:
            return asked
        digest = weights_digest(self.weights) if self.weights else ""
        return replace(
            asked, precision=self.precision or training_precision(self.device), weights=digest, data=asked_data(data),
            tests=tuple(map(asked_data, tests)),
        )  # fmt: skip


def allotted_cores() -> int:
    """The cores that this process may use; those that Slurm gave its task, where it does not bind it to them."""
    given, cores = os.environ.get("SLURM_CPUS_PER_TASK", ""), this_machine().cores
    return min(int(given), cores) if given.isdecimal() and int(given) else cores


def asked_data(data: DataSet) -> AskedData:
    """What the quantities need to know of a data set."""
    images = {split: len(samples) for split, samples in data.splits.items()}
    return AskedData(data.name, data.digest, data.maps, data.classes, data.protocol, images, data.tolerance, data.fold)


def usual_measures(device: Device) -> tuple[str, ...]:
    """The quantities measured by default on a device."""
    return tuple(name for name in MEASURABLE if QUANTITIES[name].usual(device))
