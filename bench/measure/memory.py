"""The most memory one pass holds, in bytes: a forward pass in inference mode, or a whole training step.

On CUDA it is what torch's allocator gave out (source: `torch.cuda.memory`); on a CPU the process's high-water resident
size (sources: proc(5), getrusage(2)). From both is taken what the process held before the network was built.
"""

import ctypes
import gc
import platform
import re
import resource
from collections.abc import Callable
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.measure.switches import layout, set_switches
from bench.networks.output_maps import supervised
from bench.quantities import Device, Memory, MemorySpec

PASSES = 2  # what the first leaves behind (tables made when first needed, AdamW's state) the second has on top
NOISE_BYTES = 2**20  # the kernel adds up a process's pages in lots
OWN_MAPPING_BYTES = 2**17  # glibc's documented default


def memory(build: Callable[[], nn.Module], spec: MemorySpec) -> Memory:
    """Measure two passes of the network that `build` makes, on a random batch (batch, channels, size, size).

    For a process of its own, which measures nothing else. `build` is called twice. The first network makes a pass with
    one or two images and is thrown away, so that the libraries are imported, their code is in memory and their one-off
    workspaces are taken: these are not the network's.

    Counted is what must be free for the pass: weights, the batch and its target, every activation, the output, which
    is kept alive to the end, and in training gradients and AdamW's state as well. A training step is: gradients
    cleared, forward, cross-entropy with random masks, backward, AdamW; without accumulation and clipping. Dice would
    add a few maps of the output's size. In inference a half precision is that of weights and images; in training
    bfloat16 is mixed precision with weights in float32. TF32 and cudnn.benchmark are off.

    `reserved_bytes` is all that torch's allocator holds at its peak, libraries' workspaces included.

    On a CPU with glibc, every tensor of 128 KiB or more has a mapping of its own here, returned as soon as it is freed,
    whatever the process's MALLOC_ variables say. Else what the C library keeps for later would be counted too: on the
    109 MiB that MDSA-UNet has alive at once in inference with batch 4, it kept 70 MiB more by glibc's defaults and
    100 MiB more with the thresholds that our workers set.

    Raises UserError where this machine cannot tell, and for training in float16, which would need a scaled loss.
    """
    if spec.mode == "training" and spec.precision == "float16":
        raise UserError("memory of training in float16 is not measured; give float32 or bfloat16")
    set_switches(spec.threads, tf32=False)
    on_cuda = spec.device == "cuda"
    if not on_cuda:
        for setting in (-3, -1):  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
            _call_libc("mallopt", setting, OWN_MAPPING_BYTES)
    # Two images, for a batch norm over maps of one pixel cannot train on one image.
    _run(_ready(build(), spec), spec.model_copy(update={"batch": min(2, spec.batch)}))
    _give_back(spec.device)
    before = torch.cuda.memory_allocated() if on_cuda else resident_bytes()
    network = _ready(build(), spec)
    written = 0 if on_cuda else _make_resident(network)
    _give_back(spec.device)
    if on_cuda:
        weights = torch.cuda.memory_allocated() - before
        alive = _run(network, spec)
        torch.cuda.synchronize()
        peak, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
    else:
        mark, weights, reserved = HighWater(), written, None
        alive = _run(network, spec)
        peak = mark.peak()
    del alive
    return Memory(weights_bytes=weights, peak_bytes=peak - before, reserved_bytes=reserved)


# ---- the pass --------------------------------------------------------------------------------------------------------


def _ready(network: nn.Module, spec: MemorySpec) -> nn.Module:
    """The network on the device, in the mode, precision and memory format of the conditions."""
    network = network.train(spec.mode == "training").to(spec.device, _dtype(spec))
    # Contiguous is what networks are unless they lay out their own weights otherwise, which is left to them.
    return network.to(memory_format=torch.channels_last) if spec.memory_format == "channels_last" else network


def _dtype(spec: MemorySpec) -> torch.dtype:
    """Of weights and images."""
    return getattr(torch, spec.precision) if spec.mode == "inference" else torch.float32


def _run(network: nn.Module, spec: MemorySpec) -> object:
    """Make the passes; what is returned lies in memory until its holder drops it."""
    shape, memory_format = (spec.batch, spec.channels, spec.size, spec.size), layout(spec.memory_format)
    images = torch.empty(shape, dtype=_dtype(spec), device=spec.device, memory_format=memory_format).uniform_()
    if spec.mode == "training":
        return _train(network, images, spec)
    output = None
    with torch.inference_mode():
        for _ in range(PASSES):
            output = None  # or two outputs would lie there at once
            output = network(images)
    return images, output


def _train(network: nn.Module, images: Tensor, spec: MemorySpec) -> object:
    # Random masks: 0 or 1 (N, 1, H, W) for one map, class numbers (N, H, W) for several.
    target = torch.randint(max(2, spec.classes), (spec.batch, spec.size, spec.size), device=spec.device)
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    if spec.classes == 1:
        target, loss_of = target[:, None].float(), F.binary_cross_entropy_with_logits
    optimizer = torch.optim.AdamW(network.parameters())
    kept: object = None
    for _ in range(PASSES):
        kept = None
        optimizer.zero_grad()
        with torch.autocast(spec.device, torch.bfloat16, enabled=spec.precision == "bfloat16"):
            output = network(images)
        loss = supervised(output, spec.classes, (spec.size, spec.size), lambda maps: loss_of(maps, target))
        loss.backward()
        optimizer.step()
        kept = output, loss
        del output, loss  # they hold the graph
    return images, target, optimizer, kept


# ---- the process -----------------------------------------------------------------------------------------------------


def _make_resident(network: nn.Module) -> int:
    """Write all weights in place, since memory that was never written is not there yet. Returns their bytes."""
    tensors = [*network.parameters(), *network.buffers()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    for storage in storages.values():
        storage.copy_(storage.clone())
    return sum(storage.nbytes() for storage in storages.values())


def _call_libc(name: str, *arguments: int) -> None:
    """Call a function of the C library, where it has it."""
    if function := getattr(ctypes.CDLL(None), name, None):
        function(*arguments)


def _give_back(device: Device) -> None:
    """Return freed memory to the system, or the network would be put in it and not be seen."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        _call_libc("malloc_trim", 0)


def resident_bytes() -> int:
    """This process's resident size now."""
    return int(psutil.Process().memory_info().rss)


class HighWater:
    """The highest resident size of this process, in bytes, since this was made.

    The system's high-water mark began with the process, and importing torch leaves it high. Linux lets a process lower
    its own mark to its present size; where that is denied, and on other systems, a mark that has grown is a peak since
    then all the same, and one that has not tells nothing.
    """

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc, self._denied = proc, ""
        try:
            (proc / "clear_refs").write_text("5")
        except OSError as error:
            self._denied = str(error)
        self._mark, self._size = self._highest(), resident_bytes()

    def peak(self) -> int:
        """Raises UserError where it cannot be told."""
        highest = self._highest()
        if highest <= self._mark and self._mark - self._size > NOISE_BYTES:
            raise UserError(
                f"the peak memory of this pass cannot be told: it stayed below the {self._mark / 2**20:.0f} MiB that "
                f"the process held earlier, and {self._denied or 'this system keeps that mark'}; give a larger batch, "
                f"or measure on Linux where a process may write to its /proc/self/clear_refs"
            )
        return highest

    def _highest(self) -> int:
        """From /proc, for getrusage's figure begins with that of the process that started this one."""
        status = self._proc / "status"
        mark = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
        if mark:
            return int(mark[1]) * 1024
        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
