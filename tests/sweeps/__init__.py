"""Tests of runs and their directories."""
