"""`bench check` as a user types it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from claiming import counted
from commanding import bench

from bench.run.store import Store

ROOT = Path(__file__).parent.parent.parent
CLAIM = """[size]
says = "MDSA-UNet is small"
source = "a paper"
network = "mdsa_unet"
metric = "parameters"
relation = "at_most"
value = {value}
"""


def of_copy(*arguments, root):
    """The command by a copy of the code that lies in its own folder."""
    return subprocess.run(
        [sys.executable, "-m", "bench.cli", *arguments], capture_output=True, text=True, check=False, cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "COLUMNS": "200"},
    )  # fmt: skip


@pytest.fixture
def place(tmp_path):
    """A folder with a claim and the record that decides it."""
    (tmp_path / "claims.toml").write_text(CLAIM.format(value="7e6"))
    Store(tmp_path / "results").write(counted())
    return tmp_path


def test_a_claim_that_holds_is_exit_code_0_and_one_that_fails_1(place):
    held = bench("check", cwd=place)
    assert held.returncode == 0, held.stderr
    assert held.stdout.splitlines()[:2] == [
        "✓ holds      size: MDSA-UNet is small", "             6,576,225  claimed at most 7,000,000",
    ]  # fmt: skip
    (place / "claims.toml").write_text(CLAIM.format(value="6e6"))
    failed = bench("check", cwd=place)
    assert (failed.returncode, failed.stdout.splitlines()[-1]) == (1, "0 hold, 1 fails, 0 undecided")


SENTENCE = "MDSA-UNet, as it is written here, has fewer parameters than it was asked for by those who would measure it"


def test_the_sentence_of_a_claim_stands_beside_its_name_and_verdict_in_eighty_columns(place):
    claims = place / "claims.toml"
    claims.write_text(claims.read_text().replace("MDSA-UNet is small", SENTENCE).replace("7e6", "7e6\nmargin = 0.02"))
    done = bench("check", cwd=place, COLUMNS="80", FORCE_COLOR="1", NO_COLOR="1")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("✓ holds      size: MDSA-UNet, as it is")
    assert " ".join(" ".join(lines).split()).startswith(
        f"✓ holds size: {SENTENCE} 6,576,225 claimed at most 7,000,000 ± 2 %"
    )
    piped = bench("check", cwd=place, COLUMNS="80").stdout.splitlines()
    assert piped[0] == f"✓ holds      size: {SENTENCE}"


def test_undecided_is_no_failure(place):
    shutil.rmtree(place / "results")
    done = bench("check", cwd=place)
    assert done.returncode == 0
    assert "no record of mdsa_unet under these conditions" in done.stdout
    assert "To decide more:\n  bench check --measure-missing" in done.stdout


@pytest.mark.parametrize("format_", ["markdown", "json", "junit", "github"])
def test_every_format_is_written(place, format_):
    done = bench("check", "--format", format_, cwd=place)
    assert done.returncode == 0
    assert done.stdout


def test_on_githubs_runners_the_step_gets_a_summary(place):
    bench("check", "--format", "github", cwd=place, GITHUB_STEP_SUMMARY=str(place / "summary.md"))
    assert (place / "summary.md").read_text().startswith("| Claim |")


def test_only_some_claims(place):
    assert len(json.loads(bench("check", "--only", "si", "--format", "json", cwd=place).stdout)) == 1
    refused = bench("check", "--only", "speed", cwd=place)
    assert (refused.returncode, "unknown claim in claims.toml 'speed'; known: size" in refused.stderr) == (2, True)


def test_mistakes_in_the_claims_are_told_with_file_and_line(place):
    (place / "claims.toml").write_text(CLAIM.format(value="7e6").replace("mdsa_unet", "mdsa_net"))
    done = bench("check", cwd=place)
    assert done.returncode == 2
    assert "claims.toml:4: [size]: unknown network 'mdsa_net'; did you mean 'mdsa_unet'?" in done.stderr
    assert bench("check", "--claims", "nowhere.toml", cwd=place).returncode == 2


def edited(text):
    return text.replace("6576225", "5000000", 1)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda text: text[: len(text) // 2], ":"),
        (edited, "was edited after it was written"),
        (lambda text: text.replace('"quantity"', '"quality"', 1), "edited"),
    ],
    ids=["truncated", "a figure", "a key"],
)
def test_a_damaged_or_edited_record_is_exit_code_2_with_its_file(place, edit, told):
    path = Store(place / "results").path(counted().job)
    path.write_text(edit(path.read_text()))
    done = bench("check", cwd=place)
    assert done.returncode == 2
    assert "these records cannot be trusted" in done.stderr
    assert f"{path.name}" in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_stored_records_are_judged_without_torch_or_pandas(place):
    code = (
        "import sys; from bench.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "print('HEAVY', sorted({'torch', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    asked = [sys.executable, "-c", code, "check"]
    done = subprocess.run(
        asked, capture_output=True, text=True, check=True, cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert "HEAVY []" in done.stdout


def test_the_papers_claims_are_decided_on_the_committed_records_and_on_counts_of_the_code_as_it_is(tmp_path):
    asked = ("--only", "paper-parameters,paper-macs,paper-dice-tn3k,built-ahead-ddti/unet", "--measure-missing")
    done = bench("check", "results/reference", *asked, "--quiet", "--out", str(tmp_path), "--format", "json", cwd=ROOT)
    found = {verdict["claim"]: verdict for verdict in json.loads(done.stdout)}
    outcomes = {name: verdict["outcome"] for name, verdict in found.items()}
    assert outcomes["paper-parameters"] == outcomes["paper-macs"] == "holds"
    ahead = found["built-ahead-ddti/unet"]
    assert (ahead["outcome"], ahead["value"]) == ("undecided", None)
    assert ahead["reason"] == "its records name no patients: they are shown, and decide nothing"
    assert found["paper-parameters"]["value"] == 6_576_225
    assert outcomes["paper-dice-tn3k"] == "undecided"


@pytest.mark.slow
def test_one_more_convolution_fails_with_one_line_and_its_removal_passes(tmp_path):
    """The gate on itself: an edited copy of this repository, checked as its CI checks it."""
    for name in ("bench", "baselines", "results/reference"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "claims.toml", tmp_path)
    network = tmp_path / "bench" / "mdsa_unet" / "network.py"
    sound = network.read_text()
    line = "self.head = Pointwise(fine, classes)"
    assert line in sound
    network.write_text(
        sound.replace(line, "self.head = nn.Sequential(nn.Conv2d(fine, fine, 3, padding=1), Pointwise(fine, classes))")
    )
    asked = ["check", "--only", "built-parameters", "--measure-missing", "--quiet", "--format", "github"]
    dearer = of_copy(*asked, root=tmp_path)
    assert dearer.returncode == 1, dearer.stdout + dearer.stderr
    error, _total = dearer.stdout.splitlines()
    assert "file=bench/mdsa_unet/__init__.py" in error
    assert "parameters of mdsa_unet grew from 6,576,225 to 6,723,809; claimed at most 6,576,225" in error
    network.write_text(sound)
    reverted = of_copy(*asked, root=tmp_path)
    assert (reverted.returncode, reverted.stdout.strip()) == (0, "1 holds, 0 fail, 0 undecided")


@pytest.mark.slow
def test_a_quotient_is_measured_in_rounds_and_never_fails_by_noise(tmp_path):
    text = CLAIM.replace("parameters", "latency").replace(
        "value = {value}", 'against = "unet"\ndevice = "cpu"\nsize = 64\nmargin = 0.1'
    )
    (tmp_path / "claims.toml").write_text(text)
    done = bench("check", "--measure-missing", "--format", "json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["outcome"] in ("holds", "undecided")
    assert len(list((tmp_path / "results").glob("*-latency-*.json"))) == 12
