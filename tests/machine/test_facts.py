"""The machine's facts are read, never guessed, and the fingerprint holds those that change a time."""

from pathlib import Path

import pytest
from handmade import ENVIRONMENT

from bench.machine import Machine, facts, this_machine
from bench.machine.facts import cpu_has
from bench.quantities import LatencySpec
from bench.read.load import load


def changed(**facts: object) -> Machine:
    return ENVIRONMENT.model_copy(update=facts)


def test_this_machine_is_described():
    facts = this_machine()
    assert facts.cores >= 1
    assert facts.memory_bytes > 2**28
    assert facts.packages["torch"] != "absent"
    assert facts.title.startswith(facts.cpu)


def test_the_fingerprint_follows_what_changes_a_time_and_nothing_else():
    same = ENVIRONMENT.fingerprint
    assert changed(commit="other").fingerprint == changed(variables={"OMP_NUM_THREADS": "1"}).fingerprint == same
    others = [changed(cpu="B"), changed(cores=4), changed(gpus=("H200",)), changed(packages={"torch": "2.15"})]
    others += [changed(variables={"TIMM_FUSED_ATTN": "2"}), changed(cpu_quota=1.5)]
    assert len({one.fingerprint for one in others} | {same}) == 7


EPYC = {"cpu_vendor": "AuthenticAMD", "cpu_family": "25", "cpu_model": "1", "cpu_stepping": "1", "cpu_flags": "a1"}


@pytest.mark.parametrize("field", list(EPYC))
def test_processors_of_one_name_are_told_apart(field):
    known = changed(**EPYC)
    assert len({ENVIRONMENT.fingerprint, known.fingerprint, changed(**{**EPYC, field: "b2"}).fingerprint}) == 3


def test_of_the_visible_gpus_only_the_kind_of_the_first_matters():
    def on(visible: str, *gpus: str) -> str:
        return changed(**EPYC, gpus=gpus, variables={"CUDA_VISIBLE_DEVICES": visible}).fingerprint

    assert on("0", "H200") == on("3", "H200") == changed(**EPYC, gpus=("H200",)).fingerprint
    assert on("0,1", "H200", "A100") != on("1,0", "A100", "H200"), "the first is the one that is measured"
    assert on("0", "H200") == on("0,1", "H200", "H200") == on("0,1", "H200", "A100"), "a cluster may show one of eight"
    assert len({on("0", "H200"), on("0", "A100"), on("")}) == 3


def test_a_machine_with_one_gpu_or_none_keeps_its_fingerprint():
    """Stored digits, made when all visible GPUs counted."""
    assert changed(**EPYC).fingerprint == "d3714fbe5854"
    assert changed(**EPYC, gpus=("H200",), driver="570.1").fingerprint == "575a6145e4f7"


def test_a_gpu_is_pretended_if_its_name_says_so():
    assert changed(gpus=("Pretended GPU", "H200")).pretended
    assert not changed(gpus=("H200", "Pretended GPU")).pretended, "the first is the one that is measured"
    assert not changed().pretended


def test_a_machine_of_an_older_record_keeps_the_fingerprint_that_it_had():
    """Stored digits, made before processors were told apart."""
    assert ENVIRONMENT.fingerprint == "2f5f4579a0da"
    assert (
        changed(variables={"CUDA_VISIBLE_DEVICES": "1"}, gpus=("B", "A"), cpu_quota=1.5).fingerprint == "c77e0c373381"
    )


def test_a_title_tells_processors_of_one_name_apart():
    assert changed(**EPYC).title == "A CPU (family 25, model 1, stepping 1), 2 cores, 24 GiB, no GPU"
    assert changed(cpu_vendor="arm64").title == ENVIRONMENT.title == "A CPU, 2 cores, 24 GiB, no GPU"


def test_stored_records_keep_their_fingerprint():
    stored = load([Path(__file__).parents[2] / "results" / "reference"]).records
    timed = [record for record in stored if isinstance(record.job.spec, LatencySpec)]
    assert timed
    assert all(record.machine.fingerprint == record.job.spec.machine for record in timed)
    assert all(record.machine.cpu_quota is None for record in timed)


@pytest.mark.parametrize(("quota", "cores", "binding"), [(2.5, 3, 2.5), (8.0, 8, None), (None, 8, None)])
def test_a_quota_counts_where_it_is_below_the_processors(monkeypatch, quota, cores, binding):
    monkeypatch.setattr(facts, "processors", lambda: tuple(range(8)))
    monkeypatch.setattr(facts, "cpu_quota", lambda: quota)
    found = this_machine.__wrapped__()
    assert (found.cores, found.cpu_quota) == (cores, binding)


def test_a_quota_is_told():
    assert changed(cpu_quota=1.5).title == "A CPU, 2 cores (a quota of 1.5), 24 GiB, no GPU"


def test_facts_survive_json():
    assert Machine.model_validate_json(this_machine().model_dump_json()) == this_machine()


def test_an_unknown_processor_feature_is_absent():
    assert not cpu_has("no_such_feature")


@pytest.mark.parametrize("feature", ["amx_bf16", "avx512_bf16"])
def test_mixed_precision_only_where_the_hardware_has_it(feature, monkeypatch):
    for has in (False, True):
        monkeypatch.setattr(facts, "cpu_has", lambda flag, has=has: has and flag == feature)
        monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation, has=has: has)
        expected = "bfloat16" if has else "float32"
        assert facts.training_precision("cpu") == facts.training_precision("cuda") == expected
