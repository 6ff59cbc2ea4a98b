"""`bench pick` and `bench report --format` as a user types them."""

import json
from functools import partial

import commanding
import pytest

from bench.run.store import Store


@pytest.fixture
def bench(tmp_path, reference):
    for record in reference:
        Store(tmp_path / "results").write(record)

    return partial(commanding.bench, cwd=tmp_path)


def test_the_choice_comes_first_and_why(bench):
    done = bench("pick", "--max-params", "10M", "--max-latency-ms", "200", "--device", "cpu", "--min-dice", "0.5")
    assert done.returncode == 0, done.stderr
    first, _, fits, breaks = done.stdout.splitlines()
    assert first.startswith("MDSA-UNet: Dice 0.783, the highest of 1 that fit")
    assert (fits[0], breaks[0]) == ("✓", "✗")
    assert "over parameters 10,000,000" in breaks


def test_nobody_fits_is_exit_code_1(bench):
    done = bench("pick", "--max-macs", "1G")
    assert (done.returncode, done.stdout.startswith("None of 2 networks fits")) == (1, True)


def test_json(bench):
    first, second = json.loads(bench("pick", "--max-params", "10M", "--json").stdout)
    assert (first["network"], first["fits"], second["fits"]) == ("mdsa_unet", True, False)
    assert second["breaks"] == [{"limit": "parameters", "bound": 10e6, "value": 31_037_633}]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--max-params", "ten"], "--max-params takes a number, with k, M or G if you like, such as 10M; got 'ten'"),
        (["--device", "tpu"], "--device takes cpu or cuda; got 'tpu'"),
        (["--dataset", "ddti"], "unknown data set in these records 'ddti'"),
        (["nowhere"], "no folder"),
    ],
)
def test_mistakes_are_answered_in_words(bench, arguments, told):
    done = bench("pick", *arguments)
    assert done.returncode == 2
    assert told in done.stderr


def test_only_the_formats_that_were_asked_for(bench, tmp_path):
    done = bench("report", "--format", "latex,csv", "--to", "to")
    assert done.returncode == 0, done.stderr
    names = {".bench-report.json", "tables.tex", "table.csv", "paired.csv"}
    assert {path.name for path in (tmp_path / "to").iterdir()} == names
    refused = bench("report", "--format", "htm", "--to", "more")
    assert (refused.returncode, "unknown format 'htm'; did you mean 'html'" in refused.stderr) == (2, True)
    assert not (tmp_path / "more").exists()


def test_a_report_shows_the_claims_of_the_folder(bench, tmp_path):
    (tmp_path / "claims.toml").write_text(
        '[a]\nsays = "small"\nsource = "x"\nnetwork = "unet"\nmetric = "parameters"\n'
        'relation = "at_most"\nvalue = 1.0\n'
    )
    done = bench("report", "--format", "markdown", "--to", "to")
    assert "Claims: 0 hold, 0 fail, 1 undecided; `bench check` tells why." in done.stdout
    assert "## Claims" in (tmp_path / "to" / "report.md").read_text()
