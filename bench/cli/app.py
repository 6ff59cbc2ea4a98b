"""The Typer application, and how a command is registered on it."""

import inspect
import json
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from typing import Annotated, Any

import typer

from bench import __version__

app = typer.Typer(
    help="Tells how accurate and how cheap a medical segmentation network is.\n\nStart with: bench run --all",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback(invoke_without_command=True)
def about(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        typer.echo(f"mdsa-bench {__version__}")
        raise typer.Exit


def command(name: str | None = None, on: typer.Typer = app) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register a function as a command.

    Where a parameter of the function is a dataclass, each field of the dataclass is an option of its own: commands that
    share options share a dataclass. Dataclasses may be nested.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def called(**given: Any) -> None:
            _fill(function, given)

        parameters = _flat(function)
        called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return on.command(name)(called)

    return register


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function, eval_str=True).parameters.values())


def _flat(function: Any) -> list[inspect.Parameter]:
    """The parameters of a function; in place of a dataclass those of the dataclass."""
    nested = [_flat(p.annotation) if is_dataclass(p.annotation) else [p] for p in _parameters(function)]
    return [parameter.replace(kind=parameter.KEYWORD_ONLY) for group in nested for parameter in group]


def _fill(function: Any, given: dict[str, Any]) -> Any:
    """Call a function with the values of its flat parameters."""
    values = {
        p.name: _fill(p.annotation, given) if is_dataclass(p.annotation) else given[p.name]
        for p in _parameters(function)
    }
    return function(**values)


def print_json(facts: Any) -> None:
    """Print facts as JSON on standard output."""
    typer.echo(json.dumps(facts, indent=1, allow_nan=False))
