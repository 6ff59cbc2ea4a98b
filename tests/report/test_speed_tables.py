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
    assert list(tables(record("unet", spec, Memory(weights_bytes=1, peak_bytes=2)))) == ["Peak memory at batch 1"]


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
