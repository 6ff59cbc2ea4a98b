"""ISIC2018 Task 1, lesion segmentation in dermoscopy: 2594 training, 100 validation and 1000 test images.

Codella et al., "Skin lesion analysis toward melanoma detection 2018", arXiv:1902.03368; images from HAM10000 (Tschandl
et al., Scientific Data 5, 2018). Another edition than ISIC2017: 1800 of its training images are training images there.
"""

from pathlib import Path

from bench.data.isic import Edition, open_edition
from bench.data.layout import Source
from bench.data.sample import DataSet, Options

COUNTS = {"Training": 2594, "Validation": 100, "Test": 1000}
EDITION = Edition("ISIC2018_Task1-2_{}_Input", "ISIC2018_Task1_{}_GroundTruth", COUNTS, seed=2018)


def open(root: Path, options: Options, problems: list[str]) -> DataSet:
    """The data set under `root`; see `open_edition`."""
    return open_edition(SOURCE, EDITION, root, problems)


SOURCE = Source(
    "isic2018", "ISIC2018 Task 1, skin lesions", "dermoscopy",
    "Codella et al., arXiv:1902.03368; 2594 training, 100 validation, 1000 test images",
    open, short="ISIC2018", trace="ISIC2018_Task1-2_Training_Input",
    layout="""\
ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg ...
ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png ...
ISIC2018_Task1-2_Validation_Input/      ISIC2018_Task1_Validation_GroundTruth/
ISIC2018_Task1-2_Test_Input/            ISIC2018_Task1_Test_GroundTruth/         (these two may be missing)
""",
)  # fmt: skip
