"""Training with several devices, processes and machines."""
