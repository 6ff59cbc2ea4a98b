"""From what the user typed to a network, wherever it is; words for what cannot be found."""

from collections.abc import Mapping

from bench.errors import UserError, unknown
from bench.networks.call import PRETRAINED, Call, parse
from bench.networks.installed import InstalledNetwork, plug_in, plug_ins
from bench.networks.network import Network
from bench.networks.own_file import FileNetwork
from bench.networks.smp import PREFIX, SmpNetwork
from bench.networks.table import NETWORKS

FORMS = "smp:Unet/resnet34, path/to/file.py:Name, package.module:Name"


def find_network(name: str) -> Network:
    """The network of a name; UserError with the nearest name, or with what is wrong with a file or a spec."""
    call = parse(name)
    if call.what in NETWORKS:
        if call.arguments:
            raise UserError(
                f"'{call.what}' is built as its paper says and takes no arguments, got {_spelled(call)}; leave them out"
            )
        return NETWORKS[call.what]
    if call.what.startswith(PREFIX):
        return SmpNetwork.called(call)
    if _names_a_file(call.what):
        return FileNetwork.called(call)
    if ":" in call.what:
        return InstalledNetwork.called(call)
    if (found := plug_in(call)) is not None:
        return found
    error = unknown("network", call.what, [*NETWORKS, *plug_ins()])
    raise UserError(f"{error}; or one of elsewhere: {FORMS}")


def title_of(name: str) -> str:
    """A network's name as its paper writes it, else as it was called, less the folders of a file.

    Never an error: a record may speak of a file that is gone.

    >>> title_of("swin_unet"), title_of("nets/mine.py:Net?width=8"), title_of("smp:FPN/resnet18?pretrained=true")
    ('Swin-UNet', 'mine.py:Net (width=8)', 'FPN/resnet18 (pre-trained)')
    """
    if name in NETWORKS:
        return NETWORKS[name].title
    what, _, rest = name.partition("?")
    short = what.rpartition("/")[2] if _names_a_file(what) else what.removeprefix(PREFIX)
    said = ["pre-trained" if is_pretrained(name) else ""]
    said += [pair for pair in rest.split("&") if not pair.startswith((f"{PRETRAINED}=", "encoder_weights="))]
    told = ", ".join(filter(None, said))
    return f"{short} ({told})" if told else short


def is_pretrained(name: str) -> bool:
    """Whether a network begins with weights trained elsewhere; such a one is never compared with one that does not."""
    try:
        return parse(name).pretrained
    except UserError:
        return False  # no name of ours


def with_arguments(name: str, arguments: Mapping[str, str], pretrained: bool = False) -> str:
    """The one spelling of a name with these arguments; the table's networks, which take none, stay as they are."""
    call = parse(name)
    if call.what in NETWORKS:
        return str(call)
    return str(call.given({**arguments, **({PRETRAINED: "true"} if pretrained else {})}))


def _names_a_file(what: str) -> bool:
    return what.endswith(".py") or ".py:" in what


def _spelled(call: Call) -> str:
    return ", ".join(f"{key}={text}" for key, text in call.arguments)
