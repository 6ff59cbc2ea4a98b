"""ISIC2018 Task 1, lesion segmentation in dermoscopy: 2594 training, 100 validation and 1000 test images.

Codella et al., "Skin lesion analysis toward melanoma detection 2018", arXiv:1902.03368; images from HAM10000 (Tschandl
et al., Scientific Data 5, 2018). Another edition than ISIC2017: 1800 of its training images are training images there.
"""

from functools import partial

from bench.data.isic import open_edition

open = partial(
    open_edition,
    images="ISIC2018_Task1-2_{}_Input", masks="ISIC2018_Task1_{}_GroundTruth", seed=2018,
    counts={"Training": 2594, "Validation": 100, "Test": 1000},
)  # fmt: skip
