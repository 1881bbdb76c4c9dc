"""Tests of training: gradient, update and loop."""
