"""Makes every Python process under it pretend that this machine has GPUs. Python imports this file at its start.

It takes part only where BENCH_TESTS_GPUS is set. torch and NVML are changed when something imports them, so that a
process that needs neither starts as fast as ever.
"""

import importlib.abc
import importlib.util
import os
import sys
from types import ModuleType
from typing import Any


class Nvml(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the pretended `pynvml` before the real one."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        return importlib.util.spec_from_loader(name, self) if name == "pynvml" else None

    def create_module(self, spec: Any) -> ModuleType:
        import pretended_nvml

        return pretended_nvml.module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """It is complete already."""


class Torch(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Lets torch be imported as always, and changes it then."""

    def __init__(self) -> None:
        self.loader: Any = None

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        if name != "torch" or self.loader is not None:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(name, path, target)
            if found is not None:
                self.loader, found.loader = found.loader, self
                return found
        return None

    def create_module(self, spec: Any) -> Any:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__
        module.__spec__.loader = module.__loader__ = self.loader  # what asks later for its files gets them
        self.loader.exec_module(module)
        import pretended_cuda

        pretended_cuda.install()


if "BENCH_TESTS_GPUS" in os.environ:
    sys.meta_path[:0] = [Nvml(), Torch()]
    if os.environ.get("BENCH_TESTS_GPU_TRITON", "0") == "0":
        sys.modules["triton"] = None  # type: ignore[assignment]  # a torch without it: its kernels need a real GPU
