"""Tests of README.md and the documentation."""
