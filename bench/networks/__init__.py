"""From a name to a network: the table's, a library's by a spec, an installed package's, or one in anybody's own file.

Nothing here imports torch before a network is built, so that `bench list` answers at once and a report needs none.
"""

from bench.networks.find import find_network, is_pretrained, title_of, with_arguments
from bench.networks.network import Network, NetworkRow
from bench.networks.table import GROUPS, NETWORKS

__all__ = [
    "GROUPS",
    "NETWORKS",
    "Network",
    "NetworkRow",
    "find_network",
    "is_pretrained",
    "title_of",
    "with_arguments",
]
