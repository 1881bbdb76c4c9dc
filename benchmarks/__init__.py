"""Comparisons with other libraries, each run as a module: `python -m benchmarks.heldout`."""
