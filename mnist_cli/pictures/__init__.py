"""Pictures: read from files, normalised as the digits of MNIST are, and drawn for people to look at."""
