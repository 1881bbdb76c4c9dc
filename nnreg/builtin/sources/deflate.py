"""Files compressed with deflate, as gzip and PNG are."""

from __future__ import annotations

MOST_INFLATION = 1032
"""The most bytes that a compressed byte stands for: 258 of a run, in two bits (RFC 1951)."""
