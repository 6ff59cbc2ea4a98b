"""A record comes back as it was written, whole or not at all; a bad file is named and stops nothing."""

import json
import math

import pytest
from handmade import cost_record, dice_record, latency_record, record

from bench.errors import UserError
from bench.quantities import CostSpec
from bench.run.store import Store, load, read_record, record_folders


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


def test_scores_lie_beside_the_record_one_line_an_image(tmp_path):
    path = Store(tmp_path).write(dice_record())
    lines = path.with_suffix(".scores.csv").read_text().splitlines()
    assert lines[0] == "id,label,tp,fp,fn,dice,iou,volume,sensitivity,precision,hd95"
    assert len(lines) == 4
    assert "images" not in json.loads(path.read_text())["result"]


def test_a_measurement_stands_and_a_failure_is_replaced(tmp_path):
    store = Store(tmp_path)
    good = cost_record()
    failed = record("unet", CostSpec(), None, status="crashed", error="it fell over")
    store.write(failed)
    assert store.find(good.job).status == "crashed"
    store.write(good)
    store.write(failed)
    assert store.find(good.job) == good


def test_nothing_half_written_is_left_behind(tmp_path):
    Store(tmp_path).write(dice_record())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".csv", ".json"]


def test_no_folder_is_made_before_there_is_a_record(tmp_path):
    store = Store(tmp_path / "new")
    assert store.find(cost_record().job) is None
    assert not store.folder.exists()


DAMAGE = {
    "cut off": lambda text: text[:100],
    "empty": lambda text: "",
    "no object": lambda text: "[1, 2]",
    "foreign": lambda text: '{"hello": 1}',
    "a later schema": lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
    "an unknown field": lambda text: text.replace('"status"', '"state"'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_named_left_alone_and_stops_nothing(tmp_path, damage):
    store = Store(tmp_path)
    bad, good = store.write(cost_record()), store.write(latency_record())
    text = damage(bad.read_text())
    bad.write_text(text)
    loaded = load([tmp_path])
    assert loaded.records == [latency_record()]
    assert len(loaded.problems) == 1
    assert str(bad) in loaded.problems[0]
    assert bad.read_text() == text
    assert good.exists()

    # When its job is done again, the file is set aside, not overwritten.
    store.write(cost_record())
    assert store.find(cost_record().job) == cost_record()
    assert (tmp_path / f"{bad.name}.damaged").read_text() == text


def test_missing_scores_damage_their_record(tmp_path):
    path = Store(tmp_path).write(dice_record())
    path.with_suffix(".scores.csv").unlink()
    with pytest.raises(UserError, match=r"scores\.csv"):
        read_record(path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        load([tmp_path / "nowhere"])


def test_a_record_of_another_job_under_this_name_is_not_found(tmp_path):
    store = Store(tmp_path)
    path = store.write(cost_record())
    path.write_text(path.read_text().replace('"size": 224', '"size": 256'))
    assert store.find(cost_record().job) is None


def test_one_job_measured_twice_is_one_measurement(tmp_path):
    """Two folders that two machines filled: the newest that gave something counts, and what is left out is named."""
    old = dice_record(dice=(0.1, 0.2))
    new = dice_record(dice=(0.8, 0.9)).model_copy(update={"before": old.before.model_copy(update={"at": "2026-03-01"})})
    failed = new.model_copy(update={"status": "crashed", "error": "it fell over", "result": None,
                                    "before": old.before.model_copy(update={"at": "2026-09-01"})})  # fmt: skip
    folders = [tmp_path / name for name in "abc"]
    for folder, one in zip(folders, (old, new, failed), strict=True):
        Store(folder).write(one)
    loaded = load([*folders, folders[0]])
    assert loaded.records == [new]
    assert loaded.problems == []
    assert len(loaded.replaced) == 3
    assert "measured again at 2026-03-01" in loaded.replaced[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (lambda text: text.replace('"status": "ok"', '"status": "crashed"'), "was edited after it was written"),
        (lambda text: text[: text.index('"environment"')], r"json:\d+: cannot be read as a record"),
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
    scores = path.with_suffix(".scores.csv")
    scores.write_text(scores.read_text().replace("0.5", "0.6", 1))
    with pytest.raises(UserError, match="it or its scores"):
        read_record(path)


def test_a_record_older_than_digests_is_read_unless_its_conditions_are_anothers(tmp_path):
    path = Store(tmp_path).write(cost_record())
    facts = json.loads(path.read_text())
    del facts["digest"]
    path.write_text(json.dumps(facts, indent=1))
    assert read_record(path) == cost_record()
    path.write_text(json.dumps(facts, indent=1).replace('"size": 224', '"size": 256'))
    with pytest.raises(UserError, match="so it was edited or renamed"):
        read_record(path)
    path.write_text(json.dumps(facts, indent=1).replace('"size": 224', '"size": "large"'))
    with pytest.raises(UserError, match=r"json:\d+: no record of this program: job.spec"):
        read_record(path)


def test_folders_of_records_are_found_by_the_names_in_them(tmp_path):
    Store(tmp_path / "reference").write(cost_record())
    (tmp_path / "doctor").mkdir()
    (tmp_path / "doctor" / "cpu-20260101T000000Z.json").write_text("{}")
    assert record_folders(tmp_path) == [tmp_path / "reference"]
    Store(tmp_path).write(cost_record())
    assert record_folders(tmp_path) == [tmp_path, tmp_path / "reference"]
