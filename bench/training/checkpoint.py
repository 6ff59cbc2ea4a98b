"""A complete checkpoint: `weights.safetensors`, and `card.json`, which describes the weights and their training."""

from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import UserError, first_line
from bench.files import write_whole
from bench.quantities import CurvePoint, Frozen, Scores, TrainSpec
from bench.quantities.scores import find_protocol, terms
from bench.training.weights import fit_weights


class TrainingSummary(Frozen):
    """The description of a checkpoint: network, data, training settings and the course of the training.

    `network_digest` is the digest of the network's code, `data` that of the samples and splits, `commit` the commit of
    this program. `val_dice` is the Dice of the saved weights on the validation images. `test_dice` is the mean over
    classes on the test images of the last scoring, with its protocol; None before any scoring.
    """

    key: str
    network: str
    network_digest: str
    dataset: str
    data: str
    labels: tuple[str, ...]
    channels: int
    classes: int
    size: int
    spec: TrainSpec
    commit: str
    best_step: int
    val_dice: float
    curve: tuple[CurvePoint, ...]
    train_images_per_s: float | None
    test_dice: float | None = None


def load(network: nn.Module, folder: Path, key: str, spec: TrainSpec) -> TrainingSummary | None:
    """Load a complete checkpoint into the network and return its summary; None if there is none.

    Raises UserError if the checkpoint is for another network or training, or cannot be read.
    """
    weights_path, anew = folder / "weights.safetensors", f"delete {folder} to train anew"
    if not (folder / "card.json").exists():
        return None
    try:
        summary = TrainingSummary.model_validate_json((folder / "card.json").read_text())
        weights = load_file(weights_path)
    except (OSError, ValueError, RuntimeError) as error:  # pydantic's is a ValueError with three lines a field
        raise UserError(f"{folder}: no checkpoint that this version reads ({first_line(error)}); {anew}") from None
    except SafetensorError as error:
        raise UserError(f"{weights_path}: {error}; {anew}") from None
    if summary.key != key:
        raise UserError(f"{folder}: a checkpoint for {summary.key}, not for {key}; move it or delete it")
    if summary.spec != spec:  # the card was edited
        raise UserError(f"{folder}: a checkpoint of another training, {summary.spec}; {anew}")
    fit_weights(network, weights, f"{weights_path} is for a network of another shape", anew)
    return summary


def keep(folder: Path, weights: dict[str, Tensor], summary: TrainingSummary) -> None:
    """Write a complete checkpoint. The summary is written last, so its presence means that it is complete."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}  # a shared one is written twice
    write_whole(folder / "weights.safetensors", lambda aside: save_file(tensors, aside))
    write_summary(folder, summary)


def complete(folder: Path, scores: Scores, protocol: str) -> None:
    """Add the test Dice to the summary of a folder."""
    summary = TrainingSummary.model_validate_json((folder / "card.json").read_text())
    write_summary(folder, summary.model_copy(update={"test_dice": mean_dice(scores, protocol)}))


def write_summary(folder: Path, summary: TrainingSummary) -> None:
    """Write or replace the summary of a folder."""
    write_whole(folder / "card.json", summary.model_dump_json(indent=1) + "\n")


def mean_dice(scores: Scores, protocol: str) -> float | None:
    """The mean Dice over classes with a protocol, 0 to 1; None if no class is defined."""
    sums = sum(terms(scores, "dice", find_protocol(protocol)).values(), np.zeros((1, 2)))
    defined = sums[sums[:, 1] > 0]
    return float(np.mean(defined[:, 0] / defined[:, 1])) if len(defined) else None
