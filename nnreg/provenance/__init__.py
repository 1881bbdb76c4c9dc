"""Provenance: the environment, and which component versions computed what."""
