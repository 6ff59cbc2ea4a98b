"""Parameters, and multiply-adds by two counters, because neither is always right.

Definition: one multiply-add counts as one (`macs`). fvcore, which papers use, follows a trace and also counts
normalization and resizing; torch's FlopCounterMode sees each operator as it is dispatched and counts only convolutions
and matrix products (its figure is halved here). Both count one random image in eval mode on the CPU, each on its own
copy of the network, so that they cannot affect each other through hooks or buffers; fvcore's tracer, which may end the
process that it is in, has one of its own. Each is first tested on layers with known costs. The layers it gets wrong are
named in the result, together with operators that may multiply but have no formula.
"""

import warnings
from collections.abc import Callable
from contextlib import nullcontext, suppress
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from bench.errors import first_line
from bench.measure.apart import Ended, apart
from bench.measure.attention import attended
from bench.measure.counters import as_written, by_fvcore, by_torch
from bench.measure.layers import Unregistered, quantized, unregistered
from bench.measure.switches import random_images
from bench.networks.adapt import inside
from bench.quantities import Cost, CostSpec, Count

Counter = Callable[[nn.Module, Tensor], Count]


def cost(network: nn.Module, spec: CostSpec) -> Cost:
    """Count the network's parameters, and its multiply-adds for one image (1, channels, size, size).

    A network that was adapted is counted itself, on what it is given of such an image. The network is not changed if it
    can be copied. It is called once before counting, which initializes lazy modules; errors of this call are raised.
    """
    with as_written():
        network, image = itself(own(network).eval(), random_image(network, spec.channels, spec.size))
    parameters = list(network.parameters())
    with as_written(), Unregistered(copy := own(network)) as elsewhere:
        shares = attended(copy, image)
    return Cost(
        parameters=sum(p.numel() for p in parameters), parameter_bytes=sum(p.nbytes for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        buffer_bytes=sum(b.nbytes for b in network.buffers()), fvcore=_count("fvcore", by_fvcore, network, image),
        torch=_count("torch", by_torch, network, image), attended=shares,
        uncounted=(*unregistered(copy, elsewhere.used), *quantized(network)),
    )  # fmt: skip


def itself(network: nn.Module, image: Tensor) -> tuple[nn.Module, Tensor]:
    """The network without what adapts it, and what it is given of an image. It is called once, on this image."""
    given: list[Any] = []
    with (
        torch.no_grad(),
        inside(network).register_forward_pre_hook(lambda _, inputs: given.append(inputs))
        if inside(network) is not network
        else nullcontext(),
    ):
        network(image)  # a network that does not accept the image raises its own error here, not inside both counters
    return (inside(network), given[0][0].clone()) if given else (network, image)


def own(network: nn.Module) -> nn.Module:
    """A copy of the network, or the network itself if it cannot be copied."""
    with suppress(
        Exception
    ):  # a foreign network may hold objects that cannot be copied: a lock, an open file, part of a graph
        return deepcopy(network)
    return network


def random_image(network: nn.Module, channels: int, size: int) -> Tensor:
    """One image (1, channels, size, size), values in [0, 1), in the precision of the network's first real weights."""
    real = (p.dtype for p in network.parameters() if p.is_floating_point())
    return random_images(1, channels, size).to(next(real, torch.float32))


def _count(name: str, counter: Counter, network: nn.Module, image: Tensor) -> Count:
    """One counter's result. An error of the counter is part of the result, because the other one may still work."""
    missed = tuple(formula for formula, (small, x, macs) in formulas().items() if not _counts(counter, small, x, macs))

    def found() -> Count:
        try:
            with Unregistered(copy := own(network)):
                return counter(copy, image)
        except Exception as error:  # noqa: BLE001  a foreign network can make a tracer raise anything
            return Count(counter=name, macs=None, error=f"{type(error).__name__}: {first_line(error)}")

    try:
        count = apart(found) if counter is by_fvcore else found()
    except Ended as error:
        count = Count(counter=name, macs=None, error=str(error))
    return count.model_copy(update={"missed": missed + count.missed})


def _counts(counter: Counter, network: nn.Module, image: Tensor, macs: int) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # checkpointing warns that there are no gradients, which is intended
            by_operator = counter(network, image).by_operator
    except Exception:  # noqa: BLE001  a counter that cannot run a formula has missed it
        return False
    return sum(n for name, n in by_operator.items() if not name.endswith("_norm")) == macs


# ---- closed formulas -------------------------------------------------------------------------------------------------


class Call(nn.Module):
    """A function as a module, so that it can be counted."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


class Squared(torch.autograd.Function):
    """A matrix product inside a custom autograd function, of which only the forward pass is called."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x.transpose(1, 2)


def formulas() -> dict[str, tuple[nn.Module, Tensor, int]]:
    """Small networks in eval mode, an input for each, and their multiply-adds computed by hand."""
    maps, rows, mask = torch.rand(1, 8, 6, 6), torch.rand(1, 10, 8), torch.zeros(10, 10)
    product, layer = 10 * 10 * 8, nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True)
    return {
        "convolution": (nn.Conv2d(8, 4, 3, padding=1), maps, 36 * 4 * 8 * 9),
        "convolution padding='same'": (nn.Conv2d(8, 4, 3, padding="same"), maps, 36 * 4 * 8 * 9),
        "grouped convolution": (nn.Conv2d(8, 8, 3, padding=1, groups=8), maps, 36 * 8 * 9),
        "transposed convolution": (nn.ConvTranspose2d(8, 4, 2, stride=2), maps, 36 * 8 * 4 * 4),
        "linear": (nn.Linear(8, 5), rows, 10 * 8 * 5),
        "encoder layer": (layer.eval(), rows, 10 * (4 * 8 * 8 + 2 * 8 * 16) + 2 * product),
        "matmul": (Call(lambda x: x @ x.transpose(1, 2)), rows, product),
        "broadcast matmul": (Call(lambda x: x[0] @ x.transpose(1, 2).expand(3, 8, 10)), rows, 3 * product),
        "baddbmm": (Call(lambda x: torch.baddbmm(mask[None], x, x.transpose(1, 2))), rows, product),
        "einsum": (Call(lambda x: torch.einsum("nld,nsd->nls", x, x)), rows, product),
        "attention": (Call(lambda x: F.scaled_dot_product_attention(x, x, x)), rows, 2 * product),
        "masked attention": (Call(lambda x: F.scaled_dot_product_attention(x, x, x, mask)), rows, 2 * product),
        "autograd function": (Call(lambda x: Squared.apply(x)), rows, product),  # noqa: PLW0108  looked up at the call
        "checkpointing": (Call(lambda x: checkpoint(torch.bmm, x, x.mT, use_reentrant=True)), rows, product),
    }
