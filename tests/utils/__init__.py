"""Tests of the helpers in `nnreg._utils`."""
