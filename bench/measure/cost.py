"""Parameters, and multiply-adds by two counters, for neither is right alone.

Definition: one multiply-add counts as one (`macs`). fvcore, which papers use, follows a trace and also counts
normalisation and resizing; torch's FlopCounterMode sees each operator as it is dispatched and counts only convolutions
and matrix products (its figure is halved here). Both count one random image in eval mode on the CPU. What they are
known to miss is mended here: fused attention and `padding='same'` for fvcore; fused attention on a CPU and the
attention fast path for torch. Each counter is then tried on closed formulas, and one that misses any is named in the
result. Counting leaves hooks behind: give it a network that is used for nothing else.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fvcore.nn import FlopCountAnalysis
from fvcore.nn.jit_handles import conv_flop_count, get_shape
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from bench.quantities import Cost, CostSpec, Count

Macs = tuple[dict[str, int], dict[str, int]]  # by operator, and how often each uncounted operator was met


def cost(network: nn.Module, spec: CostSpec) -> Cost:
    """Count the network's parameters, and its multiply-adds for one image (1, channels, size, size)."""
    parameters = list(network.parameters())
    image = torch.rand(1, spec.channels, spec.size, spec.size, generator=torch.Generator().manual_seed(0))
    network.eval()
    with torch.no_grad():
        network(image)  # a network that cannot take the image fails here, in its own words, and not in both counters
    return Cost(
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        parameter_bytes=sum(p.numel() * p.element_size() for p in parameters),
        buffer_bytes=sum(b.numel() * b.element_size() for b in network.buffers()),
        fvcore=_count("fvcore", by_fvcore, network, image),
        torch=_count("torch", by_torch, network, image),
    )


def _count(name: str, counter: Callable[[nn.Module, Tensor], Macs], network: nn.Module, image: Tensor) -> Count:
    """One counter's figure; a counter that raises is a result too, for the other one may still count."""
    missed = tuple(formula for formula, (small, x, macs) in formulas().items() if not _counts(counter, small, x, macs))
    try:
        by_operator, uncounted = counter(network, image)
    except Exception as error:  # whatever a stranger's network makes a tracer raise
        return Count(counter=name, macs=None, missed=missed, error=f"{type(error).__name__}: {error}")
    return Count(
        counter=name, macs=sum(by_operator.values()), by_operator=by_operator, uncounted=uncounted, missed=missed
    )


def _counts(counter: Callable[[nn.Module, Tensor], Macs], network: nn.Module, image: Tensor, macs: int) -> bool:
    try:
        by_operator, _ = counter(network, image)
    except Exception:  # a counter that cannot run a formula has missed it
        return False
    return sum(by_operator.get(name, 0) for name in by_operator if not name.endswith("_norm")) == macs


# ---- fvcore ----------------------------------------------------------------------------------------------------------


def by_fvcore(network: nn.Module, image: Tensor) -> Macs:
    """fvcore's count, with the handlers it lacks."""
    with _countable(), torch.no_grad():
        analysis = FlopCountAnalysis(network, image)
        analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
        analysis.set_op_handle("aten::scaled_dot_product_attention", _attention_macs)
        analysis.set_op_handle("aten::_convolution_mode", _same_convolution_macs)
        by_operator = {name: round(macs) for name, macs in sorted(analysis.by_operator().items())}
        return by_operator, dict(sorted(analysis.unsupported_ops().items()))


def _attention_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """q @ k^T and its product with v: (..., L, E), (..., S, E), (..., S, V)."""
    query, key, value = (get_shape(tensor) for tensor in inputs[:3])
    return Counter({"attention": math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])})


def _same_convolution_macs(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """A convolution whose padding was given as text."""
    return Counter({"conv": conv_flop_count(get_shape(inputs[0]), get_shape(inputs[1]), get_shape(outputs[0]))})


# ---- torch -----------------------------------------------------------------------------------------------------------


def by_torch(network: nn.Module, image: Tensor) -> Macs:
    """Half of FlopCounterMode's count; fused attention is run as its plain products, which it does count."""
    met = _Operators()
    with _countable(), sdpa_kernel(SDPBackend.MATH), torch.no_grad(), FlopCounterMode(display=False) as counter, met:
        network(image)
    flops = counter.get_flop_counts().get("Global", {})
    by_operator = {operator.__name__.split(".")[0]: count // 2 for operator, count in flops.items()}
    return by_operator, dict(sorted(met.uncounted(set(flops)).items()))


class _Operators(TorchDispatchMode):
    """Counts the calls of each operator that makes a floating tensor of its own; views do no work."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Any] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        made = (leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))
        if not func.is_view and any(tensor.is_floating_point() for tensor in made):
            self.calls[func.overloadpacket] += 1
        return output

    def uncounted(self, counted: set[Any]) -> dict[str, int]:
        return {str(operator): calls for operator, calls in self.calls.items() if operator not in counted}


@contextmanager
def _countable() -> Iterator[None]:
    """The attention fast path off, for it is one native call that no counter sees into; the tracer's chatter off."""
    was = torch.backends.mha.get_fastpath_enabled()
    tracer = logging.getLogger("fvcore.nn.jit_analysis")
    level = tracer.level
    torch.backends.mha.set_fastpath_enabled(False)
    tracer.setLevel(logging.ERROR)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was)
        tracer.setLevel(level)


# ---- closed formulas -------------------------------------------------------------------------------------------------


class _Call(nn.Module):
    """A function as a module, so that it can be counted."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def formulas() -> dict[str, tuple[nn.Module, Tensor, int]]:
    """Small networks, an input each, and their multiply-adds by hand."""
    maps, rows = torch.rand(1, 8, 6, 6), torch.rand(1, 10, 8)
    mask = torch.zeros(10, 10)
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True).eval()
    return {
        "convolution": (nn.Conv2d(8, 4, 3, padding=1), maps, 36 * 4 * 8 * 9),
        "convolution padding='same'": (nn.Conv2d(8, 4, 3, padding="same"), maps, 36 * 4 * 8 * 9),
        "grouped convolution": (nn.Conv2d(8, 8, 3, padding=1, groups=8), maps, 36 * 8 * 9),
        "transposed convolution": (nn.ConvTranspose2d(8, 4, 2, stride=2), maps, 36 * 8 * 4 * 4),
        "linear": (nn.Linear(8, 5), rows, 10 * 8 * 5),
        "matmul": (_Call(lambda x: x @ x.transpose(1, 2)), rows, 10 * 10 * 8),
        "einsum": (_Call(lambda x: torch.einsum("nld,nsd->nls", x, x)), rows, 10 * 10 * 8),
        "attention": (_Call(lambda x: F.scaled_dot_product_attention(x, x, x)), rows, 2 * 10 * 10 * 8),
        "masked attention": (
            _Call(lambda x: F.scaled_dot_product_attention(x, x, x, attn_mask=mask)), rows, 2 * 10 * 10 * 8,
        ),
        "encoder layer": (layer, rows, 10 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * 10 * 10 * 8),
    }  # fmt: skip
