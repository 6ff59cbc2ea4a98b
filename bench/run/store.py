"""Records of measurements: one JSON file each, named by the job's key, with per-image scores in a CSV file.

Records are written atomically (to a temporary file, then renamed) and never change, so many processes and machines can
write into one folder without a lock. Only the record of a failure is replaced, by a later attempt at the same job. The
file contains a digest of the record and its per-image scores, so that edits are detected; older files have none.
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

from bench.errors import UserError
from bench.files import write_whole
from bench.machine import Machine, State, taint
from bench.quantities import Frozen, ImageScore, Result, Scores
from bench.run.job import Job

LEFT = "it is left alone"
NAMED = re.compile(r".+-[a-z]+-[0-9a-f]{12}\.json")  # file names made by Store.path
Status = Literal["ok", "refused", "crashed", "out_of_memory", "timed_out", "diverged"]


class Record(Frozen):
    """The outcome of one job: a result, or a failure with its reason.

    `wall_s` is the total time of the child process, `window_s` the part after the network was built. `notes` describe
    how the network's input and output were adapted so that it could be measured.
    """

    schema_version: Literal[1] = 1
    job: Job
    status: Status
    error: str = ""
    machine: Machine = Field(alias="environment")  # the name in stored records
    before: State
    after: State
    wall_s: float
    window_s: float | None = None
    notes: tuple[str, ...] = ()
    result: Result | None = None

    @property
    def id(self) -> str:
        """The job's key, by which tables refer to this record."""
        return self.job.key

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
        """Why the measured time cannot be trusted, in sentences.

        Empty for failures and if the machine does not matter.
        """
        if self.status != "ok" or not self.machine_id:
            return ()
        return taint(self.before, self.after, self.machine.cores, self.job.spec.device)

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

        None if there is none, or if the file is not a record of this job.
        """
        path = self.path(job)
        if not path.exists():
            return None
        try:
            record = read_record(path)
        except UserError:
            return None
        # Keys leave out defaults, so a job made with other defaults may have the same file name.
        return record if record.job == job else None

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
        facts, scores = record.model_dump(mode="json", exclude={"result": {"images"}}), ""
        if isinstance(record.result, Scores):
            scores = _scores_text(record.result.images)
            write_whole(_scores_path(path), scores)
        return write_whole(path, json.dumps({**facts, "digest": _digest(facts, scores)}, indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read a record.

    Raises UserError, which names the file and the first fault, if it is damaged, edited or no record.
    """
    text = ""
    try:
        text = path.read_text()
        facts = json.loads(text)
        digest, scores = facts.pop("digest", ""), ""
        result = facts.get("result")
        if result and result.get("quantity") == "dice":
            scores = _scores_path(path).read_text()
        if digest and digest != _digest(facts, scores):
            raise UserError(f"{path}: was edited after it was written, it or its scores; {LEFT}")
        if scores:
            lines = csv.DictReader(io.StringIO(scores))
            result["images"] = [{name: text for name, text in line.items() if text != ""} for line in lines]
        record = Record.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        line = _line_of(text, first["loc"])
        raise UserError(f"{path}:{line}: not a valid record: {where}: {first['msg']}; {LEFT}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: cannot be read as a record ({error.msg}); {LEFT}") from None
    except (OSError, ValueError, AttributeError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a record ({error}); {LEFT}") from None
    if not digest and record.id != path.stem:
        raise UserError(f"{path}: its conditions are those of {record.id}, so it was edited or renamed; {LEFT}")
    return record


def _digest(facts: dict[str, Any], scores: str) -> str:
    """12 hexadecimal digits of the hash of a record's JSON, without its own digest, and its scores file."""
    whole = json.dumps(json.loads(json.dumps(facts)), sort_keys=True) + scores
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _line_of(text: str, keys: Iterable[Any]) -> int:
    """The 1-based line of the last of these nested keys that occurs in the text."""
    place = 0
    for key in keys:
        found = text.find(f'"{key}":', place)
        place = found if found >= 0 else place
    return text.count("\n", 0, place) + 1


def _scores_path(path: Path) -> Path:
    return path.with_suffix(".scores.csv")


def _scores_text(images: tuple[ImageScore, ...]) -> str:
    text = io.StringIO()
    more = sorted({name for image in images for name in image.model_extra or {}})
    lines = csv.DictWriter(text, [*ImageScore.model_fields, *more], lineterminator="\n")
    lines.writeheader()
    lines.writerows(image.model_dump() for image in images)
    return text.getvalue()


def _unused(path: Path) -> Path:
    """The path, or the first of path-2, path-3, ... that does not exist."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
