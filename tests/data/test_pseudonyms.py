"""Other names: stable, of one patient still one, and nothing of the old ones left."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data import DataSet
from bench.data.pseudonyms import pseudonymous, without_files
from bench.data.sample import Sample, Splits


def sample(name: str, group: str, volume: str = "", value: int = 0) -> Sample:
    return Sample(name, group, lambda: np.full((2, 2, 3), value, np.uint8), lambda: np.zeros((2, 2)), volume=volume)


def made(splits: Splits, **more: object) -> DataSet:
    return DataSet("folder", ("lesion",), splits, patients=True, label="Clinic of Anna", note="Anna, Bob", **more)


def hospital() -> Splits:
    """Four patients, one of them with two volumes of two slices each."""
    slices = [sample(f"anna_{v}_{at}", "anna", f"anna_{v}", 10 * v + at) for v in range(2) for at in range(2)]
    return {
        "train": (*slices, sample("bob_0", "bob", value=50)),
        "val": (sample("carl_0", "carl", value=60),),
        "test": (sample("dora_0", "dora", value=70), sample("dora_1", "dora", value=71)),
    }


def named(data: DataSet) -> list[tuple[str, str, str]]:
    return [(one.id, one.group, one.volume) for part in data.splits.values() for one in part]


def test_patients_images_and_volumes_keep_together_and_in_order() -> None:
    data = made(hospital())
    other = pseudonymous(data)
    anna, bob, carl, dora = (named(other)[at][1] for at in (0, 4, 5, 6))
    assert sorted((anna, bob, carl, dora)) == ["P0001", "P0002", "P0003", "P0004"]
    assert named(other) == [
        (f"{anna}-1", anna, f"{anna}-v1"), (f"{anna}-2", anna, f"{anna}-v1"),
        (f"{anna}-3", anna, f"{anna}-v2"), (f"{anna}-4", anna, f"{anna}-v2"),
        (f"{bob}-1", bob, ""), (f"{carl}-1", carl, ""), (f"{dora}-1", dora, ""), (f"{dora}-2", dora, ""),
    ]  # fmt: skip
    pictures = [[one.image()[0, 0, 0] for part in each.splits.values() for one in part] for each in (data, other)]
    assert pictures[0] == pictures[1]


def test_what_depends_on_the_data_stays_and_no_old_name_is_left() -> None:
    data = made(hospital(), tolerance=3.0, recipe="r", known_twins=frozenset({frozenset({"bob_0", "dora_0"})}))
    other = pseudonymous(data)
    assert other.digest == data.digest == replace(other, fold=1).digest
    assert (other.label, other.tolerance, other.patients, other.recipe) == (f"folder-{data.digest[:6]}", 3.0, True, "r")
    ids = [name for name, _, _ in named(other)]
    assert other.known_twins == {frozenset({ids[4], ids[6]})}
    kept = " ".join([other.note, other.label, *(word for line in named(other) for word in line)]).lower()
    assert not any(name in kept for name in ("anna", "bob", "carl", "dora", "clinic"))


def test_the_same_data_give_the_same_names_and_other_data_others() -> None:
    many = {"train": tuple(sample(f"x{n}", f"patient{n}") for n in range(50))}
    first = named(pseudonymous(made(many)))
    assert first == named(pseudonymous(made(many)))
    assert first != named(pseudonymous(made({**many, "test": (sample("y", "y"),)})))[:50]
    # The numbers do not follow the names.
    assert [group for _, group, _ in first] != sorted(group for _, group, _ in first)


def test_a_data_set_without_a_folder_of_the_user_has_no_label() -> None:
    assert pseudonymous(replace(made(hospital()), label="")).label == ""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("cannot read '/home/anna/scans/P 12.png' (10 bytes)", "cannot read (a file) (10 bytes)"),
        ("no such image: data/anna_3.PNG.png; check", "no such image: (a file) check"),
        ("P12_scan.nii.gz and patients.csv differ", "(a file) and (a file) differ"),
        (r"[Errno 5] C:\scans\anna.tif", "[Errno 5] (a file)"),
        ("loss is nan at step 3", "loss is nan at step 3"),
        ("expected 3 channels, got 1.", "expected 3 channels, got 1."),
    ],
)
def test_messages_lose_their_files_and_nothing_else(text: str, left: str) -> None:
    assert without_files(text) == left


def test_files_stay_so_that_the_images_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    one = replace(sample("a", "a"), mask=lambda: np.zeros((2, 2), np.uint8), files=(tmp_path / "a.png",))
    assert pseudonymous(made({"train": (one,)})).splits["train"][0].files == one.files
