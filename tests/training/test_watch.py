"""Training ends when patience is out, also when it was killed."""

import pytest
from toys import SPEC, Killed, blank, kill_at, kill_now, trained

from bench.training import card as cards

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
        at_the_end.setattr(cards, "write_card", kill_now)
        with pytest.raises(Killed):
            trained(tmp_path, PATIENT, val_set=blank(3))
    steps = []
    _, card = trained(tmp_path, PATIENT, steps.append, blank(3))
    assert steps == []
    assert [point.step for point in card.curve] == [4, 8, 12]
