"""Whether a network's output can be trusted: finite, the same for the same input, and near the plain network's."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.errors import UserError
from bench.measure import scores
from bench.quantities import Agreement, LatencySpec

REPEAT = 1e-4  # of the largest logit: what two calls on CUDA may differ by, where the order of sums is not fixed
STRAY = 1e-3  # of the largest logit: what a form in float32 may differ by from the plain network
OWN_ROUNDING = 3  # or so many times what the plain network's float32 differs by from its float64


def first_tensor(output: Any) -> Tensor:
    """The first tensor in what a network gave, copied: float32, on the CPU. UserError where there is none."""
    for leaf in tree_leaves(output):
        if isinstance(leaf, Tensor):
            return leaf.detach().to("cpu", torch.float32, copy=True)
        if hasattr(leaf, "numpy"):  # ONNX Runtime's own value
            return torch.from_numpy(leaf.numpy()).to(torch.float32, copy=True)
    raise UserError(
        f"the network's output, a {type(output).__name__}, holds no tensor that could be checked; "
        "return a tensor, or a tuple, list or dict of tensors"
    )


def agreement(plain_output: Any, output: Any) -> Agreement:
    """How far an output strays from the plain network's on the same batch; the first tensor of each is compared.

    Masks are of logits over 0 where there is one map, else of the class whose logit is largest; their Dice is taken
    over the whole batch and averaged over the classes but the first, the background, less those that are empty in both
    (1 where all are). Only (N, maps, H, W) has several maps. UserError where the shapes differ.
    """
    plain, found = first_tensor(plain_output), first_tensor(output)
    if plain.shape != found.shape:
        raise UserError(
            f"the form gives an output of {tuple(found.shape)}, the plain network one of {tuple(plain.shape)}; "
            "leave out the form"
        )
    several = plain.dim() == 4 and plain.shape[1] > 1
    labels, true = ((logits.argmax(1) if several else (logits > 0).long()).numpy() for logits in (found, plain))
    by_class = [scores.dice(labels == label, true == label) for label in range(1, plain.shape[1] if several else 2)]
    defined = [dice for dice in by_class if not math.isnan(dice)]
    dice = sum(defined) / len(defined) if defined else 1.0
    return Agreement(max_error=float((found - plain).abs().max()), largest=float(plain.abs().max()), dice=dice)


def trusted(
    first: Tensor, second: Tensor, plain: Tensor | None, spec: LatencySpec, rounding: Callable[[Tensor], float]
) -> Agreement | None:
    """The agreement of two outputs for the same input with the plain network's, None where it is the plain network.

    UserError where the first is not finite, not the second, or too far from the plain one. `rounding` returns how far
    a plain output in float32 lies from the float64 one; it is called only where that decides.

    What half precision or TF32 rounds is reported and never refused; in float32 there should be next to no difference.
    A network that selects, such as by a top-k of near-equal values, changes its output by rounding alone: there the
    limit is what its own float32 output differs by from its float64 one.
    """
    _refuse_unless_finite(first, spec)
    _refuse_unless_same(first, second, spec)
    if plain is None:
        return None
    found = agreement(plain, first)
    if spec.precision != "float32" or spec.tf32 or found.max_error <= STRAY * found.largest:
        return found
    allowed = max(STRAY * found.largest, OWN_ROUNDING * rounding(plain))
    if found.max_error > allowed:
        raise UserError(
            f"the form {spec.form}, {spec.memory_format} does not give the network's output: it strays by max_error "
            f"{found.max_error:.3g}, where the largest logit is {found.largest:.3g} and {allowed:.3g} is allowed; it "
            "is another function, so its time means nothing: leave out this form"
        )
    return found


def own_rounding(network: nn.Module, batch: Tensor, plain: Tensor) -> float:
    """How far the plain network's float32 output lies from its float64 one."""
    with torch.inference_mode():
        exact = first_tensor(copy.deepcopy(network).double()(batch.double()))
    return float((exact.cpu() - plain.cpu().double()).abs().max())


def _refuse_unless_finite(output: Tensor, spec: LatencySpec) -> None:
    wrong = int((~output.isfinite()).sum())
    if wrong:
        do = "see that its weights and every step of its forward pass are finite"
        if spec.precision == "float16":
            do = "float16 ends at 65504: time it in bfloat16 or float32"
        raise UserError(
            f"{wrong} of {output.numel()} values of the output are NaN or infinite "
            f"({spec.form}, {spec.precision}, {spec.memory_format}); {do}"
        )


def _refuse_unless_same(first: Tensor, second: Tensor, spec: LatencySpec) -> None:
    """Exactly the same on a CPU; on CUDA up to the order of sums, or one rounding in half precision."""
    allowed = 0.0
    if spec.device == "cuda":
        allowed = max(REPEAT, torch.finfo(getattr(torch, spec.precision)).eps) * float(first.abs().max())
    error = float((first - second).abs().max()) if first.shape == second.shape else math.inf
    if not error <= allowed:
        raise UserError(
            f"the network gives another output for the same input: two calls in eval mode differ by {error:.3g}; "
            "switch off dropout and whatever else is random or counts calls"
        )
