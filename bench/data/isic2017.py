"""ISIC2017 Part 1, lesion segmentation in dermoscopy: 2000 training, 150 validation and 600 test images.

Codella et al., "Skin lesion analysis toward melanoma detection: a challenge at ISBI 2017", arXiv:1710.05006.
Another edition than ISIC2018: most of its training images are in both, so the two must not be mixed, nor their numbers.
"""

from functools import partial

from bench.data.isic import open_edition

open = partial(
    open_edition,
    images="ISIC-2017_{}_Data", masks="ISIC-2017_{}_Part1_GroundTruth", seed=2017,
    counts={"Training": 2000, "Validation": 150, "Test_v2": 600},
    # A training and a validation image that are the same.
    twins=frozenset({frozenset({"ISIC_0012970", "ISIC_0012127"})}),
)  # fmt: skip
