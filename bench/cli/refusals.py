"""What Typer refuses, in the form of the program's own errors: what is wrong, what was given, what is allowed."""

import inspect
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, cast, get_args, get_origin

from typer import BadParameter

from bench.errors import UserError

UsageError = cast("type[Exception]", BadParameter.__mro__[1])  # the class of all that Typer refuses has no public name
NUMBERS = {int: "a whole number", float: "a number"}


def refused(error: Any) -> UserError:
    """The error that says the same in the program's own words.

    Typer's classes of errors are known by their names, for the module that they are in changed.
    """
    command = error.ctx.command_path if getattr(error, "ctx", None) else "bench"
    told = SENTENCES.get(type(error).__name__)
    if told is None or getattr(error, "param", told) is None:
        told = _other
    return UserError(told(error, command))


def _unknown_option(error: Any, command: str) -> str:
    known = sorted(option for one in error.ctx.command.get_params(error.ctx) for option in one.opts)
    wrong = f"unknown option '{error.option_name}' of {command}{_near(error.option_name, known) or ';'}"
    return f"{wrong} all are listed by: {command} --help"


def _misused_option(error: Any, _: str) -> str:
    if "does not take a value" in error.message:
        return f"{error.option_name} takes no value; leave out what follows its equals sign"
    return f"{error.option_name} needs a value, and got none; give one behind it"


def _missing(error: Any, command: str) -> str:
    return f"{command} needs {_name(error.param)}, and got none; {_wanted(error)}"


def _bad_value(error: Any, _: str) -> str:
    given, (kept, option) = _given(error), _annotation(error)
    wrong = f"{_name(error.param)} takes {_taken(kept, option) or _reason(error)}"
    return f"{wrong}; got '{given}'{_near(given, _choices(kept))}" if given else wrong


def _other(error: Any, command: str) -> str:
    if further := re.search(r"unexpected extra argument.* \((.*)\)$", error.message):
        return f"{command} takes no further argument; got '{further[1]}'; leave it out, or see: {command} --help"
    return f"{error.format_message().rstrip('.')}; see: {command} --help"


SENTENCES: dict[str, Callable[[Any, str], str]] = {
    "NoSuchOption": _unknown_option, "BadOptionUsage": _misused_option, "MissingParameter": _missing,
    "BadParameter": _bad_value,
}  # fmt: skip


def _near(given: str, known: Sequence[str]) -> str:
    near = get_close_matches(given, known, n=1, cutoff=0.7)  # so that cpu is not near to gpu
    return f"; did you mean '{near[0]}'?" if near else ""


def _name(param: Any) -> str:
    """An option as it is typed; an argument's name in capitals."""
    return str(param.opts[0] if param.param_type_name == "option" else param.name.upper())


def _annotation(error: Any) -> tuple[Any, Any]:
    """The type of a parameter as the command's function declares it, without None, and its `Option` or `Argument`."""
    declared = inspect.signature(error.ctx.command.callback).parameters[error.param.name].annotation
    kind, option, *_ = get_args(declared)
    kinds = [one for one in get_args(kind) if one is not type(None)] if type(None) in get_args(kind) else [kind]
    return kinds[0], option


def _choices(kind: Any) -> tuple[str, ...]:
    return get_args(kind) if get_origin(kind) is Literal else ()


def _taken(kind: Any, option: Any) -> str:
    """The values that a parameter takes, in words; empty where it has a parser of its own, which tells them."""
    if choices := _choices(kind):
        return f"{', '.join(choices[:-1])} or {choices[-1]}"
    if kind not in NUMBERS or option.parser:
        return ""
    least, most = option.min, option.max
    limits = "" if least is None else f" of {least:g} or more" if most is None else f" from {least:g} to {most:g}"
    return NUMBERS[kind] + limits


def _wanted(error: Any) -> str:
    """What to give for an argument that is missing."""
    kind, option = _annotation(error)
    taken = _taken(kind, option)
    return f"give {taken}" if taken else f"its help says: {option.help}"


def _reason(error: Any) -> str:
    """What a parser of ours said of a value: it begins with "takes"."""
    return str(error.message).removeprefix("Value error, ").removeprefix("takes ").rstrip(".")


def _given(error: Any) -> str:
    """The value as it was typed; empty where it cannot be found, or where the reason tells it."""
    if "got '" in error.message:
        return ""
    for place, word in reversed([*enumerate(sys.argv)]):
        option, sign, value = word.partition("=")
        if option in error.param.opts and (sign or place + 1 < len(sys.argv)):
            return value if sign else sys.argv[place + 1]
    quoted = re.search(r"'(.*?)' is not", error.message)
    return quoted[1] if quoted else ""
