"""Sets of kernels besides NumPy's: compiled by Numba, and products by oneMKL."""
