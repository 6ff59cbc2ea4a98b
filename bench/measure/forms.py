"""The deployed forms of a network: batch norms folded, torch.compile, a CUDA graph, ONNX Runtime; and their agreement.

A form is a function without arguments that runs the network on one batch, which lies ready on the device. What making
it took is timed apart. No form is believed to be the network that it was made of: `agreement` compares their outputs.
"""

import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from bench.errors import UserError
from bench.measure.fold import fold
from bench.measure.overlap import overlap
from bench.quantities import Agreement, LatencySpec

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
SIDE_CALLS = 3  # torch's own advice for calls on a side stream before a capture
ONNX_PACKAGES = ("onnx", "onnxruntime", "onnxscript")

Run = Callable[[], Any]


def is_plain(spec: LatencySpec) -> bool:
    """Whether nothing was made of the network: eager, float32, weights laid out as it lays them, images contiguous."""
    return (spec.form, spec.precision, spec.memory_format) == ("eager", "float32", "contiguous")


def prepared(
    network: nn.Module, batch: Tensor, spec: LatencySpec, clock: Callable[[], float] = time.perf_counter
) -> tuple[Run, float | None]:
    """A function that runs the network on the batch in the form of `spec`, and the seconds that making it took.

    The network is in eval mode and has run on the batch, both float32, contiguous and on the device: what fails now is
    the form. The network is converted in place. The function gives what the network gives; a CUDA graph gives the same
    memory each time, ONNX Runtime a list of its own values. Call it in `torch.inference_mode`. Seconds are None for the
    eager form; they include the import of what makes the form. UserError where it cannot be had here, with the reason.
    """
    _refuse_impossible(spec)
    start = clock()
    with _explained(spec):
        if spec.form.startswith("folded"):
            network = fold(network, batch)
        network, layout = network.to(DTYPES[spec.precision]), torch.contiguous_format
        if spec.memory_format == "channels_last":
            layout = torch.channels_last
            network = network.to(memory_format=layout)
        run = MAKERS[_made(spec)](network, batch.to(DTYPES[spec.precision], memory_format=layout), spec)
        if spec.device == "cuda":
            torch.cuda.synchronize()
        seconds = clock() - start
        if not is_plain(spec):
            with torch.inference_mode():
                run()
    return run, None if spec.form == "eager" else seconds


def _made(spec: LatencySpec) -> str:
    """What is made of the network once it is folded, if it is."""
    return spec.form.removeprefix("folded+")


def _refuse_impossible(spec: LatencySpec) -> None:
    form = spec.form
    if _made(spec) == "cuda_graph" and spec.device != "cuda":
        raise UserError(f"the form {form} needs a CUDA device, got {spec.device}; time it on cuda, or leave it out")
    if _made(spec) != "onnx":
        return
    if not (spec.precision == "float32" and spec.memory_format == "contiguous"):
        raise UserError(
            f"the form {form} is timed in float32 and contiguous, got {spec.precision} and {spec.memory_format}; "
            "leave out the form or the condition"
        )
    absent = [package for package in ONNX_PACKAGES if find_spec(package) is None]
    if absent:
        raise UserError(
            f"the form {form} needs {', '.join(ONNX_PACKAGES)}; not installed: {', '.join(absent)}; "
            "pip install 'mdsa-bench[onnx]'"
        )


@contextmanager
def _explained(spec: LatencySpec) -> Iterator[None]:
    """The plain network runs, so an error of torch here is about the form: the reader's choice, not a crash."""
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


# ---- makers ----------------------------------------------------------------------------------------------------------


def _eager(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    return partial(network, batch)


def _compiled(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """torch.compile in its default mode, done by the first call, with a cache that no earlier process has filled."""
    from torch._inductor.utils import fresh_cache

    run = partial(torch.compile(network), batch)
    with tempfile.TemporaryDirectory() as folder, fresh_cache(dir=folder), torch.inference_mode():
        run()
    return run


def _cuda_graph(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    with torch.inference_mode():
        return captured(partial(network, batch))


def captured(run: Run) -> Run:
    """One call recorded, after calls on a side stream in which libraries set themselves up; then played back."""
    graph, side = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(SIDE_CALLS):
            run()
    torch.cuda.current_stream().wait_stream(side)
    with torch.cuda.graph(graph):
        output = run()

    def replay() -> Any:
        graph.replay()
        return output

    return replay


def _onnx(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """Exported by torch's exporter and run by ONNX Runtime, with input and output bound to the device."""
    ort = import_module("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = spec.threads, 1
    stream = torch.cuda.Stream() if spec.device == "cuda" else None
    provider, settings = _provider(spec, stream)
    if provider not in ort.get_available_providers():
        raise UserError(
            f"this onnxruntime has no {provider}; it has {', '.join(ort.get_available_providers())}; for CUDA: "
            "pip uninstall onnxruntime, then pip install onnxruntime-gpu"
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.onnx"
        torch.onnx.export(network, (batch,), file, dynamo=True, verbose=False)
        session = ort.InferenceSession(str(file), options, providers=[(provider, settings)])
    if session.get_providers()[0] != provider:  # it falls back to the CPU with no more than a warning
        raise UserError(f"onnxruntime could not start {provider} and took {session.get_providers()[0]}; see its log")
    binding = session.io_binding()
    value = ort.OrtValue.ortvalue_from_numpy(batch.cpu().numpy(), spec.device, 0)
    binding.bind_ortvalue_input(session.get_inputs()[0].name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name, spec.device)

    def run() -> Any:
        session.run_with_iobinding(binding)
        return binding.get_outputs()

    return run if stream is None else partial(_on_stream, stream, run)


def _provider(spec: LatencySpec, stream: torch.cuda.Stream | None) -> tuple[str, dict[str, str]]:
    """ONNX Runtime's name for the device, and the conditions in its words, for its defaults differ from torch's."""
    if stream is None:
        return "CPUExecutionProvider", {}
    return "CUDAExecutionProvider", {
        "user_compute_stream": str(stream.cuda_stream),
        "use_tf32": str(int(spec.tf32)),
        "cudnn_conv_algo_search": "EXHAUSTIVE" if spec.cudnn_benchmark else "HEURISTIC",
    }


def _on_stream(stream: torch.cuda.Stream, run: Run) -> Any:
    """Run between what is on the current stream before and after, where the events of the clock are."""
    current = torch.cuda.current_stream()
    stream.wait_stream(current)
    output = run()
    current.wait_stream(stream)
    return output


MAKERS: dict[str, Callable[[nn.Module, Tensor, LatencySpec], Run]] = {
    "eager": _eager,
    "folded": _eager,
    "compiled": _compiled,
    "cuda_graph": _cuda_graph,
    "onnx": _onnx,
}


# ---- agreement -------------------------------------------------------------------------------------------------------


def first_tensor(output: Any) -> Tensor:
    """The first tensor in what a network gave, copied: float32, on the CPU. UserError where there is none."""
    for leaf in tree_leaves(output):
        if isinstance(leaf, Tensor):
            return leaf.detach().to("cpu", torch.float32, copy=True)
        if hasattr(leaf, "numpy"):  # ONNX Runtime's own value
            return torch.from_numpy(leaf.numpy()).to(torch.float32, copy=True)
    raise UserError(
        f"the network's output, a {type(output).__name__}, holds no tensor that could be checked; "
        "return a tensor, or a tuple, list or dict of tensors"
    )


def agreement(plain_output: Any, output: Any) -> Agreement:
    """How far an output strays from the plain network's on the same batch; the first tensor of each is compared.

    Masks are of logits over 0 where there is one map, else of the class whose logit is largest; their Dice is taken
    over the whole batch and averaged over the classes but the first, the background, less those that are empty in both
    (1 where all are). Only (N, maps, H, W) has several maps. UserError where the shapes differ.
    """
    plain, found = first_tensor(plain_output), first_tensor(output)
    if plain.shape != found.shape:
        raise UserError(
            f"the form gives an output of {tuple(found.shape)}, the plain network one of {tuple(plain.shape)}; "
            "leave out the form"
        )
    labels, true = _masks(found), _masks(plain)
    several = plain.dim() == 4 and plain.shape[1] > 1
    by_class = [overlap(labels, true, label).dice for label in range(1, plain.shape[1] if several else 2)]
    defined = [dice for dice in by_class if not math.isnan(dice)]
    return Agreement(
        max_error=float((found - plain).abs().max()),
        largest=float(plain.abs().max()),
        dice=sum(defined) / len(defined) if defined else 1.0,
    )


def _masks(logits: Tensor) -> np.ndarray[Any, Any]:
    several = logits.dim() == 4 and logits.shape[1] > 1
    return (logits.argmax(1) if several else (logits > 0).long()).numpy()
