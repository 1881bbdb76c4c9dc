"""Tests of building and using a model."""
