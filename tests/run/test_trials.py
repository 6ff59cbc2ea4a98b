"""Of several learning rates the best on val is taken: each is trained once, in a folder of its own."""

import json

import pytest
from orders import changed, ignored, order, tiny
from toys import Killed

from bench.cli.asked import RunOptions
from bench.cli.options import DataOptions
from bench.data import DataAt
from bench.errors import Diverged, UserError
from bench.quantities import QUANTITIES
from bench.quantities.budget import find_budget
from bench.quantities.training import Training
from bench.run.clock import Clock
from bench.run.dice import dice
from bench.run.local import locks_of
from bench.run.plan import plan
from bench.run.study import Study
from bench.run.worker import Work, run
from bench.training.train import train

RATES = (1e-9, 0.05, 1e-8)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def chosen(tmp_path_factory, network):
    """An order with several rates that was carried out, its record and what was heard meanwhile."""
    asked, events = order(tmp_path_factory.mktemp("chosen"), network, "dice", learning_rates=RATES), []
    return asked, run(asked, events.append), events


def here(asked, tell=ignored):
    return dice(Work(asked, tell))


def cards(asked):
    """What the cards of the trainings say, by learning rate."""
    found = [json.loads(path.read_text()) for path in asked.out.glob("checkpoints/*/card.json")]
    return {card["spec"]["learning_rate"]: card for card in found}


def test_each_rate_is_tried_and_told_and_the_best_on_val_is_scored(chosen):
    asked, record, events = chosen
    scores, by_rate = record.result, cards(asked)
    assert set(by_rate) == set(RATES)
    assert [(one.learning_rate, one.val_dice) for one in scores.tried] == [(r, by_rate[r]["val_dice"]) for r in RATES]
    taken = by_rate[scores.taken]
    assert taken["val_dice"] == max(card["val_dice"] for card in by_rate.values())
    assert [point.model_dump() for point in scores.curve] == taken["curve"]
    assert [rate for rate, card in by_rate.items() if card["test_dice"] is not None] == [scores.taken]
    steps = [event["doing"] for event in events if "step" in event]
    assert list(dict.fromkeys(steps)) == [f"learning rate {rate:g} ({n} of 3)" for n, rate in enumerate(RATES, 1)]


@pytest.fixture
def trainings(monkeypatch):
    """The learning rates with which is trained in this process."""
    begun = []

    def counted(network, task, *more):
        begun.append(task.spec.learning_rate)
        return train(network, task, *more)

    monkeypatch.setattr("bench.run.dice.train", counted)
    return begun


def test_a_training_with_a_rate_is_that_of_a_study_with_that_rate_alone(tmp_path, network, chosen, trainings):
    asked, record, _ = chosen
    alone = order(tmp_path, network, "dice", learning_rate=record.result.taken)
    found = here(alone)
    assert [image.dice for image in found.images] == pytest.approx(
        [image.dice for image in record.result.images], nan_ok=True
    )
    digests = [cards(one)[record.result.taken]["weights_digest"] for one in (alone, asked)]
    assert digests[0] == digests[1]
    more = here(order(tmp_path, network, "dice", learning_rates=RATES))
    assert trainings == [record.result.taken, *(rate for rate in RATES if rate != record.result.taken)]
    assert (more.tried, more.taken) == (record.result.tried, record.result.taken)
    again = here(order(tmp_path, network, "dice", learning_rates=RATES))
    assert (len(trainings), again.loaded, more.loaded) == (3, True, False)
    assert [one.dice for one in again.images] == pytest.approx([one.dice for one in more.images], nan_ok=True)


def test_a_run_that_was_stopped_goes_on_with_the_rate_it_was_at(tmp_path, network, chosen, trainings):
    asked = order(tmp_path, network, "dice", learning_rates=RATES)
    steps = []

    def stop(event):
        if "step" in event and steps.append(event["step"]) is None and len(steps) == 7:
            raise Killed

    with pytest.raises(Killed):
        here(asked, stop)
    assert here(asked).tried == chosen[1].result.tried
    assert trainings == [RATES[0], RATES[1], RATES[1], RATES[2]]


def test_of_equal_ones_the_first_is_taken(tmp_path, network):
    found = here(order(tmp_path, network, "dice", learning_rates=(1e-12, 1e-13)))
    assert found.tried[0].val_dice == found.tried[1].val_dice
    assert found.taken == 1e-12


def diverging(monkeypatch, rates):
    """Let trainings with these rates diverge."""

    def exploding(network, task, *more):
        if task.spec.learning_rate in rates:
            raise Diverged("the loss became nan at step 1 of 4")
        return train(network, task, *more)

    monkeypatch.setattr("bench.run.dice.train", exploding)


def test_a_rate_with_which_it_diverged_counts_as_tried(tmp_path, network, monkeypatch):
    diverging(monkeypatch, {RATES[0]})
    tried = here(order(tmp_path, network, "dice", learning_rates=RATES)).tried
    assert [one.diverged for one in tried] == ["the loss became nan at step 1 of 4", "", ""]
    assert tried[0].val_dice is None


def test_where_all_diverged_the_job_did(tmp_path, network, monkeypatch):
    diverging(monkeypatch, set(RATES))
    with pytest.raises(Diverged, match=r"with none of the learning rates .* with the learning rate 1e-09 the loss"):
        here(order(tmp_path, network, "dice", learning_rates=RATES))


def test_on_two_processes_each_rate_is_trained_by_both(tmp_path, network):
    record = run(order(tmp_path, network, "dice", learning_rates=(1e-9, 0.05), devices=2), ignored)
    assert record.status == "ok", record.error
    assert [one.learning_rate for one in record.result.tried] == [1e-9, 0.05]


def test_where_it_is_scored_elsewhere_the_chosen_one_is_loaded(chosen, trainings):
    asked, record, _ = chosen
    spec = asked.job.spec
    there = {"trained_on": spec.dataset, "trained_data": spec.data}
    found = here(changed(asked.model_copy(update={"home": asked.data}), **there))
    assert trainings == []
    assert (found.taken, found.loaded) == (record.result.taken, True)
    assert [one.dice for one in found.images] == pytest.approx([one.dice for one in record.result.images], nan_ok=True)


def test_jobs_that_share_a_training_share_its_lock(tmp_path, network):
    several = order(tmp_path, network, "dice", learning_rates=RATES).job
    one, other = (order(tmp_path, network, "dice", learning_rate=rate).job for rate in (RATES[2], 0.3))
    assert set(locks_of(tmp_path, one)) < set(locks_of(tmp_path, several))
    assert set(locks_of(tmp_path, other)).isdisjoint(locks_of(tmp_path, several))
    assert len({several.key, one.key, other.key}) == 3


def test_what_is_trained_already_takes_no_time(tmp_path, network):
    study = Study(
        (network,), ("dice",), find_budget("quick"), (DataAt("synthetic"),), "cpu", training=Training((1e-3, 1e-4))
    )
    planned = plan(study)
    (job,) = [job for job in planned.jobs if job.spec.quantity == "dice"]

    def left(trained):
        for one in job.trials[:trained]:
            (tmp_path / "checkpoints" / one.training_key).mkdir(parents=True, exist_ok=True)
            (tmp_path / "checkpoints" / one.training_key / "card.json").touch()
        return Clock(planned, tmp_path).guess(job)

    none, half, both = left(0), left(1), left(2)
    assert none - half == pytest.approx(half - both)
    assert none > half > both


def study(networks=("unet", "mdsa_unet"), **more):
    return Study(networks, ("dice",), find_budget("quick"), (DataAt("synthetic"),), "cpu", **more)


def test_a_batch_of_ones_own_is_shared_out_evenly_too():
    with pytest.raises(UserError, match="--devices 2: a batch of 3 cannot be shared out evenly"):
        study(own_training={"mdsa_unet": Training(batch=3)}, devices=2)
    study(own_training={"mdsa_unet": Training(batch=2)}, devices=2)
    with pytest.raises(UserError, match="a batch of 5 cannot be shared out"):
        study(training=Training(batch=5), devices=2)


def test_weights_that_are_trained_already_take_no_settings(tmp_path):
    with pytest.raises(UserError, match=r"is trained already; leave --lr, .* and --augmentation out"):
        study(("unet",), weights=tmp_path / "w.pt", training=Training((1e-4,)))


def test_the_announcement_tells_the_settings_of_single_networks():
    planned = plan(study(own_training={"unet": Training((3e-4, 1e-4), batch=8)}, training=Training(weight_decay=0.1)))
    by_network = {job.network: job.spec for job in planned.jobs if job.spec.quantity == "dice"}
    _, told = QUANTITIES["dice"].told(by_network["mdsa_unet"], planned.asked)
    assert "80 steps of 4 images" in told
    assert "learning rate 0.001, weight decay 0.1" in told
    assert told.endswith("; unet with learning rate 0.0003,0.0001, batch 8")
    own = by_network["unet"].train
    assert (own.steps, own.batch, own.learning_rates, own.weight_decay) == (40, 8, (3e-4, 1e-4), 0.1)


def settings(options):
    return options.study(DataOptions()).training.settings


def test_the_options_of_the_command_line_are_settings_of_the_training():
    options = RunOptions(
        lr="1e-3, 3e-4", weight_decay=0.1, warmup=0.0, loss_weights="1,0.5", train_batch=8, augmentation="none"
    )
    assert settings(options) == Training((1e-3, 3e-4), 0.1, 0.0, 8, "none", (1, 0.5))
    assert settings(RunOptions()) == Training()
    for wrong in ({"lr": "fast"}, {"lr": "1e-3,,"}, {"lr": "nan"}, {"loss_weights": "1"}, {"augmentation": "flop"}):
        with pytest.raises(UserError, match=r"--lr|--loss-weights|--augmentation"):
            settings(RunOptions(**wrong))
