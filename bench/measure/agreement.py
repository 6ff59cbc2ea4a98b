"""Whether the output of a network, and of a form of it, can be trusted.

A form is compared with the plain network on weights whose norms do something. In a network that was just built, they do
nothing in eval mode: mean 0, variance 1, weight 1, bias 0. A fold that drops them, or their statistics, would agree.
"""

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_leaves

from bench.errors import UserError
from bench.measure import scores
from bench.measure.switches import random_images
from bench.quantities import Agreement, LatencySpec

REPEAT = 1e-4  # allowed difference of two calls on CUDA, where the order of sums varies, relative to the largest logit
STRAY = 1e-3  # allowed difference of a float32 form from the plain network, relative to the largest logit
FINITE = "see that its weights and every step of its forward pass are finite"
OWN_ROUNDING = 3  # or this many times what rounding otherwise changes in the plain network's output
JITTERS, JITTER = 24, (2**-20, 2**-19, 2**-18)  # so often are weights changed by up to these shares: 4 to 32 last bits
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
# What each part of a norm is in a network that was just built, and between which values it is woken.
ASLEEP = {"running_mean": (0.0,), "running_var": (1.0,), "weight": (1.0, 0.0), "bias": (0.0,)}
AWAKE = {"running_mean": (-0.1, 0.1), "running_var": (0.5, 1.5), "weight": (0.8, 1.2), "bias": (-0.1, 0.1)}


@torch.no_grad()
def wake_norms(network: nn.Module) -> None:
    """Give norms that do nothing random statistics, weights and biases in place, the same each time.

    They are batch, instance, layer and group norms, and other classes that are named norms. What is not at its initial
    value is left alone, as in pre-trained networks, where other statistics would make the output overflow.
    """
    generator = torch.Generator().manual_seed(0)
    for module in filter(_is_norm, network.modules()):
        for name, (low, high) in AWAKE.items():
            tensor = getattr(module, name, None)
            if isinstance(tensor, Tensor) and any(bool((tensor == value).all()) for value in ASLEEP[name]):
                tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=generator))


def _is_norm(module: nn.Module) -> bool:
    """Whether it is a norm: one of torch's, or a module with that name whose weight is one number a channel."""
    if isinstance(module, NORMS) or isinstance(getattr(module, "running_var", None), Tensor):
        return True
    weight = getattr(module, "weight", None)
    return "norm" in type(module).__name__.lower() and isinstance(weight, Tensor) and weight.dim() == 1


class Comparison:
    """The outputs of a form beside those of the plain network, for two batches of different content.

    On construction, norms of the `network` that do nothing are woken, and it is run on both batches.
    """

    def __init__(self, network: nn.Module, batch: Tensor, spec: LatencySpec) -> None:
        self.network, self.spec = network, spec
        other = random_images(spec.batch, spec.channels, spec.size, seed=1).to(batch)
        self.batches, self.other_output = (batch.clone(), other), list[Tensor]()
        with torch.inference_mode():
            if any(map(is_lazy, [*network.parameters(), *network.buffers()])):
                network(batch)  # gives lazy modules their parameters
            wake_norms(network)
            self.plain = [outputs_of(network(images)) for images in self.batches]

    def see_other_batch(self, run: Callable[[], Any], bound: Tensor) -> None:
        """Run the form on the other batch. `bound` is the memory that it reads; its content is restored."""
        with torch.inference_mode():
            bound.copy_(self.batches[1])
            self.other_output = outputs_of(run())
            bound.copy_(self.batches[0])

    def judged(self, output: list[Tensor]) -> Agreement:
        """The agreement on the batch that is further off. Raises UserError if it is too far, or not finite."""
        refuse_random(self.other_output, self.other_output, self.spec)
        found = (output, self.other_output)
        return worst(
            trusted(form, plain, self.spec, self.network, batch)
            for form, plain, batch in zip(found, self.plain, self.batches, strict=True)
        )


def outputs_of(output: Any) -> list[Tensor]:
    """Float32 copies on the CPU of all tensors in a network's output. Raises UserError if there is none."""
    # ONNX Runtime returns values of its own type.
    leaves = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) or hasattr(leaf, "numpy")]
    if not leaves:
        raise UserError(
            f"the network's output, a {type(output).__name__}, holds no tensor that could be checked; "
            "return a tensor, or a tuple, list or dict of tensors"
        )
    found = (leaf.detach() if isinstance(leaf, Tensor) else torch.from_numpy(leaf.numpy()) for leaf in leaves)
    return [tensor.to("cpu", torch.float32, copy=True) for tensor in found]


def agreement(plain_output: Any, output: Any) -> Agreement:
    """The difference of an output from the plain network's on the same batch: that of the tensor that is furthest off.

    Masks are those of the first tensor: logits > 0 for one map, else the argmax over maps. Their Dice is computed over
    the whole batch and averaged over the foreground classes that are not empty in both (1 if all are). Only an output
    (N, maps, H, W) has several maps. Raises UserError if the number of tensors or their shapes differ.
    """
    plain, found = outputs_of(plain_output), outputs_of(output)
    wanted, given = (", ".join(str(tuple(tensor.shape)) for tensor in tensors) for tensors in (plain, found))
    if given != wanted:
        raise UserError(f"the form gives an output of {given}, the plain network one of {wanted}; leave out the form")
    pairs = zip(plain, found, strict=True)
    apart = [Agreement(max_error=_error(one, other), largest=_largest(one), dice=1.0) for one, other in pairs]
    return worst(apart).model_copy(update={"dice": _dice(plain[0], found[0])})


def worst(found: Iterable[Agreement]) -> Agreement:
    """The agreement whose error is the largest share of its largest logit, with the least Dice of all."""
    every = list(found)
    furthest = max(every, key=lambda one: one.max_error / one.largest if one.largest else one.max_error and math.inf)
    return furthest.model_copy(update={"dice": min(one.dice for one in every)})


def _error(one: Tensor, other: Tensor) -> float:
    return float((other - one).abs().max()) if one.numel() else 0.0


def _largest(one: Tensor) -> float:
    return float(one.abs().max()) if one.numel() else 0.0


def _dice(plain: Tensor, found: Tensor) -> float:
    several = plain.dim() == 4 and plain.shape[1] > 1
    labels, true = ((logits.argmax(1) if several else (logits > 0).long()).numpy() for logits in (found, plain))
    by_class = [scores.dice(labels == label, true == label) for label in range(1, plain.shape[1] if several else 2)]
    defined = [dice for dice in by_class if not math.isnan(dice)]
    return sum(defined) / len(defined) if defined else 1.0


def refuse_random(first: list[Tensor], second: list[Tensor], spec: LatencySpec) -> None:
    """Raise UserError if an output is not finite, or differs from that of another call with the same input.

    On a CPU the two must be identical; on CUDA they may differ by the order of sums, or by one rounding in half
    precision.
    """
    do = "float16 ends at 65504: time it in bfloat16 or float32" if spec.precision == "float16" else FINITE
    refuse_infinite(first, f" ({spec.form}, {spec.precision}, {spec.memory_format}); {do}")
    share = max(REPEAT, torch.finfo(getattr(torch, spec.precision)).eps) if spec.device == "cuda" else 0.0
    refuse_differing(first, second, share)


def refuse_infinite(tensors: list[Tensor], and_then: str = f"; {FINITE}") -> None:
    """Raise UserError, which ends with `and_then`, if a value is NaN or infinite."""
    if wrong := sum(int((~tensor.isfinite()).sum()) for tensor in tensors):
        every = sum(tensor.numel() for tensor in tensors)
        raise UserError(f"{wrong} of {every} values of the output are NaN or infinite{and_then}")


def refuse_differing(first: list[Tensor], second: list[Tensor], share: float = 0.0) -> None:
    """Raise UserError if two outputs for one input differ by more than this share of the largest logit."""
    alike = [one.shape for one in first] == [other.shape for other in second]
    errors = [(_error(one, other), share * _largest(one)) for one, other in zip(first, second, strict=False)]
    over = [error for error, allowed in errors if not error <= allowed] if alike else [math.inf]
    if over:
        raise UserError(
            f"the network gives another output for the same input: two calls in eval mode differ by {max(over):.3g}; "
            "switch off dropout and whatever else is random or counts calls"
        )


def trusted(
    found: list[Tensor], plain: list[Tensor], spec: LatencySpec, network: nn.Module, batch: Tensor
) -> Agreement:  # fmt: skip
    """The agreement of a form's output with the plain network's. Raises UserError if it is too far off.

    Differences from half precision or TF32 are reported but never rejected; in float32 there should be almost none.
    Rounding alone can change the output of a network that selects, such as by a top-k of nearly equal values. For it
    the limit is `OWN_ROUNDING` times what rounding otherwise changes in its own output.
    """
    told = agreement(plain, found)
    if spec.precision != "float32" or spec.tf32 or told.max_error <= STRAY * told.largest:
        return told
    errors, limits = list(map(_error, plain, found)), [STRAY * _largest(one) for one in plain]
    for other in _rounded_otherwise(network, batch):
        own = map(_error, plain, other)
        limits = [max(limit, OWN_ROUNDING * error) for limit, error in zip(limits, own, strict=True)]
        if all(error <= limit for error, limit in zip(errors, limits, strict=True)):
            return told
    error, limit, one = next((e, limit, p) for e, limit, p in zip(errors, limits, plain, strict=True) if not e <= limit)
    raise UserError(
        f"the form {spec.form}, {spec.memory_format} does not give the network's output: it strays by max_error "
        f"{error:.3g}, where the largest logit is {_largest(one):.3g} and {limit:.3g} is allowed; it is another "
        "function, so its time means nothing: leave out this form"
    )


def _rounded_otherwise(network: nn.Module, batch: Tensor) -> Iterator[list[Tensor]]:
    """The network's outputs in float64, then with weights that are changed in their last bits, another way each time.

    A tie that a form breaks otherwise is broken so by some of these too.
    """
    yield outputs_of(copy.deepcopy(network).double()(batch.double()))
    generator = torch.Generator().manual_seed(0)
    for number in range(JITTERS):
        other, size = copy.deepcopy(network), JITTER[number % len(JITTER)]
        with torch.inference_mode():
            for weight in filter(torch.is_floating_point, other.parameters()):
                weight.mul_((1 + size * (2 * torch.rand(weight.shape, generator=generator) - 1)).to(weight))
            yield outputs_of(other(batch))
