"""The command line: parse, call one function, print. Heavy imports happen inside the command that needs them."""

import io
import sys

# Each of these registers its command on the app.
from bench.cli import check, data, doctor, listing, profile, run, score, stored  # noqa: F401
from bench.cli.options import app
from bench.errors import UserError, plain
from bench.files import unusable

__all__ = ["app", "main"]


def main() -> None:
    """The console script.

    A UserError, and what a file system refuses, is printed as one line, with exit code 2 and without a traceback. What
    a terminal or a file cannot show, such as a name that is no UTF-8, is written out.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except (UserError, OSError) as error:
        print("bench:", plain(str(unusable(error)), kept="\n"), file=sys.stderr)
        sys.exit(2)
