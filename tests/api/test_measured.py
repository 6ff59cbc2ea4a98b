"""Networks as the program builds them; counted and timed by name or as they are, in processes of their own."""

import math

import pytest
import torch
from handmade import LATENCY, STATE, latency_record
from orders import tiny
from torch import nn
from toys import Small, small

import bench
from bench.api import timing
from bench.api.built import Subject, as_texts
from bench.api.timing import judged
from bench.networks import find_network

QUIET = {"quiet": True}
DISTURBED = {"cpu_busy_s": 5.0, "own_cpu_s": 0.0, "clock_s": 3.0}


# ---- built -----------------------------------------------------------------------------------------------------------


def test_a_network_is_built_from_a_seed_and_the_callers_random_numbers_stay():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one, again, other = (bench.network("malunet", size=64, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(torch.rand(1), expected)
    weights = [next(built.parameters()) for built in (one, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    torch.manual_seed(3)
    assert torch.equal(next(find_network("malunet").build(3, 1, 64).parameters()), weights[0])


def test_a_network_of_a_file_gets_its_arguments_and_shapes(tmp_path):
    (tmp_path / "own.py").write_text(
        "from torch import nn\n\nclass Own(nn.Conv2d):\n    def __init__(self, in_channels, classes, kernel=1):\n"
        "        super().__init__(in_channels, classes, kernel, padding='same')\n"
    )
    built = bench.network(f"{tmp_path}/own.py:Own", channels=1, classes=4, kernel=3)
    assert built(torch.ones(2, 1, 32, 32)).shape == (2, 4, 32, 32)
    assert built.kernel_size == (3, 3)


def test_arguments_are_spelled_as_a_networks_name_spells_them():
    assert as_texts({"act": None, "norm": True, "widths": [1, 2]}) == {
        "act": "none",
        "norm": "true",
        "widths": "[1, 2]",
    }
    with pytest.raises(bench.UserError, match="is written key=value"):
        as_texts({"act": "a&b"})


# ---- counted ---------------------------------------------------------------------------------------------------------


def test_a_network_of_a_notebook_is_counted_and_stays_as_it_was():
    cell = {"__name__": "__main__", "nn": nn, "__builtins__": __builtins__}
    exec(
        "class Cell(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Conv2d(2, 5, 3, padding=1, bias=False)\n"
        "    def forward(self, images):\n"
        "        return self.layer(images)\n", cell,
    )  # fmt: skip
    network = cell["Cell"]()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = bench.count(network, 32, channels=2, **QUIET)
    assert (found.title, found.parameters, found.trainable_parameters) == ("Cell", 90, 90)
    assert found.macs_fvcore == found.macs_torch == 90 * 32 * 32
    assert found.doubt == ""
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert "Cell" in str(found)
    assert "For one image of 2x32x32" in found._repr_html_()


def test_an_image_that_the_network_does_not_take_is_told_with_its_shape():
    with pytest.raises(
        bench.UserError, match=r"Small could not be measured \(crashed: .*images \(1, 4, 64, 64\); give"
    ):
        bench.count(small(), 64, channels=4, **QUIET)


# ---- timed -----------------------------------------------------------------------------------------------------------


def rounds(first: list[float], second: list[float], disturbed: int = 0) -> list[timing.Round]:
    """Rounds of processes with these medians in seconds, of which something disturbed the first."""
    made = []
    for number, medians in enumerate(zip(first, second, strict=True)):
        records = [latency_record(samples_s=(0.9 * m, m, 1.2 * m), process=number) for m in medians]
        if number < disturbed:
            noisy = STATE.model_copy(update=DISTURBED)
            quiet = STATE.model_copy(update=dict.fromkeys(DISTURBED, 0.0))
            records[0] = records[0].model_copy(update={"before": quiet, "after": noisy})
        made.append(tuple(records))
    return made


def two(*given, **more) -> timing.Timing:
    return judged(["Mine", "U-Net"], LATENCY, rounds(*given, **more))


def test_the_ratio_has_an_interval_as_wide_as_the_noise_of_the_second():
    found = two([0.10, 0.101, 0.099, 0.1, 0.1], [0.20, 0.202, 0.198, 0.2, 0.2])
    assert found.ratio.value == pytest.approx(0.5)
    assert found.ratio.low <= 0.5 / (1 + found.noise) < 0.5 < 0.5 * (1 + found.noise) <= found.ratio.high
    assert found.warnings == ()
    assert [one.latency_s.value for one in found.networks] == pytest.approx([0.1, 0.2], rel=0.01)
    text = str(found)
    assert "Mine takes 0.500 [0." in text
    assert "times as long as U-Net (95 % interval, 5 pairs of processes)." in text
    assert text.splitlines()[1].split()[:2] == ["Mine", "100"]


def test_a_loud_machine_is_named_and_what_cannot_be_told_is_not_said():
    found = two([0.1, 0.14, 0.09, 0.12, 0.1], [0.13, 0.1, 0.1, 0.14, 0.08])
    assert not found.ratio.differs
    assert "which of the two is faster cannot be told" in str(found)
    (warning,) = found.warnings
    assert warning.startswith("this machine is too loud to tell differences under")
    assert f"Warning: {warning}." in str(found)
    assert "too loud" in found._repr_html_()


def test_disturbed_rounds_are_left_out_and_counted_while_enough_are_left():
    steady = [0.1] * 5, [0.2] * 5
    found = two([9.0, *steady[0][1:]], steady[1], disturbed=1)
    assert (found.ratio.value, found.ratio.pairs) == (pytest.approx(0.5), 4)
    (warning,) = found.warnings
    assert warning.startswith("1 of 10 processes were disturbed, one because other processes used")
    assert warning.endswith("1 of 5 rounds are left out")
    crowded = two(*steady, disturbed=4)
    assert crowded.ratio.pairs == 5
    assert "they count all the same" in crowded.warnings[0]


def test_one_process_gives_a_figure_and_no_interval():
    found = two([0.1], [0.2])
    assert found.ratio.value == pytest.approx(0.5)
    assert math.isinf(found.noise)
    assert "so few processes give no interval" in str(found)
    assert "take 5 processes or more" in found.warnings[0]
    alone = judged(["Mine"], LATENCY, [(latency_record(),)])
    assert (alone.ratio, alone.noise, alone.warnings) == (None, None, ())
    assert "–" in str(alone)


def test_the_conditions_are_told():
    spec = LATENCY.model_copy(
        update={"batch": 4, "precision": "bfloat16", "form": "folded", "memory_format": "channels_last"}
    )
    assert "A batch of 4x3x224x224 in bfloat16, folded, channels_last on cpu with 2 threads: " in str(
        judged(["Mine"], spec, [(latency_record(),)])
    )


def test_the_networks_take_turns_with_the_machine_to_themselves(monkeypatch):
    order, alone = [], []

    class Lock:
        def __init__(self, exclusive, tell):
            alone.append(exclusive)

        def __enter__(self):
            order.append("locked")

        def __exit__(self, *_):
            order.append("free")

    def measure(of: Subject, spec, folder, device, threads):
        order.append((of.title, spec.process))
        return latency_record(process=spec.process)

    monkeypatch.setattr(timing, "machine_lock", Lock)
    monkeypatch.setattr(timing, "measure", measure)
    found = bench.time(small(), small(), processes=2, samples=3, threads=1, device="cpu", **QUIET)
    assert alone == [True]
    assert order == ["locked", ("Small", 0), ("Small", 0), ("Small", 1), ("Small", 1), "free"]
    assert [one.title for one in found.networks] == ["Small (1)", "Small (2)"]
    assert (found.spec.samples, found.spec.threads) == (3, 1)


@pytest.mark.slow
def test_two_networks_are_timed_by_name_and_as_they_are(tmp_path):
    """One of a file, which only its name finds in another process, and one of an importable module."""
    built = bench.network(tiny(tmp_path), size=64)
    found = bench.time(built, Small(64), size=64, device="cpu", processes=3, samples=5, seconds=0.1, **QUIET)
    assert [one.title for one in found.networks] == ["tiny.py:Tiny", "Small"]
    assert [len(one.calls_s) for one in found.networks] in ([3, 3], [2, 2])
    assert all(len(calls) >= 5 and min(calls) > 0 for one in found.networks for calls in one.calls_s)
    assert found.ratio.value < 1, "it has an eighth of the other's width"
    named = bench.time("malunet", size=64, device="cpu", processes=1, samples=3, seconds=0, variant="folded", **QUIET)
    assert named.networks[0].title == "MALUNet"
    assert named.spec.form == "folded"
