"""Checkpoints: the file format, saving, loading, inspecting and comparing."""
