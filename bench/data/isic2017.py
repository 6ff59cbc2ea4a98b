"""ISIC2017 Part 1, lesion segmentation in dermoscopy: 2000 training, 150 validation and 600 test images.

Codella et al., "Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017", arXiv:1710.05006.
Another edition than ISIC2018: most of its training images are in both, so the two must not be mixed, nor their numbers.
"""

from pathlib import Path

from bench.data.isic import Edition, open_edition
from bench.data.layout import Source
from bench.data.sample import DataSet, Options

EDITION = Edition(
    "ISIC-2017_{}_Data", "ISIC-2017_{}_Part1_GroundTruth", {"Training": 2000, "Validation": 150, "Test_v2": 600},
    seed=2017,
    # A training and a validation image that are the same.
    twins=frozenset({frozenset({"ISIC_0012970", "ISIC_0012127"})}),
)  # fmt: skip


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`; see `open_edition`."""
    return open_edition(SOURCE, EDITION, root, problems)


SOURCE = Source(
    "isic2017", "ISIC2017 Part 1, skin lesions", "dermoscopy",
    "Codella et al., arXiv:1710.05006; 2000 training, 150 validation, 600 test images",
    open, short="ISIC2017", trace="ISIC-2017_Training_Data",
    layout="""\
ISIC-2017_Training_Data/ISIC_0000000.jpg ...
ISIC-2017_Training_Part1_GroundTruth/ISIC_0000000_segmentation.png ...
ISIC-2017_Validation_Data/              ISIC-2017_Validation_Part1_GroundTruth/
ISIC-2017_Test_v2_Data/                 ISIC-2017_Test_v2_Part1_GroundTruth/     (these two may be missing)
""",
)  # fmt: skip
