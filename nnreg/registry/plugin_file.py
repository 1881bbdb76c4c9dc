"""Whether the `nnregfile.py` beside a spec may run: it is code that the user did not name.

Only commands that train run it, and only where nobody else could have written it: git's check of
`safe.directory` has the same reason. Many systems let the group write by default, and give each
user a group without other members, so that this is accepted. A mode or an owner says nothing about
a directory that the user unpacked or cloned, so the file that runs is also named in a note. Windows
has neither a mode nor an owner that Python reports, so there the check is that of links only.
Access control lists and the directories further up are not examined.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from nnreg.registry.loading import note

if TYPE_CHECKING:
    from nnreg.registry.loading import Plugin

NAME = "nnregfile.py"
"""The plugin file that is run for the specs in its directory, by commands that train."""

_DEFAULT = "default"


def blocked_by(path: Path, *, run: bool) -> str:
    """Return what keeps a plugin file from running; empty if it may run.

    `run` is False for what does not train.
    """
    reason = _distrust(path) if run else "this trains nothing"
    if not reason:
        return ""
    option, call = f"--plugin {shlex.quote(str(path))}", f"nnreg.register({str(path)!r})"
    return f"{_DEFAULT}, since {reason}; if you trust it, add {option}, or call {call}"


def describe(record: Plugin, path: Path) -> None:
    """Warn that a plugin file was run, and whether it failed."""
    if record.failures:
        note(f"plugin {path} failed: {record.why}")
    elif not record.blocked_by:
        note(f"plugin {path} is loaded for this spec")


def note_if_blocked(record: Plugin | None) -> None:
    """Warn if a plugin file beside a valid spec was not run: it could change what the spec means.

    Nothing is said if the user blocked it. An invalid spec has the reason in its error.
    """
    if record is not None and record.blocked_by.startswith(_DEFAULT):
        note(f"plugin {record.name} is not run, by {record.blocked_by}")


def _distrust(path: Path) -> str:
    """Return why someone else may have written a file; empty if nobody else can."""
    file = path.resolve()
    if file.parent != path.parent.resolve():
        return f"it is a symbolic link to {file}"
    if not hasattr(os, "geteuid"):
        return ""
    for one, shown in ((file.parent, path.parent), (file, path)):
        status = one.stat()
        if status.st_uid not in (0, os.geteuid()):
            return f"{shown} belongs to another user"
        if _others_can_write(status):
            return f"others can write to {shown} (chmod go-w {shlex.quote(str(shown))})"
    return ""


def _others_can_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid)


def _is_private(group: int) -> bool:
    """Return True for the group that a system creates for this user alone."""
    import grp  # these are not on Windows
    import pwd

    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    own = found.gr_gid == user.pw_gid and found.gr_name == user.pw_name
    return own and set(found.gr_mem) <= {user.pw_name}
