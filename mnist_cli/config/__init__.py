"""The machinery of parameters: declarations, layers, overrides, places for errors."""
