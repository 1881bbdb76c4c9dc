"""Tests of recording computations, and of computing what was recorded."""
