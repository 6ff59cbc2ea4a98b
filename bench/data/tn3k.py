"""TN3K, thyroid nodules in ultrasound: 2879 images to train and validate on in five published folds, 614 to test on.

Gong et al., "Multi-task learning for thyroid nodule segmentation with thyroid region prior", ISBI 2021. No patient is
published, so each image is its own group. The masks are JPEG: near 0 and near 255, foreground above 127.
"""

from collections import Counter
from pathlib import Path
from typing import Any

from bench.data import Source
from bench.data.files import JPEG, files_in, first_few, is_list_of, read_json
from bench.data.pairs import paired_samples
from bench.data.sample import DataSet, Options, Tally
from bench.errors import UserError

PUBLISHED = {"trainval": 2879, "test": 614}


def open(source: Source, root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`: train and val are those of the published fold `options.fold`, test is the official.

    Ids say which of the two parts an image is of, for both are numbered from 0000. Raises UserError for a fold that is
    not published, a missing folder, and a fold file that does not fit the images.
    """
    fold, folds = options.fold, source.folds
    if not 0 <= fold < folds:
        raise UserError(f"--fold {fold} is no fold of TN3K; the published folds are 0 to {folds - 1}")
    folders = {part: (root / f"{part}-image", root / f"{part}-mask") for part in PUBLISHED}
    samples = {part: paired_samples(source, root, two, problems, f"{part}-") for part, two in folders.items()}
    # Folds index the sorted images. An image left out because its mask is missing keeps its index.
    numbered = sorted(set().union(*(files_in(folder, JPEG) for folder in folders["trainval"])))
    sides, pairs = _read_fold(source, root, fold, len(numbered)), samples["trainval"]
    splits = {side: tuple(pairs[numbered[at]] for at in sides[side] if numbered[at] in pairs) for side in sides}
    val = len(range(fold, PUBLISHED["trainval"], folds))
    tallies = (
        *(Tally(f"{part} pairs", len(samples[part]), count) for part, count in PUBLISHED.items()),
        Tally(f"train of fold {fold}", len(splits["train"]), PUBLISHED["trainval"] - val),
        Tally(f"val of fold {fold}", len(splits["val"]), val),
    )
    splits["test"] = tuple(samples["test"].values())
    note = f"fold {fold} of the published {folds}; no patients are published, so each image is a group of its own"
    return DataSet("tn3k", ("nodule",), splits, note=note, recipe=f"fold {fold}", tallies=tallies, fold=fold)


def _read_fold(source: Source, root: Path, fold: int, count: int) -> dict[str, list[int]]:
    """The sorted indices of train and val, together each of the `count` images once."""
    path = root / f"tn3k-trainval-fold{fold}.json"
    if not path.is_file():
        raise source.wrong_layout(root, f"no file {path.name}")
    content = read_json(path, "fold file")
    sides: list[Any] = [content.get(side) for side in ("train", "val")] if isinstance(content, dict) else [None]
    if not all(is_list_of(int, side) for side in sides):
        raise _bad_fold(path, 'it does not hold {"train": [...], "val": [...]} with whole numbers in the lists')
    train, val, counted = set(sides[0]), set(sides[1]), set(range(count))
    wrong = {
        "twice on one side are the images": {at for side in sides for at, times in Counter(side).items() if times > 1},
        "on both sides are the images": train & val,
        f"trainval-image holds images 0 to {count - 1}, and it names": (train | val) - counted,
        "on neither side are the images": counted - train - val,
    }
    for what, images in wrong.items():
        if images:
            raise _bad_fold(path, f"{what} {first_few([str(at) for at in sorted(images)])}")
    return {"train": sorted(train), "val": sorted(val)}


def _bad_fold(path: Path, what: str) -> UserError:
    return UserError(f"the fold file {path} does not fit: {what}; get it again, and all the images it counts through")
