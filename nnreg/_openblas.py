"""Import NumPy so that the threads of OpenBLAS do not keep the cores busy while they wait.

They spin for 26 ms after a matrix product, on cores that other threads need. A variable, which
OpenBLAS reads when NumPy is first imported, limits it to 2^18 ticks (0.1 ms). It is set only during
that import: what the program has in its environment, and its child processes inherit, stays as it
was. Where NumPy has been imported before, nothing changes.
"""

import os
import sys

VARIABLE, TICKS = "OPENBLAS_THREAD_TIMEOUT", "18"

if "numpy" not in sys.modules and VARIABLE not in os.environ:
    os.environ[VARIABLE] = TICKS
    try:
        import numpy  # noqa: F401
    finally:
        del os.environ[VARIABLE]
