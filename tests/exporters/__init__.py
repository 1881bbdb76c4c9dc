"""Tests of the registry, and of loading and developing plugins."""
