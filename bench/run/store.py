"""Records of measurements: one JSON file each, named by the job's key.

Records are written atomically (to a temporary file, then renamed) and never change. Many processes and machines may
write into one folder: who does a job holds its lock (`bench.locks`). Only the record of a failure is replaced, by a
later attempt at the same job. The file contains a digest of all that is in it, so that edits are detected.

Records of the first format are read, and shown as what they say. They are of no job that is asked for today: their keys
left out defaults and libraries. They have their per-image scores in a CSV file beside them, and the oldest no digest.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_core import from_json

from bench.errors import UserError
from bench.files import write_whole
from bench.machine import Machine, State, taint
from bench.quantities import Frozen, ImageScore, Result, Scores
from bench.run.job import Job

FORMAT: Literal[2] = 2  # 2: the key names defaults and libraries; the scores of images are in the file
LEFT = "it is left alone"
NAMED = re.compile(r".+-[a-z]+-[0-9a-f]{12}\.json")  # file names made by Store.path
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
    wall_s: float
    window_s: float | None = None
    window: tuple[State, State] | None = None
    notes: tuple[str, ...] = ()
    result: Result | None = None

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

        Empty for failures and if the machine does not matter.
        """
        if self.status != "ok" or not self.machine_id:
            return ()
        first, last = self.window or (self.before, self.after)
        cores = getattr(self.job.spec, "threads", self.machine.cores)
        return taint(first, last, cores, self.job.spec.device, on_gpu=self.window is not None)

    @property
    def at(self) -> datetime:
        """The time at which the measurement began."""
        return datetime.fromisoformat(self.before.at)


class Store:
    """A folder of records. The folder is created when the first record is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: Job) -> Path:
        """The path of the job's record, whether it exists or not."""
        return self.folder / f"{job.key}.json"

    def find(self, job: Job) -> Record | None:
        """The job's record, which may be a failure.

        None if there is none, or if the file is not a record of this job in the present format.
        """
        path = self.path(job)
        if not path.exists():
            return None
        try:
            record = read_record(path)
        except UserError:
            return None
        return record if (record.job, record.schema_version) == (job, FORMAT) else None

    def write(self, record: Record) -> Path:
        """Write a record atomically and return its path.

        An existing finished record is kept. An existing file that is not a record of this job is renamed.
        """
        path = self.path(record.job)
        before = self.find(record.job)
        if before is not None and before.status == "ok":
            return path
        if before is None and path.exists():
            path.replace(_unused(path.with_suffix(".json.damaged")))
        assert record.schema_version == FORMAT, "records of the first format are only read"
        facts = record.model_dump(mode="json", exclude={"result": {"images"}})
        if isinstance(record.result, Scores):
            facts["result"]["images"] = _lines(record.result.images)
        facts["digest"] = _digest(json.loads(json.dumps(facts)))
        return write_whole(path, json.dumps(facts, indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read a record.

    Raises UserError, which names the file and the first fault, if it is damaged, edited or no record.
    """
    text = ""
    try:
        text = path.read_text()
        facts = _parsed(text)
        digest, result, is_first = facts.pop("digest", ""), facts.get("result"), facts.get("schema_version", 1) == 1
        is_scored = bool(result) and result.get("quantity") == "dice"
        beside = path.with_suffix(".scores.csv").read_text() if is_scored and is_first else ""
        if (digest or not is_first) and digest != _digest(facts, beside):
            raise UserError(f"{path}: was edited after it was written, it or its scores; {LEFT}")
        if is_scored and (beside or not is_first):
            names, *lines = csv.reader(io.StringIO(beside) if is_first else result.get("images"))
            result["images"] = [
                {name: text for name, text in zip(names, line, strict=True) if text != ""} for line in lines if line
            ]
        record = Record.model_validate({"schema_version": 1, **facts})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        line = _line_of(text, first["loc"])
        raise UserError(f"{path}:{line}: not a valid record: {where}: {first['msg']}; {LEFT}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: cannot be read as a record ({error.msg}); {LEFT}") from None
    except (OSError, ValueError, AttributeError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a record ({error}); {LEFT}") from None
    if not digest and record.id != path.stem:  # of the first format, where the oldest have none
        raise UserError(f"{path}: its conditions are those of {record.id}, so it was edited or renamed; {LEFT}")
    return record


def _parsed(text: str) -> Any:
    """JSON as Python reads it, three times as fast where it is as usual."""
    try:
        return from_json(text)
    except ValueError:
        return json.loads(text)


def _digest(facts: dict[str, Any], beside: str = "") -> str:
    """12 hexadecimal digits of the hash of a record as parsed, without its own digest, and of the scores beside it."""
    return hashlib.sha256((_CANONICAL(facts) + beside).encode()).hexdigest()[:12]


_CANONICAL = json.JSONEncoder(sort_keys=True, check_circular=False).encode


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
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
