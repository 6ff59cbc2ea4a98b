"""The quantity Dice: trained in a process of its own, resumed, on two processes, and of somebody's own weights."""

import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from orders import LINUX, changed, ignored, kill_children, order, tiny
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn.modules.module import register_module_forward_pre_hook

from bench.data import DataAt, Options, open_dataset
from bench.data.sample import Tally
from bench.errors import UserError
from bench.quantities.budget import find_budget
from bench.run.dice import dice
from bench.run.plan import plan
from bench.run.predictions import Predictions, path_of
from bench.run.store import Store
from bench.run.study import Study
from bench.run.worker import Order, StopRun, Work, run
from bench.training.weights import weights_digest


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, network):
    """An order that was carried out, its record and what was heard meanwhile."""
    asked, events = order(tmp_path_factory.mktemp("trained"), network, "dice"), []
    return asked, run(asked, events.append), events


@pytest.fixture(autouse=True)
def switches():
    """A worker may leave these as it likes; this process may not."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


HEADSTRONG = """
import torch
from torch import nn


class Net(nn.Conv2d):
    def __init__(self, in_channels, classes):
        super().__init__(in_channels, classes, 3, padding=1)
        torch.backends.cudnn.conv.fp32_precision = "tf32"
        torch.set_float32_matmul_precision("medium")
        torch.backends.cudnn.benchmark = True
        torch.set_num_threads(2)
"""


def test_training_and_scoring_set_the_switches_of_all_measures_whatever_the_network_set(tmp_path, monkeypatch):
    (tmp_path / "headstrong.py").write_text(HEADSTRONG)
    build, seen = Work.build, set()

    def built(work, seed):
        network = build(work, seed)
        seen.clear()  # what building tries out with the network
        return network

    monkeypatch.setattr(Work, "build", built)

    def look(module, args):
        backends = torch.backends
        precisions = backends.cudnn.conv.fp32_precision, backends.cuda.matmul.fp32_precision
        seen.add((module.training, torch.get_num_threads(), *precisions, backends.cudnn.benchmark))

    watch = register_module_forward_pre_hook(look)
    try:
        here(order(tmp_path, f"{tmp_path / 'headstrong.py'}:Net", "dice"))
    finally:
        watch.remove()
    assert seen == {(training, 1, "ieee", "ieee", False) for training in (False, True)}


TWO_MAPS = """
from torch import nn


class Net(nn.Conv2d):
    def __init__(self, in_channels, num_classes, right=0):
        super().__init__(in_channels, num_classes, 1)
        self.right = right

    def forward(self, x):
        right = super().forward(x) + 3  # all is foreground to begin with
        return (right, right - 100)[:: -1 if self.right else 1]
"""


@pytest.mark.parametrize("right", [0, 1])
def test_of_equal_maps_the_best_on_val_is_scored(tmp_path, right):
    (tmp_path / "two.py").write_text(TWO_MAPS)
    asked = order(tmp_path, f"{tmp_path / 'two.py'}:Net?right={right}", "dice")
    trained, loaded = here(asked), here(asked)
    said = f"output[{right}] (1, 64, 64), of 2 equal maps"
    assert max(point.val_dice for point in trained.curve) > 0
    assert max(scored(trained).values()) > 0
    assert (trained.predicted_map, loaded.predicted_map, loaded.loaded) == (said, said, True)
    assert scored(loaded) == pytest.approx(scored(trained), nan_ok=True)

    own = {"weight": torch.zeros(1, 3, 1, 1), "bias": torch.zeros(1)}
    for tensors in (own, load_file(next(tmp_path.glob("checkpoints/*/weights.safetensors")))):
        save_file(tensors, tmp_path / "w.safetensors")
        weights = {"train": None, "weights": weights_digest(tmp_path / "w.safetensors")}
        found = here(changed(asked.model_copy(update={"weights": tmp_path / "w.safetensors"}), **weights))
        assert found.predicted_map == said
        assert max(scored(found).values()) > 0


def here(asked: Order, tell=ignored):
    """The scores of an order that is carried out in this process."""
    return dice(Work(asked, tell))


def elsewhere(asked: Order, folder) -> Order:
    """The same order in a copy of its folder."""
    return asked.model_copy(update={"out": shutil.copytree(asked.out, folder / "copy")})


def scored(scores) -> dict[str, float]:
    return {image.id: image.dice for image in scores.images}


def test_a_job_leaves_a_record_and_tells_what_it_does(trained):
    asked, record, events = trained
    assert record.status == "ok"
    assert Store(asked.out).find(asked.job) == record
    assert [event["step"] for event in events if "step" in event] == [1, 2, 3, 4]
    doing = list(dict.fromkeys(event["doing"] for event in events if "of" in event))
    checks = ["step 2/4, checking", "step 4/4, checking"]
    assert doing == ["reading train", "reading val", *checks, "reading test", "scoring"]
    assert len(record.result.images) == 6
    assert [point.step for point in record.result.curve] == [2, 4]
    assert "MALLOC_TRIM_THRESHOLD_" in record.machine.variables
    assert not record.result.loaded
    assert 0 < record.window_s < record.wall_s


def test_each_line_names_its_patient_and_has_counts_on_two_grids(trained):
    _, record, _ = trained
    scores = record.result
    assert (scores.patients, scores.data_name, scores.differs) == ("named", "", "")
    for image in scores.images:
        assert image.patient == image.id
        assert (image.own_tp + image.own_fn) / 256**2 == pytest.approx((image.tp + image.fn) / 64**2, rel=0.05)
        assert 2 * image.own_tp / (2 * image.own_tp + image.own_fp + image.own_fn) == image.score("dice_own")
        assert 0 <= image.score("nsd") <= 1


def test_a_tolerance_gives_the_normalized_surface_dice_and_trains_nothing(trained, tmp_path):
    found = here(changed(elsewhere(trained[0], tmp_path), tolerance=1e3))
    assert found.loaded
    assert [image.score("nsd") for image in found.images] == [1.0] * 6


def test_patients_counts_and_the_folders_name_are_those_of_the_data_set(trained, tmp_path, monkeypatch):
    def opened(*arguments):
        data = open_dataset(*arguments)
        samples = tuple(replace(sample, group=f"patient {n // 2}") for n, sample in enumerate(data.splits["test"]))
        more = {"patients": True, "label": "my images", "tallies": (Tally("images", 520, 600),)}
        return replace(data, splits={**data.splits, "test": samples}, **more)

    monkeypatch.setattr("bench.data.DataAt.open", lambda at, needed: opened(at.name, at.root))
    data = opened("synthetic", None)
    found = here(changed(elsewhere(trained[0], tmp_path), data=data.digest))
    assert (found.patients, found.data_name, found.differs) == ("named", "my images", "520 images instead of 600")
    assert {image.id: image.patient for image in found.images}.items() <= {
        s.id: s.group for s in data.splits["test"]
    }.items()


def test_with_pseudonyms_a_record_names_neither_patients_nor_files(trained, tmp_path):
    asked, record, _ = trained
    path = tmp_path / "of mrs. smith.safetensors"
    shutil.copy(next(asked.out.glob("checkpoints/*/weights.safetensors")), path)
    hidden = {"train": None, "weights": weights_digest(path), "pseudonyms": True}
    found = here(changed(asked.model_copy(update={"out": tmp_path, "weights": path}), **hidden))
    assert found.weights_file == f"weights-{weights_digest(path)}"
    assert "smith" not in found.model_dump_json()
    assert list(scored(found).values()) == pytest.approx(list(scored(record.result).values()), nan_ok=True)
    names = {name for image in record.result.images for name in (image.id, image.patient)}
    assert names.isdisjoint(name for image in found.images for name in (image.id, image.patient))
    again = here(changed(asked.model_copy(update={"out": tmp_path, "weights": path}), **hidden))
    assert [image.id for image in again.images] == [image.id for image in found.images]


def test_the_summary_of_a_training_knows_the_test_dice(trained):
    asked, record, _ = trained
    path = asked.out / "checkpoints" / asked.job.training_key / "card.json"
    mean = np.nanmean(list(scored(record.result).values()))
    assert json.loads(path.read_text())["test_dice"] == pytest.approx(mean)


def test_a_checkpoint_serves_another_scoring_of_the_same_training(trained, tmp_path):
    asked, record, _ = trained
    loaded = here(changed(elsewhere(asked, tmp_path), test_images=3))
    assert loaded.loaded
    assert loaded.curve == record.result.curve
    before = scored(record.result)
    assert scored(loaded) == pytest.approx({name: before[name] for name in scored(loaded)}, nan_ok=True)


def test_weights_that_are_not_what_their_card_says_stop_the_run_in_words(trained, tmp_path):
    asked = changed(elsewhere(trained[0], tmp_path), test_images=2)
    weights = next(asked.out.glob("checkpoints/*/weights.safetensors"))
    tensors = load_file(weights)
    save_file({**tensors, "head.bias": tensors["head.bias"].repeat(4)}, weights)
    with pytest.raises(
        StopRun, match=f"{weights} is damaged, or of another training: .* delete {weights.parent} to train anew"
    ):
        here(asked)


def test_somebodys_own_weights_are_scored_without_a_training(trained, tmp_path):
    asked, record, _ = trained
    path = tmp_path / "mine.pt"
    tensors = load_file(next(asked.out.glob("checkpoints/*/weights.safetensors")))
    torch.save({"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path)
    mine = changed(
        asked.model_copy(update={"out": tmp_path, "weights": path}), train=None, weights=weights_digest(path)
    )
    events = []
    found = here(mine, events.append)
    assert scored(found) == pytest.approx(scored(record.result), nan_ok=True)
    assert (found.loaded, found.weights_file, found.curve) == (True, "mine.pt", ())
    assert not any("step" in event for event in events)
    assert not (tmp_path / "checkpoints").exists()

    torch.save({name: tensor for name, tensor in tensors.items() if name != "head.bias"}, path)
    with pytest.raises(StopRun, match=r"mine\.pt changed while the run was under way"):
        here(mine)
    with pytest.raises(StopRun, match=r"mine\.pt does not fit the network: head\.bias is missing; give weights"):
        here(changed(mine, weights=weights_digest(path)))


def test_another_seed_gives_another_dice(trained, network, tmp_path):
    assert scored(here(order(tmp_path, network, "dice", seed=1))) != pytest.approx(
        scored(trained[1].result), abs=1e-6, nan_ok=True
    )


@pytest.mark.slow
@LINUX
def test_a_training_whose_process_is_killed_goes_on_and_ends_as_an_unbroken_one(trained, tmp_path):
    """Its first process and its last are not the unbroken one's: so the seed alone decides, not the process."""
    killed = trained[0].model_copy(update={"out": tmp_path})

    def kill_at_step_3(event):
        if event.get("step") == 3:
            kill_children(signal.SIGKILL)

    record = run(killed, kill_at_step_3)
    assert (record.status, record.result) == ("out_of_memory", None)
    assert "killed by SIGKILL, probably because the system ran out of memory" in record.error
    assert Store(tmp_path).find(killed.job) == record
    again = []
    resumed = here(killed, again.append)
    assert [event["step"] for event in again if "step" in event] == [3, 4]
    assert resumed.images == trained[1].result.images
    assert resumed.curve == trained[1].result.curve


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


@pytest.mark.parametrize(("side", "told"), [("train", "nothing to learn"), ("val", "no checkpoint can be told")])
def test_a_side_without_a_target_says_nothing_of_any_network(tmp_path, network, side, told):
    root = discs(tmp_path / "discs")
    for path in (root / side / "masks").iterdir():
        Image.new("L", (64, 64)).save(path)
    with pytest.raises(StopRun, match=f"of {side} that are used has a target at 64 pixels a side, so .*{told}"):
        here(order(tmp_path / "out", network, "dice", root=root, data="folder"))
    assert not [*(tmp_path / "out").glob("checkpoints/*/*.ckpt")]


@pytest.mark.slow
def test_two_processes_come_to_the_dice_of_one(tmp_path, network):
    root = discs(tmp_path / "discs")
    training = {"steps": 40, "checkpoint_interval": 20, "batch": 4, "learning_rate": 2e-2, "precision": "float32"}
    training |= {"train_images": None, "val_images": None}
    one, two = (
        changed(
            order(tmp_path / str(devices), network, "dice", root=root, data="folder", devices=devices, **training),
            test_images=None,
        )
        for devices in (1, 2)
    )
    dice = [np.mean(list(scored(scores).values())) for scores in (here(one), run(two, ignored).result)]
    assert min(dice) > 0.9
    assert dice[0] == pytest.approx(dice[1], abs=0.01)
    left = [{path.name for path in asked.out.glob("checkpoints/*/*")} for asked in (one, two)]
    assert left[0] == left[1]


def test_an_unreadable_image_stops_the_run_and_names_the_file(tmp_path, network):
    root = tmp_path / "isic"
    for part in ("Training", "Validation"):
        images, masks = root / f"ISIC-2017_{part}_Data", root / f"ISIC-2017_{part}_Part1_GroundTruth"
        images.mkdir(parents=True)
        masks.mkdir()
        for n in range(12):
            Image.new("RGB", (40, 40), (n, 90, 90)).save(images / f"ISIC_{part}{n}.jpg")
            Image.new("L", (40, 40), 255).save(masks / f"ISIC_{part}{n}_segmentation.png")
    asked = order(tmp_path / "out", network, "dice", root=root, data="isic2017")
    for image in (root / "ISIC-2017_Training_Data").iterdir():
        image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(StopRun, match=r"cannot read the image .*ISIC_Training\d+\.jpg"):
        here(asked)
    with pytest.raises(UserError, match=r"cannot read the image .*ISIC_Training\d+\.jpg"):  # and starts no other
        order(tmp_path / "out", network, "dice", root=root, data="isic2017")


def test_data_that_changed_since_the_plan_stop_the_run(network, tmp_path):
    asked = changed(order(tmp_path, network, "dice"), data="1" * 12)
    with pytest.raises(StopRun, match="synthetic changed while the run was under way; start the run again"):
        here(asked)


@pytest.fixture
def clinic(tmp_path):
    """Ten patients with two images each."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "AnnasClinic" / kind).mkdir(parents=True)
    for name in (f"smith{patient}_{n}" for patient in range(10) for n in range(2)):
        mask = np.zeros((40, 40), np.uint8)
        mask[10:20, 10:30] = 255
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / f"AnnasClinic/images/{name}.png")
        Image.fromarray(mask).save(tmp_path / f"AnnasClinic/masks/{name}.png")
    return tmp_path / "AnnasClinic"


def test_scores_with_pseudonyms_are_the_same_and_name_no_patient_and_no_file(network, clinic, tmp_path):
    options, found, jobs = Options(patient=r"(smith\d+)_", tolerance=2.5), {}, {}
    for hidden in (False, True):
        study = Study((network,), ("dice",), find_budget("smoke"), (DataAt("folder", clinic, options),), "cpu", size=32)
        planned = plan(replace(study, pseudonyms=hidden))
        jobs[hidden] = next(job for job in planned.jobs if job.spec.quantity == "dice")
        found[hidden] = here(
            Order(job=jobs[hidden], out=tmp_path, data=planned.data_of(jobs[hidden]), device="cpu", threads=1)
        )
    assert (jobs[False].spec.data, 2.5) == (jobs[True].spec.data, jobs[True].spec.tolerance)
    assert found[True].loaded, "names change no training"
    assert [one.dice for one in found[True].images] == [one.dice for one in found[False].images]
    words = [found[hidden].model_dump_json().lower() for hidden in (False, True)]
    assert [[name in text for name in ("smith", "annasclinic")] for text in words] == [[True, True], [False, False]]
    patients = {(one.patient, other.patient) for one, other in zip(*(found[key].images for key in found), strict=True)}
    assert len(patients) == len({one.patient for one in found[False].images}) == 2
    assert all(image.id.startswith(f"{image.patient}-") for image in found[True].images)
    assert (found[True].patients, found[True].data_name) == ("named", f"folder-{jobs[True].spec.data[:6]}")
    kept = Predictions.load(path_of(tmp_path, jobs[True].key, found[True].predictions))
    assert set(kept.ids) == {image.id for image in found[True].images}
    assert "smith" not in kept.cache


def test_weights_trained_on_one_data_set_are_scored_on_another(clinic, network, tmp_path):
    options, home = Options(patient=r"(smith\d+)_"), DataAt("synthetic")
    other = DataAt("folder", clinic, options)
    planned = plan(Study((network,), ("dice",), find_budget("smoke"), (home,), "cpu", (other,), size=32))
    own, other = (job for job in planned.jobs if job.spec.quantity == "dice")
    orders = [
        Order(job=job, out=tmp_path, data=planned.data_of(job), home=planned.home_of(job), device="cpu", threads=1)
        for job in (other, own, other)
    ]
    first, trained, again = map(here, orders)
    assert (first.loaded, trained.loaded, again.loaded) == (False, True, True), "whoever comes first trains"
    assert [one.dice for one in first.images] == [one.dice for one in again.images]
    assert first.curve == trained.curve
    assert {one.id for one in trained.images}.isdisjoint(one.id for one in first.images)
    card = json.loads(next((tmp_path / "checkpoints").glob("*/card.json")).read_text())
    assert card["dataset"] == "synthetic"
