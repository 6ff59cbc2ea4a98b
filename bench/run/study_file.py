"""A study as a file: TOML that says what is to be measured, on which data sets and where.

`docs/study.md` explains each key. Options of the command line stand above the file's keys, so a file is read into the
same `StudyFile` into which the options go. Paths in a file are relative to its folder.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from bench.data import DATASETS, DataAt, Options
from bench.errors import UserError, look_up, printable, unknown
from bench.networks import with_arguments
from bench.networks.names import pairs
from bench.networks.table import in_groups
from bench.quantities import MACHINE, MEASURABLE, Frozen, TrainingPrecision
from bench.quantities.training import Training
from bench.quantities.variants import conditions
from bench.run.asked import LARGEST_SEED, DeviceChoice, asked_study, named_networks, refuse_idle_arguments
from bench.run.slurm_place import Place
from bench.run.store import Record
from bench.run.study import Study
from bench.toml_files import TomlFile, read_toml

MOST = 100  # of a list
LARGEST = 65_535  # pixels a side, and images a call: more than any memory holds
Text = Annotated[str, Field(min_length=1)]
Texts = tuple[Text, ...]


def _one_or_several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


def _no_empty(value: Any) -> Any:
    """A path. An empty one would be the folder of the command."""
    if value == "":
        raise ValueError('a path is not empty; "." is the folder of the study')
    return value


def _as_tables(value: Any) -> Any:
    """A list of names, or one name, as tables without keys."""
    if isinstance(value, str):
        return {value: {}}
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return {name: {} for name in value}
    return value


Given = Annotated[Path, BeforeValidator(_no_empty)]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...],
    Field(min_length=1, max_length=MOST),
    AfterValidator(_once),
]
Counts = Annotated[tuple[Annotated[int, Field(ge=1, le=LARGEST)], ...], Field(max_length=MOST), AfterValidator(_once)]
Numbers = Annotated[tuple[float, ...], BeforeValidator(_one_or_several), Field(max_length=MOST)]
Argument = str | int | float | bool


class TrainingTable(Frozen):
    """`[training]`: how networks are trained, where it is to be another way than the budget's."""

    learning_rate: Numbers = ()
    weight_decay: float | None = None
    warmup: float | None = None
    batch: int | None = None
    augmentation: str | None = None
    loss_weights: tuple[float, float] | None = None

    @property
    def settings(self) -> Training:
        """The same as the quantities take it. Raises UserError for what no training can have."""
        given = self.model_dump(exclude={"learning_rate", "warmup"})
        return Training(learning_rates=self.learning_rate, warmup_share=self.warmup, **given)


class NetworkTable(Frozen):
    """`[networks.NAME]`: the arguments of a network from elsewhere, and how this network alone is trained."""

    arguments: dict[str, Argument] = Field(default_factory=dict)
    pretrained: bool = False
    training: TrainingTable = TrainingTable()

    @property
    def texts(self) -> dict[str, str]:
        """The arguments as they are typed: "width=32", "deep=true"."""
        return pairs(f"{name}={str(value).lower() if isinstance(value, bool) else value}"
                     for name, value in self.arguments.items())  # fmt: skip


class DataTable(Frozen):
    """`[[data]]`: a data set, where it lies and how it is read. With `train = false` it is only tested on."""

    name: Text
    root: Given | None = None
    classes: Texts = ()
    foreground: Texts = ()
    levels: Texts = ()
    images: str = ""
    masks: str = ""
    patient: str = ""
    split_file: Given | None = None
    fold: int = Field(0, ge=0)
    folds: Literal["all"] | Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_once)] = ()
    tolerance: float | None = None
    train: bool = True

    @property
    def places(self) -> tuple[DataAt, ...]:
        """The data set as the planner takes it, once for each of its folds."""
        options = {each.name: getattr(self, each.name) for each in fields(Options)}
        return tuple(DataAt(self.name, self.root, Options(**options | {"fold": fold})) for fold in self._folds)

    @property
    def _folds(self) -> Sequence[int]:
        if self.folds and self.fold:
            raise UserError(f"both fold and folds were given for {self.name}; give one of the two")
        if self.folds != "all":
            return self.folds or (self.fold,)
        published = DATASETS[self.name].folds if self.name in DATASETS else 1
        if not published:
            known = ", ".join(name for name, source in DATASETS.items() if source.folds)
            raise UserError(f"no folds of {self.name} are published; leave --folds out; those of {known} are")
        return range(published)


class StudyFile(Frozen):
    """All that a study may say; what it does not say is as on the command line without that option."""

    networks: Annotated[dict[Text, NetworkTable], BeforeValidator(_as_tables), Field(default_factory=dict)]
    groups: Texts = ()
    all: bool = False
    data: Annotated[tuple[DataTable, ...], Field(min_length=1, max_length=MOST)] = (DataTable(name="synthetic"),)
    test_on: Annotated[Texts, BeforeValidator(_one_or_several)] = ()
    measures: Texts = ()
    budget: Text | None = None
    steps: int | None = None
    epochs: int | None = None
    patience: int | None = Field(None, ge=1)
    seeds: Seeds = (0,)
    sizes: Counts = ()
    batches: Counts = (1,)
    variants: Texts = ()
    device: DeviceChoice = "auto"
    threads: int | None = None
    precision: TrainingPrecision | None = None
    devices: int = Field(1, ge=1)
    tf32: bool = False
    cudnn_benchmark: bool = False
    weights: Given | None = None
    pseudonyms: bool = False
    timeout: float = Field(600.0, ge=1, le=1e9)
    training: TrainingTable = TrainingTable()
    on: Literal["local", "slurm"] = "local"
    gpus: Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_once)] = ()
    slurm: Place = Place()
    out: Given = Path("results")
    reports: Given = Path("reports")
    claims: Given | None = None

    def study(self, elsewhere: bool = False) -> Study:
        """The same as the planner takes it; with `elsewhere` it runs on machines of which nothing is known here.

        Raises UserError where something was asked that cannot be.
        """
        if not any(one.train for one in self.data):
            names = ", ".join(one.name for one in self.data)
            raise UserError(f"the study trains on no data set: {names} has train = false; leave that out for one")
        for name, one in self.networks.items():
            refuse_idle_arguments([name], one.texts, one.pretrained)
        named = {
            with_arguments(name, one.texts, one.pretrained): one.training.settings
            for name, one in self.networks.items()
        }
        return asked_study(
            networks=named_networks(tuple(named), self.groups, {}, False, self.all), measures=self.measures,
            budget=self.budget, steps=self.steps, epochs=self.epochs, patience=self.patience, seeds=self.seeds,
            all_sizes=self.sizes, batches=self.batches, variants=self.variants, threads=self.threads,
            device="cpu" if elsewhere and self.device == "auto" and self.slurm.gpus == 0 else self.device,
            precision=self.precision, devices=self.devices, tf32=self.tf32, cudnn_benchmark=self.cudnn_benchmark,
            weights=self.weights, pseudonyms=self.pseudonyms, silence_s=self.timeout, elsewhere=elsewhere,
            data=_once(tuple(at for one in self.data if one.train for at in one.places)), test_on=_once(self._tested()),
            training=self.training.settings,
            own_training={name: training for name, training in named.items() if training != Training()},
        )  # fmt: skip

    def covering(self) -> Callable[[Record], bool]:
        """A function that says whether a record is of the study's networks, and of its data sets if it is of scores."""
        named = [with_arguments(name, one.texts, one.pretrained) for name, one in self.networks.items()]
        networks = {MACHINE, *named_networks(named, self.groups, {}, False, self.all)}
        data = {one.name for one in self.data}

        def covers(record: Record) -> bool:
            spec = record.job.spec
            return record.job.network in networks and (spec.quantity != "dice" or spec.dataset in data)

        return covers

    def _tested(self) -> tuple[DataAt, ...]:
        """The data sets to test on: those named, and those that are not trained on."""
        known = dict.fromkeys(one.name for one in self.data)
        for name in self.test_on:
            if name not in known and name != "all":
                raise unknown("data set in test_on", name, [*known, "all"])
        wanted = known if "all" in self.test_on else self.test_on
        found = tuple(at for one in self.data if one.name in wanted or not one.train for at in one.places)
        if len(self.data) == 1 and self.test_on not in ((), ("all",)):
            name = self.data[0].name
            raise UserError(f"--test-on {name}: no other data set is trained on; name another one, or leave it out")
        return found


def read_study(path: Path) -> StudyFile:
    """Read a study. Raises UserError, which names file and line."""
    read = read_toml(path, "the study", "give a file such as `bench run ... --save-study study.toml` writes")
    tables = _relative_to(path.parent, read.tables)
    try:
        found = StudyFile.model_validate(tables)
    except ValidationError as error:
        raise _fault(read, error) from None
    for place, check in _checks(found):
        try:
            check()
        except UserError as error:
            raise UserError(f"{read.at(place)}: {error}") from None
    return found


def _checks(study: StudyFile) -> Iterator[tuple[tuple[str | int, ...], Callable[[], object]]]:
    """What raises UserError for a value that nothing can have, with the place of the value in the file."""
    yield ("training",), lambda: study.training.settings
    for name, one in study.networks.items():
        yield ("networks", name), partial(refuse_idle_arguments, [name], one.texts, one.pretrained)
        yield ("networks", name, "training"), partial(getattr, one.training, "settings")
    for number, table in enumerate(study.data):
        yield ("data", number), partial(look_up, "data set", table.name, DATASETS)
        yield ("data", number, "folds"), partial(getattr, table, "places")
    yield ("groups",), lambda: in_groups(study.groups)
    yield ("measures",), lambda: [look_up("measure", name, dict.fromkeys(MEASURABLE)) for name in study.measures]
    yield ("variants",), lambda: [conditions(name) for name in study.variants]


def changed(study: StudyFile, given: Mapping[str, Any]) -> StudyFile:
    """The study with other values for these keys. Raises UserError, which names the option, for one it cannot have."""
    try:
        return StudyFile.model_validate({**study.model_dump(exclude_unset=True), **given})
    except ValidationError as error:
        fault = error.errors()[0]
    key = next(part for part in fault["loc"] if isinstance(part, str) and part not in ("training", "data"))
    option = OPTIONS.get(key, key.replace("_", "-"))
    told = fault["msg"].removeprefix("Value error, ")
    raise UserError(f"--{option}: {told[:1].lower()}{told[1:]}; got {printable(str(fault['input']))[:80]}")


def with_data(
    study: StudyFile, name: str | None, given: Mapping[str, Any], test_on: Sequence[tuple[str, Path | None]] = ()
) -> dict[str, Any]:  # fmt: skip
    """The keys of a study's data sets, where one of them is named, or read otherwise, or others are tested on.

    A data set that is named stands alone: as in the study, if it is there. Raises UserError where it is not clear which
    one is meant.
    """
    tables, found = study.data, dict[str, Any]()
    if name or given:
        if not name and len(tables) > 1:
            names = ", ".join(one.name for one in tables)
            raise UserError(f"the study has several data sets ({names}); say with --dataset which one is meant")
        mine = [one for one in tables if name in (None, one.name)] or [DataTable(name=name or "")]
        if given and len(mine) > 1:
            raise UserError(f"the study has {len(mine)} data sets called {name}; say in its file how each is read")
        # Of these two, what is given replaces the file's.
        replaced = {"folds": ()} if "fold" in given else {"fold": 0} if "folds" in given else dict[str, Any]()
        tables = tuple(one.model_copy(update={**replaced, **given}) for one in mine)
        found["data"] = tables
    if test_on:
        known: dict[str, list[DataTable]] = {}
        for one in study.data:
            known.setdefault(one.name, []).append(one)
        shared = {key: value for key, value in given.items() if key in ("classes", "foreground", "levels", "patient")}
        made = [
            one for other, root in test_on for one in (
                known[other] if other in known and not root
                else [DataTable(name=other, root=root, **shared if other == "folder" else {})]
            )
        ]  # fmt: skip
        more = (one.model_copy(update={"train": False}) for one in made if one not in tables)
        found = {"data": (*tables, *more), "test_on": tuple(other for other, _ in test_on)}
    return found


def _relative_to(folder: Path, tables: dict[str, Any]) -> dict[str, Any]:
    """The tables with their paths as they are from where the command runs. What is no text is refused later."""

    def moved(path: Any) -> Any:
        return os.path.normpath(folder / path) if isinstance(path, str) and path else path

    def file_of(name: Any) -> Any:
        base, colon, rest = name.partition(".py:") if isinstance(name, str) else ("", "", "")
        return f"{moved(base + '.py')}:{rest}" if colon else name

    def within(table: Any, keys: Sequence[str], change: Callable[[Any], Any] = moved) -> Any:
        if not isinstance(table, dict):
            return table
        return {key: change(value) if key in keys else value for key, value in table.items()}

    found = within(tables, ("out", "reports", "weights", "claims"))
    if isinstance(data := found.get("data"), list):
        found["data"] = [within(one, ("root", "split_file")) for one in data]
    if isinstance(networks := found.get("networks"), list):
        found["networks"] = [file_of(name) for name in networks]
    elif isinstance(networks, dict):
        found["networks"] = {file_of(name): table for name, table in networks.items()}
    return found


# Keys whose options have other names.
OPTIONS = {
    "sizes": "size", "batches": "batch", "variants": "variant", "measures": "measure", "groups": "group",
    "learning_rate": "lr", "root": "data-root",
}  # fmt: skip
TABLES: dict[str, type[Frozen]] = {"data": DataTable, "training": TrainingTable, "slurm": Place}


def _fault(read: TomlFile, error: ValidationError) -> UserError:
    """The first fault of a study, with file, line and, for a key that there is not, the nearest name."""
    fault = error.errors()[0]
    loc, told = fault["loc"], fault["msg"].removeprefix("Value error, ")
    for python, word in {"valid tuple": "list", "Tuple should": "List should", "valid dictionary": "table"}.items():
        told = told.replace(python, word).partition(" or instance of")[0]
    where = read.at(loc)
    if fault["type"] == "extra_forbidden":
        *outer, key = map(str, loc)
        if outer and key in StudyFile.model_fields:
            raise UserError(
                f"{where}: '{key}' is not a key of [{outer[0]}] but of the study; write it above all tables"
            )
        table = next((TABLES[name] for name in reversed(outer) if name in TABLES), NetworkTable if outer else StudyFile)
        return UserError(f"{where}: {unknown('key', printable(key), table.model_fields)}")
    key = ".".join(str(part) for part in loc if not (isinstance(part, str) and "[" in part))
    if fault["type"] == "missing":
        return UserError(f"{where}: {key} is missing; add it")
    return UserError(f"{where}: {key}: {told[:1].lower()}{told[1:]}; got {printable(str(fault['input']))[:80]}")
