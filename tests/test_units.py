"""Numbers as text: units, digits, and a dash where there is none."""

import math

import pytest

from bench.units import duration, giga, millions, milliseconds, share, significant


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (millions(6_576_225), "6.58"), (giga(4_501_320_320), "4.50"), (milliseconds(0.0123456), "12.3"),
        (millions(53_374), "0.053"), (giga(0), "0.00"), (millions(999_900), "1.00"),
        (milliseconds(1.5), "1500"), (share(0.81649), "0.816"), (share(1.0), "1.000"),
        (significant(0), "0"), (significant(-12.345), "-12.3"), (significant(999.6), "1000"),
    ],
)  # fmt: skip
def test_rounding(text, expected):
    assert text == expected


@pytest.mark.parametrize("write", [millions, giga, milliseconds, share, significant])
def test_nothing_measured_is_a_dash(write):
    assert write(None) == "–"


def test_an_undefined_share_is_a_dash():
    assert share(math.nan) == "–"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (3599, "60 min"), (3600, "1 h 00 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
