"""Tensors that say they are on a GPU, while a tensor on the CPU holds their values and computes.

Python code sees them on `cuda`, so that it takes the branches of a GPU, and one on a GPU and one on the CPU do not mix.
torch's own code in C++ sees them on the CPU: its autograd would ask a driver for streams. Their bytes are counted as
torch's allocator counts them, roughly.
"""

import threading
import weakref
from contextlib import nullcontext
from typing import Any

import pretended_gpus as gpus
import torch
from torch.utils._pytree import tree_map

aten = torch.ops.aten
# Operators that take tensors of both devices on real GPUs too.
MIXED = {
    "copy_", "_to_copy", "index", "index_put_", "index_put", "_index_put_impl_", "_foreach_copy_", "set_",
    "_unsafe_index",
}  # fmt: skip


class Memory:
    """Bytes that are allocated on a GPU: now, and at most since the last reset."""

    def __init__(self) -> None:
        self.now = self.peak = 0
        self.live: weakref.WeakValueDictionary[int, Block] = weakref.WeakValueDictionary()

    def block(self, tensor: torch.Tensor) -> "Block":
        """The block that holds the tensor's storage. Raises torch.OutOfMemoryError where there is no room for it."""
        storage = tensor.untyped_storage()
        if (found := self.live.get(storage.data_ptr())) is not None:
            return found
        size, limit = storage.nbytes(), gpus.memory_bytes()
        if self.now + size > limit:
            wanted = f"Tried to allocate {size / 2**20:.2f} MiB. GPU 0 has a total capacity of {limit / 2**20:.2f} MiB"
            raise torch.OutOfMemoryError(f"CUDA out of memory. {wanted}, and it is pretended.")
        block = Block(self, size)
        if storage.data_ptr():
            self.live[storage.data_ptr()] = block
        return block


class Block:
    """A storage on a GPU, which the tensors hold that share it."""

    def __init__(self, memory: Memory, size: int) -> None:
        self.memory, self.size = memory, size
        if memory.peak == memory.now == 0:
            gpus.log_use(current())
        memory.now += size
        memory.peak = max(memory.peak, memory.now)

    def __del__(self) -> None:
        self.memory.now -= self.size


class Leaving(threading.local):
    """Whether a copy is to be on the CPU. torch's own code says so of every copy, for it sees all tensors there."""

    on = False


MEMORY, LEAVING = Memory(), Leaving()
CURRENT = [0]


def current() -> int:
    """CUDA's number of the GPU in use."""
    return CURRENT[0]


class PretendedTensor(torch.Tensor):
    """A tensor on a pretended GPU. `held` has its values."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    held: torch.Tensor
    block: Block
    number: int

    @staticmethod
    def __new__(cls, held: torch.Tensor, number: int | None = None) -> "PretendedTensor":
        block = MEMORY.block(held)
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=torch.device("cpu"),
        )  # fmt: skip
        made.held, made.block, made.number = held, block, current() if number is None else number
        return made

    device = property(lambda self: torch.device("cuda", self.number))  # type: ignore[assignment]
    is_cuda, is_cpu = property(lambda self: True), property(lambda self: False)  # type: ignore[assignment]

    def get_device(self) -> int:
        return self.number

    def to(self, *args: Any, copy: bool = False, **others: Any) -> torch.Tensor:
        if isinstance(like := (args or (others.get("other"),))[0], torch.Tensor):
            args, others = (like.device, like.dtype), {}
        device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **others)
        if device is not None and device.type == "cpu":
            LEAVING.on = True
            try:
                return aten._to_copy.default(self, dtype=dtype, device=device, memory_format=memory_format)
            finally:
                LEAVING.on = False
        kept = memory_format in (None, torch.preserve_format) or self.is_contiguous(memory_format=memory_format)
        if kept and dtype in (None, self.dtype) and not copy:
            return self
        return aten._to_copy.default(self, dtype=dtype, memory_format=memory_format)

    def cpu(self, *_: Any, **__: Any) -> torch.Tensor:
        return self.to("cpu")

    def cuda(self, *_: Any, **__: Any) -> "PretendedTensor":
        return self

    def tolist(self) -> Any:
        return self.held.tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                        "memory first.")  # fmt: skip

    __array__ = numpy

    def __repr__(self, **_: Any) -> str:
        return repr(self.held).removesuffix(")") + f", device='{self.device}')"

    def __format__(self, how: str) -> str:
        return format(self.item(), how) if self.dim() == 0 else object.__format__(self, how)

    def __reduce_ex__(self, protocol: int) -> Any:
        return self.detach().cpu().__reduce_ex__(protocol)  # as after a load with map_location="cpu"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, dict(kwargs or {}))


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operator gives for tensors of which at least one is pretended."""
    ours: dict[int, PretendedTensor] = {}
    strangers: list[torch.Tensor] = []

    def held(value: Any) -> Any:
        if isinstance(value, PretendedTensor):
            ours[id(value.held)] = value
            return value.held
        if isinstance(value, torch.Tensor) and value.dim():
            strangers.append(value)
        return value

    args, kwargs = tree_map(held, args), tree_map(held, kwargs)
    name = func._schema.name.removeprefix("aten::")
    if ours and strangers and name not in MIXED and torch._C._current_graph_task_id() == -1:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
                           f"cpu! (when checking {name})")  # fmt: skip
    device = kwargs.get("device")
    to_cpu = name == "_to_copy" and LEAVING.on
    if device is not None:
        kwargs["device"] = torch.device("cpu")
    if kwargs.get("pin_memory"):
        kwargs["pin_memory"] = False
    found = func(*args, **kwargs)
    is_copy = name == "copy_" and id(args[0]) not in ours
    number = next(iter(ours.values())).number if ours else None

    def wrapped(value: Any) -> Any:
        if not isinstance(value, torch.Tensor) or to_cpu or is_copy:
            return value
        return _same(ours[id(value)]) if id(value) in ours else PretendedTensor(value, number)

    # In inference mode a view of a tensor from outside of it is as that one: it can be changed and differentiated.
    is_view = func.is_view and torch.is_inference_mode_enabled() and not any(t.is_inference() for t in ours.values())
    with torch.inference_mode(False) if is_view else nullcontext():
        return tree_map(wrapped, found)


def _same(tensor: PretendedTensor) -> PretendedTensor:
    """A tensor that was changed in place. Its own facts do not follow where its shape was changed."""
    if tensor.shape != tensor.held.shape or tensor.stride() != tensor.held.stride():
        raise NotImplementedError("a pretended tensor cannot be resized in place")
    return tensor


# ---- tensors made on a GPU -------------------------------------------------------------------------------------------


def _empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):  # type: ignore[no-untyped-def]
    return PretendedTensor(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):  # type: ignore[no-untyped-def]
    return PretendedTensor(torch.empty_strided(size, stride, dtype=dtype))


def install() -> list[Any]:
    """Let torch make and move tensors on `cuda`. What is returned must be kept."""
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty.memory_format", _empty, "CUDA", allow_override=True)
    library.impl("empty_strided", _empty_strided, "CUDA", allow_override=True)
    torch._C._ensureCUDADeviceGuardSet()
    # A module's parameters stay the same objects when it moves; their memory cannot be exchanged alone.
    torch.__future__.set_swap_module_params_on_conversion(True)
    return [library]
