"""What the editions of ISIC lesion segmentation share: official parts, each a folder of images and one of masks."""

from dataclasses import dataclass
from pathlib import Path

from bench.data.images import files_in
from bench.data.layout import wrong_layout
from bench.data.pairs import binary_sample, pairs_in
from bench.data.sample import DataSet, Sample, Tally
from bench.data.splits import VAL_SHARE, Sides, draw_val, keep_apart

TRAINING, VALIDATION = "Training", "Validation"


@dataclass(frozen=True)
class Edition:
    """`data` and `truth` are the folders' names with {} for the part. `published` counts the images of each part,
    `twins` are ids of one and the same image in two parts, as published.
    """

    name: str
    title: str
    data: str
    truth: str
    test: str
    published: dict[str, int]
    layout: str
    seed: int
    twins: frozenset[frozenset[str]] = frozenset()


def open_edition(edition: Edition, root: Path, problems: list[str]) -> DataSet:
    """The data set under `root`, with the official splits where the test masks are there.

    Without them (they came out later, and many copies lack them) the official validation set is the test, and a tenth
    of the training images, drawn from a fixed seed, is the validation; `note` says so. No patient is published, so each
    image is its own group. Raises UserError when a folder is missing; no image is decoded here.
    """
    parts = {part: _samples(edition, root, part, problems) for part in (TRAINING, VALIDATION)}
    if (root / edition.truth.format(edition.test)).is_dir():
        parts[edition.test] = _samples(edition, root, edition.test, problems)
    notes = []
    if edition.test not in parts:
        share = f"val {VAL_SHARE:.0%} of training, seed {edition.seed}"
        notes.append(f"no test masks here: test is the official validation set, {share}")
    for part, samples in parts.items():
        if len(samples) != edition.published[part]:
            notes.append(f"{len(samples)} of the {edition.published[part]} published {part} images are here")
    splits = keep_apart(edition.title, _splits(edition, parts), problems)
    tallies = tuple(Tally(f"{part} pairs", len(samples), edition.published[part]) for part, samples in parts.items())
    return DataSet(
        edition.name, ("lesion",), splits, note="; ".join(notes), tallies=tallies, known_twins=edition.twins,
        drawn=edition.test not in parts,
    )  # fmt: skip


def _splits(edition: Edition, parts: Sides) -> Sides:
    if edition.test in parts:
        return {"train": parts[TRAINING], "val": parts[VALIDATION], "test": parts[edition.test]}
    return {**draw_val(parts[TRAINING], edition.seed), "test": parts[VALIDATION]}


def _samples(edition: Edition, root: Path, part: str, problems: list[str]) -> tuple[Sample, ...]:
    """The samples of one official part, by id."""
    data, truth = root / edition.data.format(part), root / edition.truth.format(part)
    trace = edition.data.format(TRAINING)
    for folder in (data, truth):
        if not folder.is_dir():
            raise wrong_layout(edition.title, root, f"no folder {folder.name}", edition.layout, trace)
    # Images are .jpg only: the published data folders also hold ISIC_*_superpixels.png and a metadata table.
    if not files_in(data, (".jpg", ".jpeg")):
        raise wrong_layout(edition.title, root, f"no .jpg image in {data.name}", edition.layout, trace)
    pairs = pairs_in(edition.title, data, truth, problems, endings=("_segmentation",), mask_kinds=(".png",))
    return tuple(binary_sample(name, name, pair) for name, pair in pairs.items())
