"""What decides the numbers that training sees, in whole numbers: feature maps, the order of the examples, the softmax.

The names that settings and files may use stand here, where asking for them imports nothing.
"""

PIXELS = "pixels"
# The maps that the package brings; each but the pixels is a YAML file in this folder.
MAPS = (PIXELS, "grad8", "scat1", "scat2", "scat2-exemplars")
KERNELS = ("differences", "morlet")
GAUSSIANS = (1, 2, 3)  # the σ that there are windows of
MOST_COPIES = 63  # warped ones of an image
