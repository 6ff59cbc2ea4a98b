"""What depends on the machine: latency, memory, energy, and the rates that the machine could reach."""

from typing import Literal

from pydantic import Field

from bench.quantities.base import Device, Form, Frozen, MemoryFormat, Pass, Precision


class LatencySpec(Pass):
    """Forward passes of one batch in a process of its own: eval, inference mode, input resident on the device.

    `process` numbers the repeats, each in a fresh process. Warm-up lasts at least `warmup_calls` and `warmup_s` and
    until it is flat; then come at least `samples` calls and `seconds`. `form` is what was made of the network before it
    was timed: folded (bench/measure/fold.py), torch.compile, a CUDA graph, ONNX Runtime.
    """

    quantity: Literal["latency"] = "latency"
    memory_format: MemoryFormat = "contiguous"
    form: Form = "eager"
    tf32: bool = False
    cudnn_benchmark: bool = False
    warmup_calls: int = Field(10, ge=1)
    warmup_s: float = Field(0.5, ge=0)
    samples: int = Field(50, ge=1)
    seconds: float = Field(2.0, ge=0)
    process: int = Field(0, ge=0)


class Agreement(Frozen):
    """How far the output strays from that of the plain network: contiguous, eager, float32.

    `max_error` is the largest difference of two logits, `largest` the largest plain logit, `dice` the overlap of the
    masks that both give (1 where they are the same).
    """

    max_error: float
    largest: float
    dice: float


class Latency(Frozen):
    """Raw times of single calls, in seconds, in order. On CUDA `event_samples_s` is the second clock, call by call.

    `prepare_s` is what making the form took (folding, compiling, exporting), None where nothing was made. `agreement`
    is None for the plain network.
    """

    quantity: Literal["latency"] = "latency"
    samples_s: tuple[float, ...]
    warmup_s: tuple[float, ...]
    event_samples_s: tuple[float, ...] = ()
    prepare_s: float | None = None
    agreement: Agreement | None = None


class MemorySpec(Pass):
    """The most memory one pass holds, in a fresh process: a forward pass in inference mode, or a whole training step.

    On CUDA it is what torch allocates; on a CPU the high-water resident size less what the process held before the
    network was built.
    """

    quantity: Literal["memory"] = "memory"
    memory_format: MemoryFormat = "contiguous"
    mode: Literal["inference", "training"] = "inference"


class Memory(Frozen):
    """`peak_bytes` in all, of which `weights_bytes` (parameters and buffers) lie there before the pass.

    `reserved_bytes` is what torch's allocator took from the GPU, None on a CPU.
    """

    quantity: Literal["memory"] = "memory"
    weights_bytes: int
    peak_bytes: int
    reserved_bytes: int | None = None

    @property
    def activations_bytes(self) -> int:
        """What the pass itself adds."""
        return self.peak_bytes - self.weights_bytes


class EnergySpec(Pass):
    """Energy of forward passes, from the device's own counter over at least `seconds` and `counter_steps` of its steps.

    The counter is of the whole GPU, or of all packages of the CPU, so other processes count too.
    """

    quantity: Literal["energy"] = "energy"
    seconds: float = Field(5.0, gt=0)
    counter_steps: int = Field(50, ge=1)


class Energy(Frozen):
    """Joules an image, what the idle device draws included; None, and `unreadable` says why, without a counter.

    Less its idle share it is `joules_per_image - idle_watts * window_s / images`.
    """

    quantity: Literal["energy"] = "energy"
    joules_per_image: float | None
    idle_watts: float | None
    images: int = 0
    window_s: float = 0.0
    counter_steps: int = 0
    unreadable: str = ""


class PeakSpec(Frozen):
    """The best rates that large plain operations reach: a matrix product, and a copy that no cache holds."""

    quantity: Literal["peak"] = "peak"
    machine: str
    device: Device
    precision: Precision = "float32"
    threads: int = Field(ge=1)


class Peak(Frozen):
    """Multiply-adds a second of a large square matrix product; bytes read and written a second by a large copy."""

    quantity: Literal["peak"] = "peak"
    macs_per_s: float
    bytes_per_s: float
