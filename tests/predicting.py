"""Truths and predictions made by hand, for tests of what scores predictions made elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from bench.data import Options, open_dataset
from bench.errors import UserError
from bench.run.elsewhere import Conditions, Given, Outcome, record_elsewhere

SIZE = 64
COUNTS = {"train": 4, "val": 2, "test": 6}
ITK = np.diag([-1.0, -1, 1, 1])  # what SimpleITK writes for a picture


def square(number: int, shape: tuple[int, int] = (SIZE, SIZE), shift: int = 0) -> np.ndarray:
    """A square of 20 by 20, at another place for each number."""
    mask = np.zeros(shape, np.uint8)
    mask[5 + number : 25 + number, 10 + shift : 30 + shift] = 1
    return mask


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def save_nifti(path: Path, values: np.ndarray, affine: np.ndarray = ITK) -> None:
    """A picture (height, width) or a volume (slices, height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.T, affine), path)


def truth(root: Path, shape: tuple[int, int] = (SIZE, SIZE), value: int = 255) -> Path:
    """A plain folder of images with its split; two images of each patient, P30_0 and P30_1."""
    for side, (split, count) in enumerate(COUNTS.items(), start=1):
        for number in range(count):
            name = f"P{side}{number // 2}_{number}.png"
            picture = np.full((*shape, 3), 40 * side + number, np.uint8)
            save(root / split / "images" / name, picture)
            save(root / split / "masks" / name, square(number, shape) * np.uint8(value))
    return root


def names() -> list[str]:
    """The ids of the test split of `truth`."""
    return [f"P3{number // 2}_{number}" for number in range(COUNTS["test"])]


def predicted(folder: Path, shift: int = 0, shape: tuple[int, int] = (SIZE, SIZE), value: int = 255) -> Path:
    """A folder with a mask of each test image, its square moved to the right."""
    for number, name in enumerate(names()):
        save(folder / f"{name}.png", square(number, shape, shift) * np.uint8(value))
    return folder


def scored(
    given: Mapping[str, Path | tuple[Path, ...]], out: Path, root: Path | None = None, dataset: str = "folder",
    options: Options | None = None, **more,
) -> Outcome:  # fmt: skip
    """Record what is given, of a data set or without one."""
    options = options or Options(patient=r"(P\d+)_" if root and dataset == "folder" else "")
    data = open_dataset(dataset, root, options) if root else None
    others = [sample for split in ("train", "val") for sample in data.splits[split]] if data else []
    aside = [name for sample in others for name in (sample.id, sample.volume) if name]
    asked = Conditions(data, options, **{"size": SIZE, "aside": tuple(aside), **more})
    both = [Given(name, paths if isinstance(paths, tuple) else (paths,)) for name, paths in given.items()]
    return record_elsewhere(both, asked, out, lambda doing, done, total: None)


def counted(tp: int, fp: int, fn: int) -> dict[str, float]:
    """The scores of one class as nnU-Net v2 writes them."""
    whole = 2 * tp + fp + fn
    return {
        "Dice": 2 * tp / whole if whole else float("nan"), "FN": fn, "FP": fp, "TN": 9, "TP": tp,
        "IoU": tp / (tp + fp + fn) if whole else float("nan"), "n_pred": tp + fp, "n_ref": tp + fn,
    }  # fmt: skip


def summary(path: Path, cases: Mapping[str, Mapping[str, dict]]) -> Path:
    """nnU-Net v2's summary.json of the classes of each case."""
    lines = [
        {"metrics": metrics, "prediction_file": f"/out/{case}.nii.gz", "reference_file": f"/gt/{case}.nii.gz"}
        for case, metrics in cases.items()
    ]
    path.write_text(json.dumps({"foreground_mean": {}, "mean": {}, "metric_per_case": lines}))
    return path


def refusal(*given, **more) -> str:
    with pytest.raises(UserError) as refused:
        scored(*given, **more)
    return str(refused.value)
