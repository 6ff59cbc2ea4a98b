"""Errors that a user can correct. Their text says what is wrong, what was given, what is allowed and what to do."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")


class UserError(Exception):
    """A wrong input; the command line prints the text and exits with 2.

    Every other exception that reaches the command line is a bug in this program and keeps its traceback.
    """


class Diverged(Exception):
    """A training whose loss is no longer a number. The text says at which step."""


def unknown(kind: str, given: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not in a table, with the nearest name and the whole list.

    >>> print(unknown("network", "unett", ["unet", "attention_unet"]))
    unknown network 'unett'; did you mean 'unet'? known: attention_unet, unet
    """
    names = sorted(known)
    near = get_close_matches(given, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else ";"
    return UserError(f"unknown {kind} '{given}'{hint} known: {', '.join(names) or 'none'}")


def look_up(kind: str, name: str, table: Mapping[str, T]) -> T:
    """The entry of a table under a name; the error of `unknown` where there is none."""
    if name not in table:
        raise unknown(kind, name, table)
    return table[name]


def bad_size(network: str, height: int, width: int, divisor: int) -> UserError:
    """The error for an image whose sides do not divide by a network's factor, with the size to pad to.

    >>> print(bad_size("unet", 250, 224, 16))
    unet needs sides that divide by 16, got 250x224; pad the input to 256x224
    """
    up = [-(-side // divisor) * divisor for side in (height, width)]
    return UserError(
        f"{network} needs sides that divide by {divisor}, got {height}x{width}; pad the input to {up[0]}x{up[1]}"
    )


def first_line(error: BaseException) -> str:
    r"""An error's text in one line, or its kind where it has none.

    >>> first_line(ValueError("too wide\nby far")), first_line(ValueError())
    ('too wide', 'ValueError')
    """
    return (str(error) or type(error).__name__).splitlines()[0]


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's own, or one of torch's, whose type does not tell.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), is_out_of_memory(ValueError("x"))
    (True, False)
    """
    told = str(error)
    return isinstance(error, MemoryError) or "out of memory" in told or "can't allocate memory" in told
