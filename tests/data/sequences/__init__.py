"""Columns of sequences: lists in cells, grouped rows, padded arrays."""
