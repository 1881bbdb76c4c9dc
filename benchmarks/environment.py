"""The machine and the versions that a measurement is made with.

`python -m benchmarks.environment` prints them as JSON. It loads NumPy to ask for
its BLAS, so the benchmark runs it in a process of its own.
"""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = (
    "nnreg", "nnreg-numba", "numpy", "h5py", "numba", "torch", "jax", "keras", "scikit-learn",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return what a figure depends on besides the code."""
    import numpy  # noqa: F401 (loads the BLAS that threadpoolctl then finds)
    from threadpoolctl import threadpool_info

    blas = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "blas": [
            {key: pool.get(key) for key in ("internal_api", "version", "architecture")}
            for pool in blas
        ],
        "versions": {name: version for name in DISTRIBUTIONS if (version := installed(name))},
        "OPENBLAS_CORETYPE": os.environ.get("OPENBLAS_CORETYPE"),
        "load": round(os.getloadavg()[0], 2),
    }


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, or None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor, as Linux has it, or what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe(about: dict[str, Any], threads: int) -> str:
    """Return it as the first lines of a report."""
    blas = ", ".join(
        f"{pool['internal_api']} {pool['version']} ({pool['architecture']})"
        for pool in about["blas"]
    )
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"{about['processor']}, {about['cores']} cores, load {about['load']:.2f}",
        f"{threads} threads, Python {about['python']}, {blas or 'BLAS unknown'}",
        versions,
    ]
    if about["OPENBLAS_CORETYPE"]:
        lines.append(
            f"OPENBLAS_CORETYPE={about['OPENBLAS_CORETYPE']} is set: NumPy's products use these "
            "kernels,\nwhich may not be the fastest of this processor; unset it to compare"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(environment()))
