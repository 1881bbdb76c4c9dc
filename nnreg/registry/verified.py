"""Which components have passed `nnreg plugin check`, remembered in the user's folder.

A component is known by its kind, name, distribution and version, by the bytes of the file that its
class is in, and by nnreg's version: where one of them has changed, it is no longer verified.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

from nnreg._utils.atomic_files import replace_text
from nnreg._version import __version__
from nnreg.errors import NnregWarning
from nnreg.registry.loading import digest
from nnreg.registry.registry import Entry

HOME_VARIABLE = "NNREG_HOME"
"""Names another folder for what nnreg remembers."""


def verified(entries: Iterable[Entry]) -> set[Entry]:
    """Return those components that passed every check and are what they were then."""
    known = _remembered()
    return {e for e in entries if _key(e) in known and known[_key(e)] == _state(e)}


def remember(entry: Entry, *, passed: bool) -> None:
    """Keep the outcome of the checks. Where that cannot be written, a note tells why."""
    known, state = _remembered(), _state(entry)
    known.pop(_key(entry), None)
    if passed and state is not None:
        known[_key(entry)] = state
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(known, indent=2))
    except OSError as error:
        warnings.warn(
            f"{path}: the outcome of the checks cannot be kept: {error.strerror}; {HOME_VARIABLE} "
            "names another folder",
            NnregWarning,
            stacklevel=2,
        )


def _file() -> Path:
    import click  # which knows where programs keep such things

    return Path(os.environ.get(HOME_VARIABLE) or click.get_app_dir("nnreg")) / "verified.json"


def _remembered() -> dict[str, str]:
    try:
        known = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _key(entry: Entry) -> str:
    return f"{entry.kind} {entry.name} {entry.provider}"


def _state(entry: Entry) -> str | None:
    """Return what changes with the component's code; None where that is in no file."""
    path = getattr(sys.modules.get(entry.cls.__module__), "__file__", None)
    try:
        return f"{digest(Path(path).read_bytes())} nnreg {__version__}" if path else None
    except OSError:
        return None
