"""A job: one network, one quantity and one set of conditions. They determine the result."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any, cast

from pydantic import BaseModel, Field

from bench.networks import find_network, titles
from bench.networks.libraries import versions
from bench.quantities import MACHINE, QUANTITIES, Frozen, Spec

SCORING = {"protocol", "test_images", "scoring", "tolerance", "fold", "pseudonyms"}  # which do not change a training
LONGEST = 60  # characters of a network's name in a file name


class Job(Frozen):
    """A measurement to make.

    `network_digest` is the digest of the network's code, so edited code gives a different job. `libraries` are the
    versions, by name, of the distributions that the code imports and of those that decide the quantity's figures.
    """

    network: str
    network_digest: str
    libraries: dict[str, str] = Field(default_factory=dict)
    spec: Spec

    @classmethod
    def of(cls, name: str, spec: Any) -> "Job":
        """Create the job that measures a network, with its present code and libraries, under some conditions."""
        network = find_network(name)
        libraries = versions(QUANTITIES[spec.quantity].libraries) | network.libraries
        return cls(network=name, network_digest=network.digest, libraries=libraries, spec=spec)

    @property
    def key(self) -> str:
        """A readable name followed by a hash of the whole job: "unet-latency-0f3a9c51d2e4"."""
        kept = self.__dict__.get("_key")  # a copy with another value has this of the first
        same = self.network, self.network_digest, self.libraries, self.spec
        if kept is None or any(one is not other for one, other in zip(kept[0], same, strict=True)):
            kept = self.__dict__["_key"] = same, self._named(hashed(self._facts()))
        return str(kept[1])

    @property
    def first_key(self) -> str:
        """The key of a record of the first format, which left out libraries and conditions with default values."""
        facts = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude={"libraries"})
        return self._named(hashed(facts))

    @property
    def training_key(self) -> str:
        """The name of the checkpoint that this job trains or loads. It depends on the training, not on the scoring.

        Where several learning rates are tried, the checkpoints are those of the `trials`.
        """
        if getattr(self.spec, "train", None) is None:
            raise TypeError(f"{self.network}: {self.spec.quantity} trains nothing")
        home = self.model_copy(update={"spec": self.spec.at_home})
        facts = home._facts()
        facts["spec"] = {name: value for name, value in facts["spec"].items() if name not in SCORING}
        return f"{file_name(self.network)}-{file_name(home.spec.dataset)}-{hashed(facts)}"

    @property
    def trials(self) -> tuple["Job", ...]:
        """This job with each of its trainings alone: one, or one with each learning rate that is tried."""
        if getattr(self.spec, "train", None) is None:
            return ()
        specs = (self.spec.model_copy(update={"train": train}) for train in self.spec.train.trials)
        return tuple(self.model_copy(update={"spec": spec}) for spec in specs)

    def _facts(self) -> dict[str, Any]:
        """All that determines the result, without fields that are newer than the oldest records, at their defaults."""
        facts = self.model_dump(mode="json")
        told, train = facts["spec"], getattr(self.spec, "train", None)
        for conditions, named in [(self.spec, told), *([(train, told["train"])] if train else [])]:
            for name in _later(type(conditions)):  # type: ignore[arg-type]  # mypy takes a class for unhashable
                if getattr(conditions, name) == type(conditions).model_fields[name].default:
                    del named[name]
        return facts

    def _named(self, digits: str) -> str:
        return f"{file_name(self.network)}-{self.spec.quantity}-{digits}"


@cache
def _later(conditions: type[BaseModel]) -> list[str]:
    """The names of the fields made by `bench.quantities.base.later`."""
    fields = conditions.model_fields.items()
    return [name for name, field in fields if "later" in cast("Any", field.json_schema_extra or ())]


def file_name(network: str) -> str:
    """A network's name for use in file names: the last characters, which distinguish paths and specs."""
    return re.sub(r"[^A-Za-z0-9_.]+", "-", network)[-LONGEST:].strip("-.")


def in_words(jobs: Iterable[Job]) -> dict[str, str]:
    """What each of several jobs does, by its key, in words that no other of them has: "timing U-Net, batch 4".

    These are its quantity's, its network's, and those of its conditions in which the jobs of the quantity differ.
    """
    kept = {job.key: job for job in jobs}
    called = titles(job.network for job in kept.values()) | {MACHINE: "this machine"}
    doing = {key: f"{QUANTITIES[job.spec.quantity].doing} {called[job.network]}" for key, job in kept.items()}
    by_quantity = _by({key: job.spec.quantity for key, job in kept.items()})
    for keys in by_quantity:
        doing |= _told(doing, keys, [QUANTITIES[kept[key].spec.quantity].repeat(kept[key].spec) for key in keys])
    for keys in filter(lambda keys: len(keys) > 1, _by(doing)):  # they differ in what is seldom asked for
        doing |= _told(doing, keys, _fields([kept[key].spec.model_dump(mode="json") for key in keys]))
    return doing


def _by(words: Mapping[str, str]) -> list[list[str]]:
    """The keys of the same words together."""
    found: dict[str, list[str]] = {}
    for key, word in words.items():
        found.setdefault(word, []).append(key)
    return list(found.values())


def _told(doing: Mapping[str, str], keys: Sequence[str], conditions: Sequence[Sequence[str]]) -> dict[str, str]:
    """The words of some jobs with those of their conditions that are not the same for all."""
    varying = [len({*column}) > 1 for column in zip(*conditions, strict=True)]
    return {key: ", ".join((doing[key], *compress(own, varying))) for key, own in zip(keys, conditions, strict=True)}


def _fields(facts: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Each field of some conditions as text, those of their training among them."""
    flat = [{**one, **(one.get("train") or {}), "train": ""} for one in facts]
    names = list(dict.fromkeys(name for one in flat for name in one))
    return [[f"{name} {one.get(name)}" for name in names] for one in flat]


def hashed(facts: Any) -> str:
    """12 hexadecimal digits of the hash of facts, which no order of their names changes."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
