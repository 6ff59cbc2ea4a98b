"""The command line: parse, call one function, print. Heavy imports happen inside the command that needs them."""

import sys

# Each of these registers its command on the app.
from bench.cli import check, data, doctor, listing, profile, run, score, stored  # noqa: F401
from bench.cli.options import app
from bench.errors import UserError

__all__ = ["app", "main"]


def main() -> None:
    """The console script. A UserError is printed as one line, with exit code 2 and without a traceback."""
    try:
        app()
    except UserError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
