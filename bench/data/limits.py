"""How much is read of a file that somebody else wrote: held against what the file declares, before memory is taken.

The limits are generous for medical data: a CT of 1024 x 1024 x 2000 voxels in float32 is 8 GB. Whole slides, which have
more pixels, are cut into tiles before. Pillow has the limit of pixels, 178 million for a picture.
"""

import math
import signal
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.errors import UserError

TEXT = 64 << 20  # bytes of a list or a CSV file, which are read line by line
JSON = 16 << 20  # bytes of a JSON file, which take 30 times as much once they are parsed
PICTURE = 1 << 30  # bytes of the file of a picture
PIXELS_A_BYTE = 3000  # more are in a file only where all are alike
MOST_IN_FEW = 50_000_000  # pixels that may be so many in a byte
PARTS, BYTES_A_PART = 100_000, 1 << 10  # of the file of a picture that are read one by one: so many, and one more a KiB
COMMENTS = 10_000  # between pixels that are written as text
ARRAY = 16 << 30  # bytes of an array once it is decoded
HEADER = 16 << 20  # bytes that may lie before the voxels of a NIfTI file
SQUEEZED = 1032  # zlib's best: no file of a byte holds more bytes than this
KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"
}  # fmt: skip


def refuse_no_file(what: str, path: Path, most: int = 0) -> None:
    """Raise UserError for a pipe or a device, which may never end, and for a file of more than `most` bytes.

    A path that leads nowhere, or to a folder, is left to whoever opens it. `most` of 0 is no limit.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return
    if kind := KINDS.get(stat.S_IFMT(found.st_mode)):
        raise UserError(f"the {what} {path} is {kind}, and only files are read; take it out, or write it to a file")
    if most and found.st_size > most:
        advice = "take it out, or split it"
        raise UserError(
            f"the {what} {path} has {in_bytes(found.st_size)}, and at most {in_bytes(most)} are read; {advice}"
        )


def refuse_large(what: str, path: Path, shape: Sequence[int], itemsize: int, stored: int, packed: bool) -> int:
    """The bytes of an array whose file declares its shape, and bytes a value.

    Raises UserError where that is no shape, more than is read or than this machine has free, or more than can lie in
    the `stored` bytes of the file, `packed` by zlib or as they are.
    """
    import psutil

    declared = math.prod(shape) * itemsize
    told = f"the {what} {path} declares {' x '.join(map(str, shape))} values, {in_bytes(declared)}"
    if any(side < 0 for side in shape) or itemsize <= 0:
        raise UserError(f"{told}, which is no shape; get the file again, or take it out")
    if declared > ARRAY:
        raise UserError(f"{told}, and at most {in_bytes(ARRAY)} are read; cut it into parts, or take it out")
    if declared > stored * (SQUEEZED if packed else 1):
        raise UserError(f"{told}, which its {stored} bytes cannot hold; get the file again, or take it out")
    if declared > 1 << 30 and 2 * declared > (free := psutil.virtual_memory().available):
        advice = "twice as much is needed to read it; free memory, or cut it into parts"
        raise UserError(f"{told}, and {in_bytes(free)} of memory are free; {advice}")
    return declared


def bound_memory(more: int) -> None:
    """Let this process take so many bytes more than it has, for good."""
    import resource

    with suppress(OSError, ValueError):  # a system without /proc has no such limit
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        least = taken + more if most == resource.RLIM_INFINITY else min(taken + more, most)
        resource.setrlimit(resource.RLIMIT_AS, (least, most))


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block after so many seconds. It is the main thread that is told; others go on."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise TimeoutError

    heard, timer = signal.signal(signal.SIGALRM, ring), signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, heard)


def in_bytes(number: int) -> str:
    """A number of bytes in the unit that suits it.

    >>> in_bytes(52), in_bytes(64 << 20), in_bytes(8 << 30)
    ('52 bytes', '64.0 MiB', '8.0 GiB')
    """
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)):
        if abs(number) >= size:
            return f"{number / size:.1f} {unit}" if number < 1e18 else f"{number:.1g} bytes"
    return f"{number} bytes"
