"""The table of data sets: what it promises about each, its errors, and that reading it costs no heavy import."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.data import DATASETS, SPLITS, open_dataset
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


def test_a_data_set_without_files_opens_without_a_root() -> None:
    data = open_dataset("synthetic")
    assert data.name == "synthetic"
    assert tuple(data.splits) == SPLITS


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError) as caught:
        open_dataset("isic2018")
    assert str(caught.value) == "unknown data set 'isic2018'; did you mean 'isic2017'? known: ddti, isic2017, synthetic"


@pytest.mark.parametrize("name", [name for name, source in DATASETS.items() if source.needs_root])
class TestOfFiles:
    """Every data set that is read from files."""

    def test_no_root_asks_for_one_and_shows_the_layout(self, name: str) -> None:
        with pytest.raises(
            UserError, match=f"data set '{name}' is read from files and no folder was given; give --data-root"
        ) as caught:
            open_dataset(name)
        assert DATASETS[name].layout.rstrip() in str(caught.value)

    def test_a_root_that_does_not_exist_is_shown_in_full(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UserError, match=f"--data-root {tmp_path}/gone does not exist; for data set '{name}' give"):
            open_dataset(name, Path("gone"))

    def test_a_root_that_is_a_file_is_told(self, name: str, tmp_path: Path) -> None:
        file = tmp_path / "data.zip"
        file.write_bytes(b"")
        with pytest.raises(UserError, match=r"data\.zip is not a folder"):
            open_dataset(name, file)

    def test_an_empty_root_shows_the_layout(self, name: str, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="found there: nothing") as caught:
            open_dataset(name, tmp_path)
        assert DATASETS[name].layout.rstrip() in str(caught.value)


def test_listing_and_opening_import_neither_torch_nor_numpy_nor_pillow() -> None:
    code = "import sys; from bench.data import open_dataset; open_dataset('synthetic').digest; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"torch", "numpy", "PIL"}.isdisjoint(ran.stdout.split())
