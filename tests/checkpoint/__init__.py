"""Tests of the checkpoint file: saving, loading, and what it records."""
