"""MNIST from four IDX files to a measured accuracy."""

__version__ = "0.1.0"
