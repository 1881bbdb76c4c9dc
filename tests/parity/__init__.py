"""Comparisons with other libraries, and the results of the example models."""
