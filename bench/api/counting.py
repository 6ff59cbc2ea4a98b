"""`bench.count`: the parameters and multiply-adds of a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.api.built import measure, subject
from bench.api.said import errors_in_python, whole
from bench.api.shown import Shown, Table
from bench.cli.terminal import Status, console
from bench.files import temporary_folder
from bench.locks import machine_lock
from bench.machine import this_machine
from bench.quantities import Cost, CostSpec
from bench.units import giga, millions

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, repr=False)
class Counted(Shown):
    """What was counted for one image (1, channels, size, size). One multiply-add counts as one.

    `cost` has all that was found: each counter's figures by operator, what it did not count, and buffers.
    """

    title: str
    channels: int
    classes: int
    size: int
    cost: Cost

    @property
    def parameters(self) -> int:
        """All parameters of the network."""
        return self.cost.parameters

    @property
    def trainable_parameters(self) -> int:
        """Those of them that are trained."""
        return self.cost.trainable_parameters

    @property
    def macs_fvcore(self) -> int | None:
        """Multiply-adds by fvcore, which papers use; it counts norms and resizing too. None if it failed."""
        return self.cost.fvcore.macs

    @property
    def macs_torch(self) -> int | None:
        """Multiply-adds by torch's counter: convolutions and matrix products alone. None if it failed."""
        return self.cost.torch.macs

    @property
    def doubt(self) -> str:
        """Why the multiply-adds cannot be trusted; empty where nothing speaks against them."""
        return self.cost.doubt

    def _tables(self) -> list[Table]:
        counts = [millions(self.parameters), millions(self.trainable_parameters)]
        macs = [giga(self.macs_fvcore), giga(self.macs_torch)]
        headers = ["Network", "Params (M)", "Trainable (M)", "GMAC (fvcore)", "GMAC (torch)"]
        return [Table(headers, [[self.title, *counts, *macs]])]

    def _says(self) -> list[str]:
        asked = f"For one image of {self.channels}x{self.size}x{self.size}; a multiply-add counts as one."
        return [asked, *([f"Warning: the multiply-adds are unverified: {self.doubt}."] if self.doubt else [])]


@errors_in_python
def count(
    network: "str | nn.Module", size: int = 224, *, channels: int = 3, classes: int = 1, quiet: bool = False
) -> Counted:
    """Count a network's parameters, and its multiply-adds for one image by two counters.

    `network` is a name, as `bench.network` takes it, or a network that is built; its image is (1, channels, size,
    size). It is counted in a process of its own, so the caller's network stays as it is. `classes` is for one that is
    built by its name. `quiet` tells no progress. Raises UserError if it cannot be found, handed over or run.

        bench.count(TinyNet(width=32)).macs_torch
    """
    spec = CostSpec(channels=whole("channels", channels), classes=whole("classes", classes), size=whole("size", size))
    with temporary_folder() as folder, Status(console(), quiet, transient=True) as status:
        counted = subject(network, folder / "network")
        status.show(f"counting {counted.title}", at_once=False)
        with machine_lock(exclusive=False, tell=status.show):
            record = measure(counted, spec, folder / "records", "cpu", this_machine().cores)
    assert isinstance(record.result, Cost)
    return Counted(counted.title, spec.channels, spec.classes, spec.size, record.result)
