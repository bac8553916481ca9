"""Parameters: declarations, layers, overrides, and the places that errors name."""
