"""A complete checkpoint: `weights.safetensors`, and `card.json`, which describes the weights and their training.

The card carries a digest of itself and one of the weights, so that neither is taken for what it was when it is damaged
or of another training. One without them, as earlier versions wrote, is not read.
"""

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.data.files import read_json
from bench.data.limits import refuse_no_file
from bench.data.sealed import digest_of_file, fault_of
from bench.errors import UserError, first_line
from bench.files import write_whole
from bench.quantities import CurvePoint, Frozen, Scores, TrainSpec
from bench.quantities.scores import find_protocol, terms
from bench.training.weight_files import read_safetensors
from bench.training.weights import fit_weights

PROGRESS = "Watch"  # the name of the course of a training in its checkpoints, from earlier versions


class TrainingSummary(Frozen):
    """The description of a checkpoint: network, data, training settings and the course of the training.

    `network_digest` is the digest of the network's code, `data` that of the samples and splits, `commit` the commit of
    this program. `val_dice` is the Dice of the saved weights on the validation images. `test_dice` is the mean over
    classes on the test images of the last scoring, with its protocol; None before any scoring. `weights_digest` is the
    SHA-256 of the file of weights; empty until that is written.
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
    weights_digest: str = ""


def load(network: nn.Module, folder: Path, key: str, spec: TrainSpec) -> TrainingSummary | None:
    """Load a complete checkpoint into the network and return its summary; None if there is none.

    What a training that was killed at its very end left for a resume is removed.

    Raises UserError if the checkpoint is for another network or training, is damaged or cannot be read, also one of a
    training that was interrupted and would be continued.
    """
    weights_path, anew = folder / "weights.safetensors", f"delete {folder} to train anew"
    if not (folder / "card.json").exists():
        _refuse_unfinished(folder, key)
        return None
    summary = _read_summary(folder)
    if summary.key != key:
        raise UserError(f"{folder}: a checkpoint for {summary.key}, not for {key}; move it or delete it")
    if summary.spec != spec:  # the card was edited
        raise UserError(f"{folder}: a checkpoint of another training, {summary.spec}; {anew}")
    weights = _read_weights(weights_path, summary.weights_digest, anew)
    fit_weights(network, weights, f"{weights_path} is for a network of another shape", anew)
    forget_unfinished(folder)
    return summary


def forget_unfinished(folder: Path) -> None:
    """Remove the files of a finished training that only a resume needs. What cannot be removed stays."""
    for name in ("best.ckpt", "last.ckpt"):
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def _read_weights(path: Path, digest: str, anew: str) -> dict[str, Tensor]:
    refuse_no_file("weights", path)
    try:
        is_same = digest_of_file(path) == digest
        weights = read_safetensors(path) if is_same else {}
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(f"{path}: {first_line(error)}; {anew}") from None
    if not is_same:
        raise UserError(f"{path} is damaged, or of another training: it is not what its card says; {anew}")
    return weights


def _refuse_unfinished(folder: Path, key: str) -> None:
    """Raise UserError where what a training would be continued from is damaged, or of another training."""
    last, best = folder / "last.ckpt", folder / "best.ckpt"
    if not last.exists():  # it begins anew, and writes both
        return
    refuse_damaged(last, key)
    if best.exists() or _was_checked(last):
        refuse_damaged(best, key)


def _was_checked(last: Path) -> bool:
    """Whether there was a best one yet; one that was asked to end may have been saved before its first check."""
    return bool(torch.load(last, map_location="cpu", weights_only=True)["callbacks"][PROGRESS]["curve"])


def owner_of(path: Path, key: str) -> str:
    """What a checkpoint of an unfinished training is sealed as: the last in the place of the best is another."""
    return f"{key} {path.name}"


def refuse_damaged(path: Path, key: str) -> None:
    """Raise UserError for a checkpoint of an unfinished training that is damaged, of another one, or not this file."""
    refuse_no_file("checkpoint", path)
    if fault := fault_of(path, owner_of(path, key)):
        raise UserError(f"{path}: {fault}; delete {path.parent} to train anew from the first step")


def _read_summary(folder: Path) -> TrainingSummary:
    """The summary of a folder. Raises UserError where it is damaged, edited or of another version."""
    path, anew = folder / "card.json", f"delete {folder} to train anew"
    try:
        facts = read_json(path, "card")
        digest = facts.pop("digest", "")
        is_same = digest == _digest(facts)
        summary = TrainingSummary.model_validate_json(json.dumps(facts))
    except UserError:
        raise UserError(f"{path} cannot be read as the card of a checkpoint, so it is damaged; {anew}") from None
    except (ValueError, AttributeError, TypeError) as error:  # pydantic's is a ValueError with three lines a field
        told = f"no checkpoint that this version reads ({first_line(error)})"
        raise UserError(f"{folder}: {told}; {anew}") from None
    if not is_same:
        told = "is damaged, was edited after it was written, or is of an earlier version"
        raise UserError(f"{path} {told}: its digest is not that of what is in it; {anew}")
    return summary


def keep(folder: Path, weights: dict[str, Tensor], summary: TrainingSummary) -> TrainingSummary:
    """Write a complete checkpoint, and return the summary with the digest of the weights.

    The summary is written last, so its presence means that the checkpoint is complete.
    """
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}  # a shared one is written twice
    path = write_whole(folder / "weights.safetensors", lambda aside: save_file(tensors, aside))
    summary = summary.model_copy(update={"weights_digest": digest_of_file(path)})
    write_summary(folder, summary)
    return summary


def complete(folder: Path, scores: Scores, protocol: str) -> None:
    """Add the test Dice to the summary of a folder, if that can be read and written: the scores have their record."""
    with suppress(UserError, OSError):
        summary = _read_summary(folder)
        write_summary(folder, summary.model_copy(update={"test_dice": mean_dice(scores, protocol)}))


def write_summary(folder: Path, summary: TrainingSummary) -> None:
    """Write or replace the summary of a folder."""
    facts = json.loads(summary.model_dump_json())
    write_whole(folder / "card.json", json.dumps({**facts, "digest": _digest(facts)}, indent=1) + "\n")


def _digest(facts: dict[str, Any]) -> str:
    """64 hexadecimal digits of the hash of a summary, as it is read from JSON, without its own digest."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def mean_dice(scores: Scores, protocol: str) -> float | None:
    """The mean Dice over classes with a protocol, 0 to 1; None if no class is defined."""
    sums = sum(terms(scores, "dice", find_protocol(protocol)).values(), np.zeros((1, 2)))
    defined = sums[sums[:, 1] > 0]
    return float(np.mean(defined[:, 0] / defined[:, 1])) if len(defined) else None
