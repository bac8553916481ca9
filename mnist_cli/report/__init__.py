"""The report: one HTML page that shows what the model learned, how good it is, and how to reproduce it."""
