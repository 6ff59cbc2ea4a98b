"""Peak memory of one pass in bytes: a forward pass in inference mode, or a whole training step.

On CUDA it is the memory allocated by torch (source: `torch.cuda.memory`); on a CPU the process's peak resident set size
(sources: proc(5), getrusage(2)). The memory held before the network was built is subtracted.
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
from bench.measure.switches import layout, switch_as
from bench.networks.output_maps import supervised
from bench.quantities import Device, Memory, MemorySpec

PASSES = 2
FEW = 2  # images of the discarded pass: a batch norm over maps of one pixel cannot train on one image
NOISE_BYTES = 2**20  # the kernel updates a process's page counts in batches
OWN_MAPPING_BYTES = 2**17  # glibc's documented default


def memory(build: Callable[[], nn.Module], spec: MemorySpec) -> Memory:
    """Measure two passes of the network that `build` makes, on a random batch (batch, channels, size, size).

    The second also holds what the first leaves behind (tables made on first use, AdamW's state). Run this in a separate
    process that measures nothing else. `build` is called twice. The first network makes a pass of one or two images and
    is discarded, so that imports, library code and one-time workspaces are not counted.

    The result includes weights, the batch and its target, all activations, the output (kept until the end) and, in
    training, gradients and AdamW's state. A training step is: gradients cleared, forward, cross-entropy with random
    masks, backward, AdamW; without accumulation and clipping. Dice would add a few maps of the output's size. In
    inference, half precision applies to weights and images; in training, bfloat16 is mixed precision with float32
    weights. TF32 and cudnn.benchmark are as the spec says.

    `reserved_bytes` is the peak of what torch's allocator reserves, including workspaces of libraries.

    On a CPU with glibc, every allocation of 128 KiB or more gets its own mapping here, which is returned when it is
    freed, regardless of MALLOC_ variables. Otherwise memory cached by the C library would be counted: in addition to
    the 109 MiB that MDSA-UNet has alive at once in inference with batch 4, it kept 70 MiB more by glibc's defaults and
    100 MiB more with the thresholds that our workers set.

    Raises UserError if this machine cannot measure it, and for training in float16, which would need a scaled loss.
    """
    if spec.mode == "training" and spec.precision == "float16":
        raise UserError("memory of training in float16 is not measured; give float32 or bfloat16")
    on_cuda = spec.device == "cuda"
    if not on_cuda:
        for setting in (-3, -1):  # M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of glibc's malloc.h
            _call_libc("mallopt", setting, OWN_MAPPING_BYTES)
    _run(_ready(build(), spec), spec.model_copy(update={"batch": min(FEW, spec.batch)}), passes=1)
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
    # Networks are contiguous by default. A network that sets its own memory format keeps it.
    return network.to(memory_format=torch.channels_last) if spec.memory_format == "channels_last" else network


def _dtype(spec: MemorySpec) -> torch.dtype:
    """The precision of weights and images."""
    return getattr(torch, spec.precision) if spec.mode == "inference" else torch.float32


def _run(network: nn.Module, spec: MemorySpec, passes: int = PASSES) -> object:
    """Make the passes. The returned tensors stay in memory until the caller releases them."""
    shape, memory_format = (spec.batch, spec.channels, spec.size, spec.size), layout(spec.memory_format)
    switch_as(spec)
    images = torch.empty(shape, dtype=_dtype(spec), device=spec.device, memory_format=memory_format).uniform_()
    if spec.mode == "training":
        return _train(network, images, spec, passes)
    output = None
    with torch.inference_mode():
        for _ in range(passes):
            output = None  # so that two outputs are never held at once
            output = network(images)
    return images, output


def _train(network: nn.Module, images: Tensor, spec: MemorySpec, passes: int) -> object:
    # Random masks: 0 or 1 (N, 1, H, W) for one map, class numbers (N, H, W) for several.
    target = torch.randint(max(2, spec.classes), (spec.batch, spec.size, spec.size), device=spec.device)
    loss_of: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    if spec.classes == 1:
        target, loss_of = target[:, None].float(), F.binary_cross_entropy_with_logits
    optimizer = torch.optim.AdamW(network.parameters())
    kept: object = None
    for _ in range(passes):
        kept = None
        optimizer.zero_grad()
        with torch.autocast(spec.device, torch.bfloat16, enabled=spec.precision == "bfloat16"):
            output = network(images)
        loss = supervised(output, spec.classes, (spec.size, spec.size), lambda maps: loss_of(maps, target))
        loss.backward()
        optimizer.step()
        kept = output, loss
        del output, loss  # they keep the graph alive
    return images, target, optimizer, kept


# ---- the process -----------------------------------------------------------------------------------------------------


def _make_resident(network: nn.Module) -> int:
    """Write all weights in place, because memory becomes resident only when written. Returns their bytes."""
    tensors = [*network.parameters(), *network.buffers()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    for storage in storages.values():
        storage.copy_(storage.clone())
    return sum(storage.nbytes() for storage in storages.values())


def _call_libc(name: str, *arguments: int) -> None:
    """Call a function of the C library if it exists."""
    if function := getattr(ctypes.CDLL(None), name, None):
        function(*arguments)


def _give_back(device: Device) -> None:
    """Return freed memory to the system. Otherwise the network could reuse it and would not be counted."""
    gc.collect()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    else:
        _call_libc("malloc_trim", 0)


def resident_bytes() -> int:
    """This process's present resident set size."""
    return int(psutil.Process().memory_info().rss)


class HighWater:
    """The peak resident set size of this process, in bytes, since this object was created.

    The system's high-water mark covers the whole process, and importing torch raises it. Linux lets a process reset its
    own mark to its present size. If that is denied, and on other systems, a mark that has grown is still a valid peak;
    one that has not grown gives no information.
    """

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc, self._denied = proc, ""
        try:
            (proc / "clear_refs").write_text("5")
        except OSError as error:
            self._denied = str(error)
        self._mark, self._size = self._highest(), resident_bytes()

    def peak(self) -> int:
        """The peak in bytes. Raises UserError if it cannot be determined."""
        highest = self._highest()
        if highest <= self._mark and self._mark - self._size > NOISE_BYTES:
            raise UserError(
                f"the peak memory of this pass cannot be told: it stayed below the {self._mark / 2**20:.0f} MiB that "
                f"the process held earlier, and {self._denied or 'this system keeps that mark'}; give a larger batch, "
                f"or measure on Linux where a process may write to its /proc/self/clear_refs"
            )
        return highest

    def _highest(self) -> int:
        """Read from /proc, because getrusage's figure starts from that of the parent process."""
        status = self._proc / "status"
        mark = re.search(r"^VmHWM:\s*(\d+) kB", status.read_text(), re.MULTILINE) if status.exists() else None
        if mark:
            return int(mark[1]) * 1024
        unit = 1 if platform.system() == "Darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
