"""A record comes back as it was written, whole or not at all; a bad file is named and stops nothing."""

import json
import math
import shutil
from pathlib import Path

import pytest
from claiming import busy
from handmade import altered, cost_record, dice_record, latency_record, record

from bench.errors import UserError
from bench.quantities import CostSpec
from bench.run.store import Record, Store, read_record

REFERENCE = Path(__file__).parents[2] / "results" / "reference"
QUIET = (
    {"clock_s": 0.0, "cpu_busy_s": 0.0, "own_cpu_s": 0.0},
    {"clock_s": 10.0, "cpu_busy_s": 20.0, "own_cpu_s": 20.0},
)
FIRST = Path(__file__).parent / "first_format"  # records as the first format has them
COST, DICE = (FIRST / f"{name}.json" for name in ("unet-cost-19f9ef9c655b", "swin_unet-dice-8ac64fb88144"))


def said(record: Record) -> str:
    """All that a record holds, for comparison: an undefined score is not equal to itself."""
    return record.model_dump_json()


@pytest.mark.parametrize("made", [cost_record(), latency_record(), dice_record()], ids=["cost", "latency", "dice"])
def test_round_trip(tmp_path, made):
    path = Store(tmp_path).write(made)
    assert path.name == f"{made.job.key}.json"
    assert read_record(path) == made
    assert Store(tmp_path).find(made.job) == made


def test_an_undefined_dice_comes_back_undefined(tmp_path):
    path = Store(tmp_path).write(dice_record(dice=(0.5, math.nan)))
    scores = read_record(path).result.images
    assert math.isnan(scores[1].dice)
    assert scores[0].dice == 0.5


def test_scores_are_in_the_record_one_line_an_image(tmp_path):
    path = Store(tmp_path).write(dice_record())
    lines = json.loads(path.read_text())["result"]["images"]
    assert lines[0] == "id,label,tp,fp,fn,dice,iou,volume,patient,own_tp,own_fp,own_fn,sensitivity,precision,hd95"
    assert len(lines) == 4
    assert f'"{lines[1]}"' in path.read_text(), "one line of the file, for diffs"


@pytest.mark.parametrize("name", ['a "b", c', "line\nbreak", "carriage\rreturn", "\udce9", " ", "é"])
def test_an_image_may_have_any_name(tmp_path, name):
    made = dice_record()
    images = tuple(image.model_copy(update={"id": name, "patient": name}) for image in made.result.images)
    path = Store(tmp_path).write(altered(made, {"images": images}))
    assert read_record(path).result.images == images


def test_a_measurement_stands_and_a_failure_is_replaced(tmp_path):
    store = Store(tmp_path)
    good = cost_record()
    failed = record("unet", CostSpec(), None, status="crashed", error="it fell over")
    store.write(failed)
    assert store.find(good.job).status == "crashed"
    store.write(good)
    store.write(failed)
    assert store.find(good.job) == good


def test_a_record_is_one_file_and_nothing_half_written_is_left_behind(tmp_path):
    path = Store(tmp_path).write(dice_record())
    assert list(tmp_path.iterdir()) == [path]


def test_no_folder_is_made_before_there_is_a_record(tmp_path):
    store = Store(tmp_path / "new")
    assert store.find(cost_record().job) is None
    assert not store.folder.exists()


DAMAGE = {
    "cut off": lambda text: text[:100],
    "empty": lambda text: "",
    "no object": lambda text: "[1, 2]",
    "foreign": lambda text: '{"hello": 1}',
    "a later schema": lambda text: text.replace('"schema_version": 2', '"schema_version": 3'),
    "no digest": lambda text: "".join(line for line in text.splitlines(True) if '"digest"' not in line),
    "an unknown field": lambda text: text.replace('"status"', '"state"'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_and_left_alone(tmp_path, damage):
    store = Store(tmp_path)
    bad = store.write(cost_record())
    text = damage(bad.read_text())
    bad.write_text(text)
    with pytest.raises(UserError) as told:
        read_record(bad)
    assert str(bad) in str(told.value)
    assert bad.read_text() == text

    # When its job is done again, the file is set aside, not overwritten.
    store.write(cost_record())
    assert store.find(cost_record().job) == cost_record()
    assert (tmp_path / f"{bad.name}.damaged").read_text() == text


def test_missing_scores_damage_their_record(tmp_path):
    path = Path(shutil.copy(DICE, tmp_path))
    with pytest.raises(UserError, match=r"scores\.csv"):
        read_record(path)
    shutil.copy(DICE.with_suffix(".scores.csv"), tmp_path)
    assert said(read_record(path)) == said(read_record(DICE))


def test_a_record_of_another_job_under_this_name_is_not_found(tmp_path):
    store = Store(tmp_path)
    path = store.write(cost_record())
    path.write_text(path.read_text().replace('"size": 224', '"size": 256'))
    assert store.find(cost_record().job) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (lambda text: text.replace('"status": "ok"', '"status": "crashed"'), "was edited after it was written"),
        (lambda text: text[: text.index('"machine"')], r"json:\d+: cannot be read as a record"),
        (lambda text: text.replace("0.31", "0.13"), "was edited after it was written"),
    ],
    ids=["status", "cut off", "a sample"],
)
def test_an_edit_is_noticed(tmp_path, text, told):
    path = Store(tmp_path).write(latency_record())
    path.write_text(text(path.read_text()))
    with pytest.raises(UserError, match=told):
        read_record(path)


def test_an_edit_of_the_scores_is_noticed(tmp_path):
    path = Store(tmp_path).write(dice_record())
    path.write_text(path.read_text().replace(",0.5,", ",0.6,", 1))
    with pytest.raises(UserError, match="it or its scores"):
        read_record(path)
    path, scores = (Path(shutil.copy(DICE.with_suffix(end), tmp_path)) for end in (".json", ".scores.csv"))
    scores.write_text(scores.read_text().replace(",0.8", ",0.9", 1))
    with pytest.raises(UserError, match="it or its scores"):
        read_record(path)


def test_a_record_older_than_digests_is_read_unless_its_conditions_are_anothers(tmp_path):
    path = Path(shutil.copy(COST, tmp_path))
    facts = json.loads(path.read_text())
    facts.pop("digest", None)
    path.write_text(json.dumps(facts, indent=1))
    assert read_record(path) == read_record(COST)
    path.write_text(json.dumps(facts, indent=1).replace('"size": 224', '"size": 256'))
    with pytest.raises(UserError, match="so it was edited or renamed"):
        read_record(path)
    path.write_text(json.dumps(facts, indent=1).replace('"size": 224', '"size": "large"'))
    with pytest.raises(UserError, match=r"json:\d+: not a valid record: job.spec"):
        read_record(path)


def test_files_set_aside_are_kept_each(tmp_path):
    for text in ("one", "two"):
        path = Store(tmp_path).path(cost_record().job)
        path.write_text(text)
        Store(tmp_path).write(cost_record())
        path.unlink()
    assert {path.read_text() for path in tmp_path.glob("*.damaged*")} == {"one", "two"}


def test_a_score_that_is_no_field_of_records_is_kept_beside_the_others(tmp_path):
    made = dice_record(dice=(0.5, 0.7))
    images = tuple(image.model_copy(update={"nsd": 0.1 * n}) for n, image in enumerate(made.result.images, 1))
    made = made.model_copy(update={"result": made.result.model_copy(update={"images": images})})
    path = Store(tmp_path).write(made)
    assert json.loads(path.read_text())["result"]["images"][0].endswith(",hd95,nsd")
    assert [image.score("nsd") for image in read_record(path).result.images] == pytest.approx([0.1, 0.2])


def test_a_time_is_tainted_by_what_disturbed_it_and_nothing_else_is():
    assert latency_record().taints == ()
    (why,) = busy(latency_record()).taints
    assert why.startswith("other processes used 50 %")
    failed = record("unet", latency_record().job.spec, None, status="crashed", error="it fell over")
    assert [busy(made).taints for made in (cost_record(), dice_record(), failed)] == [()] * 3


def test_a_disturbance_outside_the_timed_window_is_none():
    disturbed = busy(latency_record())
    quiet = tuple(latency_record().before.model_copy(update=facts) for facts in QUIET)
    assert disturbed.model_copy(update={"window": quiet}).taints == ()
    within = latency_record().model_copy(update={"window": (disturbed.before, disturbed.after)})
    assert within.taints == disturbed.taints != ()


def test_a_job_on_few_cores_is_disturbed_by_less():
    """Others use 0.9 s in 10 s: less of two cores' time than of the one core's that the job uses."""
    states = tuple(latency_record().before.model_copy(update=facts) for facts in QUIET)
    last = states[1].model_copy(update={"cpu_busy_s": 20.9})
    both = latency_record().model_copy(update={"window": (states[0], last)})
    assert both.taints == ()
    assert altered(both, threads=1).taints == ("other processes used 9 % of the 1 cores' time (limit 5 %)",)


def test_the_window_is_kept(tmp_path):
    states = tuple(latency_record().before.model_copy(update=facts) for facts in QUIET)
    made = latency_record().model_copy(update={"window": states})
    assert read_record(Store(tmp_path).write(made)) == made


def test_committed_records_keep_the_keys_that_named_their_files():
    paths = sorted(REFERENCE.glob("*.json"))
    assert len(paths) > 200
    assert [read_record(path).id for path in paths] == [path.stem for path in paths]


@pytest.mark.parametrize("path", [COST, DICE], ids=["cost", "dice"])
def test_a_record_of_the_first_format_stands_for_no_job_of_today(tmp_path, path):
    record, store = read_record(path), Store(tmp_path)
    assert record.schema_version == 1
    assert store.find(record.job) is None
    for end in (".json", ".scores.csv") if path == DICE else (".json",):
        shutil.copy(path.with_suffix(end), store.path(record.job).with_suffix(end))
    assert said(read_record(store.path(record.job))) == said(record)
    assert store.find(record.job) is None, "not even under the name of today's key"
    anew = record.model_copy(update={"schema_version": 2})
    store.write(anew)
    assert said(store.find(record.job)) == said(anew)
