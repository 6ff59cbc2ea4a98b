"""The command line: parse, call one function, print. Heavy imports happen inside the command that needs them."""

import fcntl
import io
import os
import sys

from typer import Abort

# Each of these registers its command on the app.
from bench.cli import check, data, doctor, listing, profile, run, score, stored, tasks  # noqa: F401
from bench.cli.lines import for_stream
from bench.cli.options import app
from bench.cli.refusals import UsageError, refused
from bench.errors import UserError, plain
from bench.files import unusable

__all__ = ["app", "main"]


STOPPED = 130  # 128 and the number of SIGINT
PIPE_CLOSED = 141  # 128 and the number of SIGPIPE


def _open_streams() -> None:
    """Open those of the three standard streams that are closed, or cannot be written to, to nowhere.

    Their numbers would else be given to the next files that are opened, and what is printed be written into these. A
    shell's script may already have got one.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            usable = not number or fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            os.fstat(number)
        except OSError:
            usable = False
        if not usable:
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, number)
            if nowhere != number:
                os.close(nowhere)
            else:
                os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _place() -> str:
    """What an error that names no path is about: the folder of the command, if that is gone."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError:
        return "the folder that this was started in"
    return ""


def _say(error: Exception) -> None:
    told = "bench: " + plain(str(error), kept="\n")
    print(for_stream(told, sys.stderr), file=sys.stderr)


def main() -> None:
    """The console script.

    A UserError, what Typer refuses, and what a file system refuses, is printed as one line, with exit code 2 and
    without a traceback. What a terminal or a file cannot show, such as a name that is no UTF-8, is written out. Where
    nobody reads the output to its end, as in `bench check | head -1`, the exit code is that of a program that SIGPIPE
    ends, for 1 is a verdict.
    """
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(app(standalone_mode=False))
    except SystemExit as end:
        if isinstance(end.__context__, BrokenPipeError):  # typer and rich make 1 of it
            sys.exit(PIPE_CLOSED)
        raise
    except (KeyboardInterrupt, Abort):  # while the commands are built; as Typer tells Ctrl-C in its older versions
        sys.exit(STOPPED)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a command without a word behind it shows its help
            error.show()  # type: ignore[attr-defined]
        else:
            _say(refused(error))
        sys.exit(2)
    except (UserError, OSError) as error:
        _say(unusable(error, _place()))
        sys.exit(2)
