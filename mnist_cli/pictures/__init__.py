"""Read pictures from files, normalise them as MNIST's images are, and draw plots."""
