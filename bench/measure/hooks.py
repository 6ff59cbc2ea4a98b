"""Hooks around the calls of a network's modules."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def around_modules(network: nn.Module, around: Callable[[str], AbstractContextManager[Any]]) -> Iterator[None]:
    """Open `around(path)` when a call of the module at this path begins, and close it when the call ends.

    The network itself has the path "", which is open once, for as long as the whole context; make one pass in it.
    Scripted modules are passed over. All hooks are removed when the context closes.
    """
    calls: list[AbstractContextManager[Any]] = []

    def enter(path: str) -> None:
        calls.append(around(path))
        calls[-1].__enter__()

    def leave(*_: Any) -> None:  # what a hook returns would replace the module's output
        calls.pop().__exit__(None, None, None)

    with ExitStack() as hooks:
        for path, module in network.named_modules():
            if path and takes_hooks(module):
                hooks.enter_context(module.register_forward_pre_hook(lambda *_, path=path: enter(path), prepend=True))
                hooks.enter_context(module.register_forward_hook(leave))
        with around(""):
            yield


def takes_hooks(module: nn.Module) -> bool:
    """Whether calls of a module can be seen: a scripted one takes no hooks."""
    return not isinstance(module, torch.jit.ScriptModule)
