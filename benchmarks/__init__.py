"""Side-by-side measurements of whole processes: `python -m benchmarks`."""
