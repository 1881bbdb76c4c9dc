"""Batches divided among threads: the same gradient, and bit-identical each time."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import DivergedError
from nnreg.interfaces import Layer
from nnreg.interfaces.kernels import Kernels
from nnreg.training.gradient import MIN_SHARD_ROWS, microbatch_size
from nnreg.training.parallelism import worker_count

CONVOLUTION = [
    {"type": "conv2d", "filters": 16, "padding": "same", "activation": "relu"},
    {"type": "max_pool2d"},
    {"type": "flatten"},
]
OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}


def images(count=130):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 12, 12, 2)).astype(np.float32), rng.integers(0, 3, count)


def trainer(threads, layers=CONVOLUTION, data=None, **changes):
    spec = {
        "model": {"layers": [*layers, OUTPUT], "dtype": "float64"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "metrics": ["accuracy"],
        "train": {"epochs": 3, "batch_size": 129, "threads": threads, "kernels": "numpy"},
        **changes,
    }
    x, y = data or images()
    model = nnreg.build(spec, data=(x, y))
    return model.trainer(model.examples(x, y))


def trained(*arguments, **keywords):
    made = trainer(*arguments, **keywords)
    return made, list(made.epochs())


def test_several_workers_compute_what_one_does():
    whole, records = trained(1)
    divided, divided_records = trained(3)
    assert (whole.data_parallel, whole.threads) == (False, 1)
    assert (divided.data_parallel, divided.threads) == (True, 3)
    np.testing.assert_allclose(divided.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12)
    for record, other in zip(records, divided_records, strict=True):
        assert record == pytest.approx(other, rel=1e-9)


def test_data_parallel_training_is_bit_identical_each_time():
    layers = [*CONVOLUTION, {"type": "dropout", "rate": 0.5}]
    first, second = (trained(2, layers)[0].network.vector for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_each_worker_has_its_own_random_generator():
    made = trainer(2, [*CONVOLUTION, {"type": "dropout", "rate": 0.5}])
    next(made.epochs())
    first, second = (worker.workspace.rng.random(8) for worker in made._shards)
    assert not np.allclose(first, second)


def test_microbatches_give_the_same_gradient(monkeypatch):
    whole, records = trained(1)
    monkeypatch.setattr(
        "nnreg.training.gradient.CACHED_VALUES", 12 * whole.network.activations_per_example
    )
    monkeypatch.setattr(Kernels, "few_calls", True)
    for threads in (1, 3):
        split, split_records = trained(threads)
        assert microbatch_size(split.network, threads) == 12
        np.testing.assert_allclose(
            split.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12
        )
        for record, other in zip(records, split_records, strict=True):
            assert record == pytest.approx(other, rel=1e-9)


def test_microbatches_are_used_only_for_independent_examples_with_many_activations(monkeypatch):
    monkeypatch.setattr("nnreg.training.gradient.CACHED_VALUES", 1)
    assert microbatch_size(trainer(1).network) == MIN_SHARD_ROWS
    assert microbatch_size(trainer(2).network, 2) is None  # NumPy's calls would be too short
    assert microbatch_size(trainer(1, [{"type": "batch_norm"}, *CONVOLUTION]).network) is None
    rng = np.random.default_rng(0)
    small = rng.normal(size=(130, 8)), rng.integers(0, 3, 130)
    wide = [{"type": "dense", "units": 64}]
    assert microbatch_size(trainer(1, wide, small).network) is None


class _Dependent(Layer):
    """A layer that does not declare examples independent."""


@pytest.mark.parametrize("layer", [{"type": "batch_norm"}, _Dependent(), {"type": "flatten"}])
def test_only_networks_of_independent_layers_are_data_parallel(layer):
    made = trainer(2)
    plan = made.network.plan
    name = "layers/0"
    if isinstance(layer, Layer):
        plan.children[name] = (layer, plan.children[name][1])
        assert worker_count(made.network, made.evaluation, made.settings, len(made.train)) == 1
    else:
        assert trainer(2, [*CONVOLUTION[:2], layer, CONVOLUTION[2]]).data_parallel == (
            layer["type"] == "flatten"
        )


def test_small_batches_and_recurrent_layers_are_not_data_parallel():
    x, y = images(16)
    assert not trainer(2, data=(x, y)).data_parallel
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(130, 50, 8)), rng.integers(0, 3, 130)
    assert not trainer(2, [{"type": "lstm", "units": 64}], sequences).data_parallel


def test_a_non_finite_loss_in_any_worker_is_reported():
    x, y = images()
    made = trainer(2, data=(x, y))
    made.settings = made.settings.__class__(**{**vars(made.settings), "shuffle": False})
    made.train.x[100] = np.nan
    before = made.network.vector.copy()
    with pytest.raises(DivergedError, match="epoch 1, batch 1: the loss is not finite"):
        next(made.epochs())
    np.testing.assert_array_equal(made.network.vector, before)
