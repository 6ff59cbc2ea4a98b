"""Where on a cluster a study's tasks run: what is asked of Slurm for each."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from bench.errors import UserError, clean, unknown
from bench.quantities import Frozen
from bench.toml_files import read_toml

SITE = Path("bench.toml")
TIME = re.compile(r"(?:(?P<d>\d+)-)?(?P<h>\d{1,3})(?::(?P<m>[0-5]?\d)(?::(?P<s>[0-5]?\d))?)?")
MEMORY = re.compile(r"[1-9]\d*[KMGT]?")
WORD = re.compile(r"[\w.,:/&|*()\[\]@+-]+", re.ASCII)
FLAG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
# Flags of sbatch that this program sets itself, and the setting by which to say them.
OURS = {
    "partition": "partition", "account": "account", "qos": "qos", "time": "time", "mem": "memory",
    "cpus-per-task": "cpus", "gpus-per-node": "gpus", "gpus": "gpus", "constraint": "constraint", "signal": "grace",
    "array": "", "job-name": "", "output": "", "error": "", "open-mode": "", "exclusive": "", "hold": "",
    "requeue": "", "no-requeue": "", "parsable": "", "nodes": "", "ntasks-per-node": "", "wrap": "",
}  # fmt: skip


def _minutes(given: object) -> object:
    """Slurm's ways to say a time, in minutes: 90, "90", "02:00:00", "2-00:00:00", "2-12"."""
    if not isinstance(given, str):
        return given
    found = TIME.fullmatch(given.strip())
    if given.strip().isdecimal():
        return int(given)
    if found is None or (not found["d"] and not found["s"]):  # "10:30" is minutes and seconds to Slurm
        raise ValueError('a time is whole minutes, "HH:MM:SS" or "DAYS-HH:MM:SS"')
    days, hours, minutes, seconds = (int(found[part] or 0) for part in "dhms")
    return (days * 24 + hours) * 60 + minutes + (seconds > 0)


def _memory(given: str) -> str:
    if not MEMORY.fullmatch(given := given.strip().upper().removesuffix("B")):
        raise ValueError('a memory is a whole number and a unit, such as "32G" or "500M"')
    return given


def _word(given: str) -> str:
    if not WORD.fullmatch(given):
        raise ValueError("a name without spaces and quotation marks is allowed")
    return given


def _lines(given: object) -> object:
    return given.splitlines() if isinstance(given, str) else given


def _extra(given: Mapping[str, str | int | bool]) -> Mapping[str, str | int | bool]:
    for name in given:
        plain = name.removeprefix("--").replace("_", "-")
        if not FLAG.fullmatch(plain):
            raise ValueError(f"'{name}' is no flag of sbatch; give its long name without dashes, such as nice")
        if plain in OURS:
            named = OURS[plain]
            raise ValueError(f"'{name}' is " + (f"said by {named} = ..." if named else "set by this program"))
        if not str(given[name]).isprintable():
            raise ValueError(f"'{name}' has a value of more than one line")
    return {name.removeprefix("--").replace("_", "-"): value for name, value in given.items() if value is not False}


Word = Annotated[str, AfterValidator(_word)]


class Place(Frozen):
    """What is asked of Slurm. What is not said is left to the cluster, but for the time.

    `time` is the limit of a task, in minutes; a task that runs into it goes on from its last checkpoint. `grace` are
    the seconds before that end at which a task is told to save. `cpus` and `memory` are of a task, `gpus` of a
    training: by default 1 where the study's device is a GPU. `limit` is how many trainings run at once. `setup` are
    lines of shell before the command, `extra` further flags of sbatch, `python` the shell's words that start Python.
    """

    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    time: Annotated[int, BeforeValidator(_minutes), Field(ge=1)] = 24 * 60
    memory: Annotated[str, AfterValidator(_memory)] | None = None
    cpus: int | None = Field(None, ge=1)
    gpus: int | None = Field(None, ge=0)
    limit: int | None = Field(None, ge=1)
    grace: int = Field(120, ge=10, le=3600)
    setup: Annotated[tuple[str, ...], BeforeValidator(_lines)] = ()
    extra: Annotated[Mapping[str, str | int | bool], AfterValidator(_extra)] = Field(default_factory=dict)
    python: str = Field(default_factory=lambda: shlex.quote(sys.executable), min_length=1)

    @model_validator(mode="after")
    def _has_time_to_save(self) -> Self:
        if self.grace > self.time * 30:
            raise ValueError(f"grace = {self.grace} s is over half of time = {self.time} minutes; make one of them fit")
        return self

    @classmethod
    def of(cls, table: Mapping[str, Any], where: str = "[slurm]") -> "Place":
        """The place that a table of settings names; `where` says in errors whose they are.

        Raises UserError for an unknown setting, with the nearest name, and for a wrong value.
        """
        if strange := sorted(set(table) - set(cls.model_fields)):
            raise UserError(f"{where}: {unknown('setting', strange[0], cls.model_fields)}")
        try:
            return cls.model_validate(dict(table))
        except ValidationError as error:
            found = error.errors()[0]
            given = "".join(f"{name} = {table.get(str(name))!r}: " for name in found["loc"][:1])
            raise UserError(f"{where}: {clean(given)} {clean(found['msg'].removeprefix('Value error, '))}") from None

    def asked(self, name: str, device: str, exclusive: bool) -> dict[str, Any]:
        """The settings of submitit's executor for tasks of a job's `name` on a device, cpu or cuda.

        An exclusive task has a machine for itself with all of its cores, and of its GPUs those of one training.
        """
        gpus = self.gpus if self.gpus is not None else int(device != "cpu")
        # Since Slurm 22.05 a step does not take over what its job asked for, and would be bound to one core.
        cores = ["--cpu-bind=none"] if exclusive else [f"--cpus-per-task={self.cpus}"] if self.cpus else None
        named = {
            "partition": self.partition, "account": self.account, "qos": self.qos, "constraint": self.constraint,
            "mem": self.memory, "cpus_per_task": None if exclusive else self.cpus, "gpus_per_node": gpus or None,
            "srun_args": cores,
            "setup": list(self.setup) or None, "exclusive": exclusive or None,
        }  # fmt: skip
        # Held until all that the tasks need is written down; requeued whatever the cluster's own setting is.
        extra = {**self.extra, "hold": True, "requeue": True}
        return {
            **{setting: value for setting, value in named.items() if value is not None},
            "job_name": name, "time": self.time, "signal_delay_s": self.grace, "additional_parameters": extra,
        }  # fmt: skip


def with_site(own: Place, path: Path = SITE) -> Place:
    """What a study asks of Slurm, and where it says nothing, what `bench.toml` in this folder says for all studies.

    Raises UserError, which names file and line, where that file says something else.
    """
    if not path.is_file():
        return own
    read = read_toml(path, "the settings", "mend it, or remove it")
    if strange := sorted(set(read.tables) - {"slurm"}):
        raise UserError(f"{read.at(strange[:1])}: {unknown('key', strange[0], ['slurm'])}")
    table = read.tables.get("slurm", {})
    if not isinstance(table, dict):
        raise UserError(f"{read.at(['slurm'])}: slurm is a table: [slurm], then partition = ... and others")
    site = Place.of(table, read.at(["slurm"]))
    return Place.model_validate(site.model_dump(exclude_unset=True) | own.model_dump(exclude_unset=True))
