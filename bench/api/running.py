"""`bench.run`: train or load networks, measure and record them, as the command of that name does."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from bench.api.built import as_texts, kind_of
from bench.api.data import DataSource, data_of
from bench.api.recorded import Records
from bench.api.said import errors_in_python, path, texts, whole, wholes
from bench.cli.display import followed
from bench.cli.terminal import Status, console
from bench.data import DataAt
from bench.errors import UserError
from bench.files import writable
from bench.quantities.training import Augmentation, Training
from bench.run.asked import LARGEST_SEED, DeviceChoice, asked_study, named_networks
from bench.run.plan import keep_split, missing, plan
from bench.run.store import WRITTEN, Store


@errors_in_python
def run(
    *networks: str | Sequence[str], all_networks: bool = False, group: str | Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None, pretrained: bool = False, dataset: str = "synthetic",
    measure: str | Sequence[str] = (), budget: str | None = None, steps: int | None = None, epochs: int | None = None,
    device: DeviceChoice = "auto", size: int | Sequence[int] = (), batch: int | Sequence[int] = 1,
    variant: str | Sequence[str] = (), tf32: bool = False, cudnn_benchmark: bool = False, threads: int | None = None,
    seeds: int | Sequence[int] = 0, devices: int = 1, patience: int | None = None, weights: str | Path | None = None,
    pseudonyms: bool = False, timeout: float = 600.0, lr: float | Sequence[float] = (),
    weight_decay: float | None = None, warmup: float | None = None, loss_weights: Sequence[float] | None = None,
    train_batch: int | None = None, augmentation: Augmentation | None = None,
    out: str | Path = "results", quiet: bool = False,
    **data: Unpack[DataSource],
) -> Records:  # fmt: skip
    """Train or load networks and measure them, as `bench run`; what is on record in `out` is not measured again.

    `networks` are names, as `bench.network` takes them; `arguments` are those of networks from elsewhere. Where several
    of a thing may be given (group, measure, size, batch, variant, seeds), it is one, or a list, or names by commas. A
    network of your own has to be in a file, as "mine.py:TinyNet": it is trained anew in other processes.

    `measure` has names such as "cost", "latency", "memory", "dice", by default all that is usual on the device;
    `budget` is "smoke", "quick" or "paper". `size` is in pixels a side, by default 224, and for trainings the budget's;
    of several, the first is trained at. `batch` is of the images of a timed call, `seeds` give one training each.
    `lr` is the learning rate, by default 1e-3; of several, each network is trained with each, and the one that is best
    on val is taken. `warmup` is a share of the steps, `loss_weights` are those of Dice and of cross-entropy,
    `train_batch` is in images, `augmentation` is "none", "flips" or "affine", by default the budget's.

    `timeout` is in seconds without a sign of life. The data set is said as in `DataSource`. `quiet` tells no progress.
    Interrupted, it goes on when it is called again.

    Returns the records of all these jobs, also of those that failed, which is no error here. Raises UserError if what
    is asked for is not possible, and if nothing can be written to `out`.

        bench.run("mine.py:TinyNet", "unet", dataset="isic2017", data_root="ISIC2017", steps=600, seeds=[0, 1, 2])
    """
    given, folder = _names(networks), path("out", out)
    named = named_networks(given, texts("group", group), as_texts(dict(arguments or {})), pretrained, all_networks)
    root, options = data_of(data)
    study = asked_study(
        networks=named, measures=texts("measure", measure), budget=budget, steps=steps, epochs=epochs,
        data=(DataAt(dataset, root, options),), device=device,
        all_sizes=wholes("size", size) if size != () else (),
        batches=wholes("batch", batch), variants=texts("variant", variant), tf32=tf32, cudnn_benchmark=cudnn_benchmark,
        seeds=wholes("seeds", seeds, 0, LARGEST_SEED), devices=whole("devices", devices), threads=threads,
        patience=None if patience is None else whole("patience", patience),
        weights=None if weights is None else path("weights", weights), silence_s=timeout, pseudonyms=pseudonyms,
        training=Training(
            _several(lr), weight_decay, warmup, train_batch, augmentation,
            None if loss_weights is None else _several(loss_weights),
        ),
    )  # fmt: skip
    writable(folder, WRITTEN)
    with Status(console(), quiet, transient=True) as status:
        planned = plan(study, folder / "splits", lambda name, *counts: status.count(f"reading {name}", *counts))
    keep_split(planned, folder / "splits")
    return Records(followed(planned, missing(planned, Store(folder)), folder, quiet), folder)


def _several(given: Any) -> tuple[Any, ...]:
    """One or several values as several; what is no sequence is one."""
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)


def _names(given: Iterable[Any]) -> list[str]:
    """The networks' names, also of those in lists."""
    names: list[str] = []
    for one in given:
        for name in [one] if isinstance(one, str) or not isinstance(one, Sequence) else one:
            if not isinstance(name, str):
                told = f"networks are trained anew, so they are given by their names; got a {kind_of(name)}"
                raise UserError(f"{told}; write what makes it to a file, and name it: 'mine.py:Name'")
            names.append(name)
    return names
