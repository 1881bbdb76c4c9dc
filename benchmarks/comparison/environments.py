"""A virtual environment for each library, with nothing in it but what pip installs for it."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from benchmarks.processes import ROOT

PACKAGES = {
    "nnreg": (str(ROOT),),
    "scikit-learn": ("scikit-learn",),
    "Keras": ("keras", "tensorflow-cpu"),
    "Ludwig": ("ludwig",),
}
CUDA = ("nvidia", "triton")
"""Directories of site-packages that only a GPU needs; pip installs them with PyTorch."""


def python(directory: Path, library: str) -> str:
    """Return the Python of a library's environment."""
    return str(directory / library.lower() / "bin" / "python")


def install(directory: Path) -> None:
    """Create the environments that are missing, and print what pip says of those that fail."""
    for library, packages in PACKAGES.items():
        if not Path(python(directory, library)).exists():
            print(f"installing {library}", file=sys.stderr, flush=True)
            venv.create(directory / library.lower(), with_pip=True)
            command = [python(directory, library), "-m", "pip", "install", "-q", *packages]
            subprocess.run(command, check=False)


def installed_bytes(directory: Path, library: str) -> tuple[int, int]:
    """Return the size of the installed files without pip's, and how much of it is for CUDA."""
    (site,) = (directory / library.lower() / "lib").glob("python*/site-packages")
    sizes = {
        path.name: _size(path)
        for path in site.iterdir()
        if not path.name.startswith(("pip", "__pycache__"))
    }
    return sum(sizes.values()), sum(sizes.get(name, 0) for name in CUDA)


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
