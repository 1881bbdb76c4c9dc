"""Tests of proposing a spec for a data set."""
