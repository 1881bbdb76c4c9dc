"""Tests of the built-in data sources."""
