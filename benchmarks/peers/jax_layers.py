"""The layers of the workloads in plain JAX: initial parameters and forward pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from benchmarks.workloads import Layer


def initial(layers: Any, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, Any]:
    """Return the parameters of each layer and the shape of the output."""
    params = []
    for layer in layers:
        values, shape = _initial(layer, shape, rng)
        params.append(values)
    return params, shape


def _initial(layer: Layer, shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Any, Any]:
    def draw(*size: int) -> np.ndarray:
        return rng.normal(0, math.prod(size[:-1]) ** -0.5, size).astype(np.float32)

    def zeros(size: int) -> np.ndarray:
        return np.zeros(size, np.float32)

    features = shape[-1]
    match layer["type"]:
        case "dense":
            units = layer["units"]
            return (draw(features, units), zeros(units)), (*shape[:-1], units)
        case "conv2d":
            filters, less = layer["filters"], 0 if layer.get("padding") == "same" else 2
            bias = (zeros(filters),) if layer.get("bias", True) else ()
            output = (shape[0] - less, shape[1] - less, filters)
            return (draw(3, 3, features, filters), *bias), output
        case "batch_norm":
            return (zeros(features) + 1, zeros(features)), shape
        case "activation":
            return (), shape
        case "max_pool2d":
            return (), (shape[0] // 2, shape[1] // 2, features)
        case "flatten":
            return (), (math.prod(shape),)
        case "lstm":
            n = layer["units"]
            return (draw(features, 4 * n), draw(n, 4 * n), zeros(4 * n)), (n,)
        case "layer_norm":
            return (zeros(features) + 1, zeros(features)), shape
        case "multi_head_attention":
            mixed = (draw(features, 3 * features), zeros(3 * features))
            return (*mixed, draw(features, features), zeros(features)), shape
        case "residual":
            return initial(layer["layers"], shape, rng)[0], shape
        case "embedding":
            return (draw(layer["vocabulary"], layer["units"]),), (*shape, layer["units"])
        case "global_average_pool":
            return (), (features,)
    raise NotImplementedError(layer["type"])


def apply(layers: Any, params: Any, x: Any) -> Any:
    """Return the output of the layers for x."""
    for layer, values in zip(layers, params, strict=True):
        x = _apply(layer, values, x)
    return x


def _apply(layer: Layer, params: Any, x: Any) -> Any:
    import jax
    import jax.numpy as jnp

    match layer["type"]:
        case "dense":
            x = x @ params[0] + params[1]
        case "conv2d":
            axes = ("NHWC", "HWIO", "NHWC")
            padding = layer.get("padding", "valid").upper()
            x = jax.lax.conv_general_dilated(x, params[0], (1, 1), padding, dimension_numbers=axes)
            if len(params) > 1:
                x = x + params[1]
        case "batch_norm":  # the running values, which nothing here reads, are not kept
            centred = x - x.mean((0, 1, 2))
            variance = jnp.mean(centred**2, (0, 1, 2))
            x = centred * jax.lax.rsqrt(variance + 1e-5) * params[0] + params[1]
        case "max_pool2d":
            window = (1, 2, 2, 1)
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")
        case "flatten":
            x = x.reshape(len(x), -1)
        case "lstm":
            x = _lstm(x, *params)
        case "layer_norm":
            centred = x - x.mean(-1, keepdims=True)
            variance = jnp.mean(centred**2, -1, keepdims=True)
            x = centred * jax.lax.rsqrt(variance + 1e-5) * params[0] + params[1]
        case "multi_head_attention":
            x = _attention(x, layer["heads"], *params)
        case "residual":
            x = x + apply(layer["layers"], params, x)
        case "embedding":
            x = params[0][x]
        case "global_average_pool":
            x = x.mean(1)
    functions = {"relu": jax.nn.relu, "gelu": jax.nn.gelu}
    return functions.get(layer.get("activation", ""), lambda x: x)(x)


def _lstm(x: Any, weight: Any, recurrent: Any, bias: Any) -> Any:
    import jax
    import jax.numpy as jnp

    def step(state: Any, z: Any) -> Any:
        h, c = state
        i, f, g, o = jnp.split(z + h @ recurrent, 4, -1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    nothing = jnp.zeros((len(x), len(recurrent)))
    (h, _), _ = jax.lax.scan(step, (nothing, nothing), (x @ weight + bias).swapaxes(0, 1))
    return h


def _attention(x: Any, heads: int, weight: Any, bias: Any, last: Any, last_bias: Any) -> Any:
    import jax
    import jax.numpy as jnp

    batch, time, features = x.shape
    size = features // heads
    mixed = (x @ weight + bias).reshape(batch, time, 3, heads, size)
    q, k, v = (mixed[:, :, index] for index in range(3))
    weights = jax.nn.softmax(jnp.einsum("bqhs,bkhs->bhqk", q, k) * size**-0.5)
    return jnp.einsum("bhqk,bkhs->bqhs", weights, v).reshape(x.shape) @ last + last_bias
