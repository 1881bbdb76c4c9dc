"""Checks of the installation: versions, libraries, extras, plugins, memory, the run directory."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from packaging.requirements import Requirement

from nnreg._utils.distributions import installed_version
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import memory_limit
from nnreg._utils.os_errors import explain_os_error
from nnreg._utils.threads import available_threads, blas_libraries
from nnreg._version import __version__
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.registry import Registry
from nnreg.registry.requirements import unmet

DEVELOPERS = frozenset({"test", "verify"})
"""The extras that are only for developing nnreg."""

REINSTALL = "pip install --force-reinstall nnreg"

LOW_DISK_BYTES = 10**8
"""The bytes of free disk space below which a run may not fit."""

MATRIX_SIZE = 1024
"""The rows and columns of the matrices of the timed product."""


@dataclass(frozen=True)
class Finding:
    """The result of one check. A `note` is a warning; `failed` means that nnreg does not work."""

    subject: str
    state: Literal["ok", "note", "failed"]
    found: str
    fix: str = ""


def examine(registry: Registry, runs: Path) -> Iterator[Finding]:
    """Yield the results of the checks; `runs` is the directory to write to."""
    yield Finding("nnreg", "ok", f"{__version__} in {Path(__file__).parent.parent}")
    yield Finding("Python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield Finding("NumPy", "ok", np.__version__)
    yield _blas()
    yield _checkpoint_library()
    yield from _requirements()
    yield from _plugins(registry)
    yield _memory()
    yield _runs_directory(runs)


def _checkpoint_library() -> Finding:
    try:
        from nnreg._utils.hdf5 import h5py
    except ImportError as error:
        return Finding("h5py", "failed", str(error), REINSTALL)
    return Finding("h5py", "ok", f"{h5py.__version__} with HDF5 {h5py.version.hdf5_version}")


def _blas() -> Finding:
    libraries = [f"{one['internal_api']} {one['version']}" for one in blas_libraries()]
    cores, threads = os.cpu_count() or 1, available_threads()
    speed = f"{_speed():.0f} GFLOP/s"
    if not libraries:
        return Finding("BLAS", "note", f"unknown library, {speed}")
    found = f"{' and '.join(libraries)}, threads: {threads}, cores: {cores}, {speed}"
    if threads > cores:
        return Finding("BLAS", "note", found, f"set OMP_NUM_THREADS to {cores} or less")
    return Finding("BLAS", "ok", found)


def _speed() -> float:
    """Return the GFLOP/s of a float32 matrix product."""
    a = np.ones((MATRIX_SIZE, MATRIX_SIZE), np.float32)
    times = []
    for _ in range(5):  # the machine may be busy
        began = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - began)
    return 2e-9 * MATRIX_SIZE**3 / min(times)


def _requirements() -> Iterator[Finding]:
    """Yield whether the required distributions, and those of each user extra, are installed."""
    try:
        metadata = importlib.metadata.metadata("nnreg")
        requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            "required", "note", "nnreg is not installed; it runs from its source directory"
        )
        return
    except Exception:  # of any type, for damaged metadata
        requirements = []
    if not requirements:
        yield Finding("required", "failed", "the metadata of nnreg is damaged", REINSTALL)
        return
    always = [one for one in requirements if _is_required(one, "")]
    yield _check_requirements("required", always, "failed", "nnreg")
    for extra in sorted(set(metadata.get_all("Provides-Extra") or ()) - DEVELOPERS):
        own = [one for one in requirements if _is_required(one, extra) and one not in always]
        yield _check_requirements(f"extra {extra}", own, "note", f"nnreg[{extra}]")


def _is_required(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _check_requirements(
    subject: str, needed: list[Requirement], if_missing: Literal["note", "failed"], install: str
) -> Finding:
    missing = [f"{one.name}{one.specifier} ({found})" for one in needed if (found := unmet(one))]
    if missing:
        return Finding(subject, if_missing, ", ".join(missing), f"pip install '{install}'")
    installed = [f"{one.name} {installed_version(one.name)}" for one in needed]
    return Finding(subject, "ok", ", ".join(installed))


def _plugins(registry: Registry) -> Iterator[Finding]:
    registry.loaded()  # for what fails
    plugins = registry.plugins.values()
    loaded = [p.name for p in plugins if p.state == "loaded" and p.name != BUILT_IN]
    yield Finding("plugins", "ok", ", ".join(loaded) or "none besides the built-ins")
    for plugin in plugins:
        for failure in plugin.failures:
            yield Finding(f"plugin {plugin.name}", "failed", failure.error, failure.fix)
        if plugin.blocked_by:
            yield Finding(f"plugin {plugin.name}", "note", f"blocked {plugin.why}")
    for shared in registry.shared_names():
        yield Finding("plugins", "note", shared)


def _memory() -> Finding:
    limit = memory_limit()
    if limit is None:
        return Finding("memory", "note", "unknown: the system does not report it")
    return Finding("memory", "ok", f"{byte_size(limit)} for this process")


def _runs_directory(runs: Path) -> Finding:
    """Check that runs can be written, with a temporary file."""
    existing = next(path for path in (runs, *runs.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"nnreg")
        free = shutil.disk_usage(existing).free
    except OSError as error:
        fix = "choose another directory with --out, or another working directory"
        return Finding("runs", "failed", f"{runs}: cannot write: {explain_os_error(error)}", fix)
    found = f"{runs} can be written, {byte_size(free)} free"
    if free < LOW_DISK_BYTES:
        return Finding("runs", "note", found, "free disk space, or choose another disk with --out")
    return Finding("runs", "ok", found)
