"""Finds networks by name: in the table, in a library, in an installed package, or in a user's file.

torch is imported only when a network is built, so that `bench list` is fast and reports do not need it.
"""

from bench.networks.find import find_network, is_pretrained, network_on_record, title_of, titles, with_arguments
from bench.networks.foreign import plug_ins
from bench.networks.table import GROUPS, NETWORKS, Network, origin_of

__all__ = [
    "GROUPS", "NETWORKS", "Network", "find_network", "is_pretrained", "network_on_record", "origin_of",
    "plug_ins", "title_of", "titles", "with_arguments",
]  # fmt: skip
