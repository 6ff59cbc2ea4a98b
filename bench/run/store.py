"""What was measured and how; one JSON file each, named by the job's key, per-image scores in a CSV beside it.

A record appears whole (written aside, then renamed) or not at all and never changes, so many processes and machines can
write into one folder without a lock. Only a failure is replaced, by a later try at the same job. In its file a record
has a digest of all the rest, per-image scores included, so that an edit is noticed; files older than that have none.
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
NAMED = re.compile(r".+-[a-z]+-[0-9a-f]{12}\.json")  # as Store.path names a record
Status = Literal["ok", "refused", "crashed", "out_of_memory", "timed_out", "diverged"]


class Record(Frozen):
    """One job's outcome: a result, or a failure that says why.

    `wall_s` is what the child needed in all, `window_s` what of it was measuring: from the network's being built on.
    `notes` say what was done to the network's images and maps so that it could be measured at all.
    """

    schema_version: Literal[1] = 1
    job: Job
    status: Status
    error: str = ""
    machine: Machine = Field(alias="environment")  # as records have always called it
    before: State
    after: State
    wall_s: float
    window_s: float | None = None
    notes: tuple[str, ...] = ()
    result: Result | None = None

    @property
    def id(self) -> str:
        """The job's key, by which tables lead back to this record."""
        return self.job.key

    @property
    def outcome(self) -> str:
        """How it ended, in words: "ok", "out of memory"."""
        return self.status.replace("_", " ")

    @property
    def machine_id(self) -> str:
        """The fingerprint of the machine that the figure depends on; empty where it depends on none."""
        return str(getattr(self.job.spec, "machine", ""))

    @property
    def taints(self) -> tuple[str, ...]:
        """Why its time cannot be trusted, in sentences; none of what failed, or depends on no machine."""
        if self.status != "ok" or not self.machine_id:
            return ()
        return taint(self.before, self.after, self.machine.cores, self.job.spec.device)

    @property
    def at(self) -> datetime:
        """When measuring began."""
        return datetime.fromisoformat(self.before.at)


class Store:
    """A folder of records. Nothing is created in it before the first record is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, job: Job) -> Path:
        """Where the job's record lies, or will."""
        return self.folder / f"{job.key}.json"

    def find(self, job: Job) -> Record | None:
        """The job's record, failures included; None where there is none, or where the file holds something else."""
        path = self.path(job)
        if not path.exists():
            return None
        try:
            record = read_record(path)
        except UserError:
            return None
        # Defaults are no part of a key, so a record made under another default has this name and is another job's.
        return record if record.job == job else None

    def write(self, record: Record) -> Path:
        """Put a record in its place, whole.

        A finished measurement already there stands; a file there that is no record of this job is set aside.
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
    """The record in a file; UserError naming file, line and first fault when it is damaged, edited or foreign."""
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
            result["images"] = list(csv.DictReader(io.StringIO(scores)))
        record = Record.model_validate(facts)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        line = _line_of(text, first["loc"])
        raise UserError(f"{path}:{line}: no record of this program: {where}: {first['msg']}; {LEFT}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}: cannot be read as a record ({error.msg}); {LEFT}") from None
    except (OSError, ValueError, AttributeError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a record ({error}); {LEFT}") from None
    if not digest and record.id != path.stem:
        raise UserError(f"{path}: its conditions are those of {record.id}, so it was edited or renamed; {LEFT}")
    return record


def _digest(facts: dict[str, Any], scores: str) -> str:
    """12 hexadecimal digits of a record as JSON reads it, less its own digest, and of its scores' file."""
    whole = json.dumps(json.loads(json.dumps(facts)), sort_keys=True) + scores
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def _line_of(text: str, keys: Iterable[Any]) -> int:
    """The line, from 1, on which the last of these nested keys stands that is in the text."""
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
    """The path, or the first of path-2, path-3, ... that is free."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free
