"""A training's log has each step once, also after a kill; patience ends a training, also one that was killed."""

import csv
import sys

import pytest
from toys import SPEC, Killed, blank, kill_at, kill_now, trained

from bench.training import checkpoint
from bench.training.train import HEADER

STEPS = list(range(1, 11))


def table(folder):
    text = (folder / "training.csv").read_text()
    assert text.endswith("\n")
    return list(csv.DictReader(text.splitlines()))


def test_each_step_is_a_line_and_each_check_a_figure_on_it(tmp_path):
    heard = []
    _, card = trained(tmp_path, tell=heard.append)
    rows = table(tmp_path)
    assert ",".join(rows[0]) == HEADER
    assert [int(row["step"]) for row in rows] == STEPS
    losses = [event["loss"] for event in heard if "loss" in event]
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, rel=1e-5)
    assert float(rows[0]["learning_rate"]) == pytest.approx(SPEC.learning_rate)  # one step of warm-up
    assert float(rows[-1]["learning_rate"]) < SPEC.learning_rate / 10
    checks = {int(row["step"]): float(row["val_dice"]) for row in rows if row["val_dice"]}
    assert checks == pytest.approx({point.step: point.val_dice for point in card.curve}, rel=1e-5)


@pytest.mark.parametrize("last", [2, 4, 7])
def test_after_a_kill_no_step_is_there_twice_and_none_is_missing(tmp_path, last):
    trained(tmp_path / "whole")
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        trained(folder, tell=kill_at(last))
    with (folder / "training.csv").open("a") as cut_off:
        cut_off.write("\n9,0.")
    trained(folder)
    assert (folder / "training.csv").read_text() == (tmp_path / "whole" / "training.csv").read_text()


def test_event_files_hold_each_step_once(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(Killed):
        trained(tmp_path, tell=kill_at(7))
    trained(tmp_path)
    read = events.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in read.Scalars("loss")] == STEPS
    assert [event.step for event in read.Scalars("learning_rate")] == STEPS
    assert [event.step for event in read.Scalars("val_dice")] == [4, 8, 10]


def test_without_tensorboard_nothing_is_said_and_the_table_is_there(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # what Python has for a failed import
    trained(tmp_path)
    assert len(table(tmp_path)) == 10
    assert not (tmp_path / "tensorboard").exists()
    assert "tensorboard" not in "".join(capfd.readouterr()).lower()


# ---- patience --------------------------------------------------------------------------------------------------------

PATIENT = SPEC.model_copy(update={"steps": 100, "patience": 2})


@pytest.mark.parametrize("killed_at", [None, 3, 9, 11, 12])
def test_it_stops_when_patience_is_out_also_when_killed(tmp_path, killed_at):
    """Its checks find the same each time: the first is the best, and the third the second that is not better."""
    if killed_at:
        with pytest.raises(Killed):
            trained(tmp_path, PATIENT, kill_at(killed_at), blank(3))
    _, card = trained(tmp_path, PATIENT, val_set=blank(3))
    assert [point.step for point in card.curve] == [4, 8, 12]
    assert card.best_step == 4


def test_one_whose_patience_was_out_when_it_was_killed_does_not_go_on(tmp_path, monkeypatch):
    with monkeypatch.context() as at_the_end:
        at_the_end.setattr(checkpoint, "write_summary", kill_now)
        with pytest.raises(Killed):
            trained(tmp_path, PATIENT, val_set=blank(3))
    steps = []
    _, card = trained(tmp_path, PATIENT, steps.append, blank(3))
    assert steps == []
    assert [point.step for point in card.curve] == [4, 8, 12]
