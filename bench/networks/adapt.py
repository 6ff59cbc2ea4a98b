"""Adapts a network from any class or function to the required images and maps.

The needs of a network are declared, or detected on random images. They are declared by `image_size` (pixels a side),
`in_channels`, `main` (the main map's index or key in the output) and `output` (what its values are: "logits", "sigmoid"
or "softmax"): as an argument that the builder does not have itself, or as an attribute of the class or function, or of
the network. Detected are another image size or number of channels, which map is the prediction, and, in eval and in
training mode, smaller maps, two maps for one class, and a final sigmoid or softmax.
"""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from bench.errors import UserError
from bench.networks.activation import MEANINGS, ONE_MAP, logits_of
from bench.networks.construct import CLASS_WORDS, construct, known_arguments, parameters_of
from bench.networks.explain import failure
from bench.networks.modes import Map, Mode, Needs, in_eval, in_training
from bench.networks.output_maps import at, binary, resized, shape_of, shaped_as_map, tensors_in, told
from bench.networks.table import Shapes

SIZES = (256, 224, 512, 384, 128)  # tried if the requested size fails
CHANNELS = (3, 1)
DECLARED = {"image_size": int, "in_channels": int, "main": int | str, "output": str}
_NOTES: WeakKeyDictionary[nn.Module, tuple[str, ...]] = WeakKeyDictionary()  # on how a network was built


class Adapted(nn.Module):
    """A network with its input and output converted to the required shapes.

    (N, channels, size, size) -> (N, classes, size, size); in training a tuple of such maps if it has several.
    """

    def __init__(self, network: nn.Module, shapes: Shapes, needs: Needs, evaluated: Mode, trained: Mode) -> None:
        super().__init__()
        self.network, self.shapes, self.needs = network, shapes, needs
        self.evaluated, self.trained, self.number = evaluated, trained, 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Descriptions of the conversions, shown with the network's figures."""
        (size, channels), notes = self.needs, []
        if (size, channels) != (self.shapes.size, self.shapes.channels):
            inner = f"{size}x{size}, {channels} channel{'s' if channels > 1 else ''}"
            given = f"{self.shapes.size}x{self.shapes.size}"
            notes.append(f"works on images of {inner} inside, made from those of {given}")
        return (*notes, *self._of_maps(), *self._of_ends())

    def forward(self, images: Tensor) -> Any:
        """The main map of logits at the images' size; in training all maps, the main one first."""
        if not self.training:
            return self._logits(self.network(self._to_inner(images)), images, self.evaluated.maps[self.number])
        if not self.trained.maps:
            raise UserError(self.trained.fault)
        output = self.network(self._to_inner(images))
        logits = tuple(self._logits(output, images, one) for one in self.trained.maps)
        return logits if len(logits) > 1 else logits[0]

    def _of_maps(self) -> list[str]:
        maps, one = self.evaluated.maps, self.evaluated.maps[0]
        if len(maps) == 1:
            return []
        if self.evaluated.equal == 1:
            return [f"of its {len(maps)} maps, {one.told} is the prediction"]
        names = ", ".join(told(other.place) for other in self.evaluated.candidates)
        return [f"{self.evaluated.equal} maps {one.shape} may be its prediction: {names}; the best on val is scored"]

    def _of_ends(self) -> list[str]:
        ends = [{one.meaning for one in maps} for maps in (self.evaluated.candidates, self.trained.maps)]
        notes = []
        for end in MEANINGS[1:]:
            if any(end in found for found in ends):
                both = all(end in found for found in ends) or not ends[1]
                mode = "" if both else " in eval mode" if end in ends[0] else " in training mode"
                notes.append(f"its {end}{mode} is undone, since losses and scores take logits")
        return notes

    def _to_inner(self, images: Tensor) -> Tensor:
        if self.needs.channels != self.shapes.channels:
            images = images.mean(1, keepdim=True).expand(-1, self.needs.channels, -1, -1)
        if self.needs.size != self.shapes.size:
            images = resized(images, self.needs.size, self.needs.size)
        return images

    def _logits(self, output: Any, images: Tensor, one: Map) -> Tensor:
        found = shaped_as_map(at(output, one.place), len(images), self.shapes.classes)
        assert found is not None, f"{told(one.place)} is no map of {len(images)} images"
        return resized(binary(logits_of(found, one.meaning), self.shapes.classes), *images.shape[-2:])


class OneOfSeveral(Adapted):
    """An adapted network of which several maps may each be the prediction: that of `number` is.

    The number is saved and loaded with the weights.
    """

    @property
    def prediction(self) -> str:
        """Which of how many maps the prediction is."""
        return f"{self.evaluated.maps[self.number].told}, of {self.evaluated.equal} equal maps"

    def candidates(self, images: Tensor) -> tuple[Tensor, ...]:
        """All these maps, as logits at the images' size, in eval mode."""
        output = self.network(self._to_inner(images))
        return tuple(self._logits(output, images, one) for one in self.evaluated.candidates)

    def get_extra_state(self) -> Tensor:
        """The number as a tensor, because files of weights hold nothing else."""
        return torch.tensor([self.number])

    def set_extra_state(self, state: Tensor) -> None:
        """Take the number from a checkpoint."""
        self.number = int(state)


def made(builder: Callable[..., Any], name: str, shapes: Shapes, arguments: Mapping[str, Any]) -> nn.Module:
    """Construct the network of a class or function, adapted to these shapes.

    If it ends in a softmax over one map and its builder takes the number of classes, it is given two.
    """
    own = {parameter.name for parameter in parameters_of(builder, name)}
    declared = {key: value for key, value in arguments.items() if key in DECLARED and key not in own}
    others = {key: value for key, value in arguments.items() if key not in declared}
    asked = shapes
    network = adapted(construct(builder, name, asked, others), name, shapes, builder, declared)
    alone = isinstance(network, Adapted) and network.evaluated.fault == ONE_MAP
    if alone and known_arguments(builder, name, shapes, others).keys() & set(CLASS_WORDS):
        asked = shapes._replace(classes=2)
        network = adapted(construct(builder, name, asked, others), name, shapes, builder, declared)
    given = known_arguments(builder, name, asked, others)
    return note(network, f"given {', '.join(f'{key}={value}' for key, value in given.items()) or 'no argument'}")


def adapted(
    network: nn.Module, name: str, shapes: Shapes, builder: Any = None, declared: Mapping[str, Any] | None = None
) -> nn.Module:
    """Return the network itself if its input and output have these shapes, else an `Adapted` network.

    It is tried on random images in eval and in training mode; random generators are not affected. `declared` takes
    precedence over declarations of the builder or network. Raises UserError if it accepts no image of any size tried,
    or returns no map of the classes, or none where its main map is declared.
    """
    shapes, was_training = Shapes(*shapes), network.training
    known = {word: _declared(word, network, builder, declared or {}) for word in DECLARED}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        needs, output = _tried(network.eval(), name, shapes, known)
    try:
        evaluated = in_eval(network, needs, shapes.classes, known)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
    if not evaluated.maps:
        raise UserError(_no_maps(output, name, shapes.classes))
    network.train(was_training)
    trained = in_training(network, needs, shapes.classes, known)
    _check_ends(known["output"], evaluated, trained, name)
    plain = Mode((Map((), (shapes.classes, shapes.size, shapes.size), "logits"),), alone=True)
    if (evaluated, trained, needs) == (plain, plain, Needs(shapes.size, shapes.channels)):
        return network
    kind = OneOfSeveral if evaluated.equal > 1 else Adapted
    return kind(network, shapes, needs, evaluated, trained)


def inside(network: nn.Module) -> nn.Module:
    """The network itself, without what adapts it."""
    return network.network if isinstance(network, Adapted) else network


def candidates(network: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """The maps that may each be the prediction, in eval mode: one, or those of `OneOfSeveral`."""
    return network.candidates(images) if isinstance(network, OneOfSeveral) else (network(images),)


def fault_of(network: nn.Module, training: bool) -> str:
    """Why the network cannot be scored, or cannot be trained; empty if it can."""
    if not isinstance(network, Adapted):
        return ""
    return network.evaluated.fault or (network.trained.fault if training else "")


def notes_of(network: nn.Module) -> tuple[str, ...]:
    """What the network's builder was given and loaded, and how its images and maps are converted."""
    built = _NOTES.get(network, ())
    return (*built, *_NOTES.get(network.network, ()), *network.notes) if isinstance(network, Adapted) else built


def note(network: nn.Module, text: str) -> nn.Module:
    """The network, with a note on how it was built, unless the text is empty."""
    if text:
        _NOTES[network] = (*_NOTES.get(network, ()), text)
    return network


def _declared(word: str, network: nn.Module, builder: Any, declared: Mapping[str, Any]) -> Any:
    places = (declared.get(word), *(getattr(place, word, None) for place in (builder, network)))
    value = next((found for found in places if found is not None), None)
    if word == "image_size" and isinstance(value, tuple | list) and value:
        value = value[0]
    if word == "output" and value not in MEANINGS:
        if word in declared:
            raise UserError(f"output={value}: the values of an output are {', '.join(MEANINGS)}; declare one of them")
        value = None
    return value if isinstance(value, DECLARED[word]) else None  # a layer may be called `main`


def _check_ends(declared: str | None, evaluated: Mode, trained: Mode, name: str) -> None:
    """Raise UserError if declared probabilities are none in either mode."""
    if declared in MEANINGS[1:] and all(one.meaning == "logits" for one in (*evaluated.maps, *trained.maps)):
        why = "its values lie outside of 0 and 1"
        raise UserError(f"{name}: output = {declared!r} is declared, but {why}; declare output = 'logits', or nothing")


def _tried(network: nn.Module, name: str, shapes: Shapes, known: dict[str, Any]) -> tuple[Needs, Any]:
    """The first size and channels that the network takes, and its output.

    They are tried as declared or asked for, then with one of the two changed, then with both.
    """
    size, channels = known["image_size"] or shapes.size, known["in_channels"] or shapes.channels
    sizes, counts = dict.fromkeys([size, shapes.size, *SIZES]), dict.fromkeys([channels, shapes.channels, *CHANNELS])
    refusals: list[Exception] = []
    for one in sorted(product(sizes, counts), key=lambda pair: (pair[0] != size) + (pair[1] != channels)):
        needs = Needs(*one)
        images = torch.rand(1, needs.channels, needs.size, needs.size)
        given = images.clone()
        try:
            output = network(images)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - a network may reject an image with any exception
            refusals.append(error)
            continue
        if not torch.equal(images, given):
            network.register_forward_pre_hook(_copied)
            note(network, "is given copies of the images, for it writes into them")
        return needs, output
    others = f"{', '.join(map(str, sizes))} pixels a side with {', '.join(map(str, CHANNELS))} channels"
    image = f"{shapes.channels}x{shapes.size}x{shapes.size}"
    refused = UserError(failure(name, refusals, type(network).forward, image, others))
    refused.__context__ = refusals[0]  # for the traceback in the log
    raise refused


def _copied(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(one.clone() if isinstance(one, Tensor) else one for one in arguments)


def _no_maps(output: Any, name: str, classes: int) -> str:
    found = [tensor for _, tensor in tensors_in(output)]
    given = ", ".join(map(shape_of, found[:4])) or f"a {type(output).__name__}"
    wanted = f"{'one map' if classes == 1 else f'{classes} maps'} (1, {classes}, height, width) of logits"
    return f"{name} puts out {given} for one image; {wanted} are needed: {_advice(found, classes)}"


def _advice(found: list[Tensor], classes: int) -> str:
    if not found:
        return "return a tensor, or tensors in a tuple, list, dict or object"
    if any(one.is_complex() for one in found):
        return "return real numbers"
    if not any(one.is_floating_point() for one in found):
        return "return the logits, before the threshold or the argmax"
    last = {1, 2} if classes == 1 else {classes}
    if any(one.dim() == 4 and one.shape[-1] in last and min(one.shape[1:3]) > 1 for one in found):
        return "return the classes on the second axis: permute(0, 3, 1, 2)"
    advice = "give its parameter for the number of classes a name such as num_classes, or set it with --arg"
    if any(one.dim() in (2, 3) for one in found):
        return f"return maps in the form of the image, not as a row of pixels or tokens; or {advice}"
    return advice
