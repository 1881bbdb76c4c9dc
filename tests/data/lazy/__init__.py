"""Tests of data that stay in their HDF5 file."""
