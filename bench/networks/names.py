"""A network's name as it is typed and stored: `smp:Unet/resnet34?decoder_attention_type=scse&pretrained=true`.

Arguments follow the question mark. A network with a set of arguments has one canonical name, by which its records are
found.
"""

import ast
import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.errors import UserError

WORDS = {"true": True, "false": False, "none": None}
PRETRAINED = "pretrained"
WEIGHTS = "encoder_weights"  # what segmentation-models-pytorch calls it


@dataclass(frozen=True)
class Name:
    """The part before the question mark, and the arguments as text, sorted by name."""

    base: str
    arguments: Mapping[str, str]

    def __str__(self) -> str:
        joined = "&".join(f"{key}={text}" for key, text in sorted(self.arguments.items()))
        return f"{self.base}?{joined}" if joined else self.base

    @property
    def values(self) -> dict[str, Any]:
        """The arguments converted to Python values."""
        return {key: value_of(text) for key, text in self.arguments.items()}

    @property
    def pretrained(self) -> bool:
        """Whether it asks for pre-trained weights."""
        return bool(self.values.get(PRETRAINED)) or self.values.get(WEIGHTS) is not None


def parse(text: str) -> Name:
    """Parse a name. Raises UserError if an argument is not `key=value`. `./nets//mine.py` becomes `nets/mine.py`."""
    base, _, rest = text.strip().partition("?")
    path, colon, attribute = base.rpartition(":")
    if path.endswith(".py"):
        base = f"{posixpath.normpath(path)}{colon}{attribute}"
    return Name(base, pairs(rest.split("&") if rest else []))


def pairs(arguments: Iterable[str]) -> dict[str, str]:
    """Parse `key=value` strings into a dict. Raises UserError if one does not have that form."""
    found = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not (sign and key.strip().isidentifier() and value.strip()) or {"&", "?"} & set(value):
            raise UserError(f"an argument of a network is written key=value, such as width=32; got '{argument}'")
        found[key.strip()] = value.strip()
    return found


def value_of(text: str) -> Any:
    """Convert text to the number, boolean, None or list that it spells, else return it unchanged.

    >>> [value_of(text) for text in ("32", "true", "[1, 2]", "scse")]
    [32, True, [1, 2], 'scse']
    """
    try:
        return WORDS[text.lower()] if text.lower() in WORDS else ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
