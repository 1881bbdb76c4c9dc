"""The environment of a run: what its results depend on besides spec and data, and metadata."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from packaging.requirements import Requirement

from nnreg._utils.distributions import installed_version
from nnreg._utils.home import without_home
from nnreg._utils.threads import blas_libraries
from nnreg._version import __version__


def library_versions() -> dict[str, Any]:
    """Return versions, processor, and the BLAS libraries."""
    keys = ("internal_api", "version", "num_threads", "architecture")
    return {
        "nnreg": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "blas": [{key: library.get(key) for key in keys} for library in blas_libraries()],
    }


GIT = ("git", "-c", "core.fsmonitor=false", "describe", "--always", "--dirty", "--abbrev=40",
       "--exclude=*")  # fmt: skip
"""Prints the commit, with `-dirty` if files differ from it. A program that a repository names as
`core.fsmonitor` is not run."""

GIT_TIMEOUT_SECONDS = 2.0
"""The seconds after which git is stopped, as in a very large repository."""


def run_metadata() -> dict[str, Any]:
    """Return the time, platform, distributions, commit and command of this process."""
    return {
        "platform": platform.platform(),
        "distributions": _versions(),
        "git": _commit(),
        "command": [Path(sys.argv[0]).name, *map(without_home, sys.argv[1:])],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the distributions that nnreg requires."""
    names = []
    with suppress(Exception):  # not installed, or damaged metadata
        required = map(Requirement, importlib.metadata.requires("nnreg") or ())
        names = [one.name for one in required if one.marker is None]  # extras have a marker
    versions = {name: installed_version(name) for name in names}
    return {name: version for name, version in versions.items() if version}


def _commit() -> dict[str, Any] | None:
    """Return the commit of the working directory, and whether files differ from it."""
    here = Path.cwd()
    if not any((directory / ".git").exists() for directory in (here, *here.parents)):
        return None
    env = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            GIT, capture_output=True, env=env, check=True, timeout=GIT_TIMEOUT_SECONDS, text=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    commit, _, dirty = done.stdout.strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)}


@functools.cache
def _processor() -> str:
    """Return the model of the processor: NumPy has specific loops for some."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the differences of two environments in the keys that both have."""
    return [
        f"{name} is {_on_one_line(now[name])}, was {_on_one_line(before[name])}"
        for name in now
        if name in before and before[name] != now[name]
    ]


def _on_one_line(value: Any) -> str:
    """Format a value on one line."""
    if isinstance(value, list):
        return " and ".join(map(_on_one_line, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_on_one_line(item)}" for name, item in value.items())
    return str(value)
