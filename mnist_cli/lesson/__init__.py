"""The lesson: one HTML page with a figure to play with for each idea of the tutorial, and a training to watch."""
