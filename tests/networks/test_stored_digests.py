"""The code of the built-in networks is what it was: an edit makes records stale, and must be meant."""

import pytest

from bench.networks import NETWORKS

STORED = {
    "attention_unet": "f7621946c771",
    "braunetpp": "3b061930fb16",
    "cmunext": "e9517cd1647c",
    "egeunet": "ef658d53a077",
    "h2former": "5011a5eaf979",
    "malunet": "d3bc334816a8",
    "mdsa_unet": "f34db2ce5da2",
    "mdsa_unet_plain": "da06abca569c",
    "missformer": "1063d7450a38",
    "resunetpp": "f56b0247087f",
    "swin_unet": "d96d30a891bd",
    "transunet": "5aef833141c0",
    "unet": "f7cf9a31106c",
    "unet3plus": "09cc3870b62f",
    "unetpp": "5f1de00ae08e",
    "unext": "a944198f5d2c",
}
TOLD = """
The code of {name} changed: its digest is {found}, and was {stored}. Every record of it measured before is stale and
will be measured anew. If the change mends a fault, write {found} here and say in the commit's message which records it
makes stale; if it mends none, undo it. A comment or a docstring changes no digest. CONTRIBUTING.md has the rule.
"""


@pytest.mark.parametrize("network", NETWORKS.values(), ids=list(NETWORKS))
def test_a_networks_code_is_unchanged(network):
    stored = STORED.get(network.name, "none")
    assert network.digest == stored, TOLD.format(name=network.name, found=network.digest, stored=stored)


def test_no_digest_is_of_a_network_that_is_gone():
    assert STORED.keys() <= NETWORKS.keys()
