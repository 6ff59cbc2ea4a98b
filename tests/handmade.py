"""Records made by hand, for tests of what reads them."""

import math
from typing import Any

from bench.machine import Machine, State
from bench.quantities import (
    Cost,
    CostSpec,
    Count,
    CurvePoint,
    DiceSpec,
    ImageScore,
    Latency,
    LatencySpec,
    Result,
    Scores,
    Spec,
    TrainSpec,
)
from bench.run.job import Job
from bench.run.store import Record

ENVIRONMENT = Machine(
    cpu="A CPU", cores=2, memory_bytes=24 * 2**30, gpus=(), driver="", system="Linux x86_64", python="3.11.7",
    packages={"torch": "2.14.1"}, variables={}, commit="abc",
)  # fmt: skip
STATE = State(at="2026-01-01T00:00:00+00:00", load_1min=0.1, cpu_mhz=2600.0, gpu={})
TRAIN = TrainSpec(steps=80, checkpoint_interval=20, batch=4)
DICE = DiceSpec(dataset="synthetic", data="0" * 12, train=TRAIN)
LATENCY = LatencySpec(machine=ENVIRONMENT.fingerprint, device="cpu", threads=2)


def record(network: str, spec: Spec, result: Result | None, status: str = "ok", error: str = "") -> Record:
    return Record(
        job=Job(network=network, network_digest="1" * 12, spec=spec), status=status, error=error,
        machine=ENVIRONMENT, before=STATE, after=STATE, wall_s=1.0, result=result,
    )  # fmt: skip


def cost_record(network: str = "unet", parameters: int = 31_037_633, macs: int = 36_878_155_776) -> Record:
    fvcore = Count(counter="fvcore", macs=macs + 1000, by_operator={"conv": macs, "batch_norm": 1000})
    torch = Count(counter="torch", macs=macs, by_operator={"convolution": macs})
    result = Cost(
        parameters=parameters, trainable_parameters=parameters, parameter_bytes=4 * parameters, buffer_bytes=0,
        fvcore=fvcore, torch=torch,
    )  # fmt: skip
    return record(network, CostSpec(), result)


def latency_record(network: str = "unet", samples_s: tuple[float, ...] = (0.3, 0.31, 0.32), process: int = 0) -> Record:
    spec = LATENCY.model_copy(update={"process": process})
    return record(network, spec, Latency(samples_s=samples_s, warmup_s=(0.5,)))


def image_score(name: str, dice: float) -> ImageScore:
    """An image of that Dice, with as many pixels too many as too few; NaN is of two empty masks."""
    if math.isnan(dice):
        return ImageScore(id=name, label=1, tp=0, fp=0, fn=0, dice=dice, iou=dice, patient=name)
    tp = round(1000 * dice)
    return ImageScore(
        id=name, label=1, tp=tp, fp=1000 - tp, fn=1000 - tp, dice=dice, iou=dice / (2 - dice),
        sensitivity=dice, precision=dice, hd95=10 * (1 - dice), patient=name,
    )  # fmt: skip


def dice_record(network: str = "unet", dice: tuple[float, ...] = (0.5, 0.7, 0.9), seed: int = 0) -> Record:
    images = tuple(image_score(f"image-{n}", d) for n, d in enumerate(dice))
    curve = (CurvePoint(step=20, loss=1.2, val_dice=0.4), CurvePoint(step=40, loss=0.8, val_dice=0.6))
    scores = Scores(loaded=False, best_step=40, curve=curve, train_images_per_s=4.5, images=images, patients="named")
    train = TRAIN.model_copy(update={"seed": seed})
    return record(network, DICE.model_copy(update={"train": train}), scores)


def altered(record: Record, result: dict[str, Any] | None = None, **conditions: Any) -> Record:
    """The record under other conditions, and with other facts in its result."""
    job = record.job.model_copy(update={"spec": record.job.spec.model_copy(update=conditions)})
    found = record.result and record.result.model_copy(update=result or {})
    return record.model_copy(update={"job": job, "result": found})


def predicted_record(network: str = "unet", dice: tuple[float, ...] = (0.5, 0.7, 0.9), training: int = 0) -> Record:
    """Scores of predictions that were made elsewhere."""
    made = {"source": f"theirs-{training}", "curve": (), "best_step": 0, "train_images_per_s": None}
    return altered(dice_record(network, dice), made, train=None, predicted=f"{training:012}", training=training)


def fold_record(network: str, dice: tuple[float, ...], fold: int, seed: int = 0) -> Record:
    """A fold of a cross-validation: a split with test patients of its own."""
    made = dice_record(network, dice, seed)
    images = tuple(
        i.model_copy(update={"id": f"{fold}-{i.id}", "patient": f"{fold}-{i.id}"}) for i in made.result.images
    )
    return altered(made, {"images": images}, data=f"{fold}" * 12, fold=fold)


def home_record(network: str, dice: tuple[float, ...], dataset: str, seed: int = 0) -> Record:
    """Trained and scored on a data set, whose digest is made of its name."""
    return altered(dice_record(network, dice, seed), dataset=dataset, data=digest_of(dataset))


def foreign_record(
    network: str, dice: tuple[float, ...], trained_on: str, dataset: str, seed: int = 0, **result: Any
) -> Record:  # fmt: skip
    """Trained on one data set and scored on another."""
    there = {"trained_on": trained_on, "trained_data": digest_of(trained_on)}
    return altered(home_record(network, dice, dataset, seed), result, **there)


def digest_of(dataset: str) -> str:
    return (dataset * 12)[:12]


def unnamed_record(network: str = "unet", dice: tuple[float, ...] = (0.5, 0.7, 0.9), seed: int = 0) -> Record:
    """A record that is older than the patients of its lines."""
    made = dice_record(network, dice, seed)
    return altered(
        made, {"images": tuple(i.model_copy(update={"patient": ""}) for i in made.result.images), "patients": ""}
    )
