"""The code of the networks here stays as it is, for an edit makes all records of a network stale."""

import pytest

from bench.networks import NETWORKS

# Only a fault is a reason to change one. Say in the commit which records that makes stale, and measure them anew.
STORED = {
    "attention_unet": "f7621946c771",
    "braunetpp": "3b061930fb16",
    "cmunext": "e9517cd1647c",
    "egeunet": "ef658d53a077",
    "h2former": "5011a5eaf979",
    "malunet": "d3bc334816a8",
    "mdsa_unet": "f34db2ce5da2",
    "mdsa_unet_plain": "645f25abda1b",
    "missformer": "1063d7450a38",
    "resunetpp": "f56b0247087f",
    "swin_unet": "d96d30a891bd",
    "transunet": "5aef833141c0",
    "unet": "f7cf9a31106c",
    "unet3plus": "09cc3870b62f",
    "unetpp": "5f1de00ae08e",
    "unext": "a944198f5d2c",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_code_is_that_of_the_records(name):
    assert NETWORKS[name].digest == STORED[name], "its records are stale now; see STORED in this file"
