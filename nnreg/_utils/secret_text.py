"""Secrets in texts: `${secret:NAME}` stays as it is in everything that is written.

Only where data are read is it replaced, by the environment variable `NNREG_SECRET_NAME`. The
prefix is a limit: a spec or a checkpoint from elsewhere can name no variable that was not set for
nnreg.
"""

from __future__ import annotations

import os
import re

from nnreg.errors import DataError

PREFIX = "NNREG_SECRET_"
"""The beginning of the names of the environment variables that have secrets."""

START = "${secret:"

_SECRET = re.compile(r"\$\{secret:([A-Za-z_]\w*)\}", re.ASCII)
_ANY = re.compile(r"\$\{secret:[^}]*\}?")


def malformed(text: str) -> str:
    """Return the first reference in a text that is not `${secret:NAME}`; empty if there is none."""
    found = (match.group() for match in _ANY.finditer(text))
    return next((one for one in found if not _SECRET.fullmatch(one)), "")


def reveal(text: str) -> str:
    """Return a text with its secrets. Raises `DataError` with the name of an unset variable."""

    def value(match: re.Match[str]) -> str:
        name = PREFIX + match[1]
        if name not in os.environ:
            raise DataError(
                f"{match.group()}: the environment variable {name} is not set; set it to the value "
                "that this secret stands for"
            )
        return os.environ[name]

    return _SECRET.sub(value, text)


def reveal_path(text: str) -> str:
    """Return a path with its secrets; one that begins with a secret must be absolute."""
    path = reveal(text)
    if text.startswith(START) and not os.path.isabs(path):
        raise DataError(
            f"{text}: a path that begins with a secret must be absolute, because its directory "
            "cannot be written either; set the variable to an absolute path"
        )
    return path
