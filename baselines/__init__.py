"""The networks MDSA-UNet is measured against: one file a network, each with its own `build`, importing no other."""
