"""The home directory in what is written: `~` instead of its path, which has the user's name."""

from __future__ import annotations

import os
import re


def without_home(text: str) -> str:
    """Return a path, or an argument `--option=PATH`, with `~` for the home directory."""
    home = os.path.expanduser("~")
    if home in ("~", os.sep):  # this user has none
        return text
    return re.sub(rf"(^|=){re.escape(home)}(?=[/\\]|$)", r"\1~", text)


def with_home(path: str) -> str:
    """Return a path with the home directory of this user for `~`."""
    return os.path.expanduser(path) if re.match(r"~([/\\]|$)", path) else path
