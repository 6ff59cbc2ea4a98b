"""Commands as a user types them, run in this process: starting Python for each would take most of a test's time.

What has to be a process of its own (another copy of the code, a signal, what is imported at start-up) starts one.
"""

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from unittest import mock

from bench.cli import main


def bench(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """The exit code and what was printed, in the folder and with the variables given."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, {"COLUMNS": "120", **variables}),
        mock.patch.object(sys, "argv", ["bench", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            if isinstance(end.code, str):
                err.write(end.code)  # as Python does
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
