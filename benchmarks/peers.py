"""Each library's way to train a workload: Adam, cross-entropy, float32.

A peer is a function that takes a workload and returns a job: a function without arguments that
makes one pass of `STEPS` steps. Libraries are imported inside, so that one that is not installed
is only left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import STEPS, Workload

Job = Callable[[], None]
RATE = 0.001


def nnreg(workload: Workload, kernels: str = "numpy") -> Job:
    """Train through nnreg's own trainer, with everything that a user gets."""
    from nnreg import build

    output = {"type": "dense", "units": workload.classes, "activation": "softmax"}
    spec = {
        "model": {"layers": [*workload.layers, output]},
        "loss": "cross_entropy",
        "optimizer": {"type": "adam", "learning_rate": RATE},
        "train": {"epochs": 10**9, "batch_size": workload.batch, "kernels": kernels},
    }
    x, y = workload.examples()
    model = build(spec, data=(x, y))
    epochs = model.trainer(model.examples(x, y)).epochs()
    return lambda: next(epochs) and None


def nnreg_numba(workload: Workload) -> Job:
    """Train with the compiled kernels of nnreg-numba."""
    import nnreg_numba  # noqa: F401 (to say that it is missing rather than that a name is)

    return nnreg(workload, "numba")


def torch_eager(workload: Workload, *, compiled: bool = False) -> Job:
    """Train with PyTorch; images in channels-last layout, its fastest on a CPU."""
    import torch

    x, y = map(torch.from_numpy, workload.examples())
    network = torch.nn.Sequential(
        *_torch_layers(workload.layers, workload.shape),
        torch.nn.LazyLinear(workload.classes),
    )
    if len(workload.shape) == 3:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
    network(x[:2])  # settles the lazy shapes
    if len(workload.shape) == 3:
        network = network.to(memory_format=torch.channels_last)
    network = torch.compile(network) if compiled else network
    optimizer = torch.optim.Adam(network.parameters(), RATE)

    def job() -> None:
        for start in range(0, len(x), workload.batch):
            optimizer.zero_grad()
            z = network(x[start : start + workload.batch])
            loss = torch.nn.functional.cross_entropy(z, y[start : start + workload.batch])
            loss.backward()
            optimizer.step()

    return job


def torch_compiled(workload: Workload) -> Job:
    """Train with PyTorch's compiler."""
    return torch_eager(workload, compiled=True)


def _torch_layers(layers: Any, shape: tuple[int, ...]) -> list[Any]:
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, inner: Any) -> None:
            super().__init__()
            self.inner = nn.Sequential(*_torch_layers(inner, shape))

        def forward(self, x: Any) -> Any:
            return x + self.inner(x)

    class Attention(nn.MultiheadAttention):
        def forward(self, x: Any) -> Any:
            return super().forward(x, x, x, need_weights=False)[0]

    class Last(nn.LSTM):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[0][:, -1]

    class Mean(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.mean(1)

    made: list[Any] = []
    for layer in layers:
        match layer["type"]:
            case "dense":
                made.append(nn.LazyLinear(layer["units"]))
            case "conv2d":
                made.append(nn.LazyConv2d(layer["filters"], 3))
            case "max_pool2d":
                made.append(nn.MaxPool2d(2))
            case "flatten":
                made.append(nn.Flatten())
            case "lstm":
                made.append(Last(shape[-1], layer["units"], batch_first=True))
            case "layer_norm":
                made.append(nn.LayerNorm(shape[-1]))
            case "multi_head_attention":
                made.append(Attention(shape[-1], layer["heads"], batch_first=True))
            case "residual":
                made.append(Residual(layer["layers"]))
            case "embedding":
                made.append(nn.Embedding(layer["vocabulary"], layer["units"]))
            case "global_average_pool":
                made.append(Mean())
        if layer.get("activation") == "relu":
            made.append(torch.nn.ReLU())
    return made


def jax_jit(workload: Workload) -> Job:
    """Train with JAX, a step compiled as a whole."""
    import jax
    import jax.numpy as jnp

    from benchmarks.jax_layers import apply, initial

    layers = (*workload.layers, {"type": "dense", "units": workload.classes})
    params = jax.tree.map(jnp.asarray, initial(layers, workload.shape, np.random.default_rng(0))[0])
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
    state = [(params, zeros, zeros, jnp.float32(0))]

    def job() -> None:
        for start in range(0, len(x), workload.batch):
            stop = start + workload.batch
            state[0] = step(state[0], x[start:stop], y[start:stop])
        jax.block_until_ready(state[0])

    return job


def keras_on_jax(workload: Workload) -> Job:
    """Train with Keras on JAX through `fit`, one epoch a call."""
    import os

    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    keras.utils.set_random_seed(0)
    x, y = workload.examples()
    inputs = keras.Input(workload.shape, dtype="int32" if workload.vocabulary else "float32")
    outputs = _keras_layers(keras, inputs, workload.layers)
    network = keras.Model(inputs, keras.layers.Dense(workload.classes)(outputs))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network.compile(keras.optimizers.Adam(RATE), loss)

    def job() -> None:
        network.fit(x, y, batch_size=workload.batch, epochs=1, shuffle=False, verbose=0)

    return job


def _keras_layers(keras: Any, x: Any, layers: Any) -> Any:
    of = keras.layers
    for layer in layers:
        activation = {"identity": None}.get(name := layer.get("activation"), name)
        match layer["type"]:
            case "dense":
                x = of.Dense(layer["units"], activation)(x)
            case "conv2d":
                x = of.Conv2D(layer["filters"], 3, activation=activation)(x)
            case "max_pool2d":
                x = of.MaxPooling2D(2)(x)
            case "flatten":
                x = of.Flatten()(x)
            case "lstm":
                x = of.LSTM(layer["units"])(x)
            case "layer_norm":
                x = of.LayerNormalization()(x)
            case "multi_head_attention":
                x = of.MultiHeadAttention(layer["heads"], x.shape[-1] // layer["heads"])(x, x)
            case "residual":
                x = of.Add()([x, _keras_layers(keras, x, layer["layers"])])
            case "embedding":
                x = of.Embedding(layer["vocabulary"], layer["units"])(x)
            case "global_average_pool":
                x = of.GlobalAveragePooling1D()(x)
    return x


def scikit_learn(workload: Workload) -> Job:
    """Train dense networks with scikit-learn, one pass over the examples a call."""
    from sklearn.neural_network import MLPClassifier

    if any(layer["type"] != "dense" for layer in workload.layers):
        raise NotImplementedError("it has dense networks only")
    x, y = workload.examples()
    hidden = tuple(layer["units"] for layer in workload.layers)
    network = MLPClassifier(
        hidden_layer_sizes=hidden, batch_size=workload.batch, alpha=0, shuffle=False
    )
    classes = np.arange(workload.classes)
    return lambda: network.partial_fit(x, y, classes=classes) and None


PEERS: dict[str, Callable[[Workload], Job]] = {
    "nnreg": nnreg,
    "nnreg+numba": nnreg_numba,
    "PyTorch": torch_eager,
    "PyTorch compiled": torch_compiled,
    "JAX jit": jax_jit,
    "Keras on JAX": keras_on_jax,
    "scikit-learn": scikit_learn,
}

__all__ = ["PEERS", "STEPS", "Job"]
