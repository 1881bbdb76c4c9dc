"""Tests of weights in files of other formats."""
