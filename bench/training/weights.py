"""Puts weights into a network by name: the user's own, from whatever program saved them, and those of a checkpoint."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError, clean
from bench.training.public_names import own_name
from bench.training.weight_files import SHOWN, read_weights, some, weights_digest

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["fit_weights", "load_weights", "weights_digest"]

# Parts of names that programs add: DataParallel, torch.compile, FSDP, checkpointed layers.
ADDED = ("module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
# Usual names of the network in the object that was saved. Of two networks in a file, the one named first here is taken.
OUTER = ("", "model", "network", "net", "student")
# Names of the counts that thop leaves in every layer, and of what a loss or a metric keeps.
NO_WEIGHTS = r"(.+\.)?total_(ops|params)|(.+_)?(loss|losses|loss_(fn|func|function)|criterion|criteria|metrics?)\..+"
REMEDY = "give weights of this very network, for as many classes, channels and pixels"


def load_weights(network: "nn.Module", path: Path) -> tuple[str, ...]:
    """Put a safetensors or torch file's weights into the network, converted to its precision.

    A torch file may contain the state dict itself or have it under a usual key. Parts of names that programs add, such
    as `module.`, are ignored, also where only some names have them. Returns notes on what was left out or converted.
    Raises UserError for a file of neither kind, for one that can only be unpickled by running its code, for values that
    are no weights, and for tensors that do not fit.
    """
    found, notes = read_weights(path)
    own = _tensors_of(network)
    tensors, left = _by_own_name(found, own, path)
    _refuse_other_values(tensors, own, {name for name, _ in network.named_parameters()}, path)
    as_built = {name: value for name, value in own.items() if name not in tensors and not value.is_floating_point()}
    fit_weights(network, {**as_built, **tensors}, f"{path} does not fit the network", REMEDY)
    narrow = {_kind(one) for name, one in tensors.items() if one.element_size() < own[name].element_size()}
    said = {
        "left out, since the network has no such tensor": left, "not in the file, kept as built": as_built,
        "is the precision in which they were saved": sorted(narrow),
    }  # fmt: skip
    return (*notes, *(f"{some(names)} {what}" for what, names in said.items() if names))


def _by_own_name(
    found: "Mapping[str, Tensor]", own: "Mapping[str, Tensor]", path: Path
) -> "tuple[dict[str, Tensor], list[str]]":
    """The file's tensors by the network's names, and the names in the file of those that are no part of it.

    What may be part of it and is none of its own keeps its name, so that it is refused as a misfit.
    """
    places = max((_places(found, own, str), _places(found, own, own_name)), key=len)
    counts = Counter(prefix for prefix, _ in places.values())
    main = _main(counts, path)
    tensors: dict[str, Tensor] = {}
    left = dict(found)
    for prefix in dict.fromkeys([main, *OUTER]):
        for name, (before, ours) in places.items():
            if before == prefix and ours not in tensors:
                tensors[ours] = left.pop(name)
    copies = {name for name, (prefix, _) in places.items() if 2 * counts[prefix] >= counts[main]}
    for name in [name for name in left if name not in copies and _may_be_part(name, found[name], main)]:
        tensors[_plain(name).removeprefix(main).removeprefix(".")] = left.pop(name)
    return tensors, list(left)


def _places(found: Iterable[str], own: Iterable[str], renamed: Callable[[str], str]) -> dict[str, tuple[str, str]]:
    """For each name in the file that ends like one of the network's: what comes before, and the network's name."""
    plain = {_plain(name): name for name in own}
    deepest = max((name.count(".") + 1 for name in plain), default=1)
    places: dict[str, tuple[str, str]] = {}
    for name in found:
        parts = _plain(renamed(name)).split(".")
        starts = range(max(0, len(parts) - deepest), len(parts))
        ends = {".".join(parts[start:]): ".".join(parts[:start]) for start in starts}
        if end := next((end for end in ends if end in plain), None):
            places[name] = (ends[end], plain[end])
    return places


def _main(counts: Mapping[str, int], path: Path) -> str:
    """What comes before the most names. Raises UserError if that cannot be told."""
    most = [prefix for prefix, count in counts.items() if count == max(counts.values())]
    usual = [prefix for prefix in OUTER if prefix in most]
    if len(most) > 1 and not usual:
        raise UserError(f"{path} holds {len(most)} networks of this kind: {some(most)}; save one of them alone")
    return [*usual, *most, ""][0]


def _may_be_part(name: str, tensor: "Tensor", main: str) -> bool:
    """Whether a tensor of this name may be a weight of the network that was saved; a count or a loss's is not."""
    plain = _plain(name)
    within = not main or plain.startswith(f"{main}.")
    return within and tensor.is_floating_point() and not re.fullmatch(NO_WEIGHTS, plain)


def _plain(name: str) -> str:
    """A name without the parts that programs add.

    >>> _plain("module.encoder._orig_mod.0.weight")
    'encoder.0.weight'
    """
    return ".".join(part for part in name.split(".") if part not in ADDED)


def _refuse_other_values(
    tensors: "Mapping[str, Tensor]", own: "Mapping[str, Tensor]", parameters: set[str], path: Path
) -> None:
    """Raise UserError for numbers of another kind, as quantized weights are, and for values that are not numbers."""
    for name in [name for name in own if name in tensors and tensors[name].shape == own[name].shape]:
        value = tensors[name]  # others are refused for their shape, which may be of a size that nothing holds
        if value.is_meta or value.is_sparse:
            what = "is sparse" if value.is_sparse else "has no values, only a shape"
            raise UserError(f"{path}: {name} {what}; save the state dict of the network as it computes")
        if not own[name].is_floating_point():
            continue
        if not value.is_floating_point():
            kinds = f"{name} is {_kind(value)}, the network's is {_kind(own[name])}"
            raise UserError(f"{path} does not fit the network: {kinds}; give weights that are not quantized")
        value = value.float() if value.element_size() < 2 else value  # 8 bits have no such test
        all_finite = name in parameters or name.endswith(("running_mean", "running_var"))
        bad = int((~value.isfinite() if all_finite else value.isnan()).sum())
        if bad:
            what = f"{bad:,} of {value.numel():,} values of {name} are NaN or infinite"
            raise UserError(f"{path}: {what}, so the training diverged; give weights from before that")


def _kind(tensor: "Tensor") -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _tensors_of(network: "nn.Module") -> "dict[str, Tensor]":
    """The network's parameters and buffers by name, without what its layers keep beside them."""
    return {name: value for name, value in network.state_dict().items() if hasattr(value, "shape")}


def fit_weights(network: "nn.Module", tensors: "Mapping[str, Tensor]", what: str, remedy: str) -> None:
    """Copy all tensors into the network by name. Raises UserError, which begins with `what` and lists misfits."""
    own = _tensors_of(network)
    shapes = [(name, tuple(tensors[name].shape), tuple(own[name].shape)) for name in own if name in tensors]
    faults = {
        "missing": [f"{name} is missing" for name in own if name not in tensors],
        "not the network's": [f"{clean(name)} is not the network's" for name in tensors if name not in own],
        "of another shape": [f"{name} is {one}, the network's is {two}" for name, one, two in shapes if one != two],
    }
    for kind, found in faults.items():
        found[SHOWN:] = [f"{len(found) - SHOWN} more {kind}"] if len(found) > SHOWN else []
    if said := [*chain(*faults.values())]:
        raise UserError(f"{what}: {'; '.join(said)}; {remedy}")
    try:
        network.load_state_dict(tensors, strict=False)  # all tensors are there; layers may keep something else as well
    except RuntimeError as error:  # of a kind that is not copied, such as a sparse one
        *_, told = f"{error}".splitlines()
        raise UserError(f"{what}: {clean(told)}; {remedy}") from None
