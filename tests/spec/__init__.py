"""Tests of reading a spec."""
