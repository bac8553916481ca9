"""Pictures: read from files, normalised as the images of MNIST are, and drawn."""
