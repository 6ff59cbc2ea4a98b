"""Measures how accurate and how cheap a medical segmentation network is, beyond argument."""

__version__ = "0.1.0"
