"""The environment of a run: what its results depend on besides spec and data, and metadata."""

from __future__ import annotations

import functools
import os
import platform
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils.distributions import installed, installed_version
from nnreg._utils.home import without_home
from nnreg._utils.threads import blas_libraries
from nnreg._version import __version__
from nnreg.provenance.git import commit_of


def library_versions(*, threads: bool = True) -> dict[str, Any]:
    """Return versions, processor, and the BLAS libraries, with the threads of each if wanted."""
    keys = ("internal_api", "version", *(["num_threads"] if threads else []), "architecture")
    return {
        "nnreg": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "blas": [{key: library.get(key) for key in keys} for library in blas_libraries()],
    }


def dependence_on_threads(recorded: Mapping[str, Any]) -> str:
    """Say whether a training's results depend on the number of threads, and the number of shards.

    `recorded` are its summary, or its environment. Empty for those of older versions.
    """
    if not isinstance(recorded.get("reproducible"), bool):
        return ""
    if not recorded["reproducible"]:
        threads = recorded.get("threads")
        here = f", here {threads}" if isinstance(threads, int) else ""
        return f"the last bits depend on the number of threads{here}"
    shards = recorded.get("shards", 1)
    divided = f"; each batch in {shards} shards" if shards != 1 else ""
    return f"bit-identical on any number of threads{divided}"


def run_metadata() -> dict[str, Any]:
    """Return the time, platform, distributions, commit and command of this process."""
    commit = commit_of(Path.cwd())
    return {
        "platform": _platform(),
        "distributions": _versions(),
        "git": None if commit is None else {"commit": commit},
        "command": [Path(sys.argv[0]).name, *map(without_home, sys.argv[1:])],
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _versions() -> dict[str, str]:
    """Return the versions of the distributions that nnreg requires."""
    own = installed("nnreg")
    required = own.requirements if own else ()
    # those of extras have a marker; `packaging` would take longer to import than all of them
    names = [re.split(r"[^\w.-]", one)[0] for one in required if ";" not in one]
    versions = {name: installed_version(name) for name in names}
    return {name: version for name, version in versions.items() if version}


def _platform() -> str:
    """Return the system and its version, as in `Linux-6.1.0-x86_64-with-glibc2.36`."""
    if sys.platform != "linux":
        return platform.platform()
    here = os.uname()  # `platform.platform` runs a program for a field that it then omits
    system, library = f"{here.sysname}-{here.release}-{here.machine}", "".join(platform.libc_ver())
    return f"{system}-with-{library}" if library else system


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
    before = _with_division(before)
    return [
        f"{name} is {_on_one_line(now[name])}, was {_on_one_line(before[name])}"
        for name in now
        if name in before and _differ(before[name], now[name])
    ]


def _with_division(environment: Mapping[str, Any]) -> Mapping[str, Any]:
    """Add what older versions did not record: the number of shards, and that there were no blocks.

    They recorded whether threads shared batches. Blocks are newer, and of trainings without them
    the number of threads was recorded.
    """
    if "threads" in environment:
        environment = {"blocks": False, **environment}
    if "divided" in environment:
        shards = environment.get("threads") if environment["divided"] else 1
        environment = {"shards": shards, **environment}
    return environment


def _differ(before: Any, now: Any) -> bool:
    """Return whether two values differ, mappings in the keys that both have."""
    if isinstance(before, dict) and isinstance(now, dict):
        return any(_differ(before[key], now[key]) for key in before.keys() & now.keys())
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return any(map(_differ, before, now))
    return bool(before != now)


def _on_one_line(value: Any) -> str:
    """Format a value on one line."""
    if isinstance(value, list):
        return " and ".join(map(_on_one_line, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_on_one_line(item)}" for name, item in value.items())
    return str(value)
