"""Dice from a process of its own: trained, loaded, resumed, on two processes, of somebody's own weights."""

import shutil
import signal

import numpy as np
import pytest
import torch
from orders import LINUX, changed, ignored, kill_children, order
from PIL import Image
from safetensors.torch import load_file, save_file

from bench.errors import UserError
from bench.run.store import Store
from bench.run.worker import Order, run
from bench.training.checkpoint import TrainingSummary, mean_dice
from bench.training.weights import weights_digest


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """An order that was carried out, its record and what was heard meanwhile."""
    asked, events = order(tmp_path_factory.mktemp("trained"), "mdsa_unet", "dice"), []
    return asked, run(asked, events.append), events


def elsewhere(asked: Order, folder) -> Order:
    """The same order in a copy of its folder."""
    return asked.model_copy(update={"out": shutil.copytree(asked.out, folder / "copy")})


def scored(record) -> dict[str, float]:
    return {image.id: image.dice for image in record.result.images}


def test_a_job_leaves_a_record_and_tells_what_it_does(trained):
    asked, record, events = trained
    assert record.status == "ok"
    assert Store(asked.out).find(asked.job) == record
    assert [event["step"] for event in events if "step" in event] == [1, 2, 3, 4]
    assert len(record.result.images) == 6
    assert [point.step for point in record.result.curve] == [2, 4]
    assert "MALLOC_TRIM_THRESHOLD_" in record.environment.variables
    assert not record.result.loaded


def test_the_card_knows_the_test_dice(trained):
    asked, record, _ = trained
    path = asked.out / "checkpoints" / asked.job.training_key / "card.json"
    assert TrainingSummary.model_validate_json(path.read_text()).test_dice == mean_dice(record.result, "per_image")


def test_a_checkpoint_serves_another_scoring_of_the_same_training(trained, tmp_path):
    asked, record, _ = trained
    loaded = run(changed(elsewhere(asked, tmp_path), test_images=3), ignored)
    assert loaded.result.loaded
    assert scored(loaded) == pytest.approx({name: scored(record)[name] for name in scored(loaded)}, nan_ok=True)


def test_a_checkpoint_of_another_shape_stops_the_run_in_words(trained, tmp_path):
    asked = changed(elsewhere(trained[0], tmp_path), test_images=2)
    weights = next(asked.out.glob("checkpoints/*/weights.safetensors"))
    tensors = load_file(weights)
    save_file({**tensors, "head.bias": tensors["head.bias"].repeat(4)}, weights)
    with pytest.raises(UserError, match=r"head.bias is \(4,\), the network's is \(1,\).*delete"):
        run(asked, ignored)
    assert Store(asked.out).find(asked.job) is None


def test_somebodys_own_weights_are_scored_without_a_training(trained, tmp_path):
    asked, record, _ = trained
    path = tmp_path / "mine.pt"
    tensors = load_file(next(asked.out.glob("checkpoints/*/weights.safetensors")))
    torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    mine = changed(
        asked.model_copy(update={"out": tmp_path, "weights": path}), train=None, weights=weights_digest(path)
    )
    events = []
    found = run(mine, events.append)
    assert scored(found) == pytest.approx(scored(record), nan_ok=True)
    assert (found.result.loaded, found.result.weights_file, found.result.curve) == (True, "mine.pt", ())
    assert not any("step" in event for event in events)
    assert not (tmp_path / "checkpoints").exists()

    torch.save({name: tensor for name, tensor in tensors.items() if name != "head.bias"}, path)
    with pytest.raises(UserError, match=r"mine\.pt changed while the run was under way"):
        run(mine, ignored)
    with pytest.raises(UserError, match=r"mine\.pt does not fit the network: head\.bias is missing; give weights"):
        run(changed(mine, weights=weights_digest(path)), ignored)


@pytest.mark.slow
@LINUX
def test_a_training_whose_process_is_killed_goes_on_and_ends_as_an_unbroken_one(trained, tmp_path):
    """Its first process and its last are not the unbroken one's: so the seed alone decides, not the process."""
    killed = trained[0].model_copy(update={"out": tmp_path})

    def kill_at_step_3(event):
        if event.get("step") == 3:
            kill_children(signal.SIGKILL)

    assert run(killed, kill_at_step_3).status == "out_of_memory"
    again = []
    resumed = run(killed, again.append)
    assert [event["step"] for event in again if "step" in event] == [3, 4]
    assert resumed.result.images == trained[1].result.images
    assert resumed.result.curve == trained[1].result.curve


@pytest.mark.slow
def test_another_seed_gives_another_dice(trained, tmp_path):
    record = run(order(tmp_path, "mdsa_unet", "dice", seed=1), ignored)
    assert scored(record) != pytest.approx(scored(trained[1]), abs=1e-6, nan_ok=True)


def discs(root):
    """A folder of bright discs on noise, already split: 12 to train on, 4 to check, 8 to test."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    for split, count in {"train": 12, "val": 4, "test": 8}.items():
        for kind in ("images", "masks"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            row, column = generator.uniform(14, 50, 2)
            disc = (y - row) ** 2 + (x - column) ** 2 < 144
            image = generator.integers(0, 60, (64, 64, 3)) + 150 * disc[..., None]
            Image.fromarray(image.astype(np.uint8)).save(root / split / "images" / f"{split}{number}.png")
            Image.fromarray(disc).save(root / split / "masks" / f"{split}{number}.png")
    return root


@pytest.mark.slow
def test_two_processes_come_to_the_dice_of_one(tmp_path):
    root = discs(tmp_path / "discs")
    training = {"steps": 40, "leg": 20, "batch": 4, "learning_rate": 2e-3, "precision": "float32"}
    training |= {"train_images": None, "val_images": None}
    one, two = (
        order(tmp_path / str(devices), "mdsa_unet", "dice", root=root, data="folder", devices=devices, **training)
        for devices in (1, 2)
    )
    dice = [np.mean(list(scored(run(changed(asked, test_images=None), ignored)).values())) for asked in (one, two)]
    assert min(dice) > 0.9
    assert dice[0] == pytest.approx(dice[1], abs=0.01)
    written = [sum(path.is_file() for path in asked.out.rglob("*")) for asked in (one, two)]
    assert written[0] == written[1]


def test_an_unreadable_image_stops_the_run_and_names_the_file(tmp_path):
    root = tmp_path / "isic"
    for part in ("Training", "Validation"):
        images, masks = root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"
        images.mkdir(parents=True)
        masks.mkdir()
        for n in range(12):
            Image.new("RGB", (40, 40), (n, 90, 90)).save(images / f"ISIC_{part}{n}.jpg")
            Image.new("L", (40, 40), 255).save(masks / f"ISIC_{part}{n}_segmentation.png")
    for image in (root / "ISIC-2017_Training_Data").iterdir():
        image.write_bytes(image.read_bytes()[:200])
    asked = order(tmp_path / "out", "mdsa_unet", "dice", root=root, data="isic2017")
    with pytest.raises(UserError, match=r"cannot read the image .*ISIC_Training\d+\.jpg"):
        run(asked, ignored)
    assert Store(tmp_path / "out").find(asked.job) is None
