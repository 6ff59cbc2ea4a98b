"""`bench profile` as typed, and the tree that it draws of a made-up profile."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import commanding
import pytest
from rich.console import Console

from bench.cli import terminal, tree
from bench.quantities import ModuleCost, OperatorTime, Profile, ProfileSpec

ROOT = Path(__file__).parent.parent.parent
bench = partial(commanding.bench, "profile", COLUMNS="80")


def test_it_draws_a_tree_that_fits_eighty_columns():
    """In a process of its own, for what torch's profiler writes to standard error of itself is not to be seen."""
    asked = [sys.executable, "-m", "bench.cli", "profile", "mdsa_unet", "--size", "32", "--depth", "2"]
    given = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    done = subprocess.run(asked, capture_output=True, text=True, check=False, env=given)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("MDSA-UNet, a batch of 1x3x32x32 in float32 on ")
    assert any(line.startswith("│ ├ attention SparseAttention") for line in lines)
    assert not any(line.startswith("│ │ ├ ") for line in lines), "no deeper than asked"
    assert any(line.startswith("aten::mkldnn_convolution") for line in lines)
    assert "do not set them beside latencies" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr


def test_json_has_base_units_and_every_module():
    found = json.loads(bench("unet", "--size", "32", "--batch", "2", "--device", "cpu", "--json").stdout)
    assert found["network"] == "unet"
    assert found["conditions"]["batch"] == 2
    root = found["modules"][0]
    assert (root["name"], root["parameters"]) == ("", 31_037_633)
    assert root["macs"] == 36_878_155_776 * 32**2 // 224**2
    assert 0 < root["time_s"] == found["clocked_s"]
    pool = next(module for module in found["modules"] if module["name"] == "pool")
    assert pool["calls"] == 4
    assert sum(operator["share"] for operator in found["operators"]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["unett"], "unknown network 'unett'; did you mean 'unet'?"),
        (["swin_unet", "--size", "100"], "swin_unet needs sides that divide by 32, got 100x100"),
        (["unet", "--size", "8"], "--size"),
    ],
)
def test_a_wrong_question_is_answered_in_words(arguments, words):
    done = bench(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def part(name: str, kind: str = "Part", time_s: float | None = 0.0, **counts: int) -> ModuleCost:
    zeros = {"parameters": 0, "macs": 0, "activations": 0, "calls": 0 if time_s is None else 1}
    return ModuleCost(name=name, kind=kind, time_s=time_s, **{**zeros, **counts})


MODULES = (
    part("", "Net", 1.0, parameters=1000, macs=1000, activations=1000),
    part("big", time_s=0.5, parameters=900, macs=900, activations=900, calls=3),
    part("big.inner", time_s=0.2, parameters=900, macs=900, activations=900),
    part("big.inner.deep", time_s=0.2, parameters=900),
    part("small1", time_s=0.004),
    part("small2", time_s=0.001, macs=3),
    part("small3", time_s=None),
    part("idle", time_s=None, parameters=2),
    part("scripted", "RecursiveScriptModule", time_s=None, parameters=90, calls=1).model_copy(update={"calls": None}),
)


@pytest.fixture
def made_up() -> Profile:
    operators = tuple(OperatorTime(name=f"aten::op{n}", calls=2, self_s=0.01, share=0.05) for n in range(20))
    return Profile(
        modules=MODULES, operators=operators,
        uncounted=("aten._fft_r2c (no formula)",), passes=10, plain_s=0.8, clocked_s=1.0,
    )  # fmt: skip


def test_small_modules_share_a_line_and_idle_parameters_are_named(made_up):
    shown = {line.label: line for line in tree.lines(made_up, "Net", depth=2)}
    assert list(shown) == [
        "Net", "├ big Part ×3", "│ ├ inner Part", "│ └ (its own)", "├ idle Part", "├ scripted RecursiveScriptModule",
        "├ (its own)", "└ (3 others, 1 not called)",
    ]  # fmt: skip
    assert shown["│ └ (its own)"].figures == pytest.approx((0, 0, 0, 0.3))
    assert shown["├ (its own)"].figures == pytest.approx((8, 97, 100, 0.495))
    assert shown["└ (3 others, 1 not called)"].figures == pytest.approx((0, 3, 0, 0.005))
    assert (shown["├ idle Part"].note, shown["├ scripted RecursiveScriptModule"].note) == ("not called", "scripted")
    assert [line.label for line in tree.lines(made_up, "Net", depth=0)] == ["Net"]


def drawn(profile: Profile, capsys) -> list[str]:
    tree.show(Console(width=70), "Net", ProfileSpec(machine="m", device="cpu", threads=2), profile, 1)
    return capsys.readouterr().out.splitlines()


def test_the_footnotes_say_how_much_the_clocks_cost_and_what_was_not_counted(made_up, capsys):
    notes = " ".join(" ".join(drawn(made_up, capsys)).split())
    assert "1000 ms a pass, 800 ms without the clocks (+25.0 %)" in notes
    assert "Not counted, though it may multiply: aten._fft_r2c (no formula)." in notes
    assert "something else used the machine" not in notes
    busy = made_up.model_copy(update={"plain_s": 2.0})
    assert "something else used the machine" in " ".join(" ".join(drawn(busy, capsys)).split())


def test_both_tables_as_they_are_printed(made_up, capsys):
    lines = drawn(made_up, capsys)
    assert max(map(len, lines)) <= 70
    assert next(line for line in lines if line.startswith("├ idle")).endswith("not called")
    assert next(line for line in lines if line.startswith("(10 others)")).split()[2:] == ["20", "100", "50"]


def test_where_the_profiler_saw_nothing_it_says_so_and_draws_no_empty_table(made_up, capsys):
    printed = drawn(made_up.model_copy(update={"operators": ()}), capsys)
    assert any("torch's profiler saw no operator at work on cpu" in line for line in printed)
    assert not any("Own time" in line for line in printed)


def test_a_column_has_the_unit_in_which_the_network_has_a_figure_of_one_or_more(made_up, capsys):
    names = drawn(made_up, capsys)[1]
    assert names.split() == ["Module", "Params", "(k)", "kMAC", "Acts", "(k)", "Time", "(ms)"]
    large = made_up.modules[0].model_copy(update={"macs": 36_878_155_776, "parameters": 31_037_633, "time_s": 1e-4})
    lines = drawn(made_up.model_copy(update={"modules": (large,)}), capsys)
    assert lines[1].split() == ["Module", "Params", "(M)", "GMAC", "Acts", "(k)", "Time", "(µs)"]
    assert lines[2].split() == ["Net", "31.04", "100%", "36.88", "100%", "1.00", "100%", "100.00", "100%"]
    few = made_up.modules[0].model_copy(update={"macs": 5_300_000, "parameters": 60})
    lines = drawn(made_up.model_copy(update={"modules": (few,)}), capsys)
    assert lines[1].split() == ["Module", "Params", "MMAC", "Acts", "(k)", "Time", "(ms)"]
    assert lines[2].split()[:5] == ["Net", "60", "100%", "5.30", "100%"]


def test_progress_without_a_terminal_is_a_line_only_where_it_takes_long(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    with terminal.Status(Console(width=80)) as status:
        status.count("profiling Net: timing", 1, 10)
        now[0] = terminal.HEARTBEAT_S
        status.count("profiling Net: timing", 2, 10)
        status.count("profiling Net: timing", 3, 10)
    assert capsys.readouterr().out.splitlines() == ["profiling Net: timing 2/10, about 2 min 00 s left"]


def test_it_times_alone_on_its_machine(monkeypatch):
    asked = []
    monkeypatch.setattr("bench.locks.machine_lock", lambda exclusive, tell: (asked.append(exclusive), nullcontext())[1])
    assert bench("unext", "--size", "32", "--device", "cpu", "--json").returncode == 0
    assert asked == [True]
