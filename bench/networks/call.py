"""How a network is called: a name, then its arguments, `smp:Unet/resnet34?decoder_attention_type=scse&pretrained=true`.

One network with one set of arguments has one spelling, for that is what its records go by.
"""

import ast
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError

WORDS = {"true": True, "false": False, "none": None}
PRETRAINED = "pretrained"
WEIGHTS = "encoder_weights"  # segmentation-models-pytorch's own word for it


@dataclass(frozen=True)
class Call:
    """What is called, and each argument's text by its name, in the order of the names."""

    what: str
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        joined = "&".join(f"{key}={text}" for key, text in self.arguments)
        return f"{self.what}?{joined}" if joined else self.what

    @property
    def values(self) -> dict[str, Any]:
        """Each argument as the number, truth value or text that it spells."""
        return {key: value_of(text) for key, text in self.arguments}

    @property
    def pretrained(self) -> bool:
        """Whether it asks for weights that were trained elsewhere."""
        values = self.values
        return bool(values.get(PRETRAINED)) or values.get(WEIGHTS) is not None

    def given(self, more: Mapping[str, str]) -> "Call":
        """The same call with more arguments; those it has already stand."""
        return Call(self.what, tuple(sorted({**more, **dict(self.arguments)}.items())))


def parse(name: str) -> Call:
    """The call that a name spells; UserError where an argument is no `key=value`."""
    what, _, rest = name.strip().partition("?")
    return Call(_tidied(what), tuple(sorted(pairs(rest.split("&") if rest else []).items())))


def pairs(arguments: Iterable[str]) -> dict[str, str]:
    """`key=value` texts by key. UserError where one is not of that form."""
    found = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not (sign and key.strip().isidentifier() and value.strip()) or {"&", "?"} & set(value):
            raise UserError(f"an argument of a network is written key=value, such as width=32; got '{argument}'")
        found[key.strip()] = value.strip()
    return found


def value_of(text: str) -> Any:
    """32, 0.5, true, none or [1, 2] as what they spell, everything else as text.

    >>> [value_of(text) for text in ("32", "true", "[1, 2]", "scse")]
    [32, True, [1, 2], 'scse']
    """
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _tidied(what: str) -> str:
    """`./nets//mine.py:Net` is `nets/mine.py:Net`."""
    path, colon, name = what.rpartition(":")
    return f"{posixpath.normpath(path)}:{name}" if colon and path.endswith(".py") else what
