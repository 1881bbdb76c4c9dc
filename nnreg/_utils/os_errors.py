"""Explanations of operating system errors on files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnreg._utils.suggestions import closest, did_you_mean

SIMILAR_FILE = 0.75
"""The least similarity of a suggested file name; many names share a suffix."""


@contextmanager
def os_errors_as(
    kind: type[Exception], path: str | os.PathLike[str], failed: str = "cannot write"
) -> Iterator[None]:
    """Raise an OSError as an error of another kind: `path: cannot write: Permission denied`."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: {failed}: {explain_os_error(error)}") from error


def explain_os_error(error: Exception, missing: Path | None = None) -> str:
    """Return why a file cannot be read or written.

    If it is `missing`, a file in its directory with a similar name is suggested.
    """
    reason = str(getattr(error, "strerror", None) or error)
    if missing is None or not isinstance(error, FileNotFoundError):
        return reason
    try:
        names = os.listdir(missing.parent)
    except OSError:
        return reason
    similar = closest(missing.name, names, SIMILAR_FILE)
    return reason + did_you_mean([str(missing.with_name(name)) for name in similar])
