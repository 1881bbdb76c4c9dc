"""Import NumPy so that the threads of OpenBLAS do not keep the cores busy while they wait.

They spin for 26 ms after a matrix product, on cores that other threads need. A variable, which
OpenBLAS reads when NumPy is first imported, limits it to 2^18 ticks (0.1 ms).
"""

from __future__ import annotations

import os
import sys

VARIABLE, TICKS = "OPENBLAS_THREAD_TIMEOUT", "18"


def import_numpy() -> None:
    """Import NumPy with the variable set only meanwhile; where it was imported, nothing changes.

    What the program has in its environment, and its child processes inherit, stays as it was.
    """
    if "numpy" in sys.modules or VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = TICKS
    try:
        import numpy  # noqa: F401 - imported for its effect
    finally:
        del os.environ[VARIABLE]
