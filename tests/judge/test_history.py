import pytest
from claiming import counted, timed, trained
from gitting import commit

from bench.judge.history import history
from bench.quantities import find_metric


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_point_for_each_commit_that_has_records(repository):
    commit(repository, [counted(parameters=1)], "first")
    commit(repository, [], "without")
    last = commit(repository, [counted(parameters=2), *timed("mdsa_unet", [0.1, 0.3, 0.2])], "last")
    points = history("mdsa_unet", find_metric("parameters"))
    assert [(point.commit.subject, point.value) for point in points] == [("first", 1), ("last", 2)]
    assert points[-1].commit.name == last[:12]
    assert points[-1].machine == ""
    (latency,) = history("mdsa_unet", find_metric("latency"))
    assert (latency.value, len(latency.records)) == (0.2, 3)
    assert latency.machine.startswith("A CPU")


def test_a_score_is_of_one_data_set(repository):
    commit(repository, [trained("unet", (0.5, 0.7))], "first")
    (point,) = history("unet", find_metric("dice"))
    assert (point.value, point.conditions) == (pytest.approx(0.6), "size 224, synthetic")
    assert history("unet", find_metric("dice"), dataset="ddti") == []


def test_other_sizes_batches_variants_and_switches_are_no_part_of_it(repository):
    records = timed("unet", [0.1, 0.2, 0.3, 0.4])
    for number, changes in enumerate(({"batch": 8}, {"size": 448}, {"form": "folded"}, {"tf32": True})):
        spec = records[number].job.spec.model_copy(update=changes)
        job = records[number].job.model_copy(update={"spec": spec})
        records[number] = records[number].model_copy(update={"job": job})
    commit(repository, records, "a batch of eight, a large image, folded, with TF32")
    assert history("unet", find_metric("latency")) == []
