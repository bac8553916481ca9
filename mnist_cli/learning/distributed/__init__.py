"""Training on several devices, in several processes and on several machines."""
