"""The table of networks in this repository. A new network is one file in `baselines/` and one line here."""

from collections.abc import Iterable

from bench.errors import unknown
from bench.networks.network import NetworkRow

GROUPS = {
    "cnn": "convolutions",
    "transformer": "attention over patches",
    "hybrid": "convolutions with attention or token mixing",
    "light": "less than 2 M parameters",
    "paper": "MDSA-UNet and the networks its claims compare it with",
}

# Name, title, published parameters, multiply-adds and the pixels a side they are for, source, groups.
ROWS = (
    NetworkRow("attention_unet", "Attention U-Net", 34.88e6, 50.9e9, 224, "Oktay et al. 2018", ("cnn", "paper")),
    NetworkRow("braunetpp", "BRAU-Net++", 50.76e6, 22.45e9, 256, "Lan et al. 2024", ("hybrid",)),
    NetworkRow("cmunext", "CMUNeXt", 3.15e6, 7.41e9, 256, "Tang et al. 2023", ("cnn",)),
    NetworkRow("egeunet", "EGE-UNet", 0.053e6, 0.072e9, 256, "Ruan et al. 2023", ("cnn", "light")),
    NetworkRow("h2former", "H2Former", 33.71e6, None, 224, "He et al. 2023", ("hybrid",)),
    NetworkRow("malunet", "MALUNet", 0.175e6, 0.083e9, 256, "Ruan et al. 2022", ("cnn", "light")),
    NetworkRow("mdsa_unet", "MDSA-UNet", 6.65e6, 4.54e9, 224, "Li et al., IEEE JBHI 2025", ("hybrid", "paper"),
               "bench", same_function=("6b652b709fa6", "ec4126e8aab2"), renamed=("394abf3d4ea1", "6b652b709fa6")),
    NetworkRow("missformer", "MISSFormer", 42.46e6, 9.89e9, 224, "Huang et al. 2021", ("transformer",)),
    NetworkRow("resunetpp", "ResUNet++", 4.06e6, None, 224, "Jha et al. 2019", ("cnn",)),
    NetworkRow("swin_unet", "Swin-UNet", 27.17e6, 6.1e9, 224, "Cao et al. 2021", ("transformer", "paper")),
    NetworkRow("transunet", "TransUNet", 105.28e6, 38.52e9, 256, "Chen et al. 2021", ("hybrid",)),
    NetworkRow("unet", "U-Net", 31.04e6, 36.9e9, 224, "Ronneberger et al. 2015", ("cnn", "paper")),
    NetworkRow("unet3plus", "UNet 3+", 26.97e6, 199.74e9, 256, "Huang et al. 2020", ("cnn",)),
    NetworkRow("unetpp", "UNet++", 9.16e6, 26.5e9, 224, "Zhou et al. 2018", ("cnn", "paper")),
    NetworkRow("unext", "UNeXt", 1.47e6, 0.57e9, 256, "Valanarasu and Patel 2022", ("hybrid", "light")),
)  # fmt: skip
NETWORKS = {network.name: network for network in ROWS}


def in_groups(groups: Iterable[str]) -> list[str]:
    """The names of the networks in one of these groups; UserError for an unknown group."""
    for group in groups:
        if group not in GROUPS:
            raise unknown("group", group, GROUPS)
    return [name for name, network in NETWORKS.items() if set(groups) & set(network.groups)]
