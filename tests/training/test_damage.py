"""What is stored of a training, with any byte changed, cut off, emptied or of another training: refused in one line."""

import json
import os
import random
import shutil
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from toys import SPEC, Killed, blank, discs, job, kill_at, left_in, same, small, task, trained

from bench.errors import UserError
from bench.training import weight_files
from bench.training.checkpoint import load
from bench.training.train import train
from bench.training.weights import load_weights

KEY = job().training_key
OTHER = SPEC.model_copy(update={"learning_rate": 0.01})


def flipped(path, at: int, bit: int = 0) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Folders of a whole training, of one that was killed, and of the same two with other settings."""
    folder = tmp_path_factory.mktemp("stored")
    trained(folder / "whole")
    trained(folder / "other whole", OTHER)
    for name, spec in (("killed", SPEC), ("other killed", OTHER)):
        with pytest.raises(Killed):
            trained(folder / name, spec, kill_at(9))
    return folder


def places(size: int, count: int = 20) -> list[int]:
    """The ends of a file, and places drawn in it."""
    drawn = random.Random(size).sample(range(size), min(size, count))
    return [*range(min(8, size)), *drawn, *range(max(0, size - 140), size, 6)]


def refused(folder) -> str:
    """The one line that says what to delete."""
    with pytest.raises(UserError) as caught:
        load(small(), folder, KEY, SPEC)
    told = str(caught.value)
    assert "delete" in told or "not for" in told
    assert str(folder) in told
    assert "\n" not in told
    return told


@pytest.mark.parametrize(("kind", "name"), [
    ("whole", "weights.safetensors"), ("killed", "last.ckpt"), ("killed", "best.ckpt"),
])  # fmt: skip
def test_a_bit_that_is_flipped_anywhere_is_told(stored, tmp_path, kind, name):
    folder = tmp_path / "folder"
    shutil.copytree(stored / kind, folder)
    content = (folder / name).read_bytes()
    for at in places(len(content)):
        flipped(folder / name, at, at % 8)
        assert name in refused(folder)
        (folder / name).write_bytes(content)


def test_a_card_is_as_it_was_or_refused_whatever_bit_is_flipped(stored, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "whole", folder)
    card, content = load(small(), folder, KEY, SPEC), (folder / "card.json").read_bytes()
    for at in range(0, len(content), 11):
        flipped(folder / "card.json", at, at % 7)
        try:
            assert load(small(), folder, KEY, SPEC) == card
        except UserError:
            refused(folder)
        (folder / "card.json").write_bytes(content)


@pytest.mark.parametrize("length", [0, 1, -1, 0.5])
@pytest.mark.parametrize(("kind", "name"), [
    ("whole", "weights.safetensors"), ("whole", "card.json"), ("killed", "last.ckpt"), ("killed", "best.ckpt"),
])  # fmt: skip
def test_a_file_that_is_cut_off_or_empty_is_told(stored, tmp_path, kind, name, length):
    folder = tmp_path / "folder"
    shutil.copytree(stored / kind, folder)
    content = (folder / name).read_bytes().rstrip() if name == "card.json" else (folder / name).read_bytes()
    (folder / name).write_bytes(content[: int(length * len(content)) if length == 0.5 else length])
    refused(folder)


@pytest.mark.parametrize(("kind", "name"), [
    ("whole", "weights.safetensors"), ("whole", "card.json"), ("killed", "last.ckpt"), ("killed", "best.ckpt"),
])  # fmt: skip
def test_a_file_of_another_training_is_told(stored, tmp_path, kind, name):
    folder = tmp_path / "folder"
    shutil.copytree(stored / kind, folder)
    shutil.copy(stored / f"other {kind}" / name, folder / name)
    refused(folder)


def test_a_checkpoint_without_the_other_is_told_and_a_lone_best_is_written_anew(stored, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "killed", folder)
    (folder / "best.ckpt").unlink()
    assert "best.ckpt" in refused(folder)
    shutil.copytree(stored / "killed", folder, dirs_exist_ok=True)
    (folder / "last.ckpt").unlink()
    (folder / "best.ckpt").write_bytes(b"damaged")
    assert load(small(), folder, KEY, SPEC) is None
    whole, card = trained(tmp_path / "whole")
    again, summary = trained(folder)
    assert same(whole, again)
    assert summary.curve == card.curve


@pytest.mark.parametrize(("one", "other"), [("last.ckpt", "best.ckpt"), ("best.ckpt", "last.ckpt")])
def test_one_checkpoint_in_the_place_of_the_other_is_told(stored, tmp_path, one, other):
    """Where the last is as good as the best, its Dice does not tell them apart, and its weights are others."""
    folder = tmp_path / "folder"
    shutil.copytree(stored / "killed", folder)
    shutil.copy(folder / one, folder / other)
    assert f"it is of {KEY} {one}, not of {KEY} {other}" in refused(folder)


def test_a_training_refuses_what_was_damaged_since_it_was_looked_at(stored, tmp_path):
    for name in ("last.ckpt", "best.ckpt"):
        folder = tmp_path / name
        shutil.copytree(stored / "killed", folder)
        flipped(folder / name, 500)
        with pytest.raises(UserError, match=rf"{name}: it is damaged.*delete {folder} to train anew"):
            trained(folder, val_set=blank(3))


def test_the_last_in_the_place_of_the_best_is_told(stored, tmp_path):
    """Both are of this training: the weights of a step that was not the best must not be reported as the best."""
    with pytest.raises(Killed):
        trained(tmp_path / "one", tell=kill_at(6))
    folder = tmp_path / "two"
    shutil.copytree(stored / "killed", folder)
    curve = torch.load(folder / "last.ckpt", weights_only=True)["callbacks"]["Watch"]["curve"]
    assert curve[0]["val_dice"] < curve[1]["val_dice"]
    shutil.copy(tmp_path / "one" / "best.ckpt", folder / "best.ckpt")
    with pytest.raises(UserError, match=r"best.ckpt: its weights of step 4 are not the best of this training"):
        trained(folder, SPEC.model_copy(update={"steps": 10}), val_set=blank(3))


def test_a_card_without_digests_vouches_for_no_weights(stored, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "whole", folder)
    facts = json.loads((folder / "card.json").read_text())
    del facts["digest"], facts["weights_digest"]
    (folder / "card.json").write_text(json.dumps(facts))
    shutil.copy(stored / "other whole" / "weights.safetensors", folder)
    assert "is of an earlier version" in refused(folder)


def test_lines_of_the_table_that_were_damaged_are_left_out(stored, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "killed", folder)
    (folder / "training.csv").write_bytes(
        b"step,loss,learning_rate,val_dice\n1,0.5,0.1,\nx,1,1,\n2,\xff\xfe,1,\n3,1,1,\n"
    )
    trained(folder)
    steps = [line.split(",")[0] for line in (folder / "training.csv").read_text().splitlines()[1:]]
    assert steps == ["1", "3", "9", "10"]
    assert "weights.safetensors" in left_in(folder)


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")]
)
def test_what_is_no_file_in_the_place_of_the_table_is_written_over(stored, tmp_path, make):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "killed", folder)
    (folder / "training.csv").unlink()
    make(folder / "training.csv")
    trained(folder)
    assert [line.split(",")[0] for line in (folder / "training.csv").read_text().splitlines()] == ["step", "9", "10"]


def test_a_folder_in_the_place_of_the_table_is_told(stored, tmp_path):
    folder = tmp_path / "folder"
    shutil.copytree(stored / "killed", folder)
    (folder / "training.csv").unlink()
    (folder / "training.csv").mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        trained(folder)
    assert caught.value.filename == str(folder / "training.csv")


def test_weights_in_torch_files_that_declare_too_much_or_have_no_end_are_refused(tmp_path):
    network, path = small(), tmp_path / "weights.pt"
    vast = torch.zeros(1).expand(10**9, 10**9)
    torch.save({**network.state_dict(), "layers.0.weight": vast}, path)
    with pytest.raises(UserError, match=r"layers\.0\.weight is \(1000000000, 1000000000\)"):
        load_weights(network, path)
    circle = {}
    circle["model"] = circle
    torch.save(circle, path)
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_weights(network, path)
    torch.save({**network.state_dict(), "a." * 100_000 + "b": torch.zeros(2)}, path)
    with pytest.raises(UserError, match="not the network's"):
        load_weights(network, path)


def pickled(path, content: bytes, is_packed: bool = True):
    """A torch file with this in the place of its pickle."""
    torch.save(small().state_dict(), path, _use_new_zipfile_serialization=is_packed)
    if not is_packed:
        path.write_bytes(path.read_bytes()[:30] + content)
        return path
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, content if name.endswith("data.pkl") else part)
    return path


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_file_for_which_any_memory_would_be_taken_is_not_read(tmp_path, is_packed):
    sized = b"\x80\x02}X\x01\x00\x00\x00acbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x10\x85Rs."  # 64 GiB
    path = pickled(tmp_path / "weights.pt", sized, is_packed)
    with pytest.raises(UserError, match=r"cannot be read as weights \(.*\); copy it anew"):
        load_weights(small(), path)


def test_a_pickle_that_would_never_end_is_refused(tmp_path, monkeypatch):
    """Its key is a tuple of two tuples of two tuples of ..., whose hash takes 2**60 steps."""
    monkeypatch.setattr(weight_files, "LEAST_S", 0.2)
    steps = (bytes([*b"h", at, *b"h", at, *b"\x86q", at + 1]) for at in range(60))
    path = pickled(tmp_path / "weights.pt", b"\x80\x02)q\x00" + b"".join(steps) + bytes([*b"}h", 60, *b"K\x01s."]))
    with pytest.raises(UserError, match="it takes too long, as no state dict does"):
        load_weights(small(), path)


def test_a_damaged_pickle_is_told_without_the_advice_to_run_it(tmp_path):
    with pytest.raises(UserError, match=r"cannot be read as weights \([^)]+\); copy it anew") as told:
        load_weights(small(), pickled(tmp_path / "weights.pt", b"\x80\x02}}0."))
    assert "arbitrary code" not in str(told.value)


def test_a_list_of_more_tensors_than_a_network_has_is_not_read(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({f"{at}": torch.zeros(1) for at in range(10)}, path)
    content = path.read_bytes()
    listed = int.from_bytes(content[:8], "little")
    more = (listed + (5 << 20)).to_bytes(8, "little")
    path.write_bytes(more + content[8 : 8 + listed] + b" " * (5 << 20) + content[8 + listed :])
    with pytest.raises(UserError, match=r"its list of tensors has 5\.0 MiB, and at most 4\.0 MiB are read"):
        load_weights(small(), path)


def test_tensors_that_are_none_to_copy_and_names_that_are_none_to_print_are_one_line(tmp_path):
    network, path = small(), tmp_path / "weights.pt"
    nested = torch.nested.nested_tensor([torch.zeros(3), torch.zeros(4)])
    for odd in ({"layers.0.weight": nested}, {"a\nb\x1b[31m": torch.zeros(1)}):
        torch.save({**network.state_dict(), **odd}, path)
        with pytest.raises(UserError) as told:
            load_weights(network, path)
        assert f"{told.value}".isprintable()


def test_no_image_to_train_or_validate_on_is_told_before_anything_is_trained(tmp_path):
    for sides, named in (((discs(6), blank(0)), "val"), ((blank(0), discs(3)), "train")):
        with pytest.raises(UserError, match=f"the side {named} of the split is empty"):
            train(small(), task(job(), tmp_path), *sides, lambda event: None)
    assert left_in(tmp_path) == set()
