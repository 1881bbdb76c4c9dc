"""A quick search for commands of plugins: importing `importlib.metadata` takes far longer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress

COMMANDS_GROUP = "nnreg.commands"
"""The group of entry points whose names are those of a distribution's commands."""


def commands_declared() -> bool:
    """Return True if a distribution in a directory of Python's path declares commands.

    What cannot be read declares none; distributions in zip files are left out.
    """
    wanted = f"[{COMMANDS_GROUP}]".encode()
    return any(wanted in content for content in _entry_point_files())


def _entry_point_files() -> Iterator[bytes]:
    """Yield the content of each distribution's list of entry points."""
    for directory in dict.fromkeys(sys.path):
        with suppress(OSError):
            for name in os.listdir(directory or "."):
                if name.endswith((".dist-info", ".egg-info")):
                    with (
                        suppress(OSError),
                        open(os.path.join(directory, name, "entry_points.txt"), "rb") as file,
                    ):
                        yield file.read()
