"""Helpers that know nothing of neural networks: files, threads, memory, signals, HDF5."""
