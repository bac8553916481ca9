"""The files that pass between stages: IDX, the HDF5 store and the model file."""
