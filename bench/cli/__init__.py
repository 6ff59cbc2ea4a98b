"""The command line: parse, call one function, print. Heavy imports happen inside the command that needs them."""

import sys

from bench.cli import (  # noqa: F401 - each puts its commands on the app
    check,
    compare,
    data,
    doctor,
    history,
    listing,
    pick,
    profile,
    report,
    run,
)
from bench.cli.app import app
from bench.errors import UserError

__all__ = ["app", "main"]


def main() -> None:
    """The console script: what the user can mend is one line and exit code 2, never a traceback."""
    try:
        app()
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
