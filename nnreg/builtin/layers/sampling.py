"""Layers whose output is drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.context import Context
from nnreg.interfaces.layer import Layer, LayerBuilder
from nnreg.interfaces.masks import require_features

Outputs: TypeAlias = dict[str, Array]

LOG_VARIANCE: Final = (-30.0, 20.0)
"""The limits of the logarithm of a variance, whose exponential is finite in float32."""


@dataclass(frozen=True)
class GaussianSample(Layer):
    """A sample of a normal distribution whose mean and variance are the input.

    z = mean + deviation · noise, kl = ½ Σ (mean² + deviation² - log deviation² - 1)

    Input `(..., 2 · features)`: the mean, then log deviation², which is limited to [-30, 20].
    Outputs: z `(..., features)`, drawn in training and the mean otherwise, and kl
    `(..., 1)`, the divergence from the standard normal distribution. Kingma and Welling 2014.
    """

    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> dict[str, Shape]:
        if not shape or shape[-1] % 2 or not shape[-1]:
            raise ShapeError(shape, "(..., 2 · features), means and logarithms of variances")
        require_features(shape, builder)
        return {"z": (*shape[:-1], shape[-1] // 2), "kl": (*shape[:-1], 1)}

    def infer(self, x: Any, context: Context) -> Any:
        features = x.shape[-1] // 2
        mean, logs = x[..., :features], np.clip(x[..., features:], *LOG_VARIANCE)
        terms = mean * mean + np.exp(logs) - logs - 1
        return {"z": mean, "kl": terms.sum(axis=-1, keepdims=True) * 0.5}

    def forward(self, x: Array, context: Context) -> tuple[Outputs, Callable[[Outputs], Array]]:
        features = x.shape[-1] // 2
        mean, given = x[..., :features], x[..., features:]
        logs = np.clip(given, *LOG_VARIANCE, out=context.empty(mean.shape))
        variance = np.exp(logs, out=context.empty(mean.shape))
        terms = np.multiply(mean, mean, out=context.empty(mean.shape))
        np.add(terms, variance, out=terms)
        np.subtract(terms, logs, out=terms)
        np.subtract(terms, 1, out=terms)
        kl = np.sum(terms, axis=-1, keepdims=True, out=context.empty((*mean.shape[:-1], 1)))
        np.multiply(kl, 0.5, out=kl)
        noise = self._scaled_noise(variance, context)
        z = np.add(mean, noise, out=context.empty(mean.shape))

        def backward(dy: Outputs) -> Array:
            dz, dkl = dy["z"], dy["kl"]
            dx = context.empty(x.shape)
            dmean, dlogs = dx[..., :features], dx[..., features:]
            np.multiply(dkl, mean, out=dmean)
            np.add(dmean, dz, out=dmean)
            np.subtract(variance, 1, out=dlogs)
            np.multiply(dlogs, dkl, out=dlogs)
            np.add(dlogs, np.multiply(dz, noise, out=context.empty(mean.shape)), out=dlogs)
            np.multiply(dlogs, 0.5, out=dlogs)
            np.multiply(dlogs, np.equal(given, logs), out=dlogs)
            return dx

        return {"z": z, "kl": kl}, backward

    def _scaled_noise(self, variance: Array, context: Context) -> Array:
        """Return what is added to the mean: deviation times noise in training, otherwise 0."""
        noise = context.empty(variance.shape)
        if not context.training:
            noise.fill(0)
            return noise
        drawn = context.rng.standard_normal(variance.shape, dtype=np.float32)
        return np.multiply(np.sqrt(variance, out=noise), drawn, out=noise)
