"""The ISIC challenges, lesion segmentation in dermoscopy: two editions with different images, one entry each.

Codella et al., "Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017", arXiv:1710.05006, and "Skin
lesion analysis toward melanoma detection 2018", arXiv:1902.03368; the images of 2018 are from HAM10000 (Tschandl et
al., Scientific Data 5, 2018). 1800 training images of 2018 are training images of 2017, so neither the images nor the
scores of the two must be mixed.
"""

from pathlib import Path

from bench.data import Source
from bench.data.files import JPEG
from bench.data.pairs import paired_samples
from bench.data.sample import VAL_SHARE, DataSet, Options, Tally, draw_splits, keep_apart


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`, with the official splits where the test masks are there.

    Without them (they came out later, and many copies lack them) the official validation set is the test, and a tenth
    of the training images, drawn from a fixed seed, is the validation; `note` says so. No patient is published, so each
    image is its own group. Raises UserError when a folder is missing.
    """
    counts, seed = source.edition["counts"], source.edition["seed"]
    training, validation, test = counts
    parts = {}
    for part in counts:
        folders = root / source.edition["images"].format(part), root / source.edition["masks"].format(part)
        if part != test or folders[1].is_dir():
            # Images are .jpg only: the published folders also hold ISIC_*_superpixels.png and a metadata table.
            pairs = paired_samples(source, root, folders, problems, endings=("_segmentation",), kinds=(JPEG, (".png",)))
            parts[part] = tuple(pairs.values())
    notes, instead = [], ""
    if test in parts:
        splits = {"train": parts[training], "val": parts[validation], "test": parts[test]}
    else:
        splits = draw_splits(parts[training], seed, parts[validation])
        share = f"val {VAL_SHARE:.0%} of training, seed {seed}"
        notes.append(f"no test masks here: test is the official validation set, {share}")
        instead = f"{len(parts[validation])} validation images as the test instead of the {counts[test]} test images"
    here = {part: (len(samples), counts[part]) for part, samples in parts.items()}
    notes += [f"{n} of the {count} published {part} images are here" for part, (n, count) in here.items() if n != count]
    tallies = tuple(Tally(f"{part} pairs", *count) for part, count in here.items())
    splits, twins = keep_apart(source.short, splits, problems), frozenset(map(frozenset, source.edition["twins"]))
    note, drawn = "; ".join(notes), test not in parts
    return DataSet(
        source.name, ("lesion",), splits, note=note, tallies=tallies, known_twins=twins, drawn=drawn, instead=instead
    )
