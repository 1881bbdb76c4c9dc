"""The inner loops of layers, losses and optimizers: in NumPy, and compiled by Numba."""
