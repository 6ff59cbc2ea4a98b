"""What the interface says in Python's words: errors that name options of the command line, and checks of arguments."""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from bench.cli.options import LARGEST, MOST_NUMBERS
from bench.errors import UserError
from bench.files import unusable

Given = ParamSpec("Given")
Found = TypeVar("Found")

OPTION = re.compile(r"--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")
OTHERWISE = {"arg": "arguments", "all": "all_networks=True"}  # options that have other names in Python


def in_python(text: str) -> str:
    """An error's text with the options in it as arguments; what stands in backquotes is typed as it is.

    >>> in_python("give --data-root FOLDER, or --arg width=VALUE; see `bench run --help`")
    'give data_root FOLDER, or width=VALUE; see `bench run --help`'
    """
    parts = text.split("`")
    parts[::2] = [OPTION.sub(_argument, re.sub(r"--arg (?=\w+=)", "", part)) for part in parts[::2]]
    return "`".join(parts)


def _argument(found: re.Match[str]) -> str:
    return OTHERWISE.get(found[1], found[1].replace("-", "_"))


def errors_in_python(function: Callable[Given, Found]) -> Callable[Given, Found]:
    """A function of the interface whose errors are `in_python`; what a file system refuses is a UserError too."""

    @wraps(function)
    def called(*given: Given.args, **named: Given.kwargs) -> Found:
        try:
            return function(*given, **named)
        except UserError as error:
            error.args = (in_python(str(error)),)
            raise
        except OSError as error:
            raise unusable(error) from error

    return called


def whole(name: str, value: Any, least: int = 1, most: int = LARGEST) -> int:
    """The argument of this name, which has to be a whole number in a range. Raises UserError."""
    if not (_is_whole(value) and least <= value <= most):
        raise UserError(f"{name} takes a whole number from {least} to {most}; got {value!r}")
    return int(value)


def wholes(name: str, values: int | Iterable[int], least: int = 1, most: int = LARGEST) -> tuple[int, ...]:
    """The whole numbers of an argument that takes one or several, each once. Raises UserError where one is none.

    >>> wholes("batch", 8), wholes("batch", [1, 8, 1])
    ((8,), (1, 8))
    """
    given: list[Any] = list(values) if isinstance(values, Iterable) and not isinstance(values, str) else [values]
    numbers = [int(value) for value in given if _is_whole(value) and least <= value <= most]
    if not given or len(numbers) < len(given) or len(given) > MOST_NUMBERS:
        taken = f"a whole number from {least} to {most}, or a list of up to {MOST_NUMBERS} of them"
        raise UserError(f"{name} takes {taken}; got {values!r}")
    return tuple(dict.fromkeys(numbers))


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number, of Python or numpy; True and False are none."""
    return hasattr(value, "__index__") and not isinstance(value, bool)


def texts(name: str, values: str | Iterable[str]) -> tuple[str, ...]:
    """The names of an argument that takes one, several by commas, or a list. Raises UserError for what is no text.

    >>> texts("measure", "cost, dice"), texts("measure", ["cost", "dice"])
    (('cost', 'dice'), ('cost', 'dice'))
    """
    from bench.cli.options import names_in

    given = names_in(values) if isinstance(values, str) else tuple(values)
    if wrong := [one for one in given if not isinstance(one, str)]:
        raise UserError(f"{name} takes a name, or names in a list; got a {type(wrong[0]).__name__}")
    return given


def path(name: str, value: str | Path) -> Path:
    """The argument of this name as a path. Raises UserError for what is none."""
    if not isinstance(value, str | Path) or not str(value):
        raise UserError(f"{name} takes a path; got {value!r}")
    return Path(value)


def paths(name: str, values: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """The paths of an argument that takes one or several."""
    return tuple(path(name, one) for one in ([values] if isinstance(values, str | Path) else values))
