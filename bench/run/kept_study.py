"""Studies as they are kept beside their records, and what the first of several machines settled for all."""

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.errors import UserError, printable
from bench.files import aside, content_of, link, make_folder, write_whole
from bench.machine import this_machine, training_precision
from bench.run.study import Study
from bench.run.study_file import StudyFile, changed, read_study

FOLDER = "studies"  # in a folder of records
LIST = re.compile(r"\[\n((?: {4}[^\[{\n]+,\n)+)\]")
LONG = 100  # characters of a list in a line
MOST = 10  # studies of a folder that a report shows


def as_toml(study: StudyFile, folder: Path) -> str:
    """The text of a study's file that is to lie in a folder, with what was said, and with paths as from there."""
    import tomli_w

    facts = study.model_dump(mode="json", exclude_unset=True, exclude_defaults=True)
    # Also the folders that are the usual ones: where the study lies is not where the command runs.
    facts |= {name: str(getattr(study, name)) for name in ("out", "reports") if name in study.model_fields_set}
    facts |= {name: _from(folder, facts[name]) for name in ("out", "reports", "weights", "claims") if name in facts}
    for one in facts.get("data", ()):
        one |= {name: _from(folder, one[name]) for name in ("root", "split_file") if name in one}
    networks = {_network_from(folder, name): table for name, table in facts.get("networks", {}).items()}
    if networks:
        facts["networks"] = networks if any(networks.values()) else [*networks]
    return LIST.sub(_in_a_line, tomli_w.dumps(facts))


def _in_a_line(found: re.Match[str]) -> str:
    """A list that the writer put one to a line, in a line if it is short."""
    line = "[" + ", ".join(part.strip() for part in found[1].split(",\n") if part.strip()) + "]"
    return line if len(line) <= LONG else found[0]


def _from(folder: Path, path: str) -> str:
    return path if Path(path).is_absolute() else os.path.relpath(path, folder)


def _network_from(folder: Path, name: str) -> str:
    base, is_file, rest = name.partition(".py:")
    return f"{_from(folder, base + '.py')}:{rest}" if is_file else name


def keep_study(study: StudyFile, name: str = "study") -> Path:
    """Write a study beside its records, where nodes and reports find it; the path of its file.

    The same study has one file, whoever keeps it. Raises OSError if it cannot be written.
    """
    folder = study.out / FOLDER
    make_folder(folder)
    text = as_toml(changed(study, {"out": study.out}), folder)
    path = folder / f"{name}-{_digest(text)}.toml"
    if not path.exists():
        write_whole(path, text)
    return path


def kept_studies(out: Path) -> list[Path]:
    """The files of the studies that are kept beside some records, the newest first."""
    found = [path for path in (out / FOLDER).glob("*.toml") if path.is_file()]
    return sorted(found, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)


@dataclass(frozen=True)
class KeptStudy:
    """A study that is kept beside records: its file's name, the digest of its text, and the text."""

    name: str
    digest: str
    text: str


def shown_studies(folders: Iterable[Path]) -> list[KeptStudy]:
    """The studies that are kept beside records in some folders, the newest of each first; each text once.

    What is no study, or cannot be read, is left out.
    """
    found: dict[str, KeptStudy] = {}
    for path in (path for folder in folders for path in kept_studies(folder)[:MOST]):
        try:
            read_study(path)
            text = content_of(path).decode()
        except (OSError, ValueError, UserError):
            continue
        found.setdefault(_digest(text), KeptStudy(path.name, _digest(text), text))
    return [*found.values()]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def settled(study: Study, out: Path, write: bool = False) -> Study:
    """The study with the precision and threads of its trainings that the first machine settled for all.

    With `write`, this machine is the first, if there was none. What the study itself says stays.
    """
    path = out / FOLDER / f"settled-{study.device}.json"
    found = _read(path)
    if found is None and write:
        precision = study.precision or training_precision(study.device)
        threads = study.asked(None).training_threads
        facts = {"precision": precision, "threads": threads, "machine": this_machine().title}
        make_folder(path.parent)
        with aside(path) as beside:
            beside.write_text(json.dumps(facts) + "\n")
            if link(beside, path) is None:  # a file system without links
                write_whole(path, beside.read_text())
        found = _read(path) or facts
    if found is None:
        return study
    return replace(
        study, precision=study.precision or found["precision"],
        training_threads=study.training_threads or study.threads or found["threads"],
    )  # fmt: skip


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(content_of(path))
        if found["precision"] in ("float32", "bfloat16") and type(found["threads"]) is int and found["threads"] > 0:
            return dict(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        pass
    fault = "it is not as it was written; remove it, and the next machine settles it anew"
    raise UserError(f"{printable(str(path))}: {fault}")
