"""Tests of `nnreg.testing`, the conformance checks for components."""
