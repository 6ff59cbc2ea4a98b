"""The deployed forms of a network: one module per form, found by its name.

A form's module has one of two functions:

    make(network, batch, spec)   returns a function without arguments that runs the network on the batch; it reads the
                                 batch's own memory at each call, so that other content written there is seen
    transform(network, batch)    returns another network, in float32, which is then converted and run as it is

Both raise UserError if the form is not available under the conditions. The form "eager" is the unchanged network and
has no module. Parts joined by "+" are applied in order: "folded+onnx" is the folded network, run by ONNX Runtime. To
add a form, add one module here and one line in bench/quantities/variants.py.

The conversion to a form is timed separately from its calls. bench/measure/agreement.py checks that the output of a form
agrees with that of the plain network.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.measure.switches import layout, synchronize
from bench.quantities import LatencySpec

Run = Callable[[], Any]


class Prepared(NamedTuple):
    """A form: what runs it, the seconds of its conversion, the memory of its input, and what is odd about it.

    The seconds are None for the eager form.
    """

    run: Run
    seconds: float | None
    batch: Tensor
    note: str = ""


def is_plain(spec: LatencySpec) -> bool:
    """Whether the network is unchanged: eager, float32, its own memory format, contiguous images."""
    return (spec.form, spec.precision, spec.memory_format) == ("eager", "float32", "contiguous")


def prepared(
    network: nn.Module, batch: Tensor, spec: LatencySpec, clock: Callable[[], float] = time.perf_counter
) -> Prepared:
    """Return a function that runs the network on the batch in the form of `spec`, with the facts of its conversion.

    The network must be in eval mode and have run on the batch, both float32, contiguous and on the device, so that any
    error now is caused by the form. The network is converted in place. The function returns the network's output; a
    CUDA graph returns the same memory each time, ONNX Runtime a list of its own values. Call it in
    `torch.inference_mode`. Seconds are None for the eager form; they include imports. Raises UserError, with the
    reason, if the form is not available.
    """
    start = clock()
    with _explained(spec):
        parts = [import_module(f"{__name__}.{part}") for part in spec.form.split("+") if part != "eager"]
        was = _parts(network)
        for part in parts:
            network = part.transform(network, batch) if hasattr(part, "transform") else network
        idle = any(hasattr(part, "transform") for part in parts) and _parts(network) == was
        batch = batch.to(getattr(torch, spec.precision), memory_format=layout(spec.memory_format))
        network = network.to(batch.dtype)
        if spec.memory_format == "channels_last":  # otherwise a network keeps its own memory format
            network = network.to(memory_format=torch.channels_last)
        make = next((part.make for part in parts if hasattr(part, "make")), None)
        run = make(network, batch, spec) if make else partial(network, batch)
        synchronize(spec.device)
        seconds = clock() - start
        if not is_plain(spec):
            with torch.inference_mode():
                run()
    note = f"nothing in this network could be {spec.form.partition('+')[0]}" if idle else ""
    return Prepared(run, None if spec.form == "eager" else seconds, batch, note)


def _parts(network: nn.Module) -> list[tuple[str, type[nn.Module]]]:
    return [(name, type(module)) for name, module in network.named_modules()]


@contextmanager
def _explained(spec: LatencySpec) -> Iterator[None]:
    """Convert errors of torch to UserError: the plain network runs, so the requested form is the cause."""
    try:
        yield
    except RuntimeError as error:
        text = str(error) or type(error).__name__
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in text:
            raise
        do = "leave out this form or condition"
        if "C++ compiler" in text:
            do = "install g++ or clang++, or name one in the variable CXX, or leave out the form compiled"
        reason = (str(error.__cause__ or "") or text).strip().splitlines()[0]
        raise UserError(
            f"the network runs as it is, but not {spec.form}, {spec.precision}, {spec.memory_format} on {spec.device}: "
            f"{reason}; {do}"
        ) from error
