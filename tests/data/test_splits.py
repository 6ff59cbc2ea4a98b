"""Splits that are written down: the same when read back, and every way a split file can be wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.sample import DataSet, Sample, Tally, apply_kept, apply_splits, draw_splits, keep_apart, write_splits
from bench.errors import UserError


def sample(name: str, group: str = "") -> Sample:
    return Sample(name, group or name, lambda: np.zeros((2, 2, 3)), lambda: np.zeros((2, 2)))


@pytest.fixture
def data() -> DataSet:
    samples = [sample(f"{case}_{number}", case) for case in "abcdefghij" for number in range(2)]
    return DataSet("toy", ("lesion",), draw_splits(samples, 7), note="drawn with seed 7", recipe="r")


@pytest.fixture
def path(tmp_path: Path, data: DataSet) -> Path:
    write_splits(data, tmp_path / "splits" / "toy.json")
    return tmp_path / "splits" / "toy.json"


def rewrite(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_written_and_read_back_it_is_the_same_data_set(data: DataSet, path: Path) -> None:
    again = apply_splits(data, path)
    assert again.splits == data.splits
    assert again.digest == data.digest
    assert again.note == "split by toy.json, which is: drawn with seed 7"
    assert [entry.name for entry in path.parent.iterdir()] == ["toy.json"]
    written = json.loads(path.read_text())
    assert (written["dataset"], written["note"]) == ("toy", "drawn with seed 7")
    assert all(groups == sorted(set(groups)) for groups in written["splits"].values())


def test_all_samples_follow_the_file(data: DataSet, path: Path) -> None:
    rewrite(path, splits={"train": list("cdefghij"), "val": ["a"], "test": ["b"]})
    again = apply_splits(data, path)
    assert [found.id for found in again.splits["test"]] == ["b_0", "b_1"]
    assert sum(len(side) for side in again.splits.values()) == 20
    assert again.digest != data.digest
    assert again.note == "split by toy.json instead of: drawn with seed 7"
    assert again.differs == ""


def test_a_split_that_was_kept_is_as_it_was_written_or_as_it_is_drawn(data: DataSet, path: Path) -> None:
    other = replace(data, splits=draw_splits([one for part in data.splits.values() for one in part], 8))
    drawn = {one.id for one in data.splits["test"]}
    assert {one.id for one in apply_kept(other, path).splits["test"]} == drawn
    rewrite(path, digest="")
    assert {one.id for one in apply_kept(data, path).splits["test"]} == drawn
    with pytest.raises(
        UserError, match=r"split file .*toy\.json was edited after the split was drawn, or is damaged; to"
    ):
        apply_kept(other, path)


def test_other_sides_than_the_published_ones_are_told(data: DataSet, path: Path) -> None:
    published = replace(data, drawn=False, tallies=(Tally("images", 20, 20),))
    assert apply_splits(published, path).differs == ""
    rewrite(path, splits={"train": list("cdefghij"), "val": ["a"], "test": ["b"]})
    assert apply_splits(published, path).differs == "the sides of a split file instead of the published ones"
    assert apply_splits(replace(published, drawn=True), path).differs == ""


@pytest.mark.parametrize(
    ("sides", "told"),
    [
        ((list("cdefghij"), ["a"], ["b", "zz"]), "names 1 group that the data set does not have: zz;"),
        ((list("fghij"), ["a"], []), "leaves out 4 groups of the data set: b, c, d and 1 more;"),
        ((list("cdefghij"), ["a", "c"], ["b"]), "names 1 group more than once: c;"),
        ((list("cdefghij"), ["a", "a"], ["b"]), "names 1 group more than once: a;"),
        ((list("cdefghij"), ["a"], [7]), "does not hold"),
        ((list("cdefghij"), ["a"], "b"), "does not hold"),
    ],
)
def test_groups_that_do_not_fit_are_named(data: DataSet, path: Path, sides: tuple[object, ...], told: str) -> None:
    rewrite(path, splits=dict(zip(("train", "val", "test"), sides, strict=True)))
    with pytest.raises(UserError) as caught:
        apply_splits(data, path)
    assert f"split file {path} {told}" in str(caught.value)


@pytest.mark.parametrize("text", ["", '{"dataset": "toy", "spl', "\udcff", "[" * 100_000])
def test_a_damaged_file_is_named(data: DataSet, path: Path, text: str) -> None:
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(UserError, match=r"cannot read the split file .*toy\.json"):
        apply_splits(data, path)


@pytest.mark.parametrize("text", ["[]", "7", "{}", '{"splits": {"train": []}}'])
def test_another_json_is_told(data: DataSet, path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(UserError, match=r"toy\.json does not hold \{\"splits\""):
        apply_splits(data, path)


def test_a_file_of_another_data_set_is_refused(data: DataSet, path: Path) -> None:
    rewrite(path, dataset="ddti")
    with pytest.raises(UserError, match=r"toy\.json is of data set 'ddti', and 'toy' was opened"):
        apply_splits(data, path)


def test_an_unknown_side_is_refused(data: DataSet, path: Path) -> None:
    rewrite(path, splits={**json.loads(path.read_text())["splits"], "spare": []})
    with pytest.raises(UserError, match="has a side 'spare'; allowed are train, val, test"):
        apply_splits(data, path)


def test_a_place_that_cannot_be_written_is_told(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the split file .*file/toy\.json"):
        write_splits(data, tmp_path / "file" / "toy.json")


def test_a_group_on_two_sides_is_a_problem_and_left_out() -> None:
    problems: list[str] = []
    splits = {"train": (sample("a_1", "a"), sample("b")), "val": (sample("c"),), "test": (sample("a_2", "a"),)}
    kept = keep_apart("TOY", splits, problems)
    assert {side: [found.id for found in samples] for side, samples in kept.items()} == {
        "train": ["b"], "val": ["c"], "test": []
    }  # fmt: skip
    assert len(problems) == 1
    assert problems[0].startswith("TOY: 'a' is in train (a_1) and test (a_2); a patient, case or image must stay")


def groups(names: list[str], seed: int, test: list[Sample] | None = None) -> dict[str, set[str]]:
    drawn = draw_splits([sample(name) for name in names], seed, test)
    return {side: {found.group for found in samples} for side, samples in drawn.items()}


def test_a_draw_depends_on_nothing_but_the_groups_and_the_seed() -> None:
    names = [f"case{number}" for number in range(50)]
    drawn = groups(names, 7)
    assert {side: len(found) for side, found in drawn.items()} == {"train": 35, "val": 5, "test": 10}
    assert drawn == groups([*reversed(names), *names], 7)
    assert drawn != groups(names, 8)


def test_a_draw_is_the_same_on_every_machine() -> None:
    # Written out: a change of these would silently move images between the splits of every stored result.
    drawn = groups(list("abcdefghij"), 1)
    assert (drawn["test"], drawn["val"]) == ({"d", "i"}, {"g"})


def test_a_test_of_its_own_is_kept_and_only_val_is_drawn() -> None:
    drawn = groups(list("abcdefghij"), 1, [sample("x")])
    assert drawn["test"] == {"x"}
    assert len(drawn["val"]) == 1
    assert drawn["val"] | drawn["train"] == set("abcdefghij")


@pytest.mark.parametrize(
    ("count", "expected"),
    [(5, [3, 1, 1]), (6, [4, 1, 1]), (7, [5, 1, 1]), (8, [5, 1, 2]), (9, [6, 1, 2]), (10, [7, 1, 2]), (14, [10, 1, 3])],
)
def test_from_five_groups_on_each_side_has_one(count: int, expected: list[int]) -> None:
    drawn = groups([str(number) for number in range(count)], 1)
    assert [len(drawn[side]) for side in ("train", "val", "test")] == expected


def test_from_five_groups_on_val_has_one_beside_a_test_of_its_own() -> None:
    for count in range(5, 15):
        assert len(groups([str(number) for number in range(count)], 1, [sample("x")])["val"]) == 1


def test_the_plain_form_of_papers_is_taken(data: DataSet, path: Path) -> None:
    path.write_text(json.dumps({"train": list("cdefghij"), "val": ["a"], "test": ["b"]}))
    again = apply_splits(data, path)
    assert [found.id for found in again.splits["val"]] == ["a_0", "a_1"]


def test_groups_may_be_named_by_their_images(path: Path) -> None:
    samples = [replace(sample(f"Mü{number}"), files=(Path(f"Mü{number}.png"),)) for number in range(3)]
    data = DataSet("toy", ("lesion",), {"train": tuple(samples), "val": (), "test": ()})
    path.write_text(json.dumps({"train": ["Mu\u03080.png"], "val": ["Mü1.png"], "test": ["Mü2"]}))
    again = apply_splits(data, path)
    assert [[one.id for one in again.splits[side]] for side in ("train", "val", "test")] == [["Mü0"], ["Mü1"], ["Mü2"]]
    whole = [replace(one, group="p") for one in samples]
    path.write_text(json.dumps({"train": ["Mü0.png", "Mü1.png"], "val": [], "test": ["Mü2"]}))
    with pytest.raises(UserError, match="has images of 1 group on two sides: p;"):
        apply_splits(DataSet("toy", ("lesion",), {"train": tuple(whole), "val": (), "test": ()}), path)


@pytest.mark.parametrize("empty", ["train", "val", "test"])
def test_an_empty_side_is_refused_with_the_numbers_of_all(tmp_path, empty):
    sides = {"train": "a", "val": "b", "test": "c"}
    data = DataSet("toy", ("lesion",), {side: (sample(name, name),) for side, name in sides.items()})
    groups = {side: [] if side == empty else [name] for side, name in sides.items()}
    other = "train" if empty != "train" else "val"
    groups[other] += [sides[empty]]
    path = tmp_path / "split.json"
    path.write_text(json.dumps(groups))
    told = rf"split\.json leaves no image on the side {empty} \(train \d, val \d, test \d\)"
    with pytest.raises(UserError, match=told):
        apply_splits(data, path)
    assert not apply_splits(data, path, needed=()).splits[empty]
