"""A complete checkpoint: `weights.safetensors`, and `card.json` that says what they are and how they were made."""

from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from bench.errors import UserError
from bench.files import write_whole
from bench.quantities import CurvePoint, Frozen, Protocol, Scores, TrainSpec
from bench.quantities.protocols import find_protocol, terms
from bench.training.weights import fit_weights


class Card(Frozen):
    """What a checkpoint is: of which network and data, how it was made, how the making went.

    `network_digest` is of the network's code, `data` of the samples and splits, `commit` of this program. `val_dice` is
    of the kept weights, on the validation images; `test_dice` is the mean over classes on the test images that were
    last scored, by their protocol, None until then.
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


def load(network: nn.Module, folder: Path, key: str, spec: TrainSpec) -> Card | None:
    """Load a complete checkpoint into the network; None where there is none.

    Raises UserError when the checkpoint was made for another network, or by another training, or cannot be read.
    """
    card_path, weights_path = folder / "card.json", folder / "weights.safetensors"
    if not card_path.exists():
        return None
    anew = f"delete {folder} to train anew"
    try:
        card = Card.model_validate_json(card_path.read_text())
        weights = load_file(weights_path)
    except (OSError, ValidationError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[0]  # pydantic has three more for each field
        raise UserError(f"{folder}: no checkpoint that this version reads ({why}); {anew}") from None
    except SafetensorError as error:
        raise UserError(f"{weights_path}: {error}; {anew}") from None
    if card.key != key:
        raise UserError(f"{folder}: a checkpoint for {card.key}, not for {key}; move it or delete it")
    if card.spec != spec:  # a key leaves out defaults, and so names another training once a default is changed
        raise UserError(f"{folder}: a checkpoint of another training, {card.spec}; {anew}")
    fit_weights(network, weights, f"{weights_path} is for a network of another shape", anew)
    return card


def keep(folder: Path, weights: dict[str, Tensor], card: Card) -> None:
    """Write a complete checkpoint; the card last, for where it is the weights are."""
    tensors = {name: tensor.contiguous().clone() for name, tensor in weights.items()}  # a shared one is written twice
    write_whole(folder / "weights.safetensors", lambda aside: save_file(tensors, aside))
    write_card(folder, card)


def complete(folder: Path, scores: Scores, protocol: Protocol) -> None:
    """Add to the card of a folder what its weights scored."""
    card = Card.model_validate_json((folder / "card.json").read_text())
    write_card(folder, card.model_copy(update={"test_dice": mean_dice(scores, protocol)}))


def write_card(folder: Path, card: Card) -> None:
    write_whole(folder / "card.json", card.model_dump_json(indent=1) + "\n")


def mean_dice(scores: Scores, protocol: Protocol) -> float | None:
    """The mean over classes of each one's Dice by a protocol, 0 to 1; None where no class is defined."""
    sums = sum(terms(scores, "dice", find_protocol(protocol)).values(), np.zeros((1, 2)))
    defined = sums[sums[:, 1] > 0]
    return float(np.mean(defined[:, 0] / defined[:, 1])) if len(defined) else None
