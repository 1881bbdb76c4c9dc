"""What nnreg finds on this machine: versions, libraries, extras, plugins, where it may write."""

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

from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import memory_limit
from nnreg._utils.os_errors import explain_os_error
from nnreg._utils.threads import available_threads, blas_libraries
from nnreg._version import __version__
from nnreg.registry.loading import BUILT_IN
from nnreg.registry.registry import Registry
from nnreg.registry.requirements import unmet

DEVELOPERS = frozenset({"test", "verify"})
"""The extras that only work on nnreg itself needs."""

REINSTALL = "pip install --force-reinstall nnreg"

LOW_MEMORY_BYTES = 10**8
"""The bytes of free disk below which a run may not find room."""

MATRIX_SIZE = 1024
"""The rows and columns of the matrices whose product is timed."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `note` is worth knowing; `failed` keeps nnreg from working."""

    subject: str
    state: Literal["ok", "note", "failed"]
    found: str
    fix: str = ""


def examine(registry: Registry, runs: Path) -> Iterator[Finding]:
    """Yield what there is to say of the installation; `runs` is the folder to write to."""
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
        return Finding("BLAS", "note", f"of an unknown kind, {speed}")
    found = f"{' and '.join(libraries)}, threads: {threads}, cores: {cores}, {speed}"
    if threads > cores:
        return Finding("BLAS", "note", found, f"set OMP_NUM_THREADS to {cores} or less")
    return Finding("BLAS", "ok", found)


def _speed() -> float:
    """Return how many 10⁹ operations a second a product of matrices in float32 makes."""
    a = np.ones((MATRIX_SIZE, MATRIX_SIZE), np.float32)
    times = []
    for _ in range(5):  # others may be at work on the machine
        began = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - began)
    return 2e-9 * MATRIX_SIZE**3 / min(times)


def _requirements() -> Iterator[Finding]:
    """Yield whether the required distributions are there, and those of each extra for users."""
    try:
        metadata = importlib.metadata.metadata("nnreg")
    except importlib.metadata.PackageNotFoundError:
        yield Finding("required", "note", "nnreg is not installed, only run from its folder")
        return
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist") or ()]
    always = [one for one in requirements if _is_required(one, "")]
    yield _of_requirements("required", always, "failed", "nnreg")
    for extra in sorted(set(metadata.get_all("Provides-Extra") or ()) - DEVELOPERS):
        own = [one for one in requirements if _is_required(one, extra) and one not in always]
        yield _of_requirements(f"extra {extra}", own, "note", f"nnreg[{extra}]")


def _is_required(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def _of_requirements(
    subject: str, needed: list[Requirement], lacking: Literal["note", "failed"], install: str
) -> Finding:
    missing = [f"{one.name}{one.specifier} ({found})" for one in needed if (found := unmet(one))]
    if missing:
        return Finding(subject, lacking, ", ".join(missing), f"pip install '{install}'")
    there = [f"{one.name} {importlib.metadata.version(one.name)}" for one in needed]
    return Finding(subject, "ok", ", ".join(there))


def _plugins(registry: Registry) -> Iterator[Finding]:
    plugins = registry.plugins.values()
    loaded = [p.name for p in plugins if p.state == "loaded" and p.name != BUILT_IN]
    yield Finding("plugins", "ok", ", ".join(loaded) or "none besides the built-ins")
    for plugin in plugins:
        for failure in plugin.failures:
            yield Finding(f"plugin {plugin.name}", "failed", failure.error, failure.fix)
        if plugin.blocked_by:
            yield Finding(f"plugin {plugin.name}", "note", f"blocked {plugin.why}")
    for ambiguity in registry.ambiguities():
        yield Finding("plugins", "note", ambiguity)


def _memory() -> Finding:
    limit = memory_limit()
    if limit is None:
        return Finding("memory", "note", "the system does not tell how much there is")
    return Finding("memory", "ok", f"{byte_size(limit)} for this process")


def _runs_directory(runs: Path) -> Finding:
    """Say whether runs can be written, by writing a file that is gone again."""
    place = next(directory for directory in (runs, *runs.absolute().parents) if directory.is_dir())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"nnreg")
        free = shutil.disk_usage(place).free
    except OSError as error:
        fix = "choose another folder with --out, or another working directory"
        return Finding("runs", "failed", f"{runs}: cannot write: {explain_os_error(error)}", fix)
    found = f"{runs} can be written, {byte_size(free)} free"
    if free < LOW_MEMORY_BYTES:
        return Finding("runs", "note", found, "make room, or choose another disk with --out")
    return Finding("runs", "ok", found)
