"""MDSA-UNet, the network under test: the network, its sparse attention, and the attention's kernel for CUDA."""

from bench.mdsa_unet.network import MDSAUNet, build

__all__ = ["MDSAUNet", "build"]
