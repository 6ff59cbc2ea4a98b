"""ACDC, cardiac MRI in short axis: 100 training and 50 testing patients, two annotated frames each, three structures.

Bernard et al., "Deep learning techniques for automatic MRI cardiac multi-structures segmentation and diagnosis: is the
problem solved?", IEEE TMI 37, 2018. Papers mostly split the 100 training patients 70/10/20. One sample is one slice,
stretched to 0..255 by its whole volume; scores are per volume.
"""

import re
from collections import defaultdict
from pathlib import Path

from bench.data.acdc_slices import LISTS, SliceFiles
from bench.data.files import left_out, no_partner, stay_inside, two_files
from bench.data.layout import Source
from bench.data.sample import DataSet, Options, Sample, Splits, Tally
from bench.data.splits import SHARES, VAL_SHARE, by_group, draw_splits, keep_apart, read_split_file
from bench.data.volumes import slices_of_volume
from bench.errors import UserError

CLASSES = ("right ventricle", "myocardium", "left ventricle")
PATIENT = re.compile(r"patient\d+")
FRAME = re.compile(r"(patient\d+_frame\d+)(_gt)?\.nii(\.gz)?", re.IGNORECASE)
SEED = 2018
SPLIT = "split.json"
USUAL_PATIENTS = {"train": 70, "val": 10, "test": 20}
USUAL_SLICES = 1312  # of the 70 patients to train on

Found = tuple[Splits, list[str], list[Tally]]  # splits, notes, counts


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
    drawn = f"seed {SEED}" in note
    return DataSet("acdc", CLASSES, splits, "per_volume", note, recipe, tuple(tallies), drawn=drawn)


def _from_volumes(source: Source, root: Path, problems: list[str]) -> Found:
    training, testing = (_patients_in(root / part) for part in ("training", "testing"))
    if not training:
        raise source.wrong_layout(root, "no folder patientNNN in the folder training")
    notes, tallies = [], [Tally("patients in training", len(training), 100)]
    if testing and not any(labels for folder in testing.values() for _, labels in _frames(folder).values()):
        notes.append(f"testing holds no labels: its {len(testing)} patients are left out")
        testing = {}
    samples, tests = _samples_of(training, problems), _samples_of(testing, problems)
    if testing and not (root / SPLIT).exists():
        notes.append(f"test is the official testing set, val {VAL_SHARE:.0%} of training, by patient with seed {SEED}")
        tallies.append(Tally("patients in testing", len(testing), 50))
        return {**draw_splits(samples, SEED, test_share=0), "test": tuple(tests)}, notes, tallies
    splits, told, more = _split(root, [*samples, *tests], {*training, *testing}, problems)
    return splits, notes + told, tallies + more


def _from_slices(source: Source, root: Path, problems: list[str]) -> Found:
    found = SliceFiles(root, CLASSES, problems)
    if not found.volumes:
        raise source.wrong_layout(root, "no patientNNN_frameNN_slice_N.h5 in the folder data")
    absent = [name for name in LISTS.values() if not (root / name).is_file()]
    if not absent:
        splits, notes = found.by_lists()
        return splits, notes, _usual(splits)
    if len(absent) < len(LISTS):
        raise source.wrong_layout(root, f"no file {absent[0]}")
    patients = {name.partition("_")[0] for name in found.volumes}
    return _split(root, found.everything(), patients, problems)


def _split(root: Path, samples: list[Sample], patients: set[str], problems: list[str]) -> Found:
    """The samples on the sides that `split.json` says, or drawn ones. `patients` are all there."""
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
    """Counts to hold against the split of the 100 patients that papers share."""
    patients = {side: len({sample.group for sample in samples}) for side, samples in splits.items()}
    tallies = [Tally(f"patients in {side}", patients[side], count) for side, count in USUAL_PATIENTS.items()]
    return [*tallies, Tally("slices in train", len(splits["train"]), USUAL_SLICES)]


def _patients_in(folder: Path) -> dict[str, Path]:
    """The folders of the patients by name; empty when `folder` is not there."""
    found = sorted(folder.glob("patient*"))
    return {path.name: path for path in found if PATIENT.fullmatch(path.name) and path.is_dir()}


def _samples_of(patients: dict[str, Path], problems: list[str]) -> list[Sample]:
    """A sample a slice of each annotated frame, in the order of patients, frames and slices. Reads headers only."""
    samples: list[Sample] = []
    for patient, folder in patients.items():
        frames = _frames(folder)
        if not frames:
            expected = f"{patient}_frame01.nii.gz and {patient}_frame01_gt.nii.gz"
            problems.append(no_partner("ACDC", "patient", folder, "frame", expected))
        for volume, (images, labels) in frames.items():
            try:
                samples += _samples_of_frame(folder, volume, images, labels)
            except UserError as error:
                problems.append(str(error))
    return samples


def _frames(folder: Path) -> dict[str, tuple[list[Path], list[Path]]]:
    """The images and the labels of a patient's frames by volume; `_4d` files and `Info.cfg` are no frames."""
    frames: dict[str, tuple[list[Path], list[Path]]] = defaultdict(lambda: ([], []))
    for path in sorted(folder.iterdir()):
        if found := FRAME.fullmatch(path.name):
            frames[found[1]][1 if found[2] else 0].append(path)
    return dict(sorted(frames.items()))


def _samples_of_frame(folder: Path, volume: str, images: list[Path], labels: list[Path]) -> list[Sample]:
    if len(images) > 1 or len(labels) > 1:
        raise UserError(two_files(volume, images if len(images) > 1 else labels))
    if not labels:
        raise UserError(no_partner("ACDC", "image", images[0], "labels", f"{volume}_gt.nii.gz beside it"))
    if not images:
        raise UserError(no_partner("ACDC", "label file", labels[0], "image", f"{volume}.nii.gz beside it"))
    if not volume.startswith(f"{folder.name}_"):
        raise UserError(f"ACDC: {images[0]} is of another patient than its folder; move it and its labels there")
    return slices_of_volume(volume, images[0], labels[0], CLASSES)
