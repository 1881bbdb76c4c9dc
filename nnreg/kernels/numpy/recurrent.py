"""The steps of an LSTM, with their matrix products."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg._utils.denormals import zero_tiny
from nnreg.kernels.scratch import ScratchSpace

CLEARED_EVERY = 16
"""The steps of a sequence between two that clear tiny values."""

TRANSPOSED = 24
"""The rows of weights that are transposed in one call, so that their lines stay in the cache."""

MAX_SLOPES = 2**17
"""The values of the derivatives that are computed in one call, so that they stay in the cache."""


class RecurrentKernels:
    """Steps of a recurrent layer, on arrays `(time, units, batch)`.

    The gates of an LSTM are in the order o, i, f, g, and c of the step before follows them: those
    with a logistic function are then next to each other, and so are the factors of i · g and f · c.
    """

    def lstm_steps(
        self,
        weights: Array,
        below: Array,
        states: Array,
        tanh_c: Array,
        cells: Array,
        projection: Array | None,
        scratch: ScratchSpace,
    ) -> None:
        """Write the gates of each step and c after it to states, and o · tanh(c) to cells.

        The sums of the gates are weights.T · below, where weights are `(inputs, 4 · units)` and
        below is `(time + 1, inputs, batch)`, with h in its first rows. The c of the first step is
        in `states`, `(time + 1, 5 · units, batch)`. Without `projection`, `(units, size of h)`,
        cells are h of the next step in below; otherwise their product with it is written there.
        """
        n = len(weights.T) // 4
        transposed = halved(weights, scratch)
        parts = scratch.empty((2 * n, below.shape[-1]))
        first, second = parts[:n], parts[n:]
        half = scratch.scalars(0.5)[0]
        for x, gates, sigmoids, factors, others, o, c, tanh, cell, h in zip(
            below, states[:-1, : 4 * n], states[:, : 3 * n], states[:, n : 3 * n],
            states[:, 3 * n :], states[:, :n], states[1:, 4 * n :], tanh_c, cells, below[1:],
            strict=False,
        ):  # fmt: skip
            np.matmul(transposed, x, out=gates)
            np.tanh(gates, out=gates)
            np.multiply(sigmoids, half, out=sigmoids)
            np.add(sigmoids, half, out=sigmoids)
            np.multiply(factors, others, out=parts)
            np.add(first, second, out=c)
            np.tanh(c, out=tanh)
            np.multiply(o, tanh, out=cell)
            if projection is not None:
                np.matmul(projection.T, cell, out=h[: projection.shape[1]])

    def lstm_steps_backward(
        self,
        weights: Array,
        above: Array | None,
        dh: Array,
        dc: Array,
        states: Array,
        tanh_c: Array,
        dgates: Array,
        projection: Array | None,
        dprojection: Array | None,
        scratch: ScratchSpace,
    ) -> int:
        """Write the gradients of the sums of each step to dgates, `(4 · units, time, batch)`.

        dh and dc, `(size of h, batch)` and `(units, batch)`, are those of the last h and c; they
        are overwritten. `above`, `(time, size of h, batch)`, is added to dh at each step. The
        gradient of the projection is added to dprojection. `weights` are those of h, `(size of h,
        4 · units)`. Returns the first step that has gradients, see `vanished`; those of the steps
        before are not written.
        """
        (n, batch), time = dc.shape, len(tanh_c)
        count = max(1, min(time, MAX_SLOPES // max(1, 5 * n * batch)))
        slopes, squares = scratch.empty((count, 5 * n, batch)), scratch.empty((count, n, batch))
        dz, part, spare = (scratch.empty((rows, batch)) for rows in (4 * n, n, len(dh)))
        product = scratch.empty((n, len(dh)))
        of_c, do = dz[n:].reshape(3, n, batch), dz[:n]
        dcell = dh if projection is None else scratch.empty((n, batch))
        of_step = [
            (known[: 3 * n].reshape(3, n, batch), known[3 * n : 4 * n], known[4 * n :])
            for known in slopes
        ]
        for stop in range(time, 0, -count):
            steps = slice(max(0, stop - count), stop)
            size = stop - steps.start
            _slopes(states[steps], tanh_c[steps], slopes[:size], squares[:size])
            for s in reversed(range(steps.start, stop)):
                of_gates, of_o, of_dh = of_step[s - steps.start]
                if above is not None:
                    np.add(dh, above[s], out=dh)
                if projection is not None and dprojection is not None:
                    np.matmul(projection, dh, out=dcell)
                    cell = np.multiply(states[s, :n], tanh_c[s], out=part)
                    np.add(dprojection, np.matmul(cell, dh.T, out=product), out=dprojection)
                np.add(dc, np.multiply(dcell, of_dh, out=part), out=dc)
                np.multiply(dcell, of_o, out=do)
                np.multiply(of_gates, dc, out=of_c)
                np.multiply(dc, states[s, 2 * n : 3 * n], out=dc)
                dgates[:, s] = dz
                np.matmul(weights, dz, out=dh)
                if s % CLEARED_EVERY == 0 and vanished(s, above, (dh, spare), (dc, part)):
                    return s
        return 0

    def steps_gradient(
        self, below: Array, dsums: Array, gradient: Array, scratch: ScratchSpace
    ) -> None:
        """Write the gradient of the weights of `lstm_steps`, transposed: (sums, inputs).

        It is Σ dsums[:, s] · below[s].T over the steps s; below is `(time, inputs, batch)`, whose
        last row is ones, and dsums `(sums, time, batch)`.
        """
        time, inputs, batch = below.shape
        by_input = scratch.empty((inputs, time, batch))
        by_input[...] = np.swapaxes(below, 0, 1)
        flat = by_input.reshape(inputs, time * batch)
        dflat = dsums.reshape(len(dsums), time * batch)
        np.matmul(dflat, flat.T, out=gradient)


def vanished(step: int, above: Array | None, *gradients: tuple[Array, Array]) -> bool:
    """Clear tiny values of the gradients that a step passes to the one before.

    Through many steps they shrink to denormal numbers, which are slow. Each comes with scratch
    space of its shape. Returns True if the gradients of all earlier steps are 0, as no value is
    left, and `above` has none for them.
    """
    for gradient, scratch in gradients:
        zero_tiny(gradient, scratch)
    if any(np.any(gradient) for gradient, _ in gradients):
        return False
    return above is None or not np.any(above[:step])


def halved(weights: Array, scratch: ScratchSpace) -> Array:
    """Return the transposed weights with those of o, i and f divided by 2.

    σ(z) is (1 + tanh(z/2)) / 2: one tanh then serves all four gates.
    """
    transposed = scratch.empty(weights.T.shape)
    for start in range(0, len(weights), TRANSPOSED):
        rows = slice(start, start + TRANSPOSED)
        transposed[:, rows] = weights[rows].T
    sigmoids = transposed[: 3 * len(transposed) // 4]
    np.multiply(sigmoids, 0.5, out=sigmoids)
    return transposed


def _slopes(states: Array, tanh_c: Array, slopes: Array, squares: Array) -> None:
    """Write what dc is multiplied by for i, f and g, and dh for o and c, in this order."""
    n = tanh_c.shape[1]
    o, i, g = states[:, :n], states[:, n : 2 * n], states[:, 3 * n : 4 * n]
    of_i_and_f, of_g = slopes[:, : 2 * n], slopes[:, 2 * n : 3 * n]
    of_o, of_c = slopes[:, 3 * n : 4 * n], slopes[:, 4 * n :]
    gates = states[:, n : 3 * n]
    np.subtract(1, gates, out=of_i_and_f)
    np.multiply(of_i_and_f, gates, out=of_i_and_f)
    np.multiply(of_i_and_f, states[:, 3 * n :], out=of_i_and_f)
    np.multiply(g, g, out=squares)
    np.subtract(1, squares, out=squares)
    np.multiply(squares, i, out=of_g)
    np.subtract(1, o, out=of_o)
    np.multiply(of_o, o, out=of_o)
    np.multiply(of_o, tanh_c, out=of_o)
    np.multiply(tanh_c, tanh_c, out=squares)
    np.subtract(1, squares, out=squares)
    np.multiply(squares, o, out=of_c)
