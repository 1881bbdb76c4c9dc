"""Inputs and tolerance of comparisons with PyTorch."""

import numpy as np

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 5)) * 3


def close(found, expected):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-6, atol=1e-9)


SHARES = RNG.uniform(0.05, 0.95, X.shape)
