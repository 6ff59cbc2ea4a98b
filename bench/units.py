"""How numbers become text: the digits and the symbol of each unit, and a dash where there is no number."""

import math
from collections.abc import Callable
from typing import NamedTuple

NONE = "–"
Text = Callable[[float | None], str]


def _or_dash(write: Callable[[float], str]) -> Text:
    """A function that writes numbers, with a dash for None and NaN."""
    return lambda value: NONE if value is None or math.isnan(value) else write(value)


def significant(value: float | None, digits: int = 3) -> str:
    """A number with so many significant digits and no exponent.

    >>> significant(36.8781), significant(0.0123456), significant(1234.5), significant(99.99), significant(None)
    ('36.9', '0.0123', '1234', '100', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    _, _, exponent = f"{value:.{digits - 1}e}".partition("e")  # of the value as it is rounded
    return f"{value:.{max(0, digits - 1 - int(exponent or 0))}f}" if value else "0"


def as_published(value: float) -> str:
    """Two decimals, and three below one, as papers print parameters and multiply-adds."""
    return f"{value:.3f}" if 0 < value < 0.9995 else f"{value:.2f}"


# How values of a unit are written in a cell; a few hundred images cannot tell more than three decimals of Dice apart.
millions = _or_dash(lambda count: as_published(count / 1e6))
giga = _or_dash(lambda count: as_published(count / 1e9))
milliseconds = _or_dash(lambda seconds: significant(seconds * 1e3))
mebibytes = _or_dash(lambda count: significant(count / 2**20))
share = _or_dash(lambda value: f"{value:.3f}")
difference = _or_dash(lambda value: f"{value:+.3f}")
percent = _or_dash(lambda value: f"{100 * value:.0f} %")


# Of counts and times that span many powers of ten: how each multiple of the unit is called, the largest first.
SCALES: dict[str, dict[str, float]] = {
    "parameters": {"M": 1e6, "k": 1e3, "": 1},
    "activations": {"M": 1e6, "k": 1e3, "": 1},
    "multiply-adds": {"GMAC": 1e9, "MMAC": 1e6, "kMAC": 1e3, "MAC": 1},
    "seconds": {"ms": 1e-3, "µs": 1e-6},
}


def scale(unit: str, largest: float) -> tuple[str, float]:
    """The symbol and the size of the multiple of a unit in which the largest of some values is 1 or more.

    >>> scale("multiply-adds", 4.5e9), scale("parameters", 60_000), scale("parameters", 12)
    (('GMAC', 1000000000.0), ('k', 1000.0), ('', 1))
    """
    *_, smallest = multiples = SCALES[unit].items()
    return next((one for one in multiples if abs(largest) >= one[1]), smallest)


def scaled(value: float, unit: str, digits: int | None = None) -> str:
    """A value in the multiple of its unit that suits it, by default with the decimals that papers print.

    >>> scaled(31_037_633, "parameters"), scaled(735_000, "multiply-adds")
    ('31.04 M', '735 kMAC')
    """
    symbol, one = scale(unit, value)
    is_large = one == max(SCALES[unit].values()) and digits is None
    figure = as_published(value / one) if is_large else significant(value / one, digits or 3)
    return f"{figure} {symbol}".rstrip()


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


class Unit(NamedTuple):
    """How values of a base unit are written.

    `cell` writes one in a table whose header has the `symbol`. In a sentence it is the same with the symbol behind it,
    or what `sentence` writes.
    """

    cell: Text
    symbol: str = ""
    sentence: Callable[[float], str] | None = None


# By the base unit that quantities and metrics name: how the report writes it.
UNITS = {
    "parameters": Unit(millions, "M", lambda value: f"{value:,.0f}"),
    "multiply-adds": Unit(giga, "GMAC", lambda value: scaled(value, "multiply-adds", 5)),
    "seconds": Unit(milliseconds, "ms"),
    "bytes": Unit(mebibytes, "MiB"),
    "joules": Unit(significant, "J"),
    "watts": Unit(significant, "W"),
    "images/s": Unit(significant, "images/s"),
    "share": Unit(percent, "", lambda value: f"{significant(100 * value)} %"),
    "score": Unit(share),
    "difference": Unit(difference),
    "distance": Unit(significant),
    "number": Unit(significant),
    "ratio": Unit(significant, "times"),
    "text": Unit(lambda text: str(text or NONE)),
    "count": Unit(lambda value: significant(value, 1)),
    "probability": Unit(_or_dash(lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}")),
    "exponent": Unit(_or_dash(lambda value: f"{value:.2f}")),
    "error": Unit(_or_dash(lambda value: f"{value:.0e}" if value else "0")),
}


def in_unit(value: float | None, unit: str) -> str:
    """A value of a base unit as it is written in a sentence; a dash for None.

    >>> in_unit(6_576_225, "parameters"), in_unit(0.0124, "seconds")
    ('6,576,225', '12.4 ms')
    """
    if value is None:
        return NONE
    known = UNITS[unit]
    return known.sentence(value) if known.sentence else f"{known.cell(value)} {known.symbol}".rstrip()
