"""Samples as tensors, and the augmented stream that is the same whenever it is asked."""

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench.data import open_dataset
from bench.data.prepared import AUGMENTATIONS, DEVIATION, MEAN, Stream, normalized, order, prepare, rates
from bench.data.sample import Sample
from bench.errors import UserError


def drawn(number: int) -> tuple[np.ndarray, np.ndarray]:
    """An image whose left half is bright; the mask is that half."""
    mask = np.zeros((60, 80), np.uint8)
    mask[:, :40] = 1
    image = np.repeat(mask[:, :, None] * 200 + number, 3, axis=2).astype(np.uint8)
    return image, mask


def samples(count: int) -> list[Sample]:
    pairs = [drawn(n) for n in range(count)]
    return [Sample(str(n), str(n), partial(np.copy, i), partial(np.copy, m)) for n, (i, m) in enumerate(pairs)]


def test_sizes_types_and_order(tmp_path):
    heard = []
    found = prepare(samples(3), 32, tmp_path, heard.append)
    assert found.ids == ("0", "1", "2")
    assert (found.images.shape, found.images.dtype) == ((3, 3, 32, 32), torch.uint8)
    assert (found.masks.shape, found.masks.dtype) == ((3, 32, 32), torch.uint8)
    assert found.images[:, 0, 16, 30].tolist() == [0, 1, 2]
    assert heard == [1, 2, 3]


def test_masks_stay_labels(tmp_path):
    assert prepare(samples(1), 50, tmp_path).masks.unique().tolist() == [0, 1]


def test_an_unreadable_image_is_named(tmp_path):
    def broken() -> np.ndarray:
        raise UserError("cannot read the image a.jpg")

    with pytest.raises(UserError, match=r"a\.jpg"):
        prepare([*samples(1), Sample("x", "x", broken, broken)], 32, tmp_path)


def test_normalized_is_imagenet_s():
    white = normalized(torch.full((2, 3, 4, 4), 255, dtype=torch.uint8))
    expected = [(1 - m) / d for m, d in zip(MEAN, DEVIATION, strict=True)]
    assert white[0, :, 0, 0].tolist() == pytest.approx(expected, rel=1e-6)


def test_a_draw_is_the_same_whenever_it_is_asked_for(tmp_path):
    prepared = prepare(samples(4), 32, tmp_path)
    one, other = Stream(prepared, seed=1), Stream(prepared, seed=1)
    forwards = [one[draw] for draw in range(12)]
    torch.manual_seed(99)
    backwards = [other[draw] for draw in reversed(range(12))][::-1]
    for (image, mask), (image_again, mask_again) in zip(forwards, backwards, strict=True):
        assert torch.equal(image, image_again)
        assert torch.equal(mask, mask_again)


def test_asking_for_a_draw_leaves_the_global_generator_alone(tmp_path):
    stream = Stream(prepare(samples(2), 32, tmp_path), seed=1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    _ = stream[7]
    assert torch.equal(torch.rand(3), expected)


def test_each_epoch_has_every_image_once_in_another_order():
    orders = [order(0, epoch, 16).tolist() for epoch in range(3)]
    assert all(sorted(found) == list(range(16)) for found in orders)
    assert orders[0] != orders[1] != orders[2]


def test_image_and_mask_are_turned_together(tmp_path):
    stream = Stream(prepare(samples(2), 32, tmp_path), seed=3)
    for draw in range(20):
        image, mask = stream[draw]
        assert image.shape == (3, 32, 32)
        inside = image[0][mask == 1].mean() if (mask == 1).any() else 0
        assert inside > image[0][mask == 0].mean() + 1


def on_disk(folder: Path, count: int) -> list[Sample]:
    """Samples read from files; `reads` in their folder counts how often."""
    found = []
    for n in range(count):
        image, mask = drawn(n)
        Image.fromarray(image).save(folder / f"{n}.png")
        np.save(folder / f"{n}.npy", mask)
        paths = folder / f"{n}.png", folder / f"{n}.npy"
        found.append(Sample(str(n), str(n), partial(read_image, paths[0]), partial(read_mask, paths[1]), paths))
    return found


def read_image(path: Path) -> np.ndarray:
    READS.append(path)
    return np.asarray(Image.open(path))


def read_mask(path: Path) -> np.ndarray:
    return np.load(path)


READS: list[Path] = []


def read(path: Path) -> np.ndarray:
    READS.append(path)
    return np.asarray(Image.open(path))


def test_what_is_in_the_cache_is_not_decoded_again(tmp_path):
    made = on_disk(tmp_path, 3)
    cache = tmp_path / "cache"
    READS.clear()
    first, second = prepare(made, 32, cache), prepare(made, 32, cache)
    assert len(READS) == 6, "for their digest, and to be resized"
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.masks, second.masks)


def test_a_changed_file_or_another_size_is_decoded_anew(tmp_path):
    made = on_disk(tmp_path, 2)
    cache = tmp_path / "cache"
    prepare(made, 32, cache)
    Image.fromarray(drawn(200)[0]).save(tmp_path / "0.png")
    os.utime(tmp_path / "0.png", ns=(1, 1))
    assert prepare(made, 32, cache).images[0, 0, 16, 30] == 200
    assert prepare(made, 48, cache).images.shape[-1] == 48


def test_what_changes_while_it_is_read_is_not_cached(tmp_path):
    made = on_disk(tmp_path, 1)

    def changed(count: int) -> None:
        np.save(made[0].files[1], np.zeros((60, 80), np.uint8))

    with pytest.raises(UserError, match="a file of the data set changed while it was read; start again"):
        prepare(made, 32, tmp_path / "cache", changed)
    assert list((tmp_path / "cache").iterdir()) == []
    assert prepare(made, 32, tmp_path / "cache").masks.sum() == 0


def test_a_failed_reading_leaves_no_cache(tmp_path):
    def broken() -> np.ndarray:
        raise UserError("cannot read the image a.jpg")

    with pytest.raises(UserError):
        prepare([Sample("x", "x", broken, broken)], 32, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize("augmentation", AUGMENTATIONS)
def test_augmented_masks_stay_labels_and_follow_their_image(augmentation, tmp_path):
    stream = Stream(prepare(samples(2), 64, tmp_path), seed=3, augmentation=augmentation)
    for draw in range(20):
        image, mask = stream[draw]
        assert set(mask.unique().tolist()) <= {0, 1}
        assert image[0][mask == 1].mean() > image[0][mask == 0].mean() + 1


def test_rates_of_a_few_samples():
    found = rates(open_dataset("synthetic"), size=64, limit=8)
    assert found.samples == 8
    assert found.cold_per_s > 0
    assert found.cached_per_s > 0


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 4
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [
    lambda folder: flipped(folder / "images.npy", 3000), lambda folder: flipped(folder / "masks.npy", -1),
    lambda folder: flipped(folder / "images.npy", 20), lambda folder: flipped(folder / "digest", 5),
    lambda folder: (folder / "images.npy").write_bytes(b""), lambda folder: (folder / "masks.npy").unlink(),
    lambda folder: (folder / "digest").unlink(), lambda folder: (folder / "masks.npy").write_bytes(bytes(60)),
    lambda folder: (folder / "images.npy").write_bytes((folder / "masks.npy").read_bytes()),
    lambda folder: (folder / "digest").replace(folder / "x") and (folder / "digest").symlink_to("away"),
])  # fmt: skip
def test_a_cache_that_was_damaged_is_filled_anew(tmp_path, damage):
    whole = prepare(samples(3), 32, tmp_path)
    images, masks = whole.images.clone(), whole.masks.clone()
    (folder,) = tmp_path.iterdir()
    damage(folder)
    heard = []
    again = prepare(samples(3), 32, tmp_path, heard.append)
    assert heard == [1, 2, 3]
    assert torch.equal(again.images, images)
    assert torch.equal(again.masks, masks)
    assert list(tmp_path.iterdir()) == [folder]
    prepare(samples(3), 32, tmp_path, heard.append)
    assert heard == [1, 2, 3]


def test_a_cache_in_the_place_of_another_is_filled_anew(tmp_path):
    prepare(samples(2), 32, tmp_path / "one")
    other = prepare(samples(3)[1:], 32, tmp_path / "two").images.clone()
    (one,), (two,) = (list((tmp_path / name).iterdir()) for name in ("one", "two"))
    for path in one.iterdir():
        path.replace(two / path.name)
    assert torch.equal(prepare(samples(3)[1:], 32, tmp_path / "two").images, other)


def test_no_image_at_all_is_told(tmp_path):
    with pytest.raises(UserError, match="there is no image to read on this side of the split"):
        prepare([], 32, tmp_path)
