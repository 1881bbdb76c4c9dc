"""Sweeps: many runs of one spec, with other values of its settings and other seeds."""
