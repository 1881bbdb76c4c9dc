"""Augmentations: mixtures of the rows of a training batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.augmentation import Augmentation
from nnreg.interfaces.component import Positive


@dataclass(frozen=True)
class Mixup(Augmentation):
    """Weighted means of two rows, of their inputs and of their targets.

    x ← share · x + (1 - share) · x', t ← share · t + (1 - share) · t', (x', t') another row

    The share of a row is drawn from Beta(alpha, alpha), and the other row from the batch. It is the
    larger of a share and its rest, so that a row keeps at least half; as both rows are drawn alike,
    that changes no probability of a mixture. As in Keras, each row has a share of its own; the
    authors' code has one for a batch. Zhang, Cissé, Dauphin and Lopez-Paz 2018.

    Options:
        alpha: near 0 for little mixing, 1 for shares that are uniform, > 0
    """

    alpha: Positive = 0.2

    def augment(self, x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        share = _shares(self.alpha, len(x), rng)
        partner = rng.permutation(len(x))
        return _mixed(x, x[partner], share), _mixed(t, t[partner], share)


@dataclass(frozen=True)
class Cutmix(Augmentation):
    """Images of which a box is that of another image, with both targets by their areas.

    x ← x' inside the box and x outside, t ← share · t + (1 - share) · t', share the area outside

    Inputs `(height, width, channels)` or `(height, width)`, targets with one axis. The box has the
    image's proportions, a random centre and the area 1 - share, where the share is drawn from
    Beta(alpha, alpha); what is beyond the edge is cut off and not counted. The other image is one
    of the batch. The share is the larger of what is drawn and its rest, so that a row keeps at
    least half; the authors' code may replace more, and has one box for a batch. Yun et al. 2019.

    Options:
        alpha: near 0 for small boxes, 1 for areas that are uniform, > 0
    """

    alpha: Positive = 1.0

    def check_shapes(self, x: Shape, t: Shape) -> None:
        if len(x) not in (2, 3):
            raise ValueError(
                "it takes images (height, width, channels) or (height, width), found inputs of "
                f"shape {x}; remove it, or use mixup"
            )
        if len(t) != 1:
            raise ValueError("it takes one target for an image; use mixup")

    def augment(self, x: Array, t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
        share = _shares(self.alpha, len(x), rng)
        partner = rng.permutation(len(x))
        rows, columns = (_inside(length, share, rng) for length in x.shape[1:3])
        box = rows[:, :, None] & columns[:, None, :]
        share = 1 - np.mean(box, axis=(1, 2))
        box = box.reshape(*box.shape, *[1] * (x.ndim - 3))
        return np.where(box, x[partner], x), _mixed(t, t[partner], share)


def _shares(alpha: float, rows: int, rng: np.random.Generator) -> Array:
    """Return the share that each row keeps, at least half."""
    drawn = rng.beta(alpha, alpha, rows)
    return np.maximum(drawn, 1 - drawn)


def _mixed(values: Array, others: Array, share: Array) -> Array:
    """Return the weighted means of the rows of two arrays."""
    own = share.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    mixed: Array = own * values + (1 - own) * others
    return mixed


def _inside(length: int, share: Array, rng: np.random.Generator) -> Array:
    """Return which values along an axis are inside the box of each image."""
    size = np.floor(length * np.sqrt(1 - share))
    start = rng.integers(0, length, len(share)) - np.floor(size / 2)
    places = np.arange(length)
    inside: Array = (places >= start[:, None]) & (places < (start + size)[:, None])
    return inside
