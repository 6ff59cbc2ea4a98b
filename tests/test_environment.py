"""The machine's facts are read, never guessed, and the fingerprint holds those that change a time."""

from handmade import ENVIRONMENT

from bench.environment import Environment, cpu_has, environment, state


def test_this_machine_is_described():
    facts = environment()
    assert facts.cores >= 1
    assert facts.memory_bytes > 2**28
    assert facts.packages["torch"] != "absent"
    assert facts.title.startswith(facts.cpu)


def test_the_fingerprint_follows_what_changes_a_time_and_nothing_else():
    def changed(**facts: object) -> str:
        return ENVIRONMENT.model_copy(update=facts).fingerprint

    same = ENVIRONMENT.fingerprint
    assert changed(commit="other") == changed(variables={"OMP_NUM_THREADS": "1"}) == same
    others = {changed(cpu="B"), changed(cores=4), changed(gpus=("H200",)), changed(packages={"torch": "2.15"})}
    others.add(changed(variables={"TIMM_FUSED_ATTN": "2"}))
    assert len(others | {same}) == 6


def test_facts_survive_json():
    assert Environment.model_validate_json(environment().model_dump_json()) == environment()


def test_state_has_a_time_and_what_can_be_read():
    now = state()
    assert now.at.endswith("+00:00")
    assert now.load_1min is None or now.load_1min >= 0


def test_an_unknown_processor_feature_is_absent():
    assert not cpu_has("no_such_feature")
