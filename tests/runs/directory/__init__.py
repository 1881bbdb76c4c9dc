"""Tests of the directory of a run."""
