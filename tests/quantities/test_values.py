"""Conditions and results: strict, unchanging, and what follows from their fields."""

import math

import pytest
from pydantic import ValidationError

from bench.quantities import (
    Cost,
    CostSpec,
    Count,
    DiceSpec,
    ImageScore,
    LatencySpec,
    Memory,
    ModuleCost,
    TrainSpec,
    VolumeScore,
)
from bench.quantities.variants import FORMS

TRAIN = TrainSpec(steps=1, checkpoint_interval=1, batch=1)
LATENCY = {"machine": "m", "device": "cpu", "threads": 2}
DICE = {"dataset": "ddti", "data": "1"}
WRONG = {
    "no size": (CostSpec, {"size": 0}),
    "unknown field": (CostSpec, {"color": 3}),
    "unknown device": (LatencySpec, {**LATENCY, "device": "tpu"}),
    "no thread": (LatencySpec, {**LATENCY, "threads": 0}),
    "negative time": (LatencySpec, {**LATENCY, "seconds": -1.0}),
    "unknown form": (LatencySpec, {**LATENCY, "form": "fold"}),
    "a form after another": (LatencySpec, {**LATENCY, "form": "compiled+folded"}),
    "no weights": (DiceSpec, DICE),
    "weights from two sources": (DiceSpec, {**DICE, "train": TRAIN, "weights": "0" * 12}),
}


@pytest.mark.parametrize(("kind", "fields"), WRONG.values(), ids=WRONG)
def test_impossible_and_unknown_conditions_are_refused(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields)


def test_conditions_never_change():
    spec = LatencySpec(**LATENCY)
    with pytest.raises(ValidationError):
        spec.batch = 2


def test_a_training_or_a_file_of_weights_will_do():
    assert DiceSpec(**DICE, train=TRAIN).weights == ""
    assert DiceSpec(**DICE, weights="0" * 12).train is None


def test_the_forms_are_those_that_records_may_name():
    assert FORMS == (
        "eager", "folded", "compiled", "cuda_graph", "onnx", "folded+compiled", "folded+cuda_graph", "folded+onnx",
    )  # fmt: skip


def cost(fvcore: Count, torch: Count) -> Cost:
    return Cost(parameters=1, trainable_parameters=1, parameter_bytes=4, buffer_bytes=0, fvcore=fvcore, torch=torch)


def count(name: str, macs: int | None, **more: object) -> Count:
    return Count(counter=name, macs=macs, **more)


def test_norms_and_resizing_that_only_fvcore_counts_raise_no_doubt():
    fvcore = count("fvcore", 1500, by_operator={"conv": 1000, "batch_norm": 300, "upsample_bilinear2d": 200})
    assert cost(fvcore, count("torch", 1000)).doubt == ""


def test_counters_that_differ_by_more_than_two_percent_are_doubted():
    assert "disagree" in cost(count("fvcore", 1021, by_operator={"conv": 1021}), count("torch", 1000)).doubt
    assert cost(count("fvcore", 1019, by_operator={"conv": 1019}), count("torch", 1000)).doubt == ""


def test_a_counter_that_failed_or_misses_a_formula_is_named():
    good = count("torch", 1000)
    assert cost(count("fvcore", None, error="it broke"), good).doubt == "fvcore failed: it broke"
    assert "einsum" in cost(count("fvcore", 1000, missed=("einsum",)), good).doubt


def test_activations_are_what_the_pass_adds_to_the_weights():
    assert Memory(weights_bytes=30, peak_bytes=100).activations_bytes == 70


@pytest.mark.parametrize(("name", "depth"), [("", 0), ("encode", 1), ("encode.attention.local", 3)])
def test_depth_is_how_far_inside_the_network(name, depth):
    module = ModuleCost(name=name, kind="Module", parameters=0, macs=0, activations=0, calls=1, time_s=None)
    assert module.depth == depth


def test_a_score_that_is_no_field_is_kept_and_one_that_a_record_lacks_is_undefined():
    image = ImageScore(id="a", label=1, tp=1, fp=0, fn=0, dice=1.0, iou=1.0, nsd="0.75")
    assert (image.score("dice"), image.score("nsd")) == (1.0, 0.75)
    assert math.isnan(image.score("hd95"))
    assert math.isnan(image.score("asd"))
    with pytest.raises(ValidationError):
        ImageScore(id="a", label=1, tp=1, fp=0, fn=0, dice=1.0, iou=1.0, nsd="high")


def test_an_undefined_score_that_is_no_field_is_left_out_of_what_is_written():
    volume = VolumeScore(volume="v", label=1, hd95=1.0, nsd=math.nan, assd=2.5)
    assert volume.model_dump() == {"volume": "v", "label": 1, "hd95": 1.0, "assd": 2.5}
    assert volume == VolumeScore.model_validate_json(volume.model_dump_json())
    assert math.isnan(volume.score("nsd"))
