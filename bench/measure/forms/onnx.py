"""ONNX Runtime: the network exported by torch's exporter, with input and output bound to the device."""

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.files import temporary_folder
from bench.measure.forms import Run
from bench.quantities import LatencySpec

PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def make(network: nn.Module, batch: Tensor, spec: LatencySpec) -> Run:
    """An ONNX Runtime session on the batch. Each call returns a list of its own values, on the device.

    Raises UserError for conditions other than float32 and contiguous, and if a package or the device's provider is
    missing.
    """
    if not (spec.precision == "float32" and spec.memory_format == "contiguous"):
        raise UserError(
            f"the form {spec.form} is timed in float32 and contiguous, got {spec.precision} and {spec.memory_format}; "
            "leave out the form or the condition"
        )
    absent = [package for package in PACKAGES if find_spec(package) is None]
    if absent:
        raise UserError(
            f"the form {spec.form} needs {', '.join(PACKAGES)}; not installed: {', '.join(absent)}; "
            "pip install 'mdsa-bench[onnx]'"
        )
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
    with temporary_folder() as folder:
        file = folder / "network.onnx"
        torch.onnx.export(network, (batch,), file, dynamo=True, verbose=False)
        session = ort.InferenceSession(str(file), options, providers=[(provider, settings)])
    if session.get_providers()[0] != provider:  # it falls back to the CPU with only a warning
        raise UserError(f"onnxruntime could not start {provider} and took {session.get_providers()[0]}; see its log")
    binding = session.io_binding()
    # The batch's own memory, which the closure below keeps.
    name, shape = session.get_inputs()[0].name, tuple(batch.shape)
    binding.bind_input(name, spec.device, batch.device.index or 0, np.float32, shape, batch.data_ptr())
    for output in session.get_outputs():
        binding.bind_output(output.name, spec.device)

    def run(kept: Tensor = batch) -> Any:
        session.run_with_iobinding(binding)
        return binding.get_outputs()

    return run if stream is None else partial(_on_stream, stream, run)


def _provider(spec: LatencySpec, stream: torch.cuda.Stream | None) -> tuple[str, dict[str, str]]:
    """ONNX Runtime's provider for the device, and its settings for the conditions; its defaults differ from torch's."""
    if stream is None:
        return "CPUExecutionProvider", {}
    return "CUDAExecutionProvider", {
        "user_compute_stream": str(stream.cuda_stream), "use_tf32": str(int(spec.tf32)),
        "cudnn_conv_algo_search": "EXHAUSTIVE" if spec.cudnn_benchmark else "HEURISTIC",
    }  # fmt: skip


def _on_stream(stream: torch.cuda.Stream, run: Run) -> Any:
    """Run on `stream`, ordered with the work on the current stream, which records the timing events."""
    current = torch.cuda.current_stream()
    stream.wait_stream(current)
    output = run()
    current.wait_stream(stream)
    return output
