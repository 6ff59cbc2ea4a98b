"""What the editions of ISIC lesion segmentation share: official parts, each a folder of images and one of masks."""

from dataclasses import dataclass
from pathlib import Path

from bench.data.files import JPEG
from bench.data.layout import Source
from bench.data.pairs import paired_samples
from bench.data.sample import DataSet, Tally
from bench.data.splits import VAL_SHARE, draw_splits, keep_apart


@dataclass(frozen=True)
class Edition:
    """`images` and `masks` are the folders' names with {} for the part. `published` counts the images of each part, in
    the order training, validation, test. `twins` are ids of one and the same image in two parts, as published.
    """

    images: str
    masks: str
    published: dict[str, int]
    seed: int
    twins: frozenset[frozenset[str]] = frozenset()


def open_edition(source: Source, edition: Edition, root: Path, problems: list[str]) -> DataSet:
    """The data set under `root`, with the official splits where the test masks are there.

    Without them (they came out later, and many copies lack them) the official validation set is the test, and a tenth
    of the training images, drawn from a fixed seed, is the validation; `note` says so. No patient is published, so each
    image is its own group. Raises UserError when a folder is missing; no image is decoded here.
    """
    training, validation, test = edition.published
    found = [training, validation, *([test] if (root / edition.masks.format(test)).is_dir() else [])]
    # Images are .jpg only: the published folders also hold ISIC_*_superpixels.png and a metadata table.
    parts = {
        part: tuple(
            paired_samples(
                source, root, (root / edition.images.format(part), root / edition.masks.format(part)), problems,
                endings=("_segmentation",), kinds=(JPEG, (".png",)),
            ).values()
        )
        for part in found
    }  # fmt: skip
    notes = []
    if test in parts:
        splits = {"train": parts[training], "val": parts[validation], "test": parts[test]}
    else:
        splits = {**draw_splits(parts[training], edition.seed, test_share=0), "test": parts[validation]}
        share = f"val {VAL_SHARE:.0%} of training, seed {edition.seed}"
        notes.append(f"no test masks here: test is the official validation set, {share}")
    tallies = tuple(Tally(f"{part} pairs", len(parts[part]), edition.published[part]) for part in found)
    notes += [
        f"{len(parts[part])} of the {count} published {part} images are here"
        for part, count in edition.published.items()
        if part in parts and len(parts[part]) != count
    ]
    return DataSet(
        source.name, ("lesion",), keep_apart(source.short, splits, problems), note="; ".join(notes), tallies=tallies,
        known_twins=edition.twins, drawn=test not in parts,
    )  # fmt: skip
