"""Arrays that begin at a line of the cache."""

import numpy as np
import pytest

import nnreg
from nnreg._utils.aligned import LINE, aligned_empty, aligned_zeros


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (100_003,)])
def test_arrays_begin_at_a_line(shape, dtype):
    for make in (aligned_empty, aligned_zeros):
        array = make(shape, dtype)
        assert (array.shape, array.dtype) == (shape, dtype)
        assert array.ctypes.data % LINE == 0
        assert array.flags.carray
    assert not array.any()


def test_the_vectors_of_a_training_begin_at_a_line():
    layers = [{"type": "dense", "units": 3, "activation": "relu"}, {"type": "dense", "units": 1}]
    spec = {"model": {"layers": layers}, "loss": "mean_squared_error", "optimizer": "adam"}
    x = np.ones((4, 2))
    model = nnreg.build(spec | {"train": {"epochs": 1}}, data=(x, x[:, :1]))
    trainer = model.trainer(model.examples(x, x[:, :1]))
    vectors = [model.network.vector, *(shard.gradient for shard in trainer._shards)]
    vectors += trainer.training_state.optimizer_state.values()
    assert [vector.ctypes.data % LINE for vector in vectors] == [0] * 4
