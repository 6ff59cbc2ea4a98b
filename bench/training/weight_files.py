"""Reads files of weights as people have them, without running code that comes with them.

torch is imported where it is needed, because planning needs only the digest.
"""

import pickle
import re
import signal
import zipfile
from argparse import Namespace
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path, PosixPath, PurePosixPath
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from bench.data.limits import bound_memory, in_bytes, refuse_no_file
from bench.data.sealed import digest_of_file
from bench.errors import UserError, clean, first_line

if TYPE_CHECKING:
    from torch import Tensor

# Usual keys of the state dict. If a file has several, the first of these is used.
NESTS = (
    "state_dict", "model_state_dict", "model_state", "model", "network_state_dict", "network_weights", "network", "net",
    "weights", "params", "module", "state_dict_ema", "model_ema", "ema",
)  # fmt: skip
SAVE_ALONE = (
    "where you trust it, load it with your own program and save the tensors alone: "
    "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
)
ANOTHER_KIND = (
    (rb"version https://git-lfs", "a pointer of Git LFS, not the weights themselves; fetch them: git lfs pull"),
    (rb"\s*<", "a web page, not the weights themselves; open its address in a browser, sign in where asked, download"),
    (rb"\x89HDF", "an HDF5 file, as Keras writes; save a state dict with PyTorch"),
    (rb"\x1f\x8b|BZh|7z\xbc\xaf|Rar!|\xfd7zXZ", "a compressed file; unpack it and give the file of weights in it"),
    (rb"\{\s*\"metadata\"", "the list of the parts of a file of weights; join the parts in one file"),
    (rb"(?s)\x80(?!.{1,12}\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19).{20}", "a pickle that torch did not write; " + SAVE_ALONE),
    (rb"(?!PK|\x80)", "neither a safetensors file nor a torch file; save a state dict as one of them"),
)
SHOWN = 3
MOST = 4 << 20  # bytes of what a safetensors file says of its tensors; of a thousand it is 100,000
LEAST_S, A_SECOND = 5.0, 1 << 26  # of computing, to unpickle what says so of a torch file; and bytes read in a second
SPARE = 64 << 20  # bytes that a file may declare beyond those that it has


def weights_digest(path: Path) -> str:
    """12 hexadecimal digits of the hash of the file's content. Raises UserError if it cannot be read."""
    refuse_no_file("file of weights", path)
    try:
        digest, size = digest_of_file(path)[:12], path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"weights {path.absolute()} do not exist; give a safetensors file or a torch file") from None
    except IsADirectoryError:
        raise UserError(f"weights {path.absolute()} are a folder; give the file in it that holds the weights") from None
    except OSError as error:
        raise UserError(
            f"weights {path.absolute()} cannot be read ({error.strerror}); fix the permissions, or copy the file"
        ) from None
    if not size:  # some of the system, as /proc/kmsg, say so, and have no end
        raise UserError(f"{path} is empty; copy it anew")
    return digest


def read_weights(path: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """The tensors of a file by name, and notes on what else it holds that was left out.

    The file type is detected from the content, not from the file name. Raises UserError for a file of another kind, for
    one that can only be unpickled by running its code, for one that takes more memory or time than its size needs, and
    for one without a state dict.
    """
    weights_digest(path)  # raises a clear error if the file cannot be read
    with path.open("rb") as file:
        start = file.read(64)
    if start[8:9] == b"{":  # a header, after the eight bytes of its length
        try:
            return read_safetensors(path), ()
        except Exception as error:  # noqa: BLE001 - a damaged file may raise anything
            raise UserError(_unreadable(path, error)) from None
    _refuse_endless(path, start)
    return _unpickled(path)


def read_safetensors(path: Path) -> "dict[str, Tensor]":
    """The tensors of a safetensors file by name. Raises ValueError for a list of too many, or what safetensors does."""
    from safetensors.torch import load_file

    with path.open("rb") as file:
        listed = int.from_bytes(file.read(8), "little")
    if MOST < listed < path.stat().st_size:
        raise ValueError(f"its list of tensors has {in_bytes(listed)}, and at most {in_bytes(MOST)} are read")
    return load_file(path)


def _refuse_endless(path: Path, start: bytes) -> None:
    """Raise UserError for what is no torch file, or cannot be read with the memory and time that its size needs.

    A pickle of some hundred bytes can ask for any of both. So it is read in a process of its own before.
    """
    from bench.measure.apart import Ended, apart

    try:
        fault = apart(lambda: _fault(path, start), uses_gpu=False)
    except Ended as error:
        took = "it takes too long" if signal.SIGPROF.name in str(error) else str(error)
        raise UserError(_unreadable(path, ValueError(f"{took}, as no state dict does"))) from None
    if fault:
        raise UserError(fault)


def _fault(path: Path, start: bytes) -> str:
    """Why a torch file cannot be read; "" if it can. For a process of its own, which it bounds."""
    size = path.stat().st_size
    bound_memory(4 * size + 8 * SPARE)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, LEAST_S + size / A_SECOND)
    try:
        _refuse_another_kind(path, start)
        _unpickled(path)
    except UserError as error:
        return str(error)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return ""


def _unpickled(path: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    import torch

    try:
        with torch.serialization.safe_globals(_harmless()):
            tensors, notes = _state_dict(torch.load(path, map_location="cpu", weights_only=True), path)
        _ = [value.shape for value in tensors.values()]  # it raises where a tensor has none, as nested ones
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(_not_unpickled(path, error)) from None
    except Exception as error:  # noqa: BLE001 - a damaged file may make torch raise anything
        raise UserError(_unreadable(path, error)) from None
    return tensors, notes


def _refuse_another_kind(path: Path, start: bytes) -> None:
    """Raise UserError for what is neither a zip of pickles nor a pickle, with what it is instead."""
    for pattern, said in ANOTHER_KIND:
        if re.match(pattern, start):
            raise UserError(f"{path} is {said}")
    if not start.startswith(b"PK"):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            names, declared = archive.namelist(), sum(part.file_size for part in archive.infolist())
    except zipfile.BadZipFile:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(f"{path} cannot be read as weights (it ends early, at {size}); copy it anew") from None
    inside = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in inside:
        raise UserError(f"{path} is a TorchScript archive, which holds code and is not run; {SAVE_ALONE}")
    if "data.pkl" not in inside:
        if names and all(name.endswith(".npy") for name in names):
            raise UserError(
                f"{path} holds arrays of numpy; save them as tensors, in a safetensors file or a torch file"
            )
        what = f"an archive of {some(names)}" if names else "an empty archive"
        raise UserError(f"{path} is {what}; unpack it and give the file of weights in it")
    on_disk = path.stat().st_size
    if declared > SPARE + 4 * on_disk:  # torch packs nothing, and weights are hardly packed
        told = f"its {on_disk:,} bytes declare {declared:,} bytes of weights"
        raise UserError(f"{path} cannot be read as weights ({told}); copy it anew, or save a state dict anew")


def _harmless() -> list[Any]:
    """What trainers save beside weights, whose construction runs nothing: settings, paths, dates, numpy's numbers."""
    import numpy as np

    rebuilding = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(0).__reduce__()[0]}
    named: list[Any] = [(PosixPath, "pathlib._local.PosixPath")]  # as Python 3.13 calls it
    named += [
        (found, f"numpy.{core}.multiarray.{name}") for core in ("core", "_core") for name, found in rebuilding.items()
    ]
    dtypes = {type(np.dtype(code)) for code in np.typecodes["All"]}
    return [*named, np.ndarray, np.dtype, *dtypes, PosixPath, PurePosixPath, Namespace, SimpleNamespace, date, datetime,
            timedelta]  # fmt: skip


def _unreadable(path: Path, error: Exception) -> str:
    why = first_line(error).rstrip(".")[:300]
    return f"{path} cannot be read as weights ({why}); copy it anew, or save a state dict anew"


def _not_unpickled(path: Path, error: pickle.UnpicklingError) -> str:
    """Why a pickle was not read: it holds other classes, or is damaged."""
    from torch.serialization import get_unsafe_globals_in_checkpoint

    if not (named := re.findall(r"GLOBAL (\S+)", str(error))):
        _, _, told = str(error).rpartition("WeightsUnpickler error:")  # before it is advice to run what is in the file
        return _unreadable(path, ValueError(told.strip()))
    with suppress(Exception):  # in the format before torch 1.6 they cannot be listed
        named += sorted(get_unsafe_globals_in_checkpoint(path))
    whole = any(name.startswith("torch.nn.modules.") for name in named)
    what = "a whole network, not its weights alone" if whole else "more than tensors"
    unread = f"{some(dict.fromkeys(named))}), which cannot be read without running code that came with it"
    return f"{path} holds {what} ({unread}; {SAVE_ALONE}"


def _state_dict(found: Any, path: Path) -> "tuple[dict[str, Tensor], tuple[str, ...]]":
    """The state dict in the content of a torch file, at any depth. Raises UserError if there is none."""
    from torch import Tensor

    if isinstance(found, Mapping):
        tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
        dicts = [key for key, value in found.items() if _is_state_dict(value)]
        nests = [nest for nest in NESTS if isinstance(found.get(nest), Mapping)] or dicts[:2]
        if tensors and (len(tensors) == len(found) or (len(tensors) > 1 and not nests)):
            others = [str(key) for key in found if str(key) not in tensors]
            return tensors, (f"{some(others)} left out, no tensors",) if others else ()
        if nests and (nests[0] in NESTS or len(nests) == 1):
            inner, notes = _state_dict(found[nests[0]], path)
            others = [str(key) for key in dicts if key != nests[0]]
            return inner, (*notes, f"'{nests[0]}' taken, {some(others)} left out") if others else notes
    inside = type(found).__name__
    if isinstance(found, Mapping):
        kinds = some({type(one).__name__: 0 for one in found.values()})
        inside = f"a dict of {', '.join(map(str, list(found)[:6]))} ({kinds})" if found else "an empty dict"
    raise UserError(f"{path} holds {inside}; give a state dict, by itself or under one of: {', '.join(NESTS)}")


def _is_state_dict(value: Any) -> bool:
    from torch import Tensor

    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def some(names: Iterable[str]) -> str:
    """The first of some names, and how many more.

    >>> some(["a", "b"]), some("abcde")
    ('a, b', 'a, b, c and 2 more')
    """
    listed = list(names)
    return ", ".join(map(clean, listed[:SHOWN])) + (f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else "")
