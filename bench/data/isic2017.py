"""ISIC2017 Part 1, lesion segmentation in dermoscopy: 2000 training, 150 validation and 600 test images.

Codella et al., "Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017", arXiv:1710.05006.
Another edition than ISIC2018: most of its training images are in both, so the two must not be mixed, nor their numbers.
"""

from functools import partial
from pathlib import Path

from bench.data.images import images_in, read_mask_for, read_rgb
from bench.data.layout import first_three, wrong_layout
from bench.data.sample import DataSet, Sample, hold_out
from bench.errors import UserError

LAYOUT = """\
ISIC-2017_Training_Data/ISIC_0000000.jpg ...
ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png ...
ISIC-2017_Validation_Data/              ISIC-2017_Validation_Part1_GroundTruth/
ISIC-2017_Test_v2_Data/                 ISIC-2017_Test_v2_Part1_GroundTruth/     (these two may be missing)
"""
PUBLISHED = {"Training": 2000, "Validation": 150, "Test_v2": 600}
SEED = 2017
VAL_SHARE = 0.1


def open(root: Path) -> DataSet:
    """The data set under `root`, with the official splits where the test masks are there.

    Without them (they came out later, and many copies lack them) the official validation set is the test, and a tenth
    of the training images, drawn from a fixed seed, is the validation; `note` says so. No patient is published, so each
    image is its own group. Raises UserError when a folder or a mask is missing; no image is decoded here.
    """
    parts = {part: _pairs(root, part) for part in ("Training", "Validation")}
    if _folders(root, "Test_v2")[1].is_dir():
        parts["Test_v2"] = _pairs(root, "Test_v2")
        splits = {"train": parts["Training"], "val": parts["Validation"], "test": parts["Test_v2"]}
        notes = []
    else:
        held = hold_out((sample.group for sample in parts["Training"]), VAL_SHARE, SEED)
        splits = {
            "train": tuple(sample for sample in parts["Training"] if sample.group not in held),
            "val": tuple(sample for sample in parts["Training"] if sample.group in held),
            "test": parts["Validation"],
        }
        notes = [
            f"no test masks here: test is the official validation set, val {VAL_SHARE:.0%} of training, seed {SEED}"
        ]
    for part, samples in parts.items():
        if len(samples) != PUBLISHED[part]:
            notes.append(f"{len(samples)} of the {PUBLISHED[part]} published {part} images are here")
    return DataSet("isic2017", ("lesion",), splits, note="; ".join(notes))


def _folders(root: Path, part: str) -> tuple[Path, Path]:
    return root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"


def _pairs(root: Path, part: str) -> tuple[Sample, ...]:
    """The samples of one official part, by id. Raises UserError when a folder or a mask is missing."""
    data, truth = _folders(root, part)
    for folder in (data, truth):
        if not folder.is_dir():
            raise wrong_layout("ISIC2017", root, f"no folder {folder.name}", LAYOUT, "ISIC-2017_Training_*")
    # Images are .jpg only: the published data folders also hold ISIC_*_superpixels.png and a metadata table.
    images, masks = images_in(data, (".jpg", ".jpeg")), images_in(truth, (".png",))
    if not images:
        raise wrong_layout("ISIC2017", root, f"no .jpg image in {data.name}", LAYOUT, "ISIC-2017_Training_*")
    bare = [name for name in images if f"{name}_segmentation" not in masks]
    if bare:
        raise UserError(
            f"ISIC2017: {len(bare)} of {len(images)} images in {data} have no mask: {first_three(bare)}; "
            f"expected {bare[0]}_segmentation.png in {truth}; get the masks again, or take those images out"
        )
    return tuple(_sample(name, path, masks[f"{name}_segmentation"]) for name, path in images.items())


def _sample(name: str, image: Path, mask: Path) -> Sample:
    return Sample(name, name, partial(read_rgb, image), partial(read_mask_for, image, mask), (image, mask))
