"""What is in a data set: digests of its samples as they are decoded, each decoded once.

A mask that was mended in place is another one, and so is a mask that a reader decodes otherwise. The digest of a
sample's pixels is kept as long as its files and the code that reads them stay as they are.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any

from bench.data.files import state_of
from bench.data.kept import keep, recall
from bench.errors import UserError
from bench.networks.code import BENCH, closure, digest_of, imports_of, named

if TYPE_CHECKING:
    import numpy as np

    from bench.data.sample import DataSet, Sample

FORMAT = 1  # of kept digests; raise it where the same pixels get another one
READERS = Path(__file__).resolve().parent
DISTRIBUTIONS = {"numpy": "numpy", "PIL": "pillow", "nibabel": "nibabel", "h5py": "h5py"}  # that decode, by module
# A file system's clock moves in steps of up to 10 ms, so a file that is younger could be changed without a trace.
STEP_S = 0.02

Done = Callable[[int, int], object]  # called with how many samples of how many were decoded


def data_digest(data: "DataSet", done: Done = lambda count, total: None) -> str:
    """12 hexadecimal digits that change when a sample, its id, patient, volume or spacing, a split or the recipe does.

    The names of files and folders do not count. Samples without files are drawn, and known by the recipe alone.
    Raises UserError naming a file that cannot be decoded.
    """
    found = [(split, sample) for split in sorted(data.splits) for sample in data.splits[split]]
    decoded = pixels([sample for _, sample in found], done)
    lines = [
        [split, sample.id, sample.group, sample.volume, sample.spacing, digest]
        for (split, sample), digest in zip(found, decoded, strict=True)
    ]
    return hashlib.sha256(json.dumps([data.name, data.recipe, lines]).encode()).hexdigest()[:12]


def pixels(samples: Sequence["Sample"], done: Done = lambda count, total: None) -> list[str]:
    """The digest of each sample's image and mask; "" for one without files.

    What is not known yet is decoded, several at a time. Raises UserError naming the files that cannot be decoded.
    """
    keys = [sample_key(sample) for sample in samples]
    known = recall(filter(None, keys))
    missing = [at for at, sample in enumerate(samples) if sample.files and keys[at] not in known]
    found = {at: known.get(key, "") for at, key in enumerate(keys)}
    if not missing:
        return [found[at] for at in range(len(samples))]
    from bench.data.broken import grouped, in_turn  # with a library for pictures, which is needed from here on

    wait_for_clock(file for at in missing for file in samples[at].files)
    fresh: dict[str, str] = {}

    faults: list[tuple[list[str], str]] = []

    def decode(at: int) -> None:
        try:
            with in_turn(*samples[at].files):
                found[at] = _decoded(samples[at])
        except UserError as error:
            faults.append(([*map(str, samples[at].files), samples[at].id], str(error)))
            return
        # A file that was changed meanwhile has another state: which of the two was decoded is not known.
        if keys[at] and keys[at] == sample_key(samples[at]):
            fresh[keys[at]] = found[at]

    try:
        with ThreadPoolExecutor() as pool:  # threads are enough: decoding and hashing release Python's lock
            for count, _ in enumerate(pool.map(decode, missing), start=1):
                done(count, len(missing))
    finally:  # also where one is broken, or the user stops it
        keep(fresh)
    if faults:
        raise UserError("\n".join(grouped(sorted(faults))))
    return [found[at] for at in range(len(samples))]


def _decoded(sample: "Sample") -> str:
    """32 hexadecimal digits of the image and the mask of a sample."""
    digest = hashlib.blake2b(digest_size=16)
    for array in (sample.image(), sample.mask()):
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(_bytes_of(array))
    return digest.hexdigest()


def _bytes_of(array: "np.ndarray") -> Any:
    return array.data if array.flags.c_contiguous else array.tobytes()


def wait_for_clock(files: Iterable[Path]) -> None:
    """Wait until a later change of any of the files would show in its time."""
    newest = max((state[2] / 1e9 for file in files if (state := state_of(file))), default=0.0)
    if time.time() - newest < STEP_S:
        time.sleep(STEP_S)


# ---- keys: by the files, the functions that read them, and their code ------------------------------------------------


@dataclass
class _Facts:
    """What was found in the functions of a sample: files that they read, and modules they are in."""

    files: set[Path]
    modules: set[str]

    def told(self, value: object) -> Any:
        """A function with its arguments, as JSON. Raises TypeError for one that cannot be told by its name."""
        if isinstance(value, partial):
            return [self.told(part) for part in (value.func, value.args, sorted(value.keywords.items()))]
        if isinstance(value, tuple | list):
            return [self.told(part) for part in value]
        if isinstance(value, Path):
            self.files.add(value)
            return str(value.absolute())
        if isinstance(value, FunctionType):
            module, name = value.__module__, value.__qualname__
            if getattr(sys.modules.get(module), name, None) is not value:
                raise TypeError
            self.modules.add(module)
            return f"{module}:{name}"
        if value is None or isinstance(value, str | int | float):
            return value
        raise TypeError


def sample_key(sample: "Sample") -> str:
    """What decides the pixels of a sample: its files, the functions that read them with their arguments, their code.

    "" where this cannot be told, so that the sample is decoded each time: of functions that are not a module's own,
    and where a file is missing. Drawn samples have none.
    """
    facts = _Facts(set(sample.files), set())
    try:
        calls = [facts.told(call) for call in (sample.image, sample.mask)]
    except TypeError:
        return ""
    # The files that functions name count too: a slice is stretched by its whole volume.
    states = [(str(file.absolute()), state_of(file)) for file in sorted(facts.files)]
    if not sample.files or not all(state for _, state in states):
        return ""
    code = [reader_code(module) for module in sorted(facts.modules)]
    return hashlib.sha256(json.dumps([FORMAT, calls, states, code]).encode()).hexdigest()[:32]


@cache
def reader_code(module: str) -> str:
    """The code of a module and of the readers' files that it imports, and the versions of libraries that decode."""
    file = Path(str(sys.modules[module].__file__)).resolve()
    files = closure([file], [BENCH.parent], lambda path: path == file or path.is_relative_to(READERS))
    names = {names[0].partition(".")[0] for one in files for level, names in imports_of(one) if not level}
    versions = [f"{name} {version(DISTRIBUTIONS[name])}" for name in sorted(names & DISTRIBUTIONS.keys())]
    return " ".join([digest_of(named(files, [BENCH.parent])), *versions])
