"""A step of an LSTM, without its matrix product."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.scratch import ScratchSpace


class RecurrentKernels:
    """Loops over the gates `(units, batch)` of a recurrent layer."""

    def lstm_step(self, z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
        """Replace the sums z `(4 units, batch)` by the gates i, f, g, o in place, then step.

        c_next = f c + i g, tanh_c = tanh(c_next), h_next = o tanh_c. With σ(z) as
        (1 + tanh(z/2)) / 2, one tanh serves all four gates.
        """
        n = len(c)
        i, f, g, o = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
        sigmoids = (z[: 2 * n], o)
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
        np.tanh(z, out=z)
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
            np.add(gate, 0.5, out=gate)
        np.multiply(i, g, out=tanh_c)
        np.multiply(f, c, out=c_next)
        np.add(c_next, tanh_c, out=c_next)
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def lstm_step_backward(
        self,
        dh: Array,
        dc: Array,
        gates: Array,
        c: Array,
        tanh_c: Array,
        dz: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Write ∂loss/∂z of a step to dz, and replace dc by that of the previous step."""
        n = len(c)
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
        di, df, dg, do = dz[:n], dz[n : 2 * n], dz[2 * n : 3 * n], dz[3 * n :]
        part = scratch.empty(c.shape)
        np.multiply(dh, o, out=do)
        np.multiply(tanh_c, tanh_c, out=part)
        np.multiply(part, do, out=part)
        np.add(dc, do, out=dc)
        np.subtract(dc, part, out=dc)
        np.subtract(1, gates[: 2 * n], out=dz[: 2 * n])
        np.multiply(dz[: 2 * n], gates[: 2 * n], out=dz[: 2 * n])
        for d, other in ((di, g), (df, c)):
            np.multiply(d, other, out=d)
            np.multiply(d, dc, out=d)
        np.multiply(g, g, out=dg)
        np.subtract(1, dg, out=dg)
        np.multiply(dg, i, out=dg)
        np.multiply(dg, dc, out=dg)
        np.subtract(1, o, out=part)
        np.multiply(do, part, out=do)
        np.multiply(do, tanh_c, out=do)
        np.multiply(dc, f, out=dc)
