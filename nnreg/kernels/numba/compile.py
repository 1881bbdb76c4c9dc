"""How loops are compiled: on first use, and cached on disk.

They are serial: Numba's threads and those of the matrix products would compete for the cores.
"""

from __future__ import annotations

import numba

# Without "nnan" and "ninf": NaN and infinity must be propagated, or a run would not detect them.
compiled = numba.njit(
    cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy", nogil=True
)

# Without "reassoc": the order of operations is as written.
compiled_in_order = numba.njit(
    cache=True, fastmath={"contract", "arcp", "nsz"}, error_model="numpy", nogil=True
)
