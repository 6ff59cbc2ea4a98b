import pytest

from bench.judge.pick import pick
from bench.read.sections import sections
from bench.report.choice import because, line


@pytest.fixture
def section(reference):
    (found,) = sections(reference)
    return found


def test_who_and_why(section):
    told = because(section, pick(section, {"parameters": 10e6}))
    assert told.startswith("MDSA-UNet: Dice 0.783, the highest of 1 that fit (A CPU, 2 cores")


def test_nobody_fits(section):
    told = because(section, pick(section, {"parameters": 1e6, "latency": 0.2}))
    assert told.startswith("None of 2 networks fits")
    assert told.endswith("The fewest limits are broken by MDSA-UNet.")


def test_a_line_has_figures_with_units_and_the_limits_it_breaks(section):
    unet = next(c for c in pick(section, {"latency": 0.2, "memory": 1e9}) if c.row.network == "unet")
    assert line(unet) == (
        "U-Net: latency 310 ms, parameters 31,037,633, multiply-adds 36.878 GMAC, dice 0.700; over latency 200 ms; "
        "memory was not measured"
    )
