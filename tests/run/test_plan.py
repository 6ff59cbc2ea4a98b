"""From a study to jobs: what, in which order, and what is refused before anything is done."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from bench.data import DataAt, Options
from bench.errors import UserError
from bench.machine import this_machine
from bench.quantities.budget import find_budget
from bench.quantities.training import Training
from bench.run.plan import keep_split, of_jobs, plan
from bench.run.study import Study, usual_measures

STUDY = Study(
    networks=("unet", "mdsa_unet"), measures=("cost", "latency", "dice"), budget=find_budget("quick"),
    data=(DataAt("synthetic"),), device="cpu",
)  # fmt: skip


def ask(**changes: object) -> Study:
    return dataclasses.replace(STUDY, **changes)


def test_latency_is_interleaved_over_the_networks_the_cheapest_first():
    order = [(job.spec.quantity, job.network) for job in plan(STUDY).jobs]
    both = ["mdsa_unet", "unet"]
    expected = [(q, n) for q in ["cost", "latency", "latency", "latency", "dice"] for n in both]
    assert order == [("peak", "machine"), *expected]
    processes = [job.spec.process for job in plan(STUDY).jobs if job.spec.quantity == "latency"]
    assert processes == [0, 0, 1, 1, 2, 2]


def test_only_trainings_are_of_smaller_images():
    sizes = {(job.spec.quantity, job.spec.size) for job in plan(ask(train_size=64)).jobs if job.network == "unet"}
    assert sizes == {("cost", 224), ("latency", 224), ("dice", 64)}


def test_a_network_of_the_same_function_is_measured_and_not_trained():
    planned = plan(ask(networks=("mdsa_unet_plain", "mdsa_unet"))).jobs
    by_quantity = {(job.network, job.spec.quantity) for job in planned}
    assert {quantity for name, quantity in by_quantity if name == "mdsa_unet_plain"} == {"cost", "latency"}
    assert ("mdsa_unet", "dice") in by_quantity
    alone = plan(ask(networks=("mdsa_unet_plain",))).jobs
    assert "dice" not in {job.spec.quantity for job in alone}


def test_where_nothing_would_be_scored_the_network_to_name_is_told(tmp_path):
    told = "mdsa_unet_plain computes what mdsa_unet computes and shares its Dice; name mdsa_unet"
    with pytest.raises(UserError, match=told):
        ask(networks=("mdsa_unet_plain",), measures=("dice",))
    with pytest.raises(UserError, match=told):
        ask(networks=("mdsa_unet_plain",), weights=tmp_path / "theirs.pt")
    assert len(plan(ask(networks=("unet", "mdsa_unet_plain"), measures=("dice",))).jobs) == 1


def test_keys_are_one_each_and_the_same_when_asked_again():
    keys = [job.key for job in plan(STUDY).jobs]
    assert len(set(keys)) == len(keys)
    assert keys == [job.key for job in plan(STUDY).jobs]


def test_a_larger_image_or_another_seed_is_other_work():
    keys = {job.key for job in plan(STUDY).jobs}
    (peak,) = keys & {job.key for job in plan(ask(size=256)).jobs}
    assert peak.startswith("machine-peak")
    seeded = {job.key for job in plan(ask(seeds=(1,))).jobs}
    assert {key.split("-")[1] for key in keys ^ seeded} == {"dice"}


def test_somebodys_own_weights_are_scored_and_nothing_is_trained(tmp_path):
    weights = tmp_path / "theirs.pt"
    weights.write_bytes(b"theirs")
    question = ask(measures=("dice",), networks=("unet",), weights=weights)
    (job,) = plan(question).jobs
    assert job.spec.train is None
    weights.write_bytes(b"others")
    assert plan(question).jobs[0].key != job.key
    weights.unlink()
    with pytest.raises(UserError, match=r"theirs\.pt"):
        plan(question)


def test_a_plan_says_what_the_quantities_were_asked():
    planned = plan(ask(size=64, sizes=(32,), batches=(2,), tf32=True, cudnn_benchmark=True, seeds=(3, 4)))
    asked, facts = planned.asked, this_machine()
    assert (asked.machine, asked.threads, asked.size, asked.sizes) == (facts.fingerprint, facts.cores, 64, (32,))
    assert (asked.tf32, asked.cudnn_benchmark, asked.seeds) == (True, True, (3, 4))
    (opened,) = planned.opened
    assert opened.asked.data.name == "synthetic"
    assert opened.asked.data.images == {split: len(samples) for split, samples in opened.data.splits.items()}
    assert {(s.tf32, s.cudnn_benchmark) for s in (job.spec for job in planned.jobs) if s.quantity == "latency"} == {
        (True, True)
    }


def test_threads_are_conditions_of_all_that_runs_on_the_cpu():
    planned = plan(ask(measures=("cost", "latency", "memory", "energy", "profile", "dice"), threads=1))
    assert planned.asked.threads == 1
    used = {job.spec.quantity: getattr(job.spec, "train", None) or job.spec for job in planned.jobs}
    assert {name: getattr(spec, "threads", None) for name, spec in used.items()} == {
        "peak": 1, "cost": None, "latency": 1, "memory": 1, "energy": 1, "profile": 1, "dice": 1
    }  # fmt: skip


def test_another_onnxruntime_is_measured_anew(monkeypatch):
    def keys(version: str) -> dict[str, set[str]]:
        monkeypatch.setattr("bench.quantities.variants.version", lambda name: version)
        jobs = plan(ask(measures=("latency",), variants=("eager", "folded", "onnx"))).jobs
        forms = {getattr(job.spec, "form", "") for job in jobs}
        return {form: {job.key for job in jobs if getattr(job.spec, "form", "") == form} for form in forms}

    older, newer = keys("1.27.0"), keys("1.28.0")
    assert {form for form in older if older[form] != newer[form]} == {"onnx"}


@pytest.mark.parametrize("threads", [0, -1, this_machine().cores + 1])
def test_threads_are_at_most_the_cores(threads):
    with pytest.raises(UserError, match=rf"from 1 to the {this_machine().cores} cores .*, got {threads}; leave it out"):
        ask(threads=threads)


def test_a_plan_of_known_jobs_reads_no_data():
    jobs = plan(ask(measures=("cost",))).jobs
    planned = of_jobs(ask(data=(DataAt("nowhere"),)), jobs)
    assert (planned.jobs, planned.opened, planned.asked.threads) == (jobs, (), this_machine().cores)


def test_without_a_measure_those_that_are_usual_on_the_device_are_meant():
    assert set(usual_measures("cpu")) == {"cost", "memory", "latency", "dice"}
    assert set(usual_measures("cuda")) == {"cost", "memory", "latency", "energy", "dice"}


def test_no_data_set_is_opened_when_nothing_reads_one(tmp_path):
    quiet = plan(ask(measures=("cost",), data=(DataAt("isic2017", tmp_path / "nowhere"),)))
    assert quiet.opened == ()
    assert len(quiet.jobs) == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"networks": ("unett",)}, "unknown network 'unett'; did you mean 'unet'"),
        ({"measures": ("latencies",)}, "unknown measure 'latencies'; did you mean 'latency'"),
        ({"size": 16}, "--size must be 32 or more pixels a side, got 16"),
        ({"weights": Path("a.pt")}, r"--weights a.pt is for one network, got unet, mdsa_unet"),
        ({"weights": Path("a.pt"), "networks": ("unet",), "seeds": (0, 1)}, "trained already; leave --seeds"),
        ({"weights": Path("a.pt"), "networks": ("unet",), "measures": ("cost",)}, "add dice to --measure"),
        ({"devices": 3}, "3"),
        ({"sizes": (16,)}, "--size must be 32 or more pixels a side, got 16"),
        ({"variants": ("foldet",)}, "unknown variant 'foldet'; did you mean 'folded'"),
    ],
)
def test_refusals(changes, text):
    with pytest.raises(UserError, match=text):
        ask(**changes)


def test_an_unknown_data_set_is_refused():
    with pytest.raises(UserError, match="unknown data set 'sinthetic'; did you mean 'synthetic'"):
        plan(ask(data=(DataAt("sinthetic"),)))


@pytest.fixture
def own(tmp_path):
    """A plain folder of ten images, whose split a seed has to make."""
    for kind in ("images", "masks"):
        (tmp_path / "mine" / kind).mkdir(parents=True)
    for n in range(10):
        Image.new("RGB", (40, 40), n).save(tmp_path / "mine" / "images" / f"{n}.png")
        mask = Image.new("L", (40, 40))
        mask.paste(255, (0, 0, 20, 4 * n))
        mask.save(tmp_path / "mine" / "masks" / f"{n}.png")
    return ask(data=(DataAt("folder", tmp_path / "mine"),), measures=("dice",))


def test_a_drawn_split_is_written_down_and_reused(tmp_path, own):
    splits = tmp_path / "splits"
    first = plan(own, splits)
    keep_split(first, splits)
    (path,) = splits.iterdir()
    again = plan(own, splits)
    assert again.opened[0].at.options.split_file == path
    assert [job.key for job in again.jobs] == [job.key for job in first.jobs]

    sides = json.loads(path.read_text())
    kinds = next(value for value in (sides, *sides.values()) if isinstance(value, dict) and "test" in value)
    kinds["train"], kinds["test"] = kinds["test"], kinds["train"]
    path.write_text(json.dumps(sides))
    with pytest.raises(UserError, match=r"was edited after the split was drawn.* give it with --split-file"):
        plan(own, splits)
    asked = dataclasses.replace(own, data=(DataAt("folder", tmp_path / "mine", Options(split_file=path)),))
    assert plan(asked, splits).jobs[0].key != first.jobs[0].key


def test_kept_splits_are_told_apart_by_the_images_and_not_by_the_folders_name(tmp_path, own):
    splits, other = tmp_path / "splits", tmp_path / "other" / "mine"
    keep_split(plan(own, splits), splits)
    shutil.copytree(tmp_path / "mine", other)
    Image.new("L", (40, 40), 255).save(other / "masks" / "3.png")
    mended = plan(dataclasses.replace(own, data=(DataAt("folder", other),)), splits)
    assert [mended.opened[0].at.options.split_file] == [*splits.iterdir()]
    for kind in ("images", "masks"):
        (other / kind / "3.png").rename(other / kind / "33.png")
    renamed = plan(dataclasses.replace(own, data=(DataAt("folder", other),)), splits)
    assert renamed.opened[0].at.options.split_file is None
    keep_split(renamed, splits)
    assert len([*splits.iterdir()]) == 2


def test_reading_is_told_the_first_time(own):
    told = []
    for _ in range(2):
        plan(own, done=lambda *done: told.append(done))
    assert told == [("folder", count, 10) for count in range(1, 11)]


def test_a_published_split_is_not_written_down(tmp_path):
    keep_split(plan(ask(measures=("dice",)), tmp_path / "splits"), tmp_path / "splits")
    assert not (tmp_path / "splits").exists()


def test_a_limit_that_leaves_out_no_image_is_none():
    (job,) = plan(
        ask(networks=("unet",), measures=("dice",), budget=dataclasses.replace(STUDY.budget, val_images=40))
    ).jobs
    assert (job.spec.train.val_images, job.spec.test_images) == (None, None)
    (job,) = plan(
        ask(networks=("unet",), measures=("dice",), budget=dataclasses.replace(STUDY.budget, test_images=6))
    ).jobs
    assert (job.spec.train.val_images, job.spec.test_images) == (32, 6)


def test_networks_are_trained_on_each_data_set_and_measured_once_for_the_same_classes(own):
    both = plan(dataclasses.replace(own, data=(DataAt("synthetic"), *own.data), measures=("cost", "dice")))
    found = [(job.spec.quantity, getattr(job.spec, "dataset", ""), job.network) for job in both.jobs]
    assert found == [
        *(("cost", "", network) for network in ("mdsa_unet", "unet")),
        *(("dice", data, network) for data in ("synthetic", "folder") for network in ("mdsa_unet", "unet")),
    ]  # fmt: skip
    assert [both.data_of(job) for job in both.jobs[-4:]] == [both.opened[n].at for n in (0, 0, 1, 1)]
    assert both.asked_of(both.jobs[-1]).data.images == {s: len(i) for s, i in both.opened[1].data.splits.items()}
    alone = [job.key for one in both.study.data for job in plan(dataclasses.replace(both.study, data=(one,))).jobs]
    assert {job.key for job in both.jobs} == set(alone)


def test_a_training_is_scored_on_another_data_set_of_the_task_from_the_same_weights(own):
    there = dataclasses.replace(own, data=(DataAt("synthetic"),), test_on=own.data, seeds=(0, 1), networks=("unet",))
    planned = plan(there)
    trained = [job for job in planned.jobs if job.spec.quantity == "dice"]
    assert [(job.spec.dataset, job.spec.trained_on, job.spec.train.seed) for job in trained] == [
        ("synthetic", "", 0), ("synthetic", "", 1), ("folder", "synthetic", 0), ("folder", "synthetic", 1),
    ]  # fmt: skip
    assert [job.training_key for job in trained[:2]] == [job.training_key for job in trained[2:]]
    assert len({job.key for job in trained}) == 4
    assert (planned.data_of(trained[2]), planned.home_of(trained[2])) == (own.data[0], DataAt("synthetic"))
    assert planned.home_of(trained[0]) is None
    assert {one.spec.data for one in trained[:2]} == {one.spec.trained_data for one in trained[2:]}


def test_a_data_set_of_another_task_cannot_be_tested_on(own):
    classes = DataAt("folder", own.data[0].root, Options(classes=("a", "b")))
    for mask in (own.data[0].root / "masks").iterdir():
        image = Image.new("L", (40, 40))
        image.paste(1, (0, 0, 20, 20))
        image.paste(2, (20, 20, 30, 30))
        image.save(mask)
    with pytest.raises(UserError, match=r"--test-on folder: its classes \(a, b\) are not those of synthetic"):
        plan(dataclasses.replace(own, data=(DataAt("synthetic"),), test_on=(classes,)))


def test_settings_of_a_networks_training_replace_those_of_all():
    own = {"unet": Training(weight_decay=0.2)}
    planned = plan(ask(training=Training(weight_decay=0.1, batch=2), own_training=own, measures=("dice",)))
    trained = {job.network: job.spec.train for job in planned.jobs if job.spec.quantity == "dice"}
    assert {name: (one.weight_decay, one.batch) for name, one in trained.items()} == {
        "unet": (0.2, 2), "mdsa_unet": (0.1, 2),
    }  # fmt: skip
