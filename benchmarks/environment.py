"""The machine and the library versions of a measurement.

`python -m benchmarks.environment` prints them as JSON. It imports NumPy to inspect its BLAS, so the
benchmark runs it in a separate process.
"""

from __future__ import annotations

import json
import os
import platform
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

DISTRIBUTIONS = (
    "nnreg", "numpy", "h5py", "numba", "mkl", "torch", "jax", "keras", "scikit-learn",
    "onnxruntime", "pandas", "pyarrow",
)  # fmt: skip


def environment() -> dict[str, Any]:
    """Return everything except the code that affects the measured values."""
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
        "date": date.today().isoformat(),
    }


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Return the name of the processor from Linux, or else from Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def describe(about: dict[str, Any], threads: int) -> str:
    """Return the environment as the first lines of a report."""
    blas = ", ".join(
        f"{pool['internal_api']} {pool['version']} ({pool['architecture']})"
        for pool in about["blas"]
    )
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"{about['processor']}, {about['cores']} cores, load {about['load']:.2f}",
        f"{threads} {'thread' if threads == 1 else 'threads'}, Python {about['python']}, "
        f"{blas or 'BLAS unknown'}",
        versions,
    ]
    if about["OPENBLAS_CORETYPE"]:
        lines.append(
            f"OPENBLAS_CORETYPE={about['OPENBLAS_CORETYPE']} is set: NumPy uses these kernels, "
            "which\nmay not be the fastest on this processor; unset it for a comparison"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(environment()))
