"""The names of groups and datasets that nnreg accepts in an HDF5 file."""

from __future__ import annotations

MAX_DEPTH = 64
"""The most levels of nested groups."""


def is_name(name: str | bytes) -> bool:
    """Return True for a valid name; h5py returns bytes for a name that is not UTF-8."""
    return (
        isinstance(name, str)
        and name.isprintable()
        and "/" not in name
        and name not in ("", ".", "..")
    )
