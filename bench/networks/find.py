"""From a name to its network: the table's, a library's, a file's or an installed package's."""

from collections.abc import Mapping

from bench.errors import UserError, unknown
from bench.networks.foreign import from_file, from_package, plug_ins
from bench.networks.names import PRETRAINED, WEIGHTS, Name, parse
from bench.networks.smp import PREFIX, from_spec
from bench.networks.table import NETWORKS, Network

FORMS = "smp:Unet/resnet34, path/to/file.py:Name, package.module:Name"


def find_network(text: str) -> Network:
    """The network of a name; UserError with the nearest name, or with what is wrong with a file or a spec."""
    name = parse(text)
    if name.base in NETWORKS:
        if name.arguments:
            given = ", ".join(f"{key}={value}" for key, value in sorted(name.arguments.items()))
            as_published = f"'{name.base}' is built as in its paper and takes no arguments"
            raise UserError(f"{as_published}, got {given}; leave them out")
        return NETWORKS[name.base]
    if name.base.startswith(PREFIX):
        return from_spec(name)
    if _is_file(name.base):
        return from_file(name)
    if ":" in name.base or name.base in plug_ins():
        return from_package(name, plug_ins().get(name.base, name.base))
    raise UserError(f"{unknown('network', name.base, [*NETWORKS, *plug_ins()])}; or a network from elsewhere: {FORMS}")


def title_of(name: str) -> str:
    """A network's name as its paper writes it, else as it was typed, without the folders of a file.

    Never an error: a record may be of a file that no longer exists.

    >>> title_of("swin_unet"), title_of("nets/mine.py:Net?width=8"), title_of("smp:FPN/resnet18?pretrained=true")
    ('Swin-UNet', 'mine.py:Net (width=8)', 'FPN/resnet18 (pre-trained)')
    """
    if name in NETWORKS:
        return NETWORKS[name].title
    base, _, rest = name.partition("?")
    short = base.rpartition("/")[2] if _is_file(base) else base.removeprefix(PREFIX)
    shown = ["pre-trained"] if is_pretrained(name) else []
    shown += [pair for pair in rest.split("&") if pair and not pair.startswith((f"{PRETRAINED}=", f"{WEIGHTS}="))]
    return f"{short} ({', '.join(shown)})" if shown else short


def is_pretrained(name: str) -> bool:
    """Whether a network begins with weights trained elsewhere; it is never compared with one that does not."""
    try:
        return parse(name).pretrained
    except UserError:
        return False  # not a name of this program


def with_arguments(name: str, arguments: Mapping[str, str], pretrained: bool = False) -> str:
    """The one spelling of a name with more arguments; those it has already stay.

    The table's networks take no arguments and stay as they are.
    """
    parsed = parse(name)
    if parsed.base in NETWORKS:
        return str(parsed)
    more = {**arguments, **({PRETRAINED: "true"} if pretrained else {})}
    return str(Name(parsed.base, {**more, **parsed.arguments}))


def _is_file(base: str) -> bool:
    return base.endswith(".py") or ".py:" in base
