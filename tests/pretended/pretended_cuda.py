"""`torch.cuda` for the pretended GPUs: what is asked of it here is answered, and what needs a real GPU is refused."""

import time
from typing import Any

import pretended_ddp
import pretended_gpus as gpus
import pretended_tensors as tensors
import torch
from pretended_tensors import MEMORY, PretendedTensor

NO_TRITON = "Cannot find a working triton installation; the GPU is pretended"
REFUSED = "CUDA error: operation not supported (the GPU is pretended)"
KEPT: list[Any] = []


class Properties:
    """What `torch.cuda.get_device_properties` returns."""

    def __init__(self, number: int) -> None:
        self.name, (self.major, self.minor) = gpus.NAME, gpus.capability()
        self.total_memory, self.uuid = gpus.memory_bytes(), gpus.uuid(gpus.visible()[number]).removeprefix("GPU-")
        self.multi_processor_count, self.warp_size, self.is_integrated = 8, 32, 0


class Stream:
    """All work is done at once and in order, whatever the stream."""

    cuda_stream, device_index, stream_id = 0, 0, 0

    def __init__(self, *_: Any, **__: Any) -> None:
        self.device = torch.device("cuda", tensors.current())

    def wait_stream(self, other: Any) -> None: ...
    def wait_event(self, event: Any) -> None: ...
    def synchronize(self) -> None: ...

    def query(self) -> bool:
        return True

    def is_capturing(self) -> bool:
        return False

    def record_event(self, event: Any = None) -> Any:
        event = event or Event()
        event.record()
        return event


class Event:
    """A time of the processor's clock."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.at: float | None = None

    def record(self, stream: Any = None) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, last: "Event") -> float:
        """Milliseconds. Raises ValueError where one was not recorded, as torch does."""
        if self.at is None or last.at is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return 1e3 * (last.at - self.at)

    def synchronize(self) -> None: ...
    def wait(self, stream: Any = None) -> None: ...

    def query(self) -> bool:
        return True


class Graph:
    """A capture is refused."""

    def __init__(self, *_: Any, **__: Any) -> None:
        raise RuntimeError(REFUSED)


class OnStream:
    """The context in which a stream is the current one: nothing changes."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


class Device:
    """The context in which another GPU is the current one."""

    def __init__(self, device: Any) -> None:
        self.number, self.before = _number(device), tensors.current()

    def __enter__(self) -> None:
        self.before = tensors.current()
        _set_device(self.number)

    def __exit__(self, *_: Any) -> None:
        _set_device(self.before)


def _number(device: Any = None) -> int:
    if isinstance(device, int):
        return device
    index = None if device is None else torch.device(device).index
    return tensors.current() if index is None else index


def _set_device(device: Any) -> None:
    if (number := _number(device)) >= len(gpus.visible()):
        raise RuntimeError("CUDA error: invalid device ordinal")
    if number >= 0:
        tensors.CURRENT[0] = number


def _reset_peak(*_: Any) -> None:
    MEMORY.peak = MEMORY.now


def install() -> None:
    """Change torch, which was imported just now."""
    if not gpus.visible():
        return
    KEPT.extend(tensors.install())
    cuda: Any = torch.cuda
    generator = torch.Generator().manual_seed(0)
    nothing = lambda *_, **__: None  # noqa: E731
    cuda._initialized = True
    answers: dict[str, Any] = {
        "_lazy_init": nothing, "init": nothing, "is_available": lambda: True, "is_initialized": lambda: True,
        "device_count": lambda: len(gpus.visible()), "current_device": tensors.current, "set_device": _set_device,
        "device": Device, "get_device_name": lambda *_: gpus.NAME,
        "get_device_properties": lambda device=None: Properties(_number(device)),
        "get_device_capability": lambda *_: gpus.capability(), "get_arch_list": lambda: ["sm_75", "sm_80"],
        "is_bf16_supported": lambda including_emulation=True: including_emulation or gpus.has_bfloat16(),
        "synchronize": nothing, "Event": Event, "Stream": Stream, "stream": OnStream, "StreamContext": OnStream,
        "current_stream": lambda *_: Stream(), "default_stream": lambda *_: Stream(), "set_stream": nothing,
        "CUDAGraph": Graph, "graph": Graph, "is_current_stream_capturing": lambda: False,
        "memory_allocated": lambda *_: MEMORY.now, "max_memory_allocated": lambda *_: MEMORY.peak,
        "memory_reserved": lambda *_: MEMORY.now, "max_memory_reserved": lambda *_: MEMORY.peak,
        "reset_peak_memory_stats": _reset_peak, "reset_max_memory_allocated": _reset_peak, "empty_cache": nothing,
        "memory_stats": lambda *_: {}, "ipc_collect": nothing,
        "mem_get_info": lambda *_: (gpus.memory_bytes() - MEMORY.now, gpus.memory_bytes()),
        "manual_seed": generator.manual_seed, "manual_seed_all": generator.manual_seed,
        "seed": generator.seed, "seed_all": generator.seed, "initial_seed": generator.initial_seed,
        "get_rng_state": lambda *_: generator.get_state(), "get_rng_state_all": lambda: [generator.get_state()],
        "set_rng_state": lambda state, *_: generator.set_state(state),
        "set_rng_state_all": lambda states: generator.set_state(states[0]),
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(cuda, name, answer)
    for name in ("get_rng_state", "set_rng_state", "get_rng_state_all", "set_rng_state_all", "manual_seed_all"):
        setattr(cuda.random, name, answers[name])
    torch.compile = _uncompiled
    _change_what_makes_tensors()
    _change_to()
    _change_autocast()
    _change_accelerator()
    pretended_ddp.install()


def _change_what_makes_tensors() -> None:
    # These fill or resize what torch has made, and a pretended tensor cannot be resized.
    for name in ("tensor", "as_tensor", "asarray", "arange", "range", "linspace", "logspace", "randperm", "eye",
                 "tril_indices", "triu_indices"):  # fmt: skip
        setattr(torch, name, _moved(getattr(torch, name)))
    torch.Tensor.pin_memory = lambda self, *_, **__: self  # type: ignore[assignment,method-assign]
    torch.Tensor.is_pinned = lambda self, *_, **__: False  # type: ignore[assignment,method-assign]
    new_tensor = torch.Tensor.new_tensor

    def made(self: torch.Tensor, data: Any, *, device: Any = None, **others: Any) -> torch.Tensor:
        values = self.held if isinstance(self, PretendedTensor) else self
        found = new_tensor(values, data, **others)
        return found.to(device or self.device)

    torch.Tensor.new_tensor = made  # type: ignore[assignment,method-assign]


def _uncompiled(*_: Any, **__: Any) -> Any:
    """In the place of `torch.compile`: what it returns cannot be called, as where Triton is missing."""

    def call(*_: Any, **__: Any) -> Any:
        raise RuntimeError(NO_TRITON)

    return call


def _change_to() -> None:
    """A tensor of the CPU that is to be as another is, moves to the pretended GPU where that one is."""
    move = torch.Tensor.to

    def moved(self: torch.Tensor, *args: Any, **others: Any) -> torch.Tensor:
        like = args[0] if args else others.get("other")
        if not isinstance(like, PretendedTensor):
            return move(self, *args, **others)
        return move(self, like.device, like.dtype, *args[1:], **{k: v for k, v in others.items() if k != "other"})

    torch.Tensor.to = moved  # type: ignore[method-assign,assignment]


def _moved(make: Any) -> Any:
    """A function of torch that makes a tensor of values, which makes it on the CPU and then moves it."""

    def made(*args: Any, device: Any = None, **others: Any) -> torch.Tensor:
        if device is None or torch.device(device).type != "cuda":
            return make(*args, device=device, **others)
        needs = others.pop("requires_grad", False)
        found = make(*args, **others).to(device)
        return found.requires_grad_() if needs else found

    return made


def _change_autocast() -> None:
    """What is asked of a GPU's automatic mixed precision is asked of the CPU's."""
    begin = torch.autocast.__init__

    def begun(self: Any, device_type: str, *args: Any, **others: Any) -> None:
        begin(self, "cpu" if device_type == "cuda" else device_type, *args, **others)

    torch.autocast.__init__ = begun  # type: ignore[method-assign]


def _change_accelerator() -> None:
    accelerator: Any = torch.accelerator
    answers = {
        "is_available": lambda: True, "current_accelerator": lambda *_, **__: torch.device("cuda"),
        "device_count": torch.cuda.device_count, "current_device_index": tensors.current,
        "set_device_index": _set_device, "synchronize": torch.cuda.synchronize,
        "current_stream": torch.cuda.current_stream,
    }  # fmt: skip
    for name, answer in answers.items():
        setattr(accelerator, name, answer)
