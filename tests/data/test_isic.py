"""What the editions share: an edition is a handful of names. Breakages are tested with ISIC2017."""

from pathlib import Path

from PIL import Image

from bench.data.isic import Edition, open_edition

TOY = Edition(
    name="toy", title="TOY", data="{}_in", truth="{}_out", test="Final", layout="Training_in/a.jpg\n", seed=1,
    published={"Training": 10, "Validation": 1, "Final": 2}, twins=frozenset({frozenset("ab")}),
)  # fmt: skip


def add(root: Path, part: str, numbers: range) -> None:
    for kind in ("in", "out"):
        (root / f"{part}_{kind}").mkdir()
    for number in numbers:
        Image.new("RGB", (8, 6)).save(root / f"{part}_in" / f"{number}.jpg")
        Image.new("L", (8, 6), 255).save(root / f"{part}_out" / f"{number}_segmentation.png")


def test_an_edition_is_its_names_counts_and_twins(tmp_path: Path) -> None:
    for part, numbers in {"Training": range(10), "Validation": range(10, 12), "Final": range(12, 14)}.items():
        add(tmp_path, part, numbers)
    problems: list[str] = []
    data = open_edition(TOY, tmp_path, problems)
    assert not problems
    assert (data.name, data.known_twins) == ("toy", frozenset({frozenset("ab")}))
    assert {tally.what: (tally.found, tally.published) for tally in data.tallies} == {
        "Training pairs": (10, 10), "Validation pairs": (2, 1), "Final pairs": (2, 2)
    }  # fmt: skip
    assert data.note == "2 of the 1 published Validation images are here"


def test_the_drawn_validation_follows_the_seed_of_the_edition(tmp_path: Path) -> None:
    add(tmp_path, "Training", range(10))
    add(tmp_path, "Validation", range(10, 11))
    data = open_edition(TOY, tmp_path, [])
    assert {side: len(samples) for side, samples in data.splits.items()} == {"train": 9, "val": 1, "test": 1}
    assert data.note == "no test masks here: test is the official validation set, val 10% of training, seed 1"
