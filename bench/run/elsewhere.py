"""Predictions made elsewhere become records: masks are scored as a network's own, scores of cases are taken over.

All that does not fit is named at once, and then nothing is recorded.
"""

import glob
import math
import re
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations, count
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.data import DataSet, apply_kept, open_dataset
from bench.data.files import collected, first_few
from bench.data.predicted import Masks, find_masks
from bench.data.pseudonyms import pseudonymous
from bench.data.sample import SPLITS, Options, Sample, refuse_empty
from bench.data.truths import holds_truths_alone, open_truths
from bench.errors import UserError
from bench.locks import held, machine_lock
from bench.machine import state, this_machine
from bench.quantities import MACHINE, DiceSpec, Scores
from bench.quantities.dice import scored_on
from bench.run.case_scores import CaseScores, read_case_scores
from bench.run.cases import Cases, alone, digest_of_names, not_kept, of_data
from bench.run.job import Job
from bench.run.plan import split_path
from bench.run.predictions import Predictions
from bench.run.store import Record, Store, read_record
from bench.run.study import asked_data

NOT_YET = "0" * 12  # in the place of the digest of predictions
ALL = "all"
NAME = re.compile(r"\w[\w .()+-]*")  # of a network

Tell = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True)
class Given:
    """What the user named: a network and its trainings, a folder or file each. Without a name the file names them."""

    network: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Conditions:
    """On what predictions are scored.

    The samples to score are the split `test` of `data`, without which the cases of a file stand for themselves. `aside`
    are the names of its other samples. `options` are those of the data set; `unit` is that of the distances in files.
    """

    data: DataSet | None
    options: Options = field(default_factory=Options)
    size: int = 224
    unit: str = ""
    pseudonyms: bool = False
    aside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Training:
    """The predictions of one training of a network, matched: masks, or scores of cases."""

    network: str
    source: str
    digest: str
    found: Masks | Cases

    @property
    def matched(self) -> str:
        """What was matched, in words."""
        count = len(self.found.samples)
        if isinstance(self.found, Masks):
            return f"{self.source}, a mask for each of {count} images"
        matched = ", each matched" if self.found.data is not None else ""
        return f"{self.source}, scores of {count} cases{matched}"


@dataclass
class Outcome:
    """The records in the order given, and sentences on what was matched and what was left out."""

    records: list[Record] = field(default_factory=list)
    matched: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def network_name(given: str) -> str:
    """A name that predictions can be recorded under, in its composed form. Raises UserError for one that none can."""
    name = unicodedata.normalize("NFC", given.strip())
    if not NAME.fullmatch(name) or name == MACHINE:
        raise UserError(f"'{given}' cannot be a network's name; letters, digits, spaces and -_.()+ can")
    return name


def open_split(
    dataset: str, root: Path | None, options: Options, split: str, splits: Path
) -> tuple[DataSet, tuple[str, ...]]:  # fmt: skip
    """A data set whose split `test` is the `split` (or `all`) that is to be scored, and the names of other samples.

    A split that `bench run` drew is read from the folder `splits`. A folder of true masks without images is scored as
    a whole. A record of another split than `test` has another digest of the data, so the two are never compared.
    """
    if dataset == "folder" and root and root.is_dir() and holds_truths_alone(root):
        return open_truths(root, options), ()
    data = open_dataset(dataset, root, options, needed=())
    if split == ALL:
        every = tuple(sample for part in data.splits.values() for sample in part)
        data, others = replace(data, splits={"test": every}), tuple[str, ...]()
    else:
        kept = split_path(dataset, root, options, data, splits)
        data = apply_kept(data, kept, needed=()) if kept and kept.exists() else data
        refuse_empty(data.name, data.splits, [split], options.split_file)
        aside = [sample for name in SPLITS if name != split for sample in data.splits.get(name, ())]
        others = tuple(dict.fromkeys(name for sample in aside for name in (sample.volume, sample.id) if name))
        data = data if split == "test" else replace(data, splits={"test": data.splits[split]})
    if split != "test":
        data = replace(data, label=f"{data.label or data.name}, split {split}")
    return data, others


def score_elsewhere(
    given: Sequence[Given], dataset: str, root: Path | None, options: Options, split: str, out: Path, tell: Tell,
    say: Callable[[str], object], **how: Any,
) -> Outcome:  # fmt: skip
    """Open the data that predictions are of, if any is named, and record them as the only one who scores into `out`.

    `how` are the other `Conditions`. `say` is told what has to be waited for. Raises what `record_elsewhere` does, and
    UserError for options of a data set where none is named.
    """
    if dataset or root:
        scored, aside = open_split(dataset or "folder", root, options, split, out / "splits")
        asked = Conditions(scored, options, aside=aside, **how)
    else:
        given_for_data = {"--classes": options.classes, "--split-file": options.split_file, "--fold": options.fold}
        for option in (option for option, value in given_for_data.items() if value):
            raise UserError(f"{option} is for a data set, and none was named; give --data-root, or leave it out")
        asked = Conditions(None, options, **how)
    waiting = partial(say, f"another bench score writes to {out}")
    with held(out / "locks" / "score.lock", "scoring", waiting), machine_lock(exclusive=False, tell=say):
        return record_elsewhere(given, asked, out, tell)


def record_elsewhere(given: Sequence[Given], asked: Conditions, out: Path, tell: Tell) -> Outcome:
    """Match, check and score all that is given, and write a record of each training into the folder `out`.

    Raises UserError, before anything is recorded, with all that does not fit.
    """
    problems, outcome = list[str](), Outcome()
    trainings = _of_folders(given, asked, problems, outcome, tell)
    tables = _tables(given, problems)
    _refuse_gaps([table for _, table in tables], problems)
    found, data, seen = list[tuple[str, Cases]](), asked.data, None
    with collected(problems):
        if data is not None:
            found, seen = _of_data(tables, data, asked, problems), asked_data(data)
        elif not problems:
            data, cases = alone([table for _, table in tables], asked.options, asked.unit)
            found = [(name, each) for (name, _), each in zip(tables, cases, strict=True)]
            seen = replace(asked_data(data), digest=digest_of_names(data))
        if not problems:
            trainings += [Training(name, each.table.title, each.digest, each) for name, each in found]
            _refuse_equals(trainings, outcome)
    if problems or data is None or seen is None:
        raise UserError("\n".join(["nothing was recorded, for these predictions do not fit:", *problems]))
    outcome.remarks += [line for _, each in found for line in (*each.table.remarks, not_kept(each)) if line]
    base = scored_on(seen, asked.size, asked.pseudonyms, predicted=NOT_YET)
    for training, number in _numbered(trainings, base, out):
        spec = base.model_copy(update={"predicted": training.digest, "training": number})
        record, is_new = _recorded(training, spec, data, out, tell)
        outcome.records.append(record)
        known = "" if is_new else "; it is on record already"
        outcome.matched.append(f"{training.network}, training {number}: {training.matched}{known}")
    outcome.remarks = list(dict.fromkeys(outcome.remarks))
    return outcome


# ---- what is given ---------------------------------------------------------------------------------------------------


def _of_folders(
    given: Sequence[Given], asked: Conditions, problems: list[str], outcome: Outcome, tell: Tell
) -> list[Training]:  # fmt: skip
    """The masks in folders, matched and checked."""
    folders = [(one.network, path) for one in given for path in one.paths if path.is_dir()]
    if folders and asked.data is None:
        raise UserError(
            f"{folders[0][1]} is a folder of masks, and these are scored against a data set; give --data-root FOLDER "
            "with its images and true masks"
        )
    if nameless := [path for network, path in folders if not network]:
        raise UserError(f"{nameless[0]} does not say which network its masks are of; give NAME={nameless[0]}")
    trainings = []
    for network, path in folders:
        assert asked.data
        faults: list[str] = []
        masks = find_masks(path, asked.data.splits["test"], asked.data.classes, faults, asked.aside)
        outcome.remarks += masks.remarks
        digest = masks.check(faults, partial(_tell, tell, f"reading {path}", len(masks.samples)))
        problems += faults
        trainings.append(Training(network, path.name or str(path.resolve()), digest, masks))
    return trainings


def _tables(given: Sequence[Given], problems: list[str]) -> list[tuple[str, CaseScores]]:
    """The trainings in files of scores, each with its network; the folds of a cross-validation as one."""
    by_network: dict[str, list[CaseScores]] = defaultdict(list)
    for one in given:
        for path in (path for path in one.paths if not path.is_dir()):
            with collected(problems):
                for table in read_case_scores(path):
                    _refuse_other_names(one.network, table)
                    by_network[one.network or table.network].append(table)
    return [(name, table) for name, tables in by_network.items() for table in _joined_folds(tables)]


def _tell(tell: Tell, doing: str, total: int, done: int) -> None:
    tell(doing, done, total)


def _refuse_other_names(network: str, table: CaseScores) -> None:
    if network and table.network:
        raise UserError(f"{table.source} names its networks itself; give it without '{network}='")
    if not (network or table.network):
        advice = f"give NAME={table.source}, or a column network"
        raise UserError(f"{table.source} does not say which network its scores are of; {advice}")


def _refuse_gaps(tables: Sequence[CaseScores], problems: list[str]) -> None:
    """Name the cases whose Dice a table leaves empty where another one has one above 0: there is a target, then.

    Left out, a case that was missed would raise the figure of the network that missed it.
    """
    found = {
        case for table in tables for case, by in table.lines.items()
        if any(line.values.get("dice", 0) > 0 for line in by.values())
    }  # fmt: skip
    for table in tables:
        empty = [
            case for case, by in table.lines.items()
            if case in found and all(math.isnan(line.values.get("dice", 0)) for line in by.values())
        ]  # fmt: skip
        if empty:
            gap = f"{table.title}: no dice of {first_few(empty)}, and others have one above 0, so there is a target"
            problems.append(f"{gap}; write 0 where nothing was found, or leave it empty for all")


def _joined_folds(tables: Sequence[CaseScores]) -> list[CaseScores]:
    """One training, where no two of several have a case in common: then they are folds of one cross-validation."""
    if len(tables) < 2 or any(one.lines.keys() & other.lines.keys() for one, other in combinations(tables, 2)):
        return list(tables)
    lines = {case: by_label for table in tables for case, by_label in table.lines.items()}
    patients = {case: patient for table in tables for case, patient in table.patients.items()}
    told = f"{tables[0].source}: {len(tables)} folds without a common case, taken as one training"
    remarks = (*(line for table in tables for line in table.remarks), told)
    whole = replace(tables[0], training="", lines=lines, patients=patients, remarks=tuple(dict.fromkeys(remarks)))
    if any(table.labels != whole.labels or table.unit != whole.unit for table in tables):
        raise UserError(f"{tables[0].source}: its folds have other classes or units; give the same for all")
    return [whole]


def _of_data(
    tables: Sequence[tuple[str, CaseScores]], data: DataSet, asked: Conditions, problems: list[str]
) -> list[tuple[str, Cases]]:  # fmt: skip
    found = []
    for network, table in tables:
        with collected(problems):
            found.append((network, of_data(table, data, asked.unit, asked.options.tolerance, problems)))
    return found


def _refuse_equals(trainings: Sequence[Training], outcome: Outcome) -> None:
    """Raise UserError for two trainings of one network that are the same; say so of two networks."""
    for one, other in combinations(trainings, 2):
        if one.digest == other.digest and one.network == other.network:
            both = f"{one.source} and {other.source} are two trainings of {one.network} that are the same"
            raise UserError(f"{both}, prediction for prediction; give each training once")
        if one.digest == other.digest:
            outcome.remarks.append(f"{one.network} and {other.network} have the same predictions")


# ---- records ---------------------------------------------------------------------------------------------------------


def _numbered(trainings: Sequence[Training], base: DiceSpec, out: Path) -> list[tuple[Training, int]]:
    """Each training with its number: the one that it has on record, else the next that is free.

    Raises UserError where other predictions of the network are on record: are they replaced, or more trainings?
    """
    known = {network: _on_record(network, base, out) for network in {training.network for training in trainings}}
    numbers: dict[tuple[str, str], int] = {}
    for network, on_record in known.items():
        digests = [training.digest for training in trainings if training.network == network]
        others = [record for digest, record in on_record.items() if digest not in digests]
        if others and set(digests) - on_record.keys():
            advice = f"name all trainings at once, {network}=A,B; where these replace those, remove that record"
            named = f"{others[0].id}, from {getattr(others[0].result, 'source', '')}"
            raise UserError(f"{out} has other predictions of {network} on this data ({named}); {advice}")
        taken = {digest: record.job.spec.training for digest, record in on_record.items()}
        free = (number for number in count() if number not in taken.values())
        numbers |= {(network, one): taken[one] if one in taken else next(free) for one in digests}
    return [(training, numbers[training.network, training.digest]) for training in trainings]


def _on_record(network: str, base: DiceSpec, out: Path) -> dict[str, Record]:
    """The records in a folder of a network's predictions under the same conditions, by the digest of predictions."""
    found = {}
    name = _job(network, base).key.rpartition("-")[0]
    for path in sorted(out.glob(f"{glob.escape(name)}-*.json")):
        with suppress(UserError):  # damaged: a report says so
            record = read_record(path)
            spec = record.job.spec
            plain = spec.model_copy(update={"training": 0, "predicted": NOT_YET})
            if record.status == "ok" and record.job.network == network and spec.predicted and plain == base:
                found[spec.predicted] = record
    return found


def _job(network: str, spec: DiceSpec) -> Job:
    """The job of predictions. No code made them here, so that of a network of the same name is not theirs."""
    return Job(network=network, network_digest="", spec=spec)


def _recorded(training: Training, spec: DiceSpec, data: DataSet, out: Path, tell: Tell) -> tuple[Record, bool]:
    """The record of a training, and whether it is new."""
    job, store = _job(training.network, spec), Store(out)
    before = store.find(job)
    if before is not None and before.status == "ok":
        return before, False
    at, began = state(), time.monotonic()
    shown = _shown(training.found.samples, spec)
    if isinstance(training.found, Masks):
        scores = _of_masks(training.found, shown, data, job, out, tell)
    else:
        scores = training.found.scores(shown)
    source = f"predictions-{training.digest}" if spec.pseudonyms else training.source
    result = Scores(
        loaded=True, best_step=0, curve=(), train_images_per_s=None, source=source, differs=data.differs,
        patients="named" if data.patients else "images", data_name="" if spec.pseudonyms else data.label, **scores,
    )  # fmt: skip
    record = Record(
        job=job, status="ok", machine=this_machine(), before=at, after=state(), wall_s=time.monotonic() - began,
        notes=(f"predicted elsewhere, from {source}",), result=result,
    )  # fmt: skip
    store.write(record)
    return record, True


def _shown(samples: tuple[Sample, ...], spec: DiceSpec) -> tuple[Sample, ...]:
    """The samples under the names that the record is to have."""
    if not spec.pseudonyms:
        return samples
    return pseudonymous(DataSet(spec.dataset, ("",), {"test": samples})).splits["test"]


def _of_masks(
    masks: Masks, shown: Sequence[Sample], data: DataSet, job: Job, out: Path, tell: Tell
) -> dict[str, Any]:  # fmt: skip
    """The fields of Scores, by the functions that score a network's predictions; these are kept, for figures."""
    from bench.data.prepared import content, prepare
    from bench.measure.dice import Case, compare

    spec, cache, total = job.spec, f"cache/{data.name}-{data.digest}", len(shown)
    prepared = prepare(shown, spec.size, out / cache, partial(_tell, tell, "reading the images", total))
    kept = np.zeros(tuple(prepared.masks.shape), np.uint8)

    def cases() -> Iterator[Case]:
        for place, (sample, named) in enumerate(zip(masks.samples, shown, strict=True)):
            own = masks.read(sample), sample.mask()
            small = Image.fromarray(own[0]).resize((spec.size, spec.size), Image.Resampling.NEAREST)
            kept[place] = np.asarray(small)
            sized = (kept[place], prepared.masks[place].numpy())
            protocol = own if spec.protocol == "per_volume" else sized
            yield Case(named, range(1, len(masks.classes) + 1), {"protocol": protocol, "own": own})
            tell(f"scoring {masks.folder}", place + 1, total)

    found = compare(cases(), all(sample.spacing for sample in shown), spec.tolerance)
    drawn = Predictions(prepared.ids, kept, {}, f"{cache}/{content(shown)}-{spec.size}")
    scores = {"images": found.images, "volumes": found.volumes, "distance_unit": found.distance_unit}
    return {**scores, "predictions": drawn.keep(out, job.key)}
