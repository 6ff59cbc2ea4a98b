"""What the editions of ISIC lesion segmentation share: official parts, each a folder of images and one of masks."""

from pathlib import Path

from bench.data.files import JPEG
from bench.data.layout import Source
from bench.data.pairs import paired_samples
from bench.data.sample import DataSet, Options, Tally
from bench.data.splits import VAL_SHARE, draw_splits, keep_apart


def open_edition(
    source: Source, root: Path, options: Options, problems: list[str], *, images: str, masks: str,
    counts: dict[str, int], seed: int, twins: frozenset[frozenset[str]] = frozenset(),
) -> DataSet:  # fmt: skip
    """The data set under `root`, with the official splits where the test masks are there.

    Without them (they came out later, and many copies lack them) the official validation set is the test, and a tenth
    of the training images, drawn from a fixed seed, is the validation; `note` says so. No patient is published, so each
    image is its own group. Raises UserError when a folder is missing.

    `images` and `masks` are the folders' names with {} for the part. `counts` are the published images of each part,
    called training, validation, test in this order. `twins` are ids of one and the same image in two parts, as
    published.
    """
    training, validation, test = counts
    parts = {}
    for part in (training, validation, test):
        folders = root / images.format(part), root / masks.format(part)
        if part == test and not folders[1].is_dir():
            break
        # Images are .jpg only: the published folders also hold ISIC_*_superpixels.png and a metadata table.
        found = paired_samples(source, root, folders, problems, endings=("_segmentation",), kinds=(JPEG, (".png",)))
        parts[part] = tuple(found.values())
    notes = []
    if test in parts:
        splits = {"train": parts[training], "val": parts[validation], "test": parts[test]}
    else:
        splits = {**draw_splits(parts[training], seed, test_share=0), "test": parts[validation]}
        share = f"val {VAL_SHARE:.0%} of training, seed {seed}"
        notes.append(f"no test masks here: test is the official validation set, {share}")
    here = {part: (len(samples), counts[part]) for part, samples in parts.items()}
    notes += [f"{n} of the {count} published {part} images are here" for part, (n, count) in here.items() if n != count]
    tallies = tuple(Tally(f"{part} pairs", *count) for part, count in here.items())
    splits = keep_apart(source.short, splits, problems)
    note, drawn = "; ".join(notes), test not in parts
    return DataSet(source.name, ("lesion",), splits, note=note, tallies=tallies, known_twins=twins, drawn=drawn)
