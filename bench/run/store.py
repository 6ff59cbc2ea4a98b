"""Records of measurements: one JSON file each, named by the job's key.

Records appear whole (they are written beside, then get their name) and never change. Many processes and machines may
write into one folder: who does a job holds its lock (`bench.locks`). Only the record of a failure is replaced, by a
later attempt at the same job. The file contains a digest of all that is in it, so that edits are detected.

Records of the first format are read, and shown as what they say. They are of no job that is asked for today: their keys
left out defaults and libraries. They have their per-image scores in a CSV file beside them, and the oldest no digest.
"""

import csv
import hashlib
import io
import json
import math
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, FiniteFloat, ValidationError, model_validator
from pydantic_core import from_json

from bench.errors import UserError, first_line
from bench.files import Unusable, aside, content_of, link, unusable, write_through
from bench.locks import held
from bench.machine import Machine, State, pretended, taint
from bench.quantities import Agreement, CurvePoint, Device, Frozen, ImageScore, Result, Scores
from bench.quantities.dice import Scored
from bench.run.job import Job

FORMAT: Literal[2] = 2  # 2: the key names defaults and libraries; the scores of images are in the file
LEFT = "it is left alone"
NAMED = re.compile(r"(?!\.).*-[a-z]+-[0-9a-f]{12}\.json")  # file names made by Store.path
UNDEFINED = (CurvePoint, Scored)  # whose figures are NaN where there is nothing to score
ENDS = {math.inf, -math.inf}
# In a folder of records, beside these.
WRITTEN = (
    "cache", "cache/*", "checkpoints", "checkpoints/*", "checkpoints/*/tensorboard", "locks", "logs", "predictions",
    "splits", "studies",
)  # fmt: skip
Status = Literal["ok", "refused", "crashed", "out_of_memory", "timed_out", "diverged"]


class Record(Frozen):
    """The outcome of one job: a result, or a failure with its reason.

    `wall_s` is the total time of the child process, `window_s` the part after the network was built. `window` are the
    machine's states just before and just after what was timed; None if nothing was, and in older records. `notes`
    describe how the network's input and output were adapted so that it could be measured.
    """

    schema_version: Literal[1, 2] = FORMAT
    job: Job
    status: Status
    error: str = ""
    machine: Machine = Field(alias="environment")  # the name in records of the first format
    before: State
    after: State
    wall_s: FiniteFloat
    window_s: FiniteFloat | None = None
    window: tuple[State, State] | None = None
    notes: tuple[str, ...] = ()
    result: Result | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.status == "ok") != (self.result is not None):
            raise ValueError(f"the status is {self.status}, and there is {'a' if self.result else 'no'} result")
        if self.result and self.result.quantity != self.job.spec.quantity:
            raise ValueError(f"the job is of {self.job.spec.quantity}, and the result of {self.result.quantity}")
        if odd := next((name for name, value in self.result or () if _is_endless(value)), ""):
            raise ValueError(f"result.{odd} holds what is no finite number")
        return self

    @cached_property
    def is_sealed(self) -> bool:
        """Whether its file had a digest. The oldest have none: whether such a one was edited cannot be told."""
        return True  # `read_record` puts False in this place

    @property
    def id(self) -> str:
        """The job's key, by which tables refer to this record, and its file's name."""
        return self.job.key if self.schema_version == FORMAT else self.job.first_key

    @property
    def outcome(self) -> str:
        """The status in words: "ok", "out of memory"."""
        return self.status.replace("_", " ")

    @property
    def machine_id(self) -> str:
        """The fingerprint of the machine that the figure depends on; empty if it does not depend on the machine."""
        return str(getattr(self.job.spec, "machine", ""))

    @property
    def taints(self) -> tuple[str, ...]:
        """Why the measured time cannot be trusted, in sentences: what went on around it, and not in the whole process.

        Empty for failures and if the machine does not matter. A GPU that is pretended comes first.
        """
        if self.status != "ok" or not self.machine_id:
            return self.pretended
        first, last = self.window or (self.before, self.after)
        cores = getattr(self.job.spec, "threads", self.machine.cores)
        disturbed = taint(first, last, cores, self.job.spec.device, on_gpu=self.window is not None)
        return (*self.pretended, *disturbed)

    @property
    def pretended(self) -> tuple[str, ...]:
        """Why none of its figures, memory and energy included, was measured on a GPU; empty for failures too."""
        spec = self.job.spec
        trained_on: Device = getattr(getattr(spec, "train", None), "device", "cpu")
        device: Device = getattr(spec, "device", trained_on)
        return pretended(self.machine, device) if self.status == "ok" else ()

    def doubts(self, unit: str) -> tuple[str, ...]:
        """Why a figure in this unit cannot be trusted: its taints. Other processes do not affect this one's memory."""
        return self.pretended if unit == "bytes" else self.taints

    @property
    def at(self) -> datetime:
        """The time at which the measurement began; one without a zone is taken as UTC."""
        at = datetime.fromisoformat(self.before.at)
        return at if at.tzinfo else at.replace(tzinfo=UTC)


class Store:
    """A folder of records. The folder is created when the first record is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: Job) -> Path:
        """The path of the job's record, whether it exists or not."""
        return self.folder / f"{job.key}.json"

    def find(self, job: Job) -> Record | None:
        """The job's record, which may be a failure.

        None if there is none, or if the file is not a record of this job in the present format. Raises Unusable if
        there is a file that cannot be read now: it may be the record.
        """
        path = self.path(job)
        if not os.path.lexists(path):
            return None
        try:
            record = read_record(path)
        except Unusable:
            raise
        except UserError:
            return None
        return record if (record.job, record.schema_version) == (job, FORMAT) else None

    def write(self, record: Record) -> Path:
        """Write a record and return its path. A finished one stays: to look for it and to write are one step.

        An existing file that is not a record of this job is renamed. Raises OSError, which names the path, if the
        record cannot be written, and Unusable if what is there cannot be read.
        """
        assert record.schema_version == FORMAT, "records of the first format are only read"
        path, lock = self.path(record.job), self.folder / "locks" / f"{record.job.key}.record.lock"
        facts = record.model_dump(mode="json", exclude={"result": {"images"}})
        if isinstance(record.result, Scores):
            facts["result"]["images"] = _lines(record.result.images)
        with aside(path) as beside:
            facts["digest"] = _digest(_CANONICAL(json.loads(json.dumps(facts))))
            write_through(beside, json.dumps(facts, indent=1) + "\n")
            while not (linked := link(beside, path)):  # then something is there, or the file system has no links
                with held(lock, "writing a record") as ours:
                    before = self.find(record.job)
                    if before is not None and before.status == "ok":
                        break
                    if before is None and os.path.lexists(path):
                        path.replace(_unused(path.with_suffix(".json.damaged")))
                    elif (before is not None or linked is None) and ours.is_ours():
                        beside.replace(path)
                        break
        return path


def record_files(folder: Path) -> list[Path]:
    """The files of a folder that are read as records, by their names: `*.json`.

    Hidden ones are not: so files are called that are being written, and what editors and systems keep for themselves.
    Raises Unusable if the folder cannot be read.
    """
    try:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in found if one.name.endswith(".json") and one.name[0] not in ".~")
            return [folder / name for name in names]
    except OSError as error:
        raise unusable(error) from None


def read_record(path: Path) -> Record:
    """Read a record.

    Raises UserError, which names the file and the first fault, if it is damaged, edited or no record; Unusable if it
    cannot be read now, which says nothing of what is in it.
    """
    text = ""
    try:
        text = content_of(path).decode()
        facts = _parsed(text)
        digest, result, is_first = facts.pop("digest", ""), facts.get("result"), facts.get("schema_version", 1) == 1
        is_scored = bool(result) and result.get("quantity") == "dice"
        beside = content_of(path.with_suffix(".scores.csv")).decode() if is_scored and is_first else ""
        canonical = _CANONICAL(facts)
        if text.count('"') != canonical.count('"') + 4 * bool(digest):  # a name may be there twice
            _strictly_parsed(text)
        if (digest or not is_first) and digest != _digest(canonical, beside):
            raise _Edited  # noqa: TRY301 - the form of the text is told first
        if is_scored and (beside or not is_first):
            names, *lines = csv.reader(io.StringIO(beside) if is_first else result.get("images"))
            pairs = (zip(names, line, strict=True) for line in lines if line)
            result["images"] = [{name: text for name, text in line if text != ""} for line in pairs]
        record = Record.model_validate({"schema_version": 1, **facts})
        name = record.id
    except _Edited:
        raise UserError(f"{path}: was edited after it was written, it or its scores; {LEFT}") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        line, msg = _line_of(text, first["loc"]), first["msg"].removeprefix("Value error, ")
        raise UserError(f"{path}:{line}: not a valid record: {where}: {msg}; {LEFT}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: cannot be read as a record ({error.msg}); {LEFT}") from None
    except FileNotFoundError as error:
        raise UserError(f"{path}: cannot be read as a record ({error}); {LEFT}") from None
    except (OSError, MemoryError) as error:
        raise Unusable(f"{path}: cannot be read ({first_line(error)}); {LEFT}") from None
    except (ValueError, AttributeError, TypeError, LookupError, ArithmeticError, RecursionError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a record ({first_line(error)}); {LEFT}") from None
    if not digest:  # of the first format, where the oldest have none
        if name != path.stem:
            raise UserError(f"{path}: its conditions are those of {name}, so it was edited or renamed; {LEFT}")
        record.__dict__["is_sealed"] = False
    return record


class _Edited(Exception):
    """The digest in a file is not that of what is in it."""


def _parsed(text: str) -> Any:
    """JSON, three times as fast as by Python's own where it has no lone surrogate and no number of many digits."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError:
        return _strictly_parsed(text)


def _strictly_parsed(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_each_once, parse_constant=_refuse)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a name is there twice, and so one of two values would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} is there twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number in JSON")


def _is_endless(value: Any) -> bool:
    """Whether a figure is infinite, or NaN where that has no meaning, or larger than what any program counts."""
    if isinstance(value, int | float):
        return not -(2**63) < value < 2**63
    if isinstance(value, tuple) and value and isinstance(value[0], float):
        return not math.isfinite(math.fsum(value))
    if isinstance(value, tuple) and value and isinstance(value[0], ImageScore):  # many, and nothing is within them
        return not all(ENDS.isdisjoint(image.__dict__.values()) for image in value)
    if isinstance(value, Agreement):  # a variant whose output is not finite is what it tells of
        return False
    if isinstance(value, UNDEFINED):
        return not ENDS.isdisjoint(value.__dict__.values())
    values = value.__dict__ if isinstance(value, BaseModel) else value if isinstance(value, dict | tuple) else ()
    return any(map(_is_endless, values.values() if isinstance(values, dict) else values))


_CANONICAL = json.JSONEncoder(sort_keys=True, check_circular=False).encode


def _digest(canonical: str, beside: str = "") -> str:
    """12 hexadecimal digits of the hash of a record's JSON, without its own digest, and of the scores beside it."""
    return hashlib.sha256((canonical + beside).encode()).hexdigest()[:12]


def _line_of(text: str, keys: Iterable[Any]) -> int:
    """The 1-based line of the last of these nested keys that occurs in the text."""
    place = 0
    for key in keys:
        found = text.find(f'"{key}":', place)
        place = found if found >= 0 else place
    return text.count("\n", 0, place) + 1


def _lines(images: tuple[ImageScore, ...]) -> list[str]:
    """Per-image scores as lines of CSV, the first with the names: they take a tenth of the place of JSON's objects."""
    more = sorted({name for image in images for name in image.model_extra or {}})
    names = [*ImageScore.model_fields, *more]
    rows = ([facts.get(name, "") for name in names] for facts in (image.model_dump() for image in images))
    return [_line(row) for row in (names, *rows)]


def _line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)  # so that it quotes names with one of the two
    return text.getvalue().removesuffix("\r\n")


def _unused(path: Path) -> Path:
    """The path, or the first of path-2, path-3, ... that does not exist."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
