"""The lesson: one HTML page in which each idea of the tutorial can be played with, and trained before one's eyes."""
