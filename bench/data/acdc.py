"""ACDC, cardiac MRI in short axis: 100 training and 50 testing patients, two annotated frames each, three structures.

Bernard et al., "Deep learning techniques for automatic MRI cardiac multi-structures segmentation and diagnosis: is the
problem solved?", IEEE TMI 37, 2018. Papers mostly split the 100 training patients 70/10/20. One sample is one slice,
stretched to 0..255 by its whole volume; scores are per volume. Two forms are read: the published NIfTI volumes, and
the slices that many papers train on, one `.h5` file per slice and one per volume, with lists of their names.
"""

import re
from collections import defaultdict
from functools import partial
from pathlib import Path

from bench.data import Source
from bench.data.files import collected, files_in, left_out, no_partner, read_text, stay_inside, two_files
from bench.data.pairs import pairs_in
from bench.data.sample import (
    SHARES,
    VAL_SHARE,
    DataSet,
    Options,
    Sample,
    Splits,
    Tally,
    by_group,
    draw_splits,
    keep_apart,
    read_split_file,
)  # fmt: skip
from bench.data.volumes import image_slice, label_of_slice_file, slices_of_volume
from bench.errors import UserError

CLASSES = ("right ventricle", "myocardium", "left ventricle")
PATIENT = re.compile(r"patient\d+")
NIFTI = (".nii.gz", ".nii")
IDS = re.compile(r"patient\d+_frame\d+", re.IGNORECASE), re.compile(r"patient\d+_frame\d+_gt", re.IGNORECASE)
SLICE = re.compile(r"(patient\d+_frame\d+)(?:_slice_(\d+))?")
LISTS = {"train": "train_slices.list", "val": "val.list", "test": "test.list"}
WHOLE = -1  # used as the slice number of a whole volume
SEED = 2018
SPLIT = "split.json"
PUBLISHED = 100  # training patients
USUAL_PATIENTS = {"train": 70, "val": 10, "test": 20}
USUAL_SLICES = 1312  # of the 70 patients to train on

Found = tuple[Splits, list[str], list[Tally]]  # splits, notes, counts
Key = tuple[str, int]  # a volume and the number of one of its slices, or WHOLE


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`, from its NIfTI volumes or from the slice files made of them.

    The split is that of `split.json` or of the lists; else the official testing folder with a seeded tenth of training
    to validate on; else seeded, 70/10/20 by patient; `note` says which. Only headers are read here. Raises UserError
    for a folder that holds neither form, and for a damaged or unsafe split or list file.
    """
    if (root / "training").is_dir():
        form, (splits, notes, tallies) = "NIfTI", _from_volumes(source, root, problems)
    elif (root / "data").is_dir():
        form, (splits, notes, tallies) = "h5", _from_slices(source, root, problems)
    else:
        raise source.wrong_layout(root, "no folder training, nor a folder data")
    splits, note, recipe = keep_apart("ACDC", splits, problems), "; ".join(notes), f"{form} slices, min-max per volume"
    found = len({sample.group for samples in splits.values() for sample in samples})
    instead = f"{found} patients instead of {PUBLISHED}" if not tallies and found != PUBLISHED else ""
    return DataSet(
        "acdc", CLASSES, splits, "per_volume", note, recipe, tuple(tallies), drawn=f"seed {SEED}" in note,
        patients=True, instead=instead,
    )  # fmt: skip


def _split(root: Path, samples: list[Sample], patients: set[str], problems: list[str]) -> Found:
    """The splits given by `split.json`, or seeded ones. `patients` are all patients found."""
    path = root / SPLIT
    if not path.exists():
        return draw_splits(samples, SEED), [f"no split.json: by patient with seed {SEED}, {SHARES}"], []
    _, sides = read_split_file(path)
    named = set().union(*sides.values())
    for name in sorted(named):
        stay_inside(name, root / "training" / name, root, path)
    lost = sorted(named - patients)
    problems += [f"ACDC: {path} names {name}, which is not in {root}; get that patient again" for name in lost]
    splits, spare = by_group(samples, sides), left_out("patients that it does not name", patients - named)
    return splits, [f"patients on the sides of {SPLIT}", *spare], _usual(splits)


def _usual(splits: Splits) -> list[Tally]:
    """Counts to compare with the usual split of the 100 patients in papers."""
    patients = {side: len({sample.group for sample in samples}) for side, samples in splits.items()}
    tallies = [Tally(f"patients in {side}", patients[side], count) for side, count in USUAL_PATIENTS.items()]
    return [*tallies, Tally("slices in train", len(splits["train"]), USUAL_SLICES)]


# ---- NIfTI volumes ---------------------------------------------------------------------------------------------------


def _from_volumes(source: Source, root: Path, problems: list[str]) -> Found:
    found = (sorted((root / part).glob("patient*/")) for part in ("training", "testing"))
    training, testing = ({path.name: path for path in paths if PATIENT.fullmatch(path.name)} for paths in found)
    if not training:
        raise source.wrong_layout(root, "no folder patientNNN in the folder training")
    notes, tallies = [], [Tally("patients in training", len(training), PUBLISHED)]
    if testing and not any(files_in(folder, NIFTI, IDS[1]) for folder in testing.values()):
        notes.append(f"testing holds no labels: its {len(testing)} patients are left out")
        testing = {}
    samples, tests = _samples_of(training, problems), _samples_of(testing, problems)
    if testing and not (root / SPLIT).exists():
        notes.append(f"test is the official testing set, val {VAL_SHARE:.0%} of training, by patient with seed {SEED}")
        tallies.append(Tally("patients in testing", len(testing), 50))
        return draw_splits(samples, SEED, tests), notes, tallies
    splits, more_notes, more_tallies = _split(root, [*samples, *tests], {*training, *testing}, problems)
    return splits, notes + more_notes, tallies + more_tallies


def _samples_of(patients: dict[str, Path], problems: list[str]) -> list[Sample]:
    """One sample per slice of each annotated frame, ordered by patient, frame and slice. Reads headers only."""
    samples: list[Sample] = []
    for patient, folder in patients.items():
        if not any(files_in(folder, NIFTI, ids) for ids in IDS):  # `_4d` files and `Info.cfg` are no frames
            expected = f"{patient}_frame01.nii.gz and {patient}_frame01_gt.nii.gz"
            problems.append(no_partner("ACDC", "patient", folder, "frame", expected))
        frames = pairs_in("ACDC", (folder, folder), problems, ("_gt",), (NIFTI, NIFTI), IDS)
        for volume, (image, label) in frames.items():
            with collected(problems):
                if not volume.startswith(f"{patient}_"):
                    advice = "move it and its labels there"
                    raise UserError(f"ACDC: {image} is of another patient than its folder; {advice}")
                samples += slices_of_volume(volume, image, label, CLASSES)
    return samples


# ---- slices in .h5 files ---------------------------------------------------------------------------------------------


def _from_slices(source: Source, root: Path, problems: list[str]) -> Found:
    found = _SliceFiles(root, problems)
    if not found.volumes:
        raise source.wrong_layout(root, "no patientNNN_frameNN_slice_N.h5 in the folder data")
    absent = [name for name in LISTS.values() if not (root / name).is_file()]
    if not absent:
        splits, notes = found.by_lists()
        return splits, notes, _usual(splits)
    if len(absent) < len(LISTS):
        raise source.wrong_layout(root, f"no file {absent[0]}")
    samples = [sample for volume in sorted(found.volumes) for sample in found.samples(volume, WHOLE)]
    return _split(root, samples, {volume.partition("_")[0] for volume in found.volumes}, problems)


class _SliceFiles:
    """The files of each volume by the number of their slice, in order; what is wrong is a line in `problems`."""

    def __init__(self, root: Path, problems: list[str]) -> None:
        """List `data` and, where slices lie apart, `data/slices`. Two files for one volume or slice are left out."""
        self.root, self.problems = root, problems
        self.volumes: dict[str, dict[int, Path]] = defaultdict(dict)
        self.doubled: set[Key] = set()
        by_key: dict[Key, list[Path]] = defaultdict(list)
        for folder in filter(Path.is_dir, (root / "data", root / "data" / "slices")):
            for name, paths in files_in(folder, (".h5",)).items():
                by_key[_parsed(name)] += paths
        expected = "patient001_frame01_slice_1.h5 or patient001_frame01.h5; rename the file, or take it out"
        strange = by_key.pop(_parsed(""), [])
        problems += [f"ACDC: {path} is named after no slice and no volume; expected {expected}" for path in strange]
        for (volume, number), paths in sorted(by_key.items()):
            if len(paths) == 1:
                self.volumes[volume][number] = paths[0]
            else:
                problems.append(two_files(paths[0].stem, paths))
                self.doubled.add((volume, number))

    def by_lists(self) -> tuple[Splits, list[str]]:
        """The samples that each list names, and notes on where they come from."""
        splits, named = {}, set()
        for side, file in LISTS.items():
            path = self.root / file
            lines = read_text(path, "list").splitlines()
            # Blank lines and repeated names are skipped.
            names = dict.fromkeys(line.strip().removesuffix(".h5") for line in lines if line.strip())
            splits[side] = tuple(sample for name in names for sample in self._listed(name, path))
            named |= {_parsed(name) for name in names}
        # A file with the same content as listed files is not reported as unused.
        covered = named | {(volume, WHOLE) for volume, _ in named}
        files = ((name, at, path) for name, paths in self.volumes.items() for at, path in paths.items())
        spare = {path.stem for name, at, path in files if (name, WHOLE) not in named and (name, at) not in covered}
        return splits, ["slices and volumes on the sides of the lists", *left_out("files that no list names", spare)]

    def _listed(self, name: str, source: Path) -> list[Sample]:
        """The samples of one line of a list; none, and a line in `problems`, when its file is not here."""
        volume, number = _parsed(name)
        files = self.volumes.get(volume, {})
        if number != WHOLE or WHOLE in files:
            files = {at: path for at, path in files.items() if at == number}
        for path in files.values() or [self.root / "data"]:
            stay_inside(name, path, self.root, source)
        if not files and (volume, number) not in self.doubled:
            lost = f"{self.root / 'data'} has no {name}.h5; get the file again, or take the line out"
            self.problems.append(f"ACDC: {source} names '{name}', and {lost}")
        return self.samples(volume, number) if files else []

    def samples(self, volume: str, number: int) -> list[Sample]:
        """One slice of a volume, or all: from the volume's own file, else from those of its slices."""
        files = dict(self.volumes[volume])
        whole = files.pop(WHOLE, None)
        if number == WHOLE and whole:
            with collected(self.problems):
                return slices_of_volume(volume, whole, whole, CLASSES)
            return []
        return [
            Sample(
                f"{volume}_slice_{at:02d}", volume.partition("_")[0], partial(image_slice, (*files.values(),), place),
                partial(label_of_slice_file, path, CLASSES), (path,), volume,
            )
            for place, (at, path) in enumerate(files.items()) if number in (at, WHOLE)
        ]  # fmt: skip


def _parsed(name: str) -> Key:
    """(volume, slice number) parsed from a file name; ("", WHOLE) for other names."""
    match = SLICE.fullmatch(name)
    return (match[1], WHOLE if match[2] is None else int(match[2])) if match else ("", WHOLE)
