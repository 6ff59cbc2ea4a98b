"""Networks whose batch norms and biases are as after a training, for tests of what is made of them."""

from torch import nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def used(network: nn.Module) -> nn.Module:
    """In double precision and eval mode, with batch norms and biases as after a training: fresh ones do nothing."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) and layer.bias is not None:
            nn.init.uniform_(layer.bias, -0.1, 0.1)
    for norm in network.modules():
        if isinstance(norm, NORMS) and norm.running_var is not None:
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.normal_(norm.bias)
    return network.double().eval()
