"""The log of a training: a line a step, none twice after a kill, event files only where TensorBoard is."""

import csv
import sys

import pytest
from toys import SPEC, Killed, kill_at, trained

from bench.training.log import HEADER

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
