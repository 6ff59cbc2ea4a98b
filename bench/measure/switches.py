"""Shared by all measurements: torch's switches, random images, memory formats, synchronization, module hooks."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.quantities import Device, MemoryFormat

Context = AbstractContextManager[Any]
Mark = Callable[[], None]  # called just before and just after what is timed, to note the machine's state


def nothing() -> None:
    """A mark that notes nothing, for measurements whose machine nobody watches."""


def switch_as(spec: Any) -> None:
    """Set every switch as the conditions of a measurement say."""
    set_switches(spec.threads, tf32=spec.tf32, cudnn_benchmark=spec.cudnn_benchmark)


def set_switches(
    threads: int, *, tf32: bool = False, cudnn_benchmark: bool = False, flush_denormal: bool = False
) -> None:
    """Set every switch of torch that changes times or rounding, for the whole process.

    Everything that runs a network calls it after the network was built, because a network's code may set switches too.
    `threads` is the number of threads of CPU operators. `tf32` allows TF32 in matrix products and convolutions; torch's
    own default, TF32 in convolutions only, is never used. `cudnn_benchmark` lets cuDNN benchmark its algorithms.
    `flush_denormal` makes a CPU treat subnormal numbers as zero, because it computes them slowly. Deterministic
    algorithms are never forced.
    """
    torch.set_flush_denormal(flush_denormal)  # before any thread starts, because threads inherit it
    torch.set_num_threads(threads)
    # Each backend has a precision of its own, and the older switches must agree with it, or reading them fails.
    backends: Any = torch.backends
    cudnn, onednn = backends.cudnn, backends.mkldnn
    whole, products = (backends, cudnn, onednn), (backends.cuda.matmul, onednn.matmul)
    for one in (*whole, *products, cudnn.conv, cudnn.rnn, onednn.conv, onednn.rnn):
        one.fp32_precision = "tf32" if tf32 else "ieee"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    cudnn.allow_tf32 = tf32
    cudnn.benchmark = cudnn_benchmark
    cudnn.deterministic = False
    if torch.are_deterministic_algorithms_enabled():  # to turn them off imports torch's compiler, for over a second
        torch.use_deterministic_algorithms(False)


def random_images(batch: int, channels: int, size: int, seed: int = 0) -> Tensor:
    """Random images (batch, channels, size, size) in float32, values in [0, 1), the same each time for a seed."""
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(seed))


def layout(memory_format: MemoryFormat) -> torch.memory_format:
    """torch's name for a memory format."""
    return torch.channels_last if memory_format == "channels_last" else torch.contiguous_format


def synchronize(device: Device) -> None:
    """Wait until a GPU has finished its work. Calls on a CPU are synchronous."""
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def around_modules(network: nn.Module, around: Callable[[str], Context] = nullcontext) -> Iterator[list[str]]:
    """Yield a list of the paths of the running modules, innermost last, which is updated during the pass.

    `around(path)` is opened when a call of the module at this path begins, and closed when the call ends.

    The network itself has the path "", which is open for the whole context, so make one pass in it. Scripted modules
    are skipped. All hooks are removed when the context closes.
    """
    running, calls = [""], list[Context]()

    def enter(path: str) -> None:
        running.append(path)
        calls.append(around(path))
        calls[-1].__enter__()

    def leave(*_: Any) -> None:  # a returned value would replace the module's output
        calls.pop().__exit__(None, None, None)
        running.pop()

    with ExitStack() as hooks:
        for path, module in network.named_modules():
            if path and takes_hooks(module):
                hooks.enter_context(module.register_forward_pre_hook(lambda *_, path=path: enter(path), prepend=True))
                # Also after an exception, which the caller of the module may catch.
                hooks.enter_context(module.register_forward_hook(leave, always_call=True))
        with around(""):
            yield running


def takes_hooks(module: nn.Module) -> bool:
    """Whether calls of a module can be observed. Scripted modules do not support hooks."""
    return not isinstance(module, torch.jit.ScriptModule)
