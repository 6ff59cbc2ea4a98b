"""`torch.distributed` between pretended GPUs: gloo is in NCCL's place, and gradients are averaged in Python.

torch's own DistributedDataParallel keeps gradients in buckets, in C++, which sees no memory in a pretended tensor.
"""

from typing import Any

import torch
from torch import distributed, nn


class Parallel(nn.Module):
    """In the place of torch's: all start with the tensors of process 0, and have the mean of all gradients."""

    static_graph = True  # which torch's could become, says Lightning else

    def __init__(self, module: nn.Module, *_: Any, **__: Any) -> None:
        super().__init__()
        self.module, self.waiting = module, False
        for tensor in (*module.parameters(), *module.buffers()):
            distributed.broadcast(tensor.detach(), 0)
        self.shared = [one for one in module.parameters() if one.requires_grad]
        for one in self.shared:
            one.register_post_accumulate_grad_hook(self._await)

    def forward(self, *args: Any, **others: Any) -> Any:
        return self.module(*args, **others)

    def _await(self, _: Any) -> None:
        """Average all gradients when this backward is over."""
        if not self.waiting:
            self.waiting = True
            torch.autograd.Variable._execution_engine.queue_callback(self._average)

    def _average(self) -> None:
        self.waiting = False
        for one in self.shared:
            if one.grad is None:
                one.grad = torch.zeros_like(one)
            distributed.all_reduce(one.grad)
            one.grad /= distributed.get_world_size()


def install() -> None:
    """Change torch.distributed, which is imported with torch."""
    begin = distributed.init_process_group

    def begun(backend: Any = None, *args: Any, device_id: Any = None, **others: Any) -> None:
        begin("gloo" if backend == "nccl" else backend, *args, **others)

    distributed.init_process_group = begun
    distributed.distributed_c10d.init_process_group = begun
    nn.parallel.DistributedDataParallel = Parallel  # type: ignore[misc,assignment]
    nn.parallel.distributed.DistributedDataParallel = Parallel  # type: ignore[misc,assignment]
