"""Tests of `nnreg doctor`."""
