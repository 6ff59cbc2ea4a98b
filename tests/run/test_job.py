"""A job's key: the same for the same work, another for any other."""

from importlib.metadata import version
from typing import get_args

import pytest

from bench.errors import UserError
from bench.networks import find_network
from bench.quantities import (
    CostSpec,
    DiceSpec,
    EnergySpec,
    Frozen,
    LatencySpec,
    MemorySpec,
    PeakSpec,
    ProfileSpec,
    TrainSpec,
)
from bench.run.job import Job

COST = Job(network="unet", network_digest="d", spec=CostSpec())
TRAIN = TrainSpec(steps=8, checkpoint_interval=2, batch=2)
DICE = Job(network="unet", network_digest="d", spec=DiceSpec(dataset="ddti", data="e", train=TRAIN))


def changed(job: Job, **spec: object) -> Job:
    return job.model_copy(update={"spec": job.spec.model_copy(update=spec)})


def test_the_first_key_is_frozen():
    """It names the committed records of the first format, so a change here throws every one of them away."""
    assert COST.first_key == "unet-cost-61ba1c8f61dc" != COST.key
    assert COST.model_copy(update={"libraries": {"torch": "2"}}).first_key == COST.first_key


def test_a_condition_is_in_the_key_also_if_it_is_the_default():
    class Later(CostSpec):
        """A later version of the program, in which images are larger if nothing is said."""

        size: int = 256

    later = COST.model_copy(update={"spec": Later()})
    assert later.key != COST.key
    assert changed(later, size=224).key == COST.key


LATENCY = Job(network="unet", network_digest="d", spec=LatencySpec(machine="m", device="cpu", threads=1))
BY_TYPE = {int: 7, float: 0.77, str: "other", bool: True, type(None): 7, tuple: ("other",)}


def another(conditions: Frozen, name: str) -> dict[str, object]:
    """Another value for one of the conditions."""
    now = getattr(conditions, name)
    choices = [value for value in get_args(type(conditions).model_fields[name].annotation) if isinstance(value, str)]
    return {name: next((value for value in choices if value != now), BY_TYPE[type(now)])}


OTHERS = [
    Job(network="unet", network_digest="d", spec=kind(machine="m", device="cpu", threads=1))
    for kind in (MemorySpec, EnergySpec, ProfileSpec, PeakSpec)
]


@pytest.mark.parametrize("job", [COST, LATENCY, DICE, *OTHERS], ids=lambda job: job.spec.quantity)
def test_every_condition_changes_the_key(job):
    conditions = [name for name in type(job.spec).model_fields if name not in ("quantity", "train")]
    keys = {changed(job, **another(job.spec, name)).key for name in conditions}
    keys |= {job.key, job.model_copy(update={"network_digest": "other"}).key}
    keys |= {job.model_copy(update={"libraries": {"timm": version}}).key for version in ("1.0", "1.1")}
    assert len(keys) == len(conditions) + 4


def test_every_condition_of_training_changes_the_checkpoint():
    numbers = {"learning_rates": (0.1, 0.2), "loss_weights": (1.0, 0.5)}
    changes = [{**another(TRAIN, name), **{name: numbers[name] for name in {name} & set(numbers)}}
               for name in TrainSpec.model_fields]  # fmt: skip
    trainings = [TRAIN.model_copy(update=change) for change in changes]
    keys = {changed(DICE, train=training).training_key for training in [TRAIN, *trainings]}
    keys |= {DICE.model_copy(update={"libraries": {"timm": "1.1"}}).training_key}
    assert len(keys) == len(TrainSpec.model_fields) + 2


def test_a_job_of_a_network_is_of_its_code_as_it_is_now():
    job = Job.of("unet", CostSpec())
    assert job.network_digest == find_network("unet").digest
    with pytest.raises(UserError, match="unknown network 'unett'"):
        Job.of("unett", CostSpec())


def test_a_job_names_the_libraries_that_count_and_those_that_the_network_imports():
    def libraries(network: str, spec: object) -> set[str]:
        return set(Job.of(network, spec).libraries)

    assert Job.of("unet", CostSpec()).libraries == {name: version(name) for name in ("fvcore", "timm", "torch")}
    assert libraries("unet", LATENCY.spec) == libraries("unet", DICE.spec) == set()
    assert libraries("swin_unet", LATENCY.spec) == libraries("swin_unet", DICE.spec) == {"timm"}


def test_a_key_survives_the_way_through_json():
    assert Job.model_validate_json(DICE.model_dump_json()) == DICE
    assert Job.model_validate_json(DICE.model_dump_json()).key == DICE.key


def test_how_it_is_scored_is_no_part_of_a_checkpoint():
    assert changed(DICE, test_images=5).training_key == DICE.training_key
    assert changed(DICE, test_images=5).key != DICE.key
    more = TRAIN.model_copy(update={"steps": 9})
    assert changed(DICE, train=more).training_key != DICE.training_key


def test_only_dice_has_a_checkpoint():
    with pytest.raises(TypeError, match="unet: latency trains nothing"):
        _ = LATENCY.training_key


@pytest.mark.parametrize(
    ("network", "start"),
    [
        ("nets/mine.py:TinyNet?width=8", "nets-mine.py-TinyNet-width-8-cost-"),
        ("smp:Unet/resnet34?pretrained=true", "smp-Unet-resnet34-pretrained-true-cost-"),
        (f"{'/a' * 200}/mine.py:Net", "a-a-a"),
    ],
)
def test_a_key_is_a_file_name_whatever_the_network_is_called(network, start):
    key = COST.model_copy(update={"network": network}).key
    assert key.startswith(start)
    assert len(key) < 100
    assert key != COST.model_copy(update={"network": f"{network}x"}).key
