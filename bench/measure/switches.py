"""What measures share: switches, images, the memory format, when a device is done, hooks around modules."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from bench.quantities import Device, MemoryFormat

Context = AbstractContextManager[Any]


def set_switches(
    threads: int, *, tf32: bool | None = None, cudnn_benchmark: bool = False, flush_denormal: bool = False
) -> None:
    """Set every switch of torch that changes times or rounding, for the whole process.

    `threads` are those of a CPU's operators. `tf32` allows TF32 in matrix products and in cuDNN's convolutions; None is
    torch's own default, the latter alone. `cudnn_benchmark` lets cuDNN try its algorithms. `flush_denormal` makes a CPU
    take subnormal numbers for zero, which it would else compute in microcode. cuDNN's deterministic mode is always off.
    """
    torch.set_flush_denormal(flush_denormal)  # before any thread starts, for threads inherit it
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = bool(tf32)
    torch.backends.cudnn.allow_tf32 = tf32 is not False
    torch.backends.cudnn.benchmark = cudnn_benchmark
    torch.backends.cudnn.deterministic = False


def random_images(batch: int, channels: int, size: int) -> Tensor:
    """(batch, channels, size, size) in float32, values in [0, 1): the same each time, from a generator of its own."""
    return torch.rand(batch, channels, size, size, generator=torch.Generator().manual_seed(0))


def layout(memory_format: MemoryFormat) -> torch.memory_format:
    """torch's name for a memory format."""
    return torch.channels_last if memory_format == "channels_last" else torch.contiguous_format


def synchronize(device: Device) -> None:
    """Wait until a GPU has done its work; a CPU is done when a call returns."""
    if device == "cuda":
        torch.cuda.synchronize()


@contextmanager
def around_modules(network: nn.Module, around: Callable[[str], Context] = nullcontext) -> Iterator[list[str]]:
    """Yield the paths of the modules that are running, the innermost last, from one moment to the next.

    `around(path)` is opened when a call of the module at this path begins, and closed when the call ends.

    The network itself has the path "", which is open once, for as long as the whole context; make one pass in it.
    Scripted modules are passed over. All hooks are removed when the context closes.
    """
    running, calls = [""], list[Context]()

    def enter(path: str) -> None:
        running.append(path)
        calls.append(around(path))
        calls[-1].__enter__()

    def leave(*_: Any) -> None:  # what a hook returns would replace the module's output
        calls.pop().__exit__(None, None, None)
        running.pop()

    with ExitStack() as hooks:
        for path, module in network.named_modules():
            if path and takes_hooks(module):
                hooks.enter_context(module.register_forward_pre_hook(lambda *_, path=path: enter(path), prepend=True))
                hooks.enter_context(module.register_forward_hook(leave))
        with around(""):
            yield running


def takes_hooks(module: nn.Module) -> bool:
    """Whether calls of a module can be seen: a scripted one takes no hooks."""
    return not isinstance(module, torch.jit.ScriptModule)
