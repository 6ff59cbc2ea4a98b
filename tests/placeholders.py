"""What the commands of the docs name: small data sets in their layouts, predictions, a network, records, a history.

Each placeholder of a page (ISIC2017, my_images, predsA, mine.py, ...) is made under its name.
"""

import json
from pathlib import Path

import nibabel
import numpy as np
from gitting import commit, git
from handmade import altered, cost_record, dice_record, latency_record
from paging import ROOT, blocks
from predicting import counted, predicted, save, summary, truth

from bench.run.store import Record, Store

COMMITS = 6  # so that HEAD~5 is there
PATIENTS = range(1, 11)


def picture(path: Path, number: int) -> None:
    """An image of noise."""
    save(path, np.random.default_rng(number).integers(0, 255, (40, 40, 3), np.uint8))


def mask(path: Path, number: int) -> None:
    """A white square of a size of its own."""
    values = np.zeros((40, 40), np.uint8)
    values[8:24, 8 : 16 + number % 16] = 255
    save(path, values)


def pictures(root: Path) -> None:
    """The data sets of pictures. `{}` stands for the number."""
    layouts = {
        "ISIC2017": (
            "ISIC-2017_{part}_Data/ISIC_{:07}.jpg",
            "ISIC-2017_{part}_Part1_GroundTruth/ISIC_{:07}_segmentation.png",
        ),
        "DDTI": ("image/{}.PNG", "mask/{}.PNG"),
        "TN3K": ("{part}-image/{:04}.jpg", "{part}-mask/{:04}.jpg"),
        "my_images": ("images/P{}_0.png", "masks/P{}_0.png"),
        "DRIVE": ("training/images/{}_training.tif", "training/1st_manual/{}_manual1.gif"),
        "Kvasir-SEG": ("images/c{}.jpg", "masks/c{}.jpg"),
        "Dataset_BUSI_with_GT": ("benign/benign ({}).png", "benign/benign ({})_mask.png"),
        "JSRT": ("images/J{:03}.png", "masks/heart/J{:03}.gif"),
        "EM": ("images/{:02}.png", "masks/{:02}.png"),
    }  # fmt: skip
    parts = {"ISIC2017": ("Training", "Validation"), "TN3K": ("trainval", "test")}
    for kind, (name, (images, masks)) in enumerate(layouts.items()):
        for side, part in enumerate(parts.get(name, ("",))):
            for number in range(10):
                shown = number if name == "TN3K" else 100 * side + number
                picture(root / name / images.format(shown, part=part), 1000 * kind + 100 * side + number)
                mask(root / name / masks.format(shown, part=part), number)
    for number in range(10):
        picture(root / "DRIVE" / "test" / "images" / f"{50 + number}_test.tif", 9000 + number)
        mask(root / "DRIVE" / "test" / "1st_manual" / f"{50 + number}_manual1.gif", number)
    for organ in ("left lung", "right lung"):
        for number in range(10):
            mask(root / "JSRT" / "masks" / organ / f"J{number:03}.gif", number)
    for fold in range(5):
        sides = {"train": [n for n in range(10) if n % 5 != fold], "val": [n for n in range(10) if n % 5 == fold]}
        (root / "TN3K" / f"tn3k-trainval-fold{fold}.json").write_text(json.dumps(sides))


def heart(root: Path) -> list[str]:
    """ACDC: ten patients of two frames, three slices each; the names of the test volumes."""
    for number in PATIENTS:
        for frame in (1, 12):
            values = np.random.default_rng(number).integers(0, 255, (32, 32, 3)).astype(np.int16)
            labels = np.zeros((32, 32, 3), np.int16)
            for label in (1, 2, 3):
                labels[8 * label : 8 * label + 6, 4 : 10 + number] = label
            stem = root / "training" / f"patient{number:03}" / f"patient{number:03}_frame{frame:02}"
            stem.parent.mkdir(parents=True, exist_ok=True)
            for ending, array in (("", values), ("_gt", labels)):
                nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), f"{stem}{ending}.nii.gz")
    names = [f"patient{number:03}" for number in PATIENTS]
    split = {"train": names[:7], "val": names[7:8], "test": names[8:]}
    (root / "split.json").write_text(json.dumps(split))
    return [f"{name}_frame{frame:02}" for name in split["test"] for frame in (1, 12)]


def predictions(root: Path, volumes: list[str]) -> None:
    """Folders of masks of the test images of `truth`, nnU-Net's scores of ACDC's test volumes, and a table of teams."""
    truth(root / "truth")
    for shift, name in enumerate(("predsA", "predsB", "predsC"), start=1):
        predicted(root / name, shift)
    summary(root / "summary.json", {case: {str(c): counted(350, 50, 50) for c in (1, 2, 3)} for case in volumes})
    rows = [f"{team},c{case},{0.5 + case / 40 + index / 50}" for index, team in enumerate("AB") for case in range(12)]
    (root / "teams.csv").write_text("\n".join(["team,case,dice", *rows]))


def records() -> list[Record]:
    """Two networks with all quantities, scored on ISIC2017, and the size of a light one."""
    scored = [dice_record("unet"), dice_record("mdsa_unet", (0.6, 0.8, 0.95))]
    return [
        cost_record("unet"), cost_record("mdsa_unet", 6_576_225, 4_456_851_840),
        cost_record("egeunet", 53_374, 55_000_000),
        latency_record("unet"), latency_record("mdsa_unet", (0.05, 0.051, 0.052)),
        *(altered(record, dataset="isic2017") for record in scored),
    ]  # fmt: skip


def own_files(root: Path) -> None:
    """The README's network, the docs' study, a file of weights, and the claim that the docs write."""
    (root / "study.toml").write_text(blocks(ROOT / "docs" / "study.md", "toml")[0])
    (root / "theirs.pt").write_bytes(b"weights")
    (root / "mine.py").write_text(blocks(ROOT / "README.md", "python")[0])
    (root / "claims.toml").write_text(
        (ROOT / "claims.toml").read_text() + blocks(ROOT / "docs" / "claims.md", "toml")[0]
    )


def placeholders(root: Path) -> Path:
    """All of it in a folder, which is a git repository with records in its history."""
    pictures(root)
    predictions(root, heart(root / "ACDC"))
    own_files(root)
    for number in range(COMMITS):
        commit(root, records(), f"run {number}")
    for record in records():
        Store(root / "results" / "reference").write(record)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "a reference run")
    return root
