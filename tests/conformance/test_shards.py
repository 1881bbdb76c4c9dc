"""The check `shards` finds each mistake that a layer which combines shards can make."""

import inspect

import numpy as np
import pytest

from nnreg.builtin.layers import normalization
from nnreg.builtin.layers.normalization import BatchNorm
from nnreg.errors import PluginError
from nnreg.testing.layer_pass import LayerCase
from nnreg.testing.layer_shards import shards

SUMS = "np.stack([dbeta, dgamma])"
MISTAKES = {
    "statistics of the shard": ("if not context.divided:", "if True:"),
    "an unweighted mean": ("mean = (counts * means).sum(axis=0) / max(total, 1)",
                           "mean = means.mean(axis=0)"),
    "no variance between shards": ("(all_squares + counts * np.square(means - mean))",
                                   "all_squares"),
    "the count of the shard in the variance": ("(squares / max(total, 1))",
                                               "(squares / max(count, 1))"),
    "buffers in every shard": ("if context.updates_buffers:", "if True:"),
    "buffers in no shard": ("if context.updates_buffers:", "if not context.divided:"),
    "gradients of the shard in that of the input": (f"context.sum_over_shards({SUMS})", SUMS),
    "the sum of all shards as each one's gradient": (
        "change = slope", "context.gradients['gamma'][...] = dgamma; change = slope",
    ),
    "the sums of the first shard alone": (
        f"context.sum_over_shards({SUMS})", f"context.gather({SUMS})[0]",
    ),
}  # fmt: skip
CASE = np.random.default_rng(0).normal(size=(5, 3)) + np.arange(5)[:, None]


def mistaken(before, after):
    """Return batch norm with a mistake in its source."""
    source = inspect.getsource(BatchNorm)
    assert source.count(before) == 1
    names = dict(vars(normalization))
    exec(source.replace(before, after), names)
    return names["BatchNorm"]()


def test_batch_norm_passes():
    shards(LayerCase(BatchNorm(), CASE))


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found(name):
    found = r"of shards|the gradient|the buffers|in some shards of a batch only"
    with pytest.raises((AssertionError, PluginError), match=found):
        shards(LayerCase(mistaken(*MISTAKES[name]), CASE))
