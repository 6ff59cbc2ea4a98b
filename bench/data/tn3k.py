"""TN3K, thyroid nodules in ultrasound: 2879 images to train and validate on in five published folds, 614 to test on.

Gong et al., "Multi-task learning for thyroid nodule segmentation with thyroid region prior", ISBI 2021. No patient is
published, so each image is its own group. The masks are JPEG: near 0 and near 255, foreground above 127.
"""

from pathlib import Path

from bench.data.images import files_in
from bench.data.layout import first_three, wrong_layout
from bench.data.pairs import binary_sample, pairs_in
from bench.data.sample import DataSet, Options, Sample, Tally
from bench.data.splits import read_json
from bench.errors import UserError

LAYOUT = """\
trainval-image/0000.jpg ...       test-image/0000.jpg ...
trainval-mask/0000.jpg ...        test-mask/0000.jpg ...
tn3k-trainval-fold0.json ... tn3k-trainval-fold4.json     {"train": [1, 2, ...], "val": [0, 5, ...]}
"""
PUBLISHED = {"trainval": 2879, "test": 614}
FOLDS = 5
KINDS = (".jpg", ".jpeg")


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`: train and val are those of the published fold `options.fold`, test is the official.

    Ids say which of the two parts an image is of, for both are numbered from 0000. Raises UserError for a fold that is
    not published, a missing folder, and a fold file that does not fit the images.
    """
    if not 0 <= options.fold < FOLDS:
        raise UserError(f"--fold {options.fold} is no fold of TN3K; the published folds are 0 to {FOLDS - 1}")
    samples = {part: _samples(root, part, problems) for part in PUBLISHED}
    # A fold counts through the sorted images; one that is left out for want of its partner keeps its number.
    numbered = sorted({*files_in(root / "trainval-image", KINDS), *files_in(root / "trainval-mask", KINDS)})
    splits = {
        side: tuple(samples["trainval"][numbered[at]] for at in indices if numbered[at] in samples["trainval"])
        for side, indices in _read_fold(root, options.fold, len(numbered)).items()
    }
    splits["test"] = tuple(samples["test"].values())
    return DataSet(
        "tn3k",
        ("nodule",),
        splits,
        note=f"fold {options.fold} of the published {FOLDS}; no patients are published, so each image stands alone",
        recipe=f"fold {options.fold}",
        tallies=_tallies(samples, splits, options.fold),
    )


def _tallies(
    samples: dict[str, dict[str, Sample]], splits: dict[str, tuple[Sample, ...]], fold: int
) -> tuple[Tally, ...]:
    val = len(range(fold, PUBLISHED["trainval"], FOLDS))
    return (
        *(Tally(f"{part} pairs", len(samples[part]), count) for part, count in PUBLISHED.items()),
        Tally(f"train of fold {fold}", len(splits["train"]), PUBLISHED["trainval"] - val),
        Tally(f"val of fold {fold}", len(splits["val"]), val),
    )


def _samples(root: Path, part: str, problems: list[str]) -> dict[str, Sample]:
    """The samples of one part by the name of their files."""
    images, masks = root / f"{part}-image", root / f"{part}-mask"
    for folder in (images, masks):
        if not folder.is_dir():
            raise wrong_layout("TN3K", root, f"no folder {folder.name}", LAYOUT, "trainval-image")
    if not files_in(images, KINDS):
        raise wrong_layout("TN3K", root, f"no .jpg image in {images.name}", LAYOUT, "trainval-image")
    pairs = pairs_in("TN3K", images, masks, problems, image_kinds=KINDS, mask_kinds=KINDS)
    return {name: binary_sample(f"{part}-{name}", f"{part}-{name}", pair) for name, pair in pairs.items()}


def _read_fold(root: Path, fold: int, count: int) -> dict[str, list[int]]:
    """The sorted indices of train and val, together each of the `count` images once."""
    path = root / f"tn3k-trainval-fold{fold}.json"
    if not path.is_file():
        raise wrong_layout("TN3K", root, f"no file {path.name}", LAYOUT, "trainval-image")
    content = read_json(path, "fold file")
    if not (isinstance(content, dict) and all(_is_indices(content.get(side)) for side in ("train", "val"))):
        raise _bad_fold(path, 'it does not hold {"train": [...], "val": [...]} with whole numbers in the lists')
    train, val = set(content["train"]), set(content["val"])
    if len(train) + len(val) < len(content["train"]) + len(content["val"]):
        raise _bad_fold(path, "it names an image twice on one side")
    if train & val:
        raise _bad_fold(path, f"on both sides are the images {_numbers(train & val)}")
    outside = {index for index in train | val if not 0 <= index < count}
    if outside:
        raise _bad_fold(path, f"trainval-image holds images 0 to {count - 1}, and it names {_numbers(outside)}")
    if len(train | val) < count:
        raise _bad_fold(path, f"on neither side are the images {_numbers(set(range(count)) - train - val)}")
    return {"train": sorted(train), "val": sorted(val)}


def _bad_fold(path: Path, what: str) -> UserError:
    return UserError(f"the fold file {path} does not fit: {what}; get it again, and all the images it counts through")


def _numbers(indices: set[int]) -> str:
    return first_three([str(index) for index in sorted(indices)])


def _is_indices(value: object) -> bool:
    # A bool is an int to Python, and true would name image 1.
    return isinstance(value, list) and all(type(index) is int for index in value)
