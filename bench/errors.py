"""Errors that a user can correct. Their text says what is wrong, what was given, what is allowed and what to do."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")

SHORT = 300  # characters of a text that was not written by this program
LONG = 2000  # characters of an error that is for the user
LONGEST = 10_000  # characters of a foreign text that are looked at: what is looked for in it may take its square
# What terminals take for a color, the like, a title or a link.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)", re.DOTALL)


class UserError(Exception):
    """A wrong input; the command line prints the text and exits with 2.

    Every other exception that reaches the command line is a bug in this program and keeps its traceback. A line of the
    text has at most `LONG` characters, because it may quote what a file says.

    >>> len(str(UserError("unknown unit " + 9999 * "m")))
    2000
    """

    def __str__(self) -> str:
        return "\n".join(
            line if len(line) <= LONG else line[: LONG - 1] + "…" for line in super().__str__().split("\n")
        )


class Diverged(Exception):
    """A training whose loss is no longer a number. The text says at which step."""


class Paused(Exception):
    """A training that was asked to end did so, after it was saved."""


class Terminated(KeyboardInterrupt):
    """A signal asks this process to end soon. What is under way may be saved first, which Ctrl-C leaves no time for."""


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


def clean(text: str, most: int = SHORT) -> str:
    r"""A foreign text as one line of at most `most` characters that any file, table or terminal can show.

    Escape sequences of terminals are left out. Lines are joined; what does not print (control characters, marks that
    turn the direction of writing, halves of characters) becomes a replacement character.

    >>> clean("\x1b[31mtoo wide\x1b[0m\n  by\tfar\0 \ud800"), clean("abcdef", 4)
    ('too wide by far� �', 'abc…')
    """
    line = " ".join(ESCAPES.sub("", text[:LONGEST]).split())
    line = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"


def plain(text: str, kept: str = "\n\N{NO-BREAK SPACE}") -> str:
    r"""Text without what no reader sees and some programs obey; such characters are written out, but for those `kept`.

    These are control characters and the sequences they begin, marks that turn the direction of writing, halves of
    characters. Every format shows names and errors so, whoever wrote them.

    >>> print(plain("a\x1b[31m \u202eb \udce9"))
    a\x1b[31m \u202eb \udce9
    """
    if text.isprintable():
        return text
    return "".join(one if one in kept or one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def printable(text: str) -> str:
    r"""`plain` text in which line ends are written out too: a path, or a fact of the machine.

    >>> print(printable("a\nb\x1b[31m \udce9"))
    a\nb\x1b[31m \udce9
    """
    return plain(text, kept="")


def text_of(error: BaseException) -> str:
    """An error's text, of a very long one its beginning; empty where the error fails to tell it."""
    try:
        return str(error)[:LONGEST]
    except BaseException:  # noqa: BLE001  the error is a stranger's, and may raise anything
        return ""


def first_line(error: BaseException) -> str:
    r"""An error's text in one clean line, or its kind where it has none.

    >>> first_line(ValueError("too wide\nby far")), first_line(ValueError())
    ('too wide', 'ValueError')
    """
    lines = map(clean, text_of(error).splitlines())
    return next(filter(None, lines), "") or clean(type(error).__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: Python's own, or one of torch's, whose type does not tell.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), is_out_of_memory(ValueError("x"))
    (True, False)
    """
    told = text_of(error)
    signs = ("out of memory", "can't allocate memory", "calculation overflowed")
    return isinstance(error, MemoryError) or any(sign in told for sign in signs)
