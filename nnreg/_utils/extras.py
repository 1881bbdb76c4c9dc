"""Libraries that come with an extra of nnreg and are imported when they are first needed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nnreg.errors import DataError


def installed(module: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    return importlib.util.find_spec(module) is not None


@contextmanager
def needed(where: Path | str, purpose: str, library: str, extra: str) -> Iterator[None]:
    """Raise a failed import in this context as `DataError`, with the command that installs it."""
    try:
        yield
    except ImportError as error:
        raise DataError(
            f"{where}: {purpose} needs {library}: pip install 'nnreg[{extra}]'"
        ) from error
