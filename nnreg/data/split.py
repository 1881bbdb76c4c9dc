"""Which rows are trained on and which are held out."""

from __future__ import annotations

import numpy as np

from nnreg.errors import DataError
from nnreg.interfaces import Array

SPLIT_STREAM = 3


def split_rows(
    count: int, shares: tuple[float, ...], seed: int, labels: Array | None = None
) -> list[Array]:
    """Return the rows of the training part, then of each held-out part, in ascending order.

    `shares` are the held-out parts' shares of all rows. With `labels`, each part has each class
    in proportion, as nearly as whole rows allow.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, SPLIT_STREAM]))
    order = rng.permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    held_out = []
    left = 1.0
    for share in shares:
        chosen = _every(len(order), share / left)
        held_out.append(np.sort(order[chosen]))
        order = order[~chosen]
        left -= share
        if not len(held_out[-1]):
            raise DataError(f"a share of {share} of {count} rows is less than one row")
    if not len(order):
        raise DataError(f"of {count} rows, the split leaves none to train on")
    return [np.sort(order), *held_out]


def _every(count: int, share: float) -> Array:
    """Mark `share` of the positions, evenly spaced, so that each stretch has its share."""
    marks = np.floor(np.arange(count + 1) * share + 0.5)
    chosen: Array = np.diff(marks) > 0
    return chosen
