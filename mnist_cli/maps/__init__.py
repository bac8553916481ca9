"""Whole-number arithmetic that decides what training sees: feature maps, the order of the examples, the softmax.

This module holds the names that settings and files may use; importing it imports nothing else.
"""

PIXELS = "pixels"
# The shipped maps; each but the pixels is a YAML file in this folder.
MAPS = (PIXELS, "grad8", "scat1", "scat2", "scat2-exemplars")
KERNELS = ("differences", "morlet")
GAUSSIANS = (1, 2, 3)  # the σ for which there are windows
MOST_COPIES = 63  # warped copies of an image
