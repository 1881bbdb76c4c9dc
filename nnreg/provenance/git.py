"""The commit of a directory, read from the files of its git repository.

The program `git` is never run: the settings of a repository name programs that it runs. Whether
files differ from the commit is therefore unknown: the filters that decide it are such programs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nnreg._utils.regular_files import read_regular

MAX_LINE_BYTES = 4096
"""The most bytes of a file with one name or path."""

MAX_PACKED_BYTES = 2**26
"""The most bytes of `packed-refs`: half a million names."""

MAX_SYMBOLIC = 5
"""The most names that lead from one to the next, as in git."""

HASH = re.compile(rb"[0-9a-f]{40}|[0-9a-f]{64}")
"""A SHA-1 or a SHA-256."""

REF = re.compile(rb"refs(/(?!\.)[^/\x00-\x20\x7f~^:?*\[\\]+)+")
"""A name that git accepts; of each part, `_is_ref` checks the rest."""


def commit_of(directory: Path) -> str | None:
    """Return the commit that is checked out in a directory or one above it; None if unknown."""
    try:
        for place in (directory, *directory.parents):
            repository = _repository(place / ".git")
            if repository is not None:
                return _resolve(repository)
    except (OSError, ValueError):  # damaged, or not readable for this user
        pass
    return None


def _repository(entry: Path) -> Path | None:
    """Return the directory of a repository, given the `.git` of a worktree.

    In a linked worktree and in a submodule, `.git` is a file with the path of the directory.
    """
    if entry.is_dir():
        return entry if (entry / "HEAD").exists() else None
    if not entry.exists():
        return None
    prefix, _, path = _line(entry).partition(b"gitdir: ")
    if prefix or not path:
        raise ValueError(f"{entry} has no path of a repository")
    return entry.parent / os.fsdecode(path)


def _resolve(repository: Path) -> str | None:
    """Return the commit that `HEAD` names, directly or by names of branches."""
    common = _common(repository)
    value = _line(repository / "HEAD")
    for _ in range(MAX_SYMBOLIC):
        if HASH.fullmatch(value):
            return value.decode()
        name = value.removeprefix(b"ref: ")
        if name == value or not _is_ref(name):
            return None
        found = next(_values(name, repository, common), None)
        if found is None:  # the first commit has not been made
            return None
        value = found
    return None


def _values(name: bytes, repository: Path, common: Path) -> Iterator[bytes]:
    """Yield the values of a name: that of the worktree, of a file, and of the packed names."""
    for place in dict.fromkeys((repository, common)):
        with suppress(OSError):
            yield _line(place / os.fsdecode(name))
    with suppress(OSError):
        packed = b"\n" + read_regular(common / "packed-refs", MAX_PACKED_BYTES)
        before, found, _ = packed.partition(b" " + name + b"\n")
        if found:
            yield before.rpartition(b"\n")[2]


def _common(repository: Path) -> Path:
    """Return the directory with the branches, which linked worktrees share."""
    with suppress(FileNotFoundError):
        return repository / os.fsdecode(_line(repository / "commondir"))
    return repository


def _is_ref(name: bytes) -> bool:
    """Return True for the name of a branch or tag, which is a path below the repository."""
    bad = b".." in name or b"@{" in name or name.endswith(b".") or b".lock/" in name + b"/"
    return bool(REF.fullmatch(name)) and not bad


def _line(path: Path) -> bytes:
    return read_regular(path, MAX_LINE_BYTES).rstrip(b"\r\n")
