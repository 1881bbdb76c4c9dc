"""Plain JAX, with each step compiled as a whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.peers import RATE, Job
from benchmarks.peers.jax_layers import apply, initial
from benchmarks.workloads import Layer, Workload

IMAGES = 1000
"""Images predicted at once: the fastest of 100, 250, 1,000 and 10,000."""


class JaxJit:
    """JAX, the training step or the prediction compiled by `jit`."""

    def train(self, workload: Workload) -> Job:
        """Train with an implementation of Adam."""
        import jax
        import jax.numpy as jnp

        layers, params = _network(workload)
        x, y = map(jnp.asarray, workload.examples())

        def loss(params: Any, x: Any, y: Any) -> Any:
            logits = jax.nn.log_softmax(apply(layers, params, x))
            return -jnp.mean(jnp.take_along_axis(logits, y[:, None], 1))

        @jax.jit
        def step(state: Any, x: Any, y: Any) -> Any:
            params, m, v, count = state
            count += 1
            gradient = jax.grad(loss)(params, x, y)
            m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, gradient)
            v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, gradient)
            rate = RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, m, v)
            return params, m, v, count

        zeros = jax.tree.map(jnp.zeros_like, params)
        state = (params, zeros, zeros, jnp.float32(0))

        def job() -> None:
            nonlocal state
            for start in range(0, len(x), workload.batch):
                stop = start + workload.batch
                state = step(state, x[start:stop], y[start:stop])
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

        return lambda: np.concatenate([probabilities(params, chunk) for chunk in chunks])


def _network(workload: Workload) -> tuple[tuple[Layer, ...], Any]:
    import jax
    import jax.numpy as jnp

    layers = (*workload.layers, {"type": "dense", "units": workload.classes})
    params, _ = initial(layers, workload.shape, np.random.default_rng(0))
    return layers, jax.tree.map(jnp.asarray, params)
