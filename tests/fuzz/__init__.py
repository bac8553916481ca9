"""Coverage-guided fuzzing of the readers of what comes from outside; see `__main__`."""
