"""What all measures share: the process's switches, the images, the memory format, and when a device is done."""

import torch
from torch import Tensor

from bench.quantities import Device, MemoryFormat


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
