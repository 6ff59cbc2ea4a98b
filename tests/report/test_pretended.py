"""Records of a pretended GPU: no figure of theirs that depends on the machine is shown or judged as measured."""

import pytest
from claiming import claim, now
from handmade import ENVIRONMENT, LATENCY, TRAIN, altered, cost_record, dice_record, latency_record, record

from bench.judge.compare import compare
from bench.judge.evidence import exact, interleaved, measured
from bench.judge.figure import Undecided
from bench.judge.pick import pick
from bench.machine.doctor import findings
from bench.quantities import Energy, EnergySpec, Memory, MemorySpec
from bench.read.sections import sections
from bench.read.speeds import speeds
from bench.report.figures import pictures
from bench.report.speed_tables import speed_tables
from bench.report.tables import main_table, notes
from bench.report.text import pick_reason
from bench.run.store import Record

WHY = "the GPU is pretended by a test, and nothing was measured on one"
GPU = ENVIRONMENT.model_copy(update={"gpus": ("Pretended GPU",), "driver": "0"})
ON_GPU = {"machine": GPU.fingerprint, "device": "cuda"}
PASS = {**ON_GPU, "threads": 2}


def on_gpu(made: Record, **conditions: object) -> Record:
    return now(altered(made, **(conditions or ON_GPU)), machine=GPU)


def memory(network: str, peak: int) -> Record:
    return on_gpu(record(network, MemorySpec(**PASS), Memory(weights_bytes=1, peak_bytes=peak, reserved_bytes=peak)))


def energy(network: str, joules: float) -> Record:
    return on_gpu(record(network, EnergySpec(**PASS), Energy(joules_per_image=joules, idle_watts=1.0)))


def trained(network: str) -> Record:
    return on_gpu(dice_record(network), train=TRAIN.model_copy(update={"device": "cuda"}))


@pytest.fixture
def made() -> list[Record]:
    every = [(latency_record("unet"), latency_record("mdsa_unet")), (cost_record("unet"), cost_record("mdsa_unet"))]
    times, counts = ([*pair] for pair in every)
    others = [make(network, 2**20) for make in (memory, energy) for network in ("unet", "mdsa_unet")]
    return [*map(on_gpu, times), *map(now, counts), *others, trained("unet"), trained("mdsa_unet")]


def test_every_figure_that_depends_on_the_machine_is_tainted_and_counts_are_not(made):
    assert {r.job.spec.quantity: r.taints for r in made} == {
        "latency": (WHY,), "cost": (), "memory": (WHY,), "energy": (WHY,), "dice": (WHY,)
    }  # fmt: skip


def test_times_of_the_processor_of_such_a_machine_are_times():
    assert now(latency_record(), machine=GPU).taints == ()


def test_the_doctor_finds_the_machine_unfit(made):
    told = [(one.mark, one.what) for one in findings(GPU, made[0].before, made[0].after, "cuda", cuda=True)]
    assert ("bad", WHY) in told
    assert ("bad", WHY) not in [(f.mark, f.what) for f in findings(GPU, made[0].before, made[0].after, "cpu", True)]


def test_claims_about_times_memory_and_energy_are_undecided(made):
    pair = {"device": "cuda", "against": "unet", "margin": 0.05}
    with pytest.raises(Undecided, match="pretended by a test"):
        exact(claim(metric="memory_inference", **pair), made, "")
    with pytest.raises(Undecided, match="pretended by a test"):
        interleaved(claim(metric="latency", **pair), made, "")
    with pytest.raises(Undecided, match="pretended by a test"):
        measured(claim(metric="energy", **pair), made, "")


def test_a_change_of_memory_is_undecided(made):
    later = [memory(r.job.network, 2**22) if r.job.spec.quantity == "memory" else r for r in made]
    changes = [one for one in compare(made, later) if one.metric.name == "memory_inference"]
    assert changes
    assert {(one.outcome, one.reason) for one in changes} == {("undecided", WHY)}


def test_tables_mark_each_figure_and_none_is_the_best(made):
    (section,), (timed,) = sections(made), speeds(made)
    shown = main_table(section)
    cells = {c.key: [line[1][n] for line in shown.lines] for n, c in enumerate(shown.columns)}
    assert all(cell.mark == "‡" and not cell.best for key in ("latency", "memory") for cell in cells[key])
    assert any(cell.best for cell in cells["parameters"])
    assert any(note.startswith("‡ U-Net") and WHY in note for note in notes(section))
    for one in speed_tables(timed):
        assert f"‡ {WHY}" in one.notes
        found = [cell for _, line in one.lines for cell, column in zip(line, one.columns, strict=True)
                 if column.base not in ("count", "text") and cell.figure != "–"]  # fmt: skip
        assert found
        assert all(cell.mark == "‡" and not cell.best for cell in found)
    assert all(WHY in picture.caption for source in (section, timed) for picture in pictures("x", source))


def test_a_time_that_no_gpu_had_meets_no_limit(made):
    (section,) = sections(made)
    candidates = pick(section, {"latency": 1e6})
    assert [one.broken[0].value for one in candidates] == [None, None]
    assert f"Beware: {WHY}." in pick_reason(section, candidates)


def test_a_variant_that_failed_is_told():
    refused = record("unet", LATENCY.model_copy(update={"form": "onnx"}), None, status="refused", error="not installed")
    (found,) = speeds([latency_record("unet"), refused])
    assert found.refusals == ["U-Net, onnx: not installed"]
