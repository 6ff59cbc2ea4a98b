"""Numbers as text: units, digits, and a dash where there is none."""

import math

import pytest

from bench.units import duration, giga, in_unit, millions, milliseconds, scale, scaled, share, significant


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
    ("unit", "largest", "symbol"),
    [
        ("parameters", 1e6, "M"), ("parameters", 999_999, "k"), ("parameters", 999, ""), ("parameters", 0, ""),
        ("multiply-adds", 1e9, "GMAC"), ("multiply-adds", 5e6, "MMAC"), ("multiply-adds", 5e3, "kMAC"),
        ("multiply-adds", 5, "MAC"), ("seconds", 90, "ms"), ("seconds", 0.0005, "µs"),
    ],
)  # fmt: skip
def test_the_multiple_of_a_unit_is_that_in_which_the_largest_is_one_or_more(unit, largest, symbol):
    assert scale(unit, largest)[0] == symbol


def test_small_counts_keep_their_digits_in_sentences():
    assert (scaled(53_374, "parameters"), scaled(12, "parameters")) == ("53.4 k", "12.0")
    assert (scaled(0, "multiply-adds"), scaled(4_501_320_320, "multiply-adds")) == ("0 MAC", "4.50 GMAC")
    assert in_unit(72_345_678, "multiply-adds") == "72.346 MMAC"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.6, "1 min 00 s"), (3599, "60 min"), (3600, "1 h 00 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
