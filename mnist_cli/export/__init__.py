"""Exports the trained model with its feature map as one file for other programs, verified before it is published."""
