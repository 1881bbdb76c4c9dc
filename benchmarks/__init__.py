"""Benchmarks and comparisons with other libraries; run as modules, such as `benchmarks.heldout`."""
