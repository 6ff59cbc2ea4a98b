"""The table of data sets: what it promises about each, its errors, and that reading it costs no heavy import."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from bench.data import DATASETS, SPLITS, Options, inspect_dataset, open_dataset, write_splits
from bench.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_is_sorted_and_its_names_agree() -> None:
    assert list(DATASETS) == sorted(DATASETS)
    for name, source in DATASETS.items():
        assert source.name == name
        assert source.title
        assert source.modality
        assert source.layout
        assert source.published
        assert source.tolerance > 0


def test_published_folds_are_counted_where_one_can_be_chosen() -> None:
    assert {name: source.folds for name, source in DATASETS.items() if "fold" in source.options} == {"tn3k": 5}
    assert not any(source.folds for source in DATASETS.values() if "fold" not in source.options)


def test_a_data_set_without_files_opens_without_a_root() -> None:
    data = open_dataset("synthetic")
    assert data.name == "synthetic"
    assert tuple(data.splits) == SPLITS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        open_dataset("isic2019")
    assert str(caught.value).startswith("unknown data set 'isic2019'; did you mean 'isic201")
    assert str(caught.value).endswith("known: acdc, ddti, folder, isic2017, isic2018, synthetic, tn3k")


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("synthetic", Options(fold=2), "--fold is for tn3k; synthetic takes none, so leave it out"),
        ("tn3k", Options(classes=("a",)), "--classes is for folder; tn3k takes --fold, so leave it out"),
    ],
)
def test_an_option_that_a_data_set_does_not_take_is_refused(name: str, options: Options, told: str) -> None:
    for read in (open_dataset, inspect_dataset):
        with pytest.raises(UserError) as caught:
            read(name, None, options)
        assert str(caught.value) == told


def test_the_tolerance_is_that_of_the_data_set_or_the_one_that_is_given() -> None:
    assert open_dataset("synthetic").tolerance == DATASETS["synthetic"].tolerance == 3
    assert open_dataset("synthetic", options=Options(tolerance=0.0)).tolerance == 0


def test_a_folder_that_would_not_be_read_is_refused(tmp_path: Path) -> None:
    """Else a forgotten --dataset would measure drawn images in the place of one's own."""
    with pytest.raises(UserError, match=r"is not read: 'synthetic' has no files; name the data set that lies there"):
        open_dataset("synthetic", tmp_path)


@pytest.mark.parametrize("given", [-1.0, float("inf"), float("nan")])
def test_a_tolerance_that_is_no_distance_is_refused(given: float) -> None:
    with pytest.raises(UserError, match=rf"--tolerance {given:g} is no distance; give 0 or more, in millimeters"):
        open_dataset("synthetic", options=Options(tolerance=given))


def own(root: Path, count: int) -> Path:
    """A plain folder of tiny images, of whose masks the left half is foreground."""
    for name in ("images", "masks"):
        (root / name).mkdir()
    for number in range(count):
        Image.new("L", (2, 2), number).save(root / "images" / f"{number:02d}.png")
        mask = Image.new("L", (2, 2))
        mask.paste(255, (0, 0, 1, 2))
        mask.save(root / "masks" / f"{number:02d}.png")
    return root


def test_problems_are_three_in_the_error_and_all_in_the_inspection(tmp_path: Path) -> None:
    root = own(tmp_path, 20)
    for number in range(5):
        (root / "masks" / f"{number:02d}.png").unlink()
    with pytest.raises(UserError) as caught:
        open_dataset("folder", root)
    lines = str(caught.value).splitlines()
    assert lines[0] == "data set 'folder' has 5 problems:"
    assert all("has no mask" in line for line in lines[1:4])
    assert lines[4] == f"and 2 more; list them all with: bench data check folder --data-root {root}"
    data, problems = inspect_dataset("folder", root)
    assert len(problems) == 5
    assert sum(len(side) for side in data.splits.values()) == 15


def test_a_split_file_that_is_not_there_is_told_and_nothing_is_drawn_instead(tmp_path: Path) -> None:
    root, typo = own(tmp_path, 10), tmp_path / "spilt.json"
    for read in (open_dataset, inspect_dataset):
        with pytest.raises(UserError, match=r"there is no split file .*/spilt\.json; correct the path, or leave"):
            read("folder", root, Options(split_file=typo))
    assert not typo.exists()


def test_a_split_file_is_applied(tmp_path: Path) -> None:
    root, path = own(tmp_path, 10), tmp_path / "split.json"
    drawn = open_dataset("folder", root)
    write_splits(drawn, path)
    again = open_dataset("folder", root, Options(split_file=path))
    assert {side: [one.id for one in part] for side, part in again.splits.items()} == {
        side: [one.id for one in part] for side, part in drawn.splits.items()
    }
    assert again.note.startswith("split by split.json")
    path.write_text(path.read_text().replace('"03"', '"x"'))
    with pytest.raises(UserError, match=r"split\.json names 1 group that the data set does not have: x;"):
        open_dataset("folder", root, Options(split_file=path))
    assert "split.json names 1 group" in inspect_dataset("folder", root, Options(split_file=path))[1][0]


@pytest.mark.parametrize("name", [name for name, source in DATASETS.items() if source.needs_root])
class TestOfFiles:
    """Every data set that is read from files."""

    def test_no_root_asks_for_one_and_shows_the_layout(self, name: str) -> None:
        with pytest.raises(
            UserError, match=f"data set '{name}' is read from files and no folder was given; give --data-root"
        ) as caught:
            open_dataset(name)
        assert DATASETS[name].layout in str(caught.value)

    def test_a_root_that_does_not_exist_is_shown_in_full(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(
            UserError,
            match=f"data set '{name}' is read from files and --data-root {tmp_path}/gone does not exist; give",
        ):
            open_dataset(name, Path("gone"))

    def test_a_root_that_is_a_file_is_told(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / "data.zip"
        file.write_bytes(b"")
        with pytest.raises(UserError, match=r"data\.zip is not a folder"):
            open_dataset(name, file)

    def test_an_empty_root_shows_the_layout(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="found there: nothing") as caught:
            open_dataset(name, tmp_path)
        assert DATASETS[name].layout in str(caught.value)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [("DATASETS['ddti'].layout", {"torch", "numpy", "PIL"}), ("open_dataset('synthetic').digest", {"torch"})],
    ids=["listing", "opening"],
)
def test_what_need_not_wait_for_heavy_imports(code: str, heavy: set[str]) -> None:
    code = f"import sys; from bench.data import DATASETS, open_dataset; {code}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert heavy.isdisjoint(ran.stdout.split())
