"""Programs that run a part of the toolkit by itself and time it from within, beside those of benchmarks/peers."""
