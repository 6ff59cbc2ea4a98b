"""The drawn data set: the same for the same seed, disjoint, and a task that no trivial answer solves."""

import pickle
from collections.abc import Callable

import numpy as np
import pytest
from opened import sizes, sound

from bench.data import synthetic


@pytest.fixture(scope="module")
def drawn() -> list[tuple[np.ndarray, np.ndarray]]:
    return [synthetic.draw(index) for index in range(60)]


def dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    return 2 * np.count_nonzero(predicted & truth) / (np.count_nonzero(predicted) + np.count_nonzero(truth))


def test_counts_ids_and_kinds() -> None:
    data = sound("synthetic", None)
    assert sizes(data) == [400, 40, 80]
    assert data.patients
    ids = [sample.id for samples in data.splits.values() for sample in samples]
    assert len(set(ids)) == 520
    assert ids[:2] == ["us-0000", "derm-0001"]
    assert sum(name.startswith("us-") for name in ids) == 260
    assert data.digest == "d18319c80903", "stored records name this digest"
    assert data.recipe == f"seed 20240, 256x256, drawn by code {synthetic.code()}"


def test_drawn_by_other_code_it_is_other_data_and_no_image_is_drawn_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "draw", None)
    first = sound("synthetic", None).digest
    monkeypatch.setattr(synthetic, "code", lambda: "another")
    assert sound("synthetic", None).digest != first


def test_images_and_masks_are_what_the_contract_says(drawn: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for image, mask in drawn:
        assert (image.shape, image.dtype) == ((256, 256, 3), np.uint8)
        assert (mask.shape, mask.dtype) == ((256, 256), np.uint8)
        assert set(np.unique(mask)) == {0, 1}
        assert 0.02 < mask.mean() < 0.25


def test_a_number_gives_the_same_image_whatever_was_drawn_before() -> None:
    first = [part.copy() for part in synthetic.draw(11)]
    synthetic.draw.cache_clear()
    synthetic.draw(3)
    assert all(np.array_equal(a, b) for a, b in zip(first, synthetic.draw(11), strict=True))


def test_no_two_images_are_alike(drawn: list[tuple[np.ndarray, np.ndarray]]) -> None:
    assert len({image.tobytes() for image, _ in drawn}) == len(drawn)
    assert len({mask.tobytes() for _, mask in drawn}) == len(drawn)


def test_image_and_mask_of_a_sample_belong_together_and_may_be_changed() -> None:
    sample = sound("synthetic", None).splits["test"][0]
    assert sample.id == "us-0440"
    sample.mask()[:] = 0
    assert np.array_equal(sample.image(), synthetic.draw(440)[0])
    assert np.array_equal(sample.mask(), synthetic.draw(440)[1])


def test_samples_travel_to_other_processes() -> None:
    sample = pickle.loads(pickle.dumps(sound("synthetic", None).splits["val"][0]))
    assert sample.mask().any()


def test_ultrasound_is_gray_and_dermoscopy_is_not(drawn: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for index, (image, _) in enumerate(drawn):
        assert (image.max(axis=2) == image.min(axis=2)).all() == (index % 2 == 0)


ROWS, COLUMNS = np.ogrid[:256, :256]
TRIVIAL: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "everything": lambda gray: np.ones_like(gray, dtype=bool),
    "a centered disc of the best radius": lambda gray: np.hypot(ROWS - 128, COLUMNS - 128) < 70,
    "darker than half the mean": lambda gray: gray < gray.mean() / 2,
    "darker than the mean": lambda gray: gray < gray.mean(),
    "darkest tenth": lambda gray: gray < np.quantile(gray, 0.1),
}


@pytest.mark.parametrize("answer", TRIVIAL)
def test_no_trivial_answer_solves_it(drawn: list[tuple[np.ndarray, np.ndarray]], answer: str) -> None:
    scores = [dice(TRIVIAL[answer](image.mean(axis=2)), mask == 1) for image, mask in drawn]
    assert np.mean(scores) < 0.5
