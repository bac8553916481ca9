"""Corpora of wrong input, and what became of each: `python -m tests.corpora` prints the figures."""
