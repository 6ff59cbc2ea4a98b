"""The one place where a number becomes text: its unit, its digits, and a dash where there is none."""

import math
from collections.abc import Callable

NONE = "–"


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits and no exponent.

    >>> significant(36.8781), significant(0.0123456), significant(1234.5), significant(None)
    ('36.9', '0.0123', '1234', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def millions(count: float | None) -> str:
    """A count in millions, two decimals, three below one: parameters are published so."""
    return NONE if count is None else _as_published(count / 1e6)


def giga(count: float | None) -> str:
    """A count in thousands of millions, two decimals, three below one: multiply-adds are published so."""
    return NONE if count is None else _as_published(count / 1e9)


def _as_published(value: float) -> str:
    return f"{value:.3f}" if 0 < value < 0.9995 else f"{value:.2f}"


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds, three significant digits."""
    return NONE if seconds is None else significant(seconds * 1e3)


def mebibytes(count: float | None) -> str:
    """Bytes as MiB, three significant digits."""
    return NONE if count is None else significant(count / 2**20)


def share(value: float | None) -> str:
    """Dice, IoU: 0 to 1 with three decimals, which is what a few hundred images can tell apart."""
    return NONE if value is None or math.isnan(value) else f"{value:.3f}"


def difference(value: float | None) -> str:
    """The difference of two shares, with its sign."""
    return NONE if value is None or math.isnan(value) else f"{value:+.3f}"


def percent(value: float | None) -> str:
    """A share of things counted, in whole percent."""
    return NONE if value is None or math.isnan(value) else f"{100 * value:.0f} %"


def p_value(value: float | None) -> str:
    """A probability; below a thousandth nobody needs its digits.

    >>> p_value(0.0004), p_value(0.0312)
    ('< 0.001', '0.031')
    """
    if value is None or math.isnan(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def duration(seconds: float) -> str:
    """A time for people: "45 s", "12 min", "3 h 05 min".

    >>> duration(44.6), duration(100), duration(725), duration(11100)
    ('45 s', '1 min 40 s', '12 min', '3 h 05 min')
    """
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def percent_change(value: float) -> str:
    """A relative change with its sign; a small one keeps its digits.

    >>> percent_change(0.0312), percent_change(-0.0004), percent_change(float("inf"))
    ('+3.1 %', '-0.04 %', '+inf %')
    """
    places = 1 if abs(value) >= 0.001 or not value else 2
    return f"{100 * value:+.{places}f} %"


# How a base unit of `bench.judge.metrics` is written.
IN_UNITS: dict[str, tuple[Callable[[float], str], str]] = {
    "parameters": (lambda value: f"{value:,.0f}", ""),
    "multiply-adds": (lambda value: significant(value / 1e9, 5), " GMAC"),
    "share": (lambda value: significant(100 * value, 3), " %"),
    "seconds": (milliseconds, " ms"),
    "bytes": (mebibytes, " MiB"),
    "joules": (significant, " J"),
    "score": (share, ""),
    "distance": (significant, ""),
}


def in_unit(value: float, unit: str) -> str:
    """A figure in base units as text with its unit.

    >>> in_unit(6_576_225, "parameters"), in_unit(0.0124, "seconds")
    ('6,576,225', '12.4 ms')
    """
    write, name = IN_UNITS[unit]
    return write(value) + name
