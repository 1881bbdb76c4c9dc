"""Plain JAX: each step compiled, or a whole epoch."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import RATE, Job, predictions
from benchmarks.peers.jax_layers import apply, initial
from benchmarks.workloads import Layer, Workload

IMAGES = 1000
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class JaxJit:
    """JAX, the training step or the prediction compiled by `jit`, its state donated.

    With `scan`, an epoch is one compiled loop over its batches. That is faster for small networks,
    and slower where XLA compiles an operation less well inside of a loop.
    """

    def __init__(self, *, scan: bool = False) -> None:
        self.scan = scan

    def train(self, workload: Workload) -> Job:
        """Train with an implementation of Adam."""
        import jax
        import jax.numpy as jnp

        if self.scan and len(workload.shape) == 3:
            raise NotImplementedError("XLA compiles a convolution in a loop to one 20 times slower")
        layers, params = _network(workload)
        x, y = workload.examples()
        batches = tuple(
            jnp.asarray(a).reshape(workload.steps, workload.batch, *a.shape[1:]) for a in (x, y)
        )

        def loss(params: Any, x: Any, y: Any) -> Any:
            logits = jax.nn.log_softmax(apply(layers, params, x))
            return -jnp.mean(jnp.take_along_axis(logits, y[:, None], 1))

        if workload.members > 1:
            of_one = jax.vmap(loss, (0, None, None))

            def total(params: Any, x: Any, y: Any) -> Any:
                return of_one(params, x, y).sum()
        else:
            total = loss

        def step(state: Any, batch: Any) -> Any:
            params, m, v, count = state
            count += 1
            gradient = jax.grad(total)(params, *batch)
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
            rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, m, v)
            return params, m, v, count

        zeros = jax.tree.map(jnp.zeros_like, params)
        state = (params, zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0))
        one_step = jax.jit(step, donate_argnums=0)
        epoch = jax.jit(
            lambda state, batches: jax.lax.scan(lambda s, b: (step(s, b), None), state, batches)[0],
            donate_argnums=0,
        )
        listed = list(zip(*batches, strict=True))  # slicing an array is a call of its own

        def job() -> None:
            nonlocal state
            if self.scan:
                state = epoch(state, batches)
            else:
                for batch in listed:
                    state = one_step(state, batch)
            jax.block_until_ready(state)

        return job

    def predict(self, workload: Workload, rows: int) -> Job:
        """Predict from and to NumPy arrays."""
        import jax

        layers, params = _network(workload)
        x, _ = workload.examples(rows)
        chunks = workload.chunks(x, IMAGES)

        @jax.jit
        def probabilities(params: Any, x: Any) -> Any:
            return jax.nn.softmax(apply(layers, params, x))

        return predictions(lambda chunk: np.asarray(probabilities(params, chunk)), chunks)


def _network(workload: Workload) -> tuple[tuple[Layer, ...], Any]:
    """Return the layers and their parameters, those of several members stacked."""
    import jax
    import jax.numpy as jnp

    layers = (*workload.layers, {"type": "dense", "units": workload.classes})
    members = [
        initial(layers, workload.shape, np.random.default_rng(seed))[0]
        for seed in range(workload.members)
    ]
    if workload.members == 1:
        return layers, jax.tree.map(jnp.asarray, members[0])
    return layers, jax.tree.map(lambda *arrays: jnp.stack(arrays), *members)
