"""The GPUs that a process pretends to have, from its environment. Knows nothing of torch.

BENCH_TESTS_GPUS         how many there are
BENCH_TESTS_GPU_BF16     0: of a kind that does not compute bfloat16
BENCH_TESTS_GPU_BYTES    the memory of each; what asks for more gets torch's error (4 GiB unless given)
BENCH_TESTS_GPU_TRITON   1: Triton is importable; what launches its kernels gets an error
BENCH_TESTS_GPU_LOG      a file to which each process that uses a GPU adds a line of JSON: its pid, its command, what
                         CUDA_VISIBLE_DEVICES it has and the UUID of the GPU that it uses
CUDA_VISIBLE_DEVICES     which of them CUDA sees, as of real ones
"""

import json
import os
import sys

NAME = "Pretended GPU"
DRIVER = "0.pretended"


def count() -> int:
    return int(os.environ["BENCH_TESTS_GPUS"])


def uuid(number: int) -> str:
    """The UUID of a GPU by NVML's number."""
    return f"GPU-00000000-0000-0000-0000-{number:012}"


def visible() -> list[int]:
    """NVML's numbers of the GPUs that CUDA sees, in its order. It ignores an unknown name and all after it."""
    names = os.environ.get("CUDA_VISIBLE_DEVICES")
    if names is None:
        return list(range(count()))
    found: list[int] = []
    for name in map(str.strip, names.split(",")):
        fits = [one for one in range(count()) if name and (name == str(one) or uuid(one).startswith(name))]
        if not fits or fits[0] in found:
            break
        found.append(fits[0])
    return found


def has_bfloat16() -> bool:
    return os.environ.get("BENCH_TESTS_GPU_BF16", "1") != "0"


def capability() -> tuple[int, int]:
    return (8, 0) if has_bfloat16() else (7, 5)


def memory_bytes() -> int:
    return int(os.environ.get("BENCH_TESTS_GPU_BYTES", str(2**32)))


def log_use(number: int) -> None:
    """Add a line to the log, if there is one, that this process uses the GPU of this number of CUDA's."""
    if path := os.environ.get("BENCH_TESTS_GPU_LOG"):
        facts = {
            "pid": os.getpid(), "command": sys.orig_argv[1:], "visible": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "uuid": uuid(visible()[number]),
        }  # fmt: skip
        with open(path, "a") as log:  # noqa: PTH123 - one write of less than a page is one line, whoever else writes
            log.write(json.dumps(facts) + "\n")
