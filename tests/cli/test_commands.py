"""The commands as a user types them: answers, exit codes, and words instead of tracebacks."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from commanding import bench
from PIL import Image

from bench.cli.asked import RunOptions
from bench.cli.options import DataOptions
from bench.networks import NETWORKS, origin_of

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("command", [[], ["list"], ["run"], ["report"]])
def test_help(command):
    done = bench(*command, "--help")
    assert done.returncode == 0
    assert "bench" in done.stdout


def test_version():
    assert bench("--version").stdout.startswith("mdsa-bench ")


@pytest.mark.parametrize(("what", "name"), [("networks", "mdsa_unet"), ("datasets", "isic2017"), ("budgets", "quick")])
def test_lists(what, name):
    assert name in bench("list", what).stdout
    assert name in {line["name"] for line in json.loads(bench("list", what, "--json").stdout)}


MISTAKES = {
    "unknown network": (["run", "unett"], "unknown network 'unett'; did you mean 'unet'"),
    "no network": (["run"], "no network was named; name some of attention_unet"),
    "networks and all": (["run", "unet", "--all"], "both --all and unet were given"),
    "unknown group": (["run", "--group", "cnns"], "unknown group 'cnns'; did you mean 'cnn'"),
    "a file that is not there": (["run", "mine.py:Net"], "no file 'mine.py' here"),
    "a spec without an encoder": (["run", "smp:Unet"], "write smp:ARCHITECTURE/ENCODER"),
    "an argument for the table": (["run", "unet", "--arg", "width=8"], "--arg is for networks from elsewhere"),
    "an argument without value": (["run", "smp:Unet/resnet18", "--arg", "width"], "is written key=value"),
    "pre-trained from the table": (["run", "unet", "--pretrained"], "built as published, from random weights"),
    "unknown data set": (
        ["run", "unet", "--dataset", "isic207"],
        "unknown data set 'isic207'; did you mean 'isic2017'",
    ),
    "unknown measure": (["run", "unet", "--measure", "dise"], "unknown measure 'dise'; did you mean 'dice'"),
    "unknown budget": (["run", "unet", "--budget", "smok"], "unknown budget 'smok'; did you mean 'smoke'"),
    "no data root": (["run", "unet", "--dataset", "ddti"], "give --data-root FOLDER"),
    "missing root": (["run", "unet", "--dataset", "ddti", "--data-root", "nowhere"], "nowhere does not exist"),
    "another layout": (["run", "unet", "--dataset", "isic2017", "--data-root", "."], "ISIC-2017_Training_Data"),
    "out is a file": (["run", "unet", "--out", "a_file"], "'a_file' is a file, not a folder"),
    "no records": (["report", "."], "no records in ."),
    "no folder": (["report", "nowhere"], "no folder"),
    "a seed below zero": (
        ["run", "unet", "--seeds", "0,-1"],
        "--seeds takes up to 100 whole numbers from 0 to 4294967295 by commas",
    ),
    "a batch of none": (
        ["run", "unet", "--batch", "0,4"],
        "--batch takes up to 100 whole numbers from 1 to 65535 by commas",
    ),
    "unknown variant": (["run", "unet", "--variant", "foldet"], "unknown variant 'foldet'; did you mean 'folded'"),
    "weights that are not there": (["run", "unet", "--measure", "dice", "--weights", "no.pt"], "no.pt"),
    "weights for two": (["run", "--all", "--weights", "a_file"], "name the one it was trained for"),
    "a batch that three cannot share": (["run", "unet", "--budget", "smoke", "--devices", "3"], "3"),
    "no such protocol": (["report", ".", "--protocol", "poled"], "did you mean 'pooled'"),
    "out below a file": (["run", "unet", "--out", "a_file/x"], "cannot write to"),
    "small": (["run", "unet", "--size", "8"], "--size must be 32 or more"),
    "a GPU's switch on the CPU": (["run", "unet", "--device", "cpu", "--tf32"], "--tf32 is for measuring on a GPU"),
    "more threads than cores": (["run", "unet", "--threads", "99999"], "--threads must be from 1 to the"),
    "no threads": (["run", "unet", "--threads", "0"], "--threads must be from 1 to the"),
}


@pytest.mark.parametrize(("arguments", "text"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_answered_in_words_with_exit_code_2_and_nothing_is_written(tmp_path, arguments, text):
    (tmp_path / "a_file").write_text("")
    done = bench(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]


def test_cuda_is_refused_where_there_is_none(tmp_path):
    from bench.machine import cuda_usable

    if cuda_usable():
        pytest.skip("this machine has CUDA")
    done = bench("run", "unet", "--device", "cuda", cwd=tmp_path)
    assert done.returncode == 2
    assert "torch finds no CUDA device on this machine" in done.stderr


def test_tf32_and_cudnns_benchmark_are_conditions_of_a_time(monkeypatch):
    monkeypatch.setattr("bench.machine.cuda_usable", lambda: True)
    asked = RunOptions(networks=["unet"], measure="latency")
    plain, both = (o.study(DataOptions()).study() for o in (asked, replace(asked, tf32=True, cudnn_benchmark=True)))
    assert (plain.device, plain.tf32, plain.cudnn_benchmark) == ("cuda", False, False)
    assert (both.tf32, both.cudnn_benchmark) == (True, True)


def test_show_plan_measures_nothing(tmp_path):
    done = bench("run", "--all", "--show-plan", cwd=tmp_path)
    assert done.returncode == 0
    # The machine once; of each network parameters, memory twice, latency in three processes; Dice of each function.
    functions = sum(not origin_of(name) for name in NETWORKS)
    assert f"{1 + 6 * len(NETWORKS) + functions}; about" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_run_ends_with_a_table_and_a_second_one_measures_nothing(tmp_path):
    """The main job, small: one network of 64x64 pixels through every stage, twice."""
    asked = ["run", "mdsa_unet", "--budget", "smoke", "--size", "64"]
    first = bench(*asked, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "MDSA-UNet" in first.stdout
    assert "–" not in first.stdout.split("Report:")[0]
    assert len(list((tmp_path / "results").glob("*.json"))) == 6
    worked = {log: log.stat().st_mtime_ns for log in (tmp_path / "results" / "logs").iterdir()}
    assert len(worked) == 6

    second = bench(*asked, "--json", cwd=tmp_path)
    assert "6, all on record in results: nothing is measured again" in second.stderr
    assert {log: log.stat().st_mtime_ns for log in (tmp_path / "results" / "logs").iterdir()} == worked
    (row,) = json.loads(second.stdout)["rows"]
    assert row["parameters"] == 6_576_225
    assert 0 <= row["dice"] <= 1

    reported = bench("report", "results", "--to", "again", cwd=tmp_path)
    assert reported.returncode == 0
    assert (tmp_path / "again/report.md").read_text().startswith("# Networks compared")


def test_a_failed_network_ends_the_run_with_exit_code_1(tmp_path):
    done = bench("run", "swin_unet", "--measure", "cost", "--size", "100", "--quiet", cwd=tmp_path)
    assert done.returncode == 1
    assert "Swin-UNet: cost refused: swin_unet needs sides that divide by 32" in done.stdout


def test_damaged_records_are_named_and_left_out_of_the_report(tmp_path, reference):
    from bench.run.store import Store

    for record in reference:
        Store(tmp_path).write(record)
    (tmp_path / "broken.json").write_text("{")
    done = bench("report", str(tmp_path), "--to", str(tmp_path / "to"))
    assert done.returncode == 0
    assert "left out:" in done.stderr
    assert "broken.json" in done.stderr


def test_a_report_says_what_of_somebodys_own_it_moved_aside(tmp_path, reference):
    from bench.run.store import Store

    Store(tmp_path).write(reference[0])
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "report.md").write_text("my own words")
    done = bench("report", str(tmp_path), "--to", str(tmp_path / "to"), "--format", "markdown")
    assert done.returncode == 0
    assert f"moved to {tmp_path}/to/replaced" in done.stderr
    assert "moved to" not in done.stdout
    assert (tmp_path / "to" / "replaced" / "report.md").read_text() == "my own words"


@pytest.mark.parametrize("arguments", [["--help"], ["list", "networks"], ["list", "datasets"], ["report", "--help"]])
def test_what_needs_no_torch_does_not_wait_for_it(arguments):
    code = (
        "import sys; from bench.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print('HEAVY', sorted({'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert "HEAVY []" in done.stdout


def test_a_report_by_another_protocol_and_against_another_network(tmp_path, reference):
    from bench.run.store import Store

    for record in reference:
        Store(tmp_path / "records").write(record)
    to = ["--to", str(tmp_path / "to")]
    done = bench("report", str(tmp_path / "records"), *to, "--protocol", "pooled", "--against", "unet", "--json")
    found = json.loads(done.stdout)
    assert {row["protocol"] for row in found["rows"]} == {"pooled"}
    assert [(pair["network"], pair["reference"]) for pair in found["paired"]] == [("mdsa_unet", "unet")]
    refused = bench("report", str(tmp_path / "records"), *to, "--against", "unett")
    assert (refused.returncode, "did you mean 'unet'" in refused.stderr) == (2, True)


def test_a_report_of_stored_records_does_not_import_torch(tmp_path, reference):
    from bench.run.store import Store

    for record in reference:
        Store(tmp_path).write(record)
    code = (
        "import sys; from bench.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print('HEAVY', 'torch' in sys.modules)"
    )
    asked = ["report", str(tmp_path), "--to", str(tmp_path / "to")]
    done = subprocess.run([sys.executable, "-c", code, *asked], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "HEAVY False" in done.stdout


@pytest.fixture
def own(tmp_path):
    """A plain folder of ten images with masks."""
    for kind in ("images", "masks"):
        (tmp_path / "mine" / kind).mkdir(parents=True)
    for n in range(10):
        Image.new("RGB", (40, 40), 20 * n).save(tmp_path / "mine" / "images" / f"{n}.png")
        mask = Image.new("L", (40, 40))
        mask.paste(255, (0, 0, 20, 4 * n))
        mask.save(tmp_path / "mine" / "masks" / f"{n}.png")
    return tmp_path / "mine"


def test_data_check_says_what_is_there_and_exits_with_1_for_what_is_wrong(own):
    sound = bench("data", "check", "folder", "--data-root", str(own))
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "folder: no fault" in sound.stdout
    (own / "images" / "3.png").write_bytes(b"no image")
    (own / "masks" / "4.png").unlink()
    broken = bench("data", "check", "folder", "--data-root", str(own), "--json")
    assert broken.returncode == 1
    faults = json.loads(broken.stdout)["faults"]
    assert len(faults) == 2
    assert "3.png" in "".join(faults)
    assert "4.png" in "".join(faults)


def test_data_show_draws_a_sheet_and_prints_where(own, tmp_path):
    done = bench("data", "show", "folder", "--data-root", str(own), "--count", "4", cwd=tmp_path)
    assert done.stdout.strip() == "reports/data-folder.png"
    with Image.open(tmp_path / "reports" / "data-folder.png") as sheet:
        assert sheet.format == "PNG"


def test_data_speed_prints_two_rates(own):
    done = bench("data", "speed", "folder", "--data-root", str(own), "--size", "32", "--json")
    rates = json.loads(done.stdout)
    assert rates["samples"] == 7
    assert min(rates["cold_per_s"], rates["cached_per_s"]) > 0


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({"budget": "quick"}, (224, 64)), ({"budget": "quick", "size": "224"}, (224, None)),
        ({"budget": "quick", "steps": 80}, (224, None)), ({"budget": "paper"}, (224, None)),
    ],
)  # fmt: skip
def test_the_size_of_trainings_is_the_budgets_unless_one_was_given(given, sizes):
    study = RunOptions(networks=["unet"], **given).study(DataOptions()).study()
    assert (study.size, study.train_size) == sizes
