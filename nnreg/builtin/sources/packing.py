"""Files compressed with deflate, as gzip and PNG are."""

MOST_INFLATION = 1032
"""The most bytes that a compressed byte stands for: 258 of a run, in two bits (RFC 1951)."""
