"""Weights that another library, or an export, has written."""
