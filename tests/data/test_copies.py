"""Near copies are found across a split, after what is commonly done to images, and other images are not."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from scipy.ndimage import gaussian_filter

from bench.data import Options
from bench.data.check import check
from bench.data.copies import near_copies, thumbnail
from bench.data.sample import Sample


def picture(number: int, size: int = 96) -> np.ndarray:
    """A picture with structure, another for each number."""
    rough = np.random.default_rng(number).normal(size=(size, size, 3))
    smooth = gaussian_filter(rough, (size / 16, size / 16, 1))
    smooth -= smooth.min()
    return (smooth / smooth.max() * 255).astype(np.uint8)


def sample(name: str) -> Sample:
    return Sample(name, name, lambda: None, lambda: None)


def found(sides: list[str], images: list[np.ndarray]) -> list[tuple[str, str]]:
    samples = [sample(str(number)) for number in range(len(images))]
    near = near_copies(sides, samples, [thumbnail(image) for image in images])
    return [(one.samples[0].id, one.samples[1].id) for one in near]


def jpeg(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=40)
    return np.asarray(Image.open(file))


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "recompressed": jpeg,
    "halved": lambda image: np.asarray(Image.fromarray(image).resize((48, 48))),
    "brighter": lambda image: np.asarray(ImageEnhance.Brightness(Image.fromarray(image)).enhance(1.2)),
    "noisy": lambda image: (image + np.random.default_rng(0).normal(0, 8, image.shape)).clip(0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_on_the_other_side_is_found_and_no_other(change: str) -> None:
    images = [picture(number) for number in range(12)]
    copy = CHANGES[change](images[5])
    assert found(["train"] * 12 + ["test"], [*images, copy]) == [("5", "12")]
    assert found(["train"] * 13, [*images, copy]) == []


def test_images_that_show_nothing_are_not_copies_of_each_other() -> None:
    rng = np.random.default_rng(0)
    flat = [np.full((40, 40, 3), gray, np.uint8) for gray in (0, 90, 255)]
    flat += [np.full((40, 40, 3), 90, np.uint8) + rng.integers(0, 2, (40, 40, 1), np.uint8) for _ in range(3)]
    assert found(["train", "val", "test"] * 2, flat) == []


def test_more_images_than_one_block_are_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.data.copies.BLOCK", 3)
    images = [picture(number) for number in range(8)]
    copies = [jpeg(images[number]) for number in (0, 3, 7)]
    assert sorted(found(["train"] * 8 + ["val", "test", "test"], [*images, *copies])) == [
        ("0", "8"), ("3", "9"), ("7", "10")
    ]  # fmt: skip


def put(root: Path, part: str, pictures: dict[str, np.ndarray]) -> None:
    for kind in ("images", "masks"):
        (root / part / kind).mkdir(parents=True)
    for name, image in pictures.items():
        Image.fromarray(image).save(root / part / "images" / f"{name}.png")
        Image.fromarray((image[..., 0] > 128).astype(np.uint8) * 255).save(root / part / "masks" / f"{name}.png")


def test_a_check_names_the_pairs_and_counts_the_rest(tmp_path: Path) -> None:
    images = [picture(number) for number in range(25)]
    put(tmp_path, "train", {f"a{number:02d}": image for number, image in enumerate(images)})
    put(tmp_path, "val", {"b": picture(100)})
    put(tmp_path, "test", {f"c{number:02d}": jpeg(image) for number, image in enumerate(images[:22])})
    result = check("folder", tmp_path, Options())
    assert result.faults == ()
    told = "22 pairs of images on two sides of the split look alike; a network may be scored on what it learned"
    at = next(at for at, remark in enumerate(result.remarks) if remark.startswith(told))
    assert len(result.remarks[at + 1 :]) == 21
    assert all(line.startswith("near copies: a") for line in result.remarks[at + 1 : -1])
    assert result.remarks[-1] == "near copies: 2 more pairs"


def test_what_is_the_same_byte_for_byte_is_a_fault_and_told_once(tmp_path: Path) -> None:
    for number, part in enumerate(("train", "val", "test")):
        put(tmp_path, part, {f"{part}{n}": picture(10 * number + n) for n in range(2)})
    (tmp_path / "test" / "images" / "test0.png").write_bytes(
        (tmp_path / "train" / "images" / "train1.png").read_bytes()
    )
    result = check("folder", tmp_path, Options())
    assert [fault.partition(";")[0] for fault in result.faults] == [
        "the same image is in test and train: test0, train1"
    ]
    assert not any("alike" in remark for remark in result.remarks)
