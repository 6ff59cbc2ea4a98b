"""Which tables a machine's records make, and what is in them."""

from handmade import LATENCY, record

from bench.quantities import Agreement, Energy, EnergySpec, Latency, Memory, MemorySpec
from bench.read.speeds import speeds
from bench.report.speed_tables import speed_tables


def timed(seconds: float, agreement: Agreement | None = None, **conditions):
    spec = LATENCY.model_copy(update=conditions)
    return record("unet", spec, Latency(samples_s=(seconds,) * 5, warmup_s=(), agreement=agreement, prepare_s=None))


def tables(*records):
    (found,) = speeds(records)
    return {table.caption: table for table in speed_tables(found)}


def cells(table, line: int = 0) -> dict[str, str]:
    return dict(zip((c.header for c in table.columns), (cell.text for cell in table.lines[line][1]), strict=True))


def test_one_batch_and_one_size_make_one_table():
    found = tables(timed(0.1))
    assert list(found) == ["Speed at batch 1, 224x224, cpu"]
    assert cells(found["Speed at batch 1, 224x224, cpu"])["Latency (ms)"] == "100"


def test_memory_alone_has_no_table_of_speed():
    spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2)
    assert list(tables(record("unet", spec, Memory(weights_bytes=1, peak_bytes=2)))) == ["Peak memory"]


def test_a_batch_sweep_tells_its_saturation_and_where_it_ended():
    ended = record("unet", LATENCY.model_copy(update={"batch": 8}), None, status="out_of_memory", error="no memory")
    table = tables(timed(0.1), timed(0.11, batch=2), timed(0.22, batch=4), ended)["Throughput by batch"]
    assert cells(table) == {
        "Batch 1 (images/s)": "10.0", "Batch 2 (images/s)": "18.2", "Batch 4 (images/s)": "18.2",
        "Batch 8 (images/s)": "–", "Saturation (batch)": "2",
    }  # fmt: skip
    assert "U-Net: ended at batch 8, out of memory" in table.notes


def test_a_size_sweep_tells_how_latency_and_memory_grow():
    def measured(size: int, peak: int):
        spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2, size=size)
        return record("unet", spec, Memory(weights_bytes=100, peak_bytes=100 + peak))

    sizes = (112, 224, 448)
    table = tables(*(timed(size**4 / 1e12, size=size) for size in sizes), *(measured(size, size**2) for size in sizes))
    found = cells(table["Cost as the image grows"])
    assert (found["Growth (latency)"], found["Growth (memory)"], found["Growth (GMAC)"]) == ("2.00", "1.00", "–")


def test_a_variant_stands_beside_the_plain_network_with_its_error():
    strays = Agreement(max_error=0.02, largest=4.0, dice=0.998)
    refused = record("unet", LATENCY.model_copy(update={"form": "onnx"}), None, status="refused", error="not installed")
    table = tables(timed(0.1), timed(0.05, strays, precision="bfloat16"), refused)["Deployed speed"]
    assert [title for title, _ in table.lines] == ["U-Net, eager", "U-Net, bfloat16"]
    found = cells(table, 1)
    assert (found["To eager (ratio)"], found["Max error (of largest)"], found["Masks (Dice)"]) == (
        "0.500",
        "5e-03",
        "0.998",
    )
    assert "U-Net, onnx: not installed" in table.notes


def test_energy_that_cannot_be_read_is_a_dash_with_its_reason():
    spec = EnergySpec(machine=LATENCY.machine, device="cpu", threads=2)
    energy = record("unet", spec, Energy(joules_per_image=None, idle_watts=None, unreadable="no counter here"))
    table = tables(timed(0.1), energy)["Energy at batch 1"]
    assert cells(table) == {"Energy (J/image)": "–", "Idle (W)": "–"}
    assert "no counter here" in table.notes


def test_a_variant_that_failed_does_not_end_a_batch_sweep():
    refused = record("unet", LATENCY.model_copy(update={"form": "onnx"}), None, status="refused", error="not installed")
    table = tables(timed(0.1), timed(0.11, batch=2), refused)["Throughput by batch"]
    assert not any("ended" in note for note in table.notes)


def test_memory_is_shown_at_one_batch_with_a_note_for_those_of_another():
    def held(network: str, mode: str, peak: int, batch: int, process: int = 0):
        spec = MemorySpec(machine=LATENCY.machine, device="cpu", threads=2, mode=mode, batch=batch, process=process)
        return record(network, spec, Memory(weights_bytes=2**20, peak_bytes=peak * 2**20))

    found = tables(
        held("unet", "inference", 10, 1), held("unet", "inference", 30, 1, 1), held("unet", "inference", 20, 1, 2),
        held("unet", "training", 80, 8), held("unetpp", "training", 40, 4), held("swin_unet", "training", 41, 4),
    )["Peak memory"]  # fmt: skip
    columns = ["Weights (MiB)", "Inference (MiB, batch 1)", "Training (MiB, batch 4)"]
    assert [column.header for column in found.columns] == columns
    assert {title: [cell.text for cell in line] for title, line in found.lines} == {
        "Swin-UNet": ["–", "–", "41.0"], "U-Net": ["1.00", "20.0", "–"], "UNet++": ["–", "–", "40.0"]
    }  # fmt: skip
    assert "U-Net: the memory of training is on record at batch 8 alone" in found.notes


def rounds(network: str, seconds: list[float], **conditions):
    return [
        record(network, LATENCY.model_copy(update={"process": n, **conditions}),
               Latency(samples_s=(one,) * 5, warmup_s=(), prepare_s=None))
        for n, one in enumerate(seconds)
    ]  # fmt: skip


def test_a_form_stands_beside_the_eager_network_of_its_own_rounds():
    eager = rounds("unet", [0.4, 0.4, 0.8, 0.8, 0.8])
    found = tables(*eager, *rounds("unet", [0.2, 0.2], form="folded"))["Deployed speed"]
    told = cells(found, line=1)
    assert told["Latency (ms)"] == "200 [200, 200]"
    assert told["Eager (ms)"] == "400 [400, 400]"  # and not that of all five rounds
    assert (told["To eager (ratio)"], told["Rounds"]) == ("0.500 [0.500, 0.500]", "2")


def test_best_forms_are_compared_with_the_best_form_of_mdsa_unet():
    records = [
        *rounds("unet", [0.4, 0.4]), *rounds("unet", [0.3, 0.3], form="folded"),
        *rounds("unet", [0.2, 0.2], form="onnx"), *rounds("unet", [0.1, 0.1], precision="bfloat16"),
        *rounds("mdsa_unet", [0.1, 0.1]), *rounds("mdsa_unet", [0.2, 0.2], form="folded"),
        *rounds("unetpp", [0.5, 0.5]),
    ]  # fmt: skip
    found = tables(*records)["Best form of each network"]
    headers = [column.header for column in found.columns]
    ours, theirs = (dict(zip(headers, (c.figure for c in line), strict=True)) for _, line in found.lines)
    assert [title for title, _ in found.lines] == ["MDSA-UNet", "U-Net"]  # of UNet++ there is one form
    assert (ours["Form"], ours["To MDSA-UNet (best forms)"]) == ("eager", "–")
    assert (theirs["Form"], theirs["Latency (ms)"], theirs["To eager (ratio)"]) == ("onnx", "200", "0.500")
    assert (theirs["To MDSA-UNet (best forms)"], theirs["Forms (timed)"]) == ("2.00", "3")


def test_times_of_two_versions_of_onnx_runtime_are_not_mixed():
    def of(seconds: float, version: str, at: str):
        made = rounds("unet", [seconds] * 2, form="onnx", runtime=f"onnxruntime {version}")
        return [r.model_copy(update={"before": r.before.model_copy(update={"at": at})}) for r in made]

    newer = of(0.2, "1.33.0", "2026-02-01T00:00:00+00:00")
    found = tables(*rounds("unet", [0.4, 0.4]), *newer, *of(0.3, "1.32.0", "2026-01-31T00:00:00+00:00"))
    assert cells(found["Deployed speed"], line=1)["Latency (ms)"] == "200 [200, 200]"


def test_fewer_threads_than_cores_are_in_the_caption():
    (caption,) = tables(timed(0.1, threads=1))
    assert caption == "Speed at batch 1, 224x224, cpu, 1 of 2 cores"
