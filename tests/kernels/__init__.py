"""Tests of the kernels: NumPy's, Numba's and oneMKL's."""
