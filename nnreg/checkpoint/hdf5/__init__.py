"""The subset of HDF5 that checkpoints use: read without the HDF5 library, written with it."""
