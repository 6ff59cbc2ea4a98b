"""Hooks around the calls of a network's modules."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def around_modules(network: nn.Module, enter: Callable[[str], None], leave: Callable[[str], None]) -> Iterator[None]:
    """Tell the path of each module when a call of it begins and ends, while the context is open.

    The network itself has the path "", which is told once, around the whole context; make one pass in it. Scripted
    modules are passed over. All hooks are taken away when the context closes.
    """
    with ExitStack() as hooks:
        for path, module in network.named_modules():
            if path and takes_hooks(module):
                before = module.register_forward_pre_hook(lambda *_, path=path: enter(path), prepend=True)
                after = module.register_forward_hook(lambda *_, path=path: leave(path))
                hooks.callback(before.remove)
                hooks.callback(after.remove)
        enter("")
        yield
        leave("")


def takes_hooks(module: nn.Module) -> bool:
    """Whether calls of a module can be seen: a scripted one takes no hooks."""
    return not isinstance(module, torch.jit.ScriptModule)
