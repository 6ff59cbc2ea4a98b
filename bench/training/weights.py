"""The user's own weights: digest of the file, reading it, and loading it into the network.

torch is imported where it is needed, because planning needs only the digest.
"""

import hashlib
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UserError, first_line

if TYPE_CHECKING:
    from torch import Tensor, nn

# Usual keys of the state dict. If a file has several, the first of these is used.
NESTS = (
    "state_dict", "model_state_dict", "model_state", "model", "network_state_dict", "network_weights", "network", "net",
    "weights", "params", "module", "state_dict_ema", "model_ema", "ema",
)  # fmt: skip
SHOWN = 3


def weights_digest(path: Path) -> str:
    """12 hexadecimal digits of the hash of the file's content. Raises UserError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:12]
    except FileNotFoundError:
        raise UserError(f"weights {path.absolute()} do not exist; give a safetensors file or a torch file") from None
    except IsADirectoryError:
        raise UserError(f"weights {path.absolute()} are a folder; give the file in it that holds the weights") from None
    except OSError as error:
        raise UserError(
            f"weights {path.absolute()} cannot be read ({error.strerror}); fix the permissions, or copy the file"
        ) from None


def load_weights(network: "nn.Module", path: Path) -> None:
    """Put a safetensors or torch file's weights into the network, converted to its precision.

    A torch file may contain the state dict itself or have it under one of the keys NESTS. A common prefix of all names
    (`module.`, `model.`) is removed if more names then match the network's. Raises UserError for a file of neither
    kind, for one that can only be unpickled by running its code, and for tensors that do not fit.
    """
    own = set(network.state_dict())
    # A checkpoint of an adapted network also says there which of its maps is the prediction.
    tensors = _best_named(
        {name: one for name, one in _read(path).items() if name != "_extra_state" or name in own}, own
    )
    remedy = "give weights of this very network, for as many classes, channels and pixels"
    fit_weights(network, tensors, f"{path} does not fit the network", remedy)


def fit_weights(network: "nn.Module", tensors: "Mapping[str, Tensor]", what: str, remedy: str) -> None:
    """Copy all tensors into the network by name. Raises UserError, which begins with `what` and lists misfits."""
    own = network.state_dict()
    shapes = [(name, tuple(tensors[name].shape), tuple(own[name].shape)) for name in own if name in tensors]
    faults = {
        "missing": [f"{name} is missing" for name in own if name not in tensors],
        "not the network's": [f"{name} is not the network's" for name in tensors if name not in own],
        "of another shape": [f"{name} is {one}, the network's is {two}" for name, one, two in shapes if one != two],
    }
    for kind, found in faults.items():
        found[SHOWN:] = [f"{len(found) - SHOWN} more {kind}"] if len(found) > SHOWN else []
    if said := [*chain(*faults.values())]:
        raise UserError(f"{what}: {'; '.join(said)}; {remedy}")
    network.load_state_dict(tensors)


def _read(path: Path) -> "dict[str, Tensor]":
    """Read the tensors by name. The file type is detected from the content, not from the file name."""
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    weights_digest(path)  # raises a clear error if the file cannot be read
    with path.open("rb") as file:
        start = file.read(9)
    try:
        if start[8:] == b"{":  # a safetensors header, after the eight bytes of its length
            return load_file(path)
        if start and not start.startswith((b"PK", b"\x80")):  # a zip of pickles, or a pickle
            raise UserError(f"{path} is neither a safetensors file nor a torch file; save a state dict as one of them")
        return _state_dict(torch.load(path, map_location="cpu", weights_only=True), path)
    except pickle.UnpicklingError as error:
        code = ", ".join(dict.fromkeys(re.findall(r"GLOBAL (\S+)", str(error)))) or "objects"
        raise UserError(
            f"{path} holds more than tensors ({code}), which cannot be read without running code that came with it; "
            "where you trust it, load it with your own program and save the tensors alone: "
            "safetensors.torch.save_file(network.state_dict(), 'weights.safetensors')"
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = first_line(error).rstrip(".")
        raise UserError(f"{path} cannot be read as weights ({why}); copy it anew, or save a state dict anew") from None


def _state_dict(found: Any, path: Path) -> "dict[str, Tensor]":
    """The state dict in the content of a torch file, at any depth. Raises UserError if there is none."""
    from torch import Tensor

    if isinstance(found, Mapping):
        if found and all(isinstance(value, Tensor) for value in found.values()):
            return dict(found)
        for nest in NESTS:
            if isinstance(found.get(nest), Mapping):
                return _state_dict(found[nest], path)
    inside = f"a dict of {', '.join(map(str, list(found)[:6]))}" if isinstance(found, Mapping) else type(found).__name__
    raise UserError(f"{path} holds {inside}; give a state dict, by itself or under one of: {', '.join(NESTS)}")


def _best_named(tensors: "dict[str, Tensor]", own: set[str]) -> "dict[str, Tensor]":
    """The tensors without the part of their common prefix whose removal makes the most names match the network's."""
    named = [tensors]
    while len({name.partition(".")[0] for name in named[-1]}) == 1 and all("." in name for name in named[-1]):
        named.append({name.partition(".")[2]: tensor for name, tensor in named[-1].items()})
    return max(named, key=lambda names: len(own & set(names)))  # of equals the first, with nothing removed
