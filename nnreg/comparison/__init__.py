"""Comparisons of runs: groups of the same settings, and whether their differences exceed noise."""
