"""The most memory one pass holds, in bytes: a forward pass in inference mode, or a whole training step.

On CUDA it is what torch's allocator gave out (source: `torch.cuda.memory`); on a CPU the process's high-water resident
size (sources: proc(5), getrusage(2)). From both is taken what the process held before the network was built.
"""

import ctypes
import gc
import os
import platform
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.errors import UserError
from bench.networks.output_maps import supervised
from bench.quantities import Memory, MemorySpec

PASSES = 2  # what the first leaves behind (tables made when first needed, AdamW's state) the second has on top
NOISE_BYTES = 2**20  # the kernel adds up a process's pages in lots
OWN_MAPPING_BYTES = 2**17  # glibc's documented default

Build = Callable[[], nn.Module]


def memory(build: Build, spec: MemorySpec) -> Memory:
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
    torch.set_num_threads(spec.threads)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    measure = _on_cuda if spec.device == "cuda" else _on_cpu
    return measure(build, spec)


# ---- the pass --------------------------------------------------------------------------------------------------------


def _warm_up(build: Build, spec: MemorySpec) -> None:
    # Two, for a batch norm over maps of one pixel cannot train on one image.
    _run(_ready(build(), spec), spec.model_copy(update={"batch": min(2, spec.batch)}))


def _ready(network: nn.Module, spec: MemorySpec) -> nn.Module:
    """The network on the device, in the mode, precision and memory format of the conditions."""
    network = network.train(spec.mode == "training").to(spec.device, _dtype(spec))
    # Contiguous is what networks are unless they lay out their own weights otherwise, which is left to them.
    return network.to(memory_format=torch.channels_last) if spec.memory_format == "channels_last" else network


def _dtype(spec: MemorySpec) -> torch.dtype:
    """Of weights and images."""
    dtype: torch.dtype = getattr(torch, spec.precision) if spec.mode == "inference" else torch.float32
    return dtype


def _layout(spec: MemorySpec) -> torch.memory_format:
    return torch.channels_last if spec.memory_format == "channels_last" else torch.contiguous_format


def _run(network: nn.Module, spec: MemorySpec) -> object:
    """Make the passes; what is returned lies in memory until its holder drops it."""
    shape = (spec.batch, spec.channels, spec.size, spec.size)
    images = torch.empty(shape, dtype=_dtype(spec), device=spec.device, memory_format=_layout(spec)).uniform_()
    return _train(network, images, spec) if spec.mode == "training" else _infer(network, images)


def _infer(network: nn.Module, images: Tensor) -> object:
    output = None
    with torch.inference_mode():
        for _ in range(PASSES):
            output = None  # or two outputs would lie there at once
            output = network(images)
    return images, output


def _train(network: nn.Module, images: Tensor, spec: MemorySpec) -> object:
    target = _target(spec)
    optimiser = torch.optim.AdamW(network.parameters())
    kept: object = None
    for _ in range(PASSES):
        kept = None
        optimiser.zero_grad()
        with torch.autocast(spec.device, torch.bfloat16, enabled=spec.precision == "bfloat16"):
            output = network(images)
        loss = supervised(output, spec.classes, (spec.size, spec.size), lambda maps: _loss(maps, target))
        loss.backward()
        optimiser.step()
        kept = output, loss
        del output, loss  # they hold the graph
    return images, target, optimiser, kept


def _target(spec: MemorySpec) -> Tensor:
    """Random masks: 0 or 1 (N, 1, H, W) for one map, class numbers (N, H, W) for several."""
    masks = torch.randint(max(2, spec.classes), (spec.batch, spec.size, spec.size), device=spec.device)
    return masks[:, None].float() if spec.classes == 1 else masks


def _loss(logits: Tensor, target: Tensor) -> Tensor:
    binary = logits.shape[1] == 1
    return F.binary_cross_entropy_with_logits(logits, target) if binary else F.cross_entropy(logits, target)


# ---- CUDA ------------------------------------------------------------------------------------------------------------


def _on_cuda(build: Build, spec: MemorySpec) -> Memory:
    _warm_up(build, spec)
    _forget_on_cuda()
    before = torch.cuda.memory_allocated()
    network = _ready(build(), spec)
    _forget_on_cuda()
    weights = torch.cuda.memory_allocated() - before
    alive = _run(network, spec)
    torch.cuda.synchronize()
    found = torch.cuda.max_memory_allocated() - before, torch.cuda.max_memory_reserved()
    del alive
    return Memory(weights_bytes=weights, peak_bytes=found[0], reserved_bytes=found[1])


def _forget_on_cuda() -> None:
    gc.collect()
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()


# ---- CPU -------------------------------------------------------------------------------------------------------------


def _on_cpu(build: Build, spec: MemorySpec) -> Memory:
    resident = Resident()
    _own_mappings()
    _warm_up(build, spec)
    _give_back()
    before = resident.now()
    network = _ready(build(), spec)
    weights = _make_resident(network)
    _give_back()
    resident.start()
    alive = _run(network, spec)
    peak = resident.peak() - before
    del alive
    return Memory(weights_bytes=weights, peak_bytes=peak)


def _make_resident(network: nn.Module) -> int:
    """Write all weights in place, since memory that was never written is not there yet. Returns their bytes."""
    tensors = [*network.parameters(), *network.buffers()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    for storage in storages.values():
        storage.copy_(storage.clone())
    return sum(storage.nbytes() for storage in storages.values())


def _own_mappings() -> None:
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's; the numbers are M_MMAP_THRESHOLD and M_TRIM_THRESHOLD of malloc.h
        libc.mallopt(-3, OWN_MAPPING_BYTES)
        libc.mallopt(-1, OWN_MAPPING_BYTES)


def _give_back() -> None:
    """Return freed memory to the system, or the network would be put in it and not be seen."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


class Resident:
    """This process's resident size in bytes: now, and the highest after `start`.

    The system's high-water mark began with the process, and importing torch leaves it high. Linux lets a process lower
    its own mark to its present size; where that is denied, and on other systems, a mark that has grown is a peak after
    `start` all the same, and one that has not tells nothing.
    """

    def __init__(self, proc: Path = Path("/proc/self")) -> None:
        self._proc = proc
        self._mark = self._size = 0
        self._denied = ""

    def now(self) -> int:
        """The resident size."""
        found = self._status("VmRSS")
        return by_ps() if found is None else found

    def start(self) -> None:
        """Lower the mark, where that is allowed."""
        try:
            (self._proc / "clear_refs").write_text("5")
        except OSError as error:
            self._denied = str(error)
        self._mark, self._size = self._highest(), self.now()

    def peak(self) -> int:
        """The highest resident size since `start`. Raises UserError where it cannot be told."""
        highest = self._highest()
        if highest <= self._mark and self._mark - self._size > NOISE_BYTES:
            raise UserError(
                f"the peak memory of this pass cannot be told: it stayed below the {self._mark / 2**20:.0f} MiB that "
                f"the process held earlier, and {self._denied or 'this system keeps that mark'}; give a larger batch, "
                f"or measure on Linux where a process may write to its /proc/self/clear_refs"
            )
        return highest

    def _highest(self) -> int:
        found = self._status("VmHWM")
        return by_getrusage() if found is None else found

    def _status(self, field: str) -> int | None:
        status = self._proc / "status"
        lines = status.read_text().splitlines() if status.exists() else []
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def by_ps() -> int:
    """The resident size where there is no /proc; `ps` gives KiB."""
    asked = ["ps", "-o", "rss=", "-p", str(os.getpid())]
    return int(subprocess.run(asked, capture_output=True, text=True, check=True).stdout) * 1024


def by_getrusage() -> int:
    """The high-water resident size: in bytes on macOS, in KiB elsewhere."""
    unit = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
