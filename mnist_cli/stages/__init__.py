"""The four stages, one module each; what one gives the next is a file."""
