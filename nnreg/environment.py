"""What the bits of a result depend on besides the spec and the data."""

from __future__ import annotations

import functools
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import nnreg
from nnreg.threads import matrix_libraries


def environment() -> dict[str, Any]:
    """Return versions, processor, and the libraries of matrix products."""
    keys = ("internal_api", "version", "num_threads", "architecture")
    return {
        "nnreg": nnreg.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "processor": _processor(),
        "blas": [{key: library.get(key) for key in keys} for library in matrix_libraries()],
    }


@functools.cache
def _processor() -> str:
    """Return the model of the processor: NumPy has loops of its own for some."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say in what two environments differ, as far as both tell."""
    return [
        f"{name} is {_words(now[name])}, was {_words(before[name])}"
        for name in now
        if name in before and before[name] != now[name]
    ]


def _words(value: Any) -> str:
    """Write a value on one line."""
    if isinstance(value, list):
        return " and ".join(map(_words, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(part)}" for name, part in value.items())
    return str(value)
