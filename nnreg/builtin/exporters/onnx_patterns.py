"""Regular expressions of RE2, which are those of ONNX."""

from __future__ import annotations

from nnreg.builtin.exporters import unicode_tables


def literal(text: str) -> str:
    """Return the expression of a text."""
    letters = (one if one.isascii() and one.isalnum() else rf"\x{{{ord(one):x}}}" for one in text)
    return "".join(letters)


def white_space() -> str:
    """Return the characters of white space, as Python has them."""
    ranges = unicode_tables.spaces()
    return "".join(chr(code) for low, high in ranges for code in range(low, high + 1))
