"""Arrays in HDF5 files, read by a process of its own, for a damaged file may crash the library or never end.

The process gets as much memory and time as the array needs that the file declares; what exceeds them ends it, not the
program. It is started with the first file, serves all threads in turn, and ends with the program.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from threading import Lock
from typing import IO, Any, cast

import numpy as np

from bench.data.files import reading
from bench.data.limits import bound_memory, refuse_large
from bench.errors import UserError

LEAST_S = 30  # to open a file and to read a small array
PER_S = 20_000_000  # bytes that a slow disk, or a filter, gives in a second
LEAST_HELD = 1 << 16  # bytes of a file: what was never written is zeros, and takes no place in it
SPARE = 1 << 28  # bytes of memory beside the array, its parts as they are packed, and copies of both
ENDS = {signal.SIGALRM: "took too long", signal.SIGKILL: "took too much memory"}

_LOCK = Lock()
_READERS: dict[int, "subprocess.Popen[bytes]"] = {}  # by the process that started it: one that is forked starts its own


def shape_of(path: Path, key: str) -> tuple[int, ...]:
    """The shape of the array called `key`; it is not decoded. Raises UserError as `array_of` does."""
    return tuple(_asked(path, key, decode=False)[0]["shape"])


def array_of(path: Path, key: str) -> np.ndarray:
    """The array called `key`.

    Raises UserError naming the file when it is broken, lacks the array, keeps it in another file, declares more than
    is read or can lie in it, holds no numbers, or cannot be read in the time and memory that its size needs.
    """
    return _asked(path, key, decode=True)[1]


def _asked(path: Path, key: str, decode: bool) -> tuple[dict[str, Any], np.ndarray]:
    """What the reader says of an array, and its values; none where they are not to be decoded."""
    with reading("volume", path), _LOCK:
        reader = _READERS.get(os.getpid())
        if reader is None or reader.poll() is not None:
            reader = _READERS[os.getpid()] = _started()
        try:
            told, values = _exchanged(reader, json.dumps([os.fsencode(path.absolute()).hex(), key, decode]), decode)
        except EOFError:
            raise UserError(_ended(path)) from None
        except BaseException:  # half of an answer is left in the pipe
            reader.kill()
            raise
        if fault := told.get("fault"):
            raise UserError(fault)
        if error := told.get("error"):
            raise OSError(error)
        return told, values


def _exchanged(reader: "subprocess.Popen[bytes]", question: str, decode: bool) -> tuple[dict[str, Any], np.ndarray]:
    """The answer of the reader. Raises EOFError if it ended instead."""
    question_to, answer_from = cast("IO[bytes]", reader.stdin), cast("BufferedReader", reader.stdout)
    with suppress(BrokenPipeError):
        question_to.write(question.encode() + b"\n")
        question_to.flush()
    if not (line := answer_from.readline()):
        raise EOFError
    told: dict[str, Any] = json.loads(line)
    if not decode or "shape" not in told:
        return told, np.empty(0)
    values = np.empty(told["shape"], told["dtype"])
    whole, done = values.reshape(-1).view(np.uint8).data, 0
    while done < len(whole):
        if not (count := answer_from.readinto(whole[done:])):
            raise EOFError
        done += count
    return told, values


def _started() -> "subprocess.Popen[bytes]":
    above = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "bench.data.hdf5"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": above},
    )  # fmt: skip


def _ended(path: Path) -> str:
    """The sentence on a file over which the reader ended."""
    code = _READERS.pop(os.getpid()).wait()
    how = ENDS.get(-code) or f"ended the program that reads it (exit code {code})"  # type: ignore[call-overload]
    advice = "the file is broken, or made to do so; get it again, or take it out"
    return f"cannot read the volume {path} ({path.stat().st_size} bytes): it {how}; {advice}"


# ---- in the process of its own ---------------------------------------------------------------------------------------


def _serve() -> None:
    """Answer each line of standard input, until there is no more."""
    answers = os.fdopen(os.dup(1), "wb")
    for line in sys.stdin.buffer:
        signal.alarm(LEAST_S)  # without a handler it ends the process, also within a library
        name, key, decode = json.loads(line)
        path = Path(os.fsdecode(bytes.fromhex(name)))
        values = None
        try:
            told, values = _read(path, key, decode)
        except UserError as error:
            told = {"fault": str(error)}
        except Exception as error:  # noqa: BLE001 - a damaged file may make the library raise anything
            told = {"error": " ".join(f"{error}".split()) or type(error).__name__}
        signal.alarm(0)
        answers.write(json.dumps(told).encode() + b"\n")
        if values is not None:
            answers.write(values.reshape(-1).view(np.uint8).data)
        answers.flush()


def _read(path: Path, key: str, decode: bool) -> tuple[dict[str, Any], np.ndarray | None]:
    import h5py  # type: ignore[import-untyped]

    with h5py.File(path, "r") as file:
        # HDF5 can link to other files; a downloaded file must not cause those to be read.
        here = isinstance(file.get(key, getlink=True), h5py.HardLink) and isinstance(file[key], h5py.Dataset)
        if not here or file[key].external or file[key].is_virtual:
            held = ", ".join(name for name, _ in zip(file, range(8), strict=False))
            advice = f"it holds {held or 'nothing'}; links are not followed; get one that has it itself"
            raise UserError(f"{path} has no array '{key}' of its own, {advice}")
        stored = file[key]
        if stored.dtype.kind not in "biuf" or stored.shape is None:
            raise UserError(f"'{key}' in {path} holds {stored.dtype} in place of numbers; get the file again")
        size = max(path.stat().st_size, LEAST_HELD)
        declared = refuse_large("volume", path, stored.shape, stored.dtype.itemsize, size, packed=True)
        facts = {"shape": stored.shape, "dtype": stored.dtype.newbyteorder("=").str}
        if not decode:
            return facts, None
        signal.alarm(LEAST_S + declared // PER_S)
        bound_memory(4 * declared + SPARE)
        return facts, np.ascontiguousarray(stored[()], stored.dtype.newbyteorder("="))


if __name__ == "__main__":
    _serve()
