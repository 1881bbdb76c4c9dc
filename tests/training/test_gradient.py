"""Batches divided into shards: the same gradient, with the same bits on any number of threads."""

from dataclasses import replace

import numpy as np
import pytest

import nnreg
from nnreg.errors import DivergedError, SpecError
from nnreg.interfaces import Layer
from nnreg.interfaces.kernels import Kernels
from nnreg.training.gradient import MIN_SHARD_ROWS, Batch, Shard, microbatch_size
from nnreg.training.parallelism import MAX_SHARDS, shard_count

CONVOLUTION = [
    {"type": "conv2d", "filters": 16, "padding": "same", "activation": "relu"},
    {"type": "max_pool2d"},
    {"type": "flatten"},
]
OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}


def images(count=130):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 12, 12, 2)).astype(np.float32), rng.integers(0, 3, count)


def trainer(shards=None, threads=2, layers=CONVOLUTION, data=None, **changes):
    spec = {
        "model": {"layers": [*layers, OUTPUT], "dtype": "float64"},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "metrics": ["accuracy"],
        "train": {
            "epochs": 3,
            "batch_size": 129,
            "shards": shards,
            "threads": threads,
            "kernels": "numpy",
            **changes,
        },
    }
    x, y = data or images()
    model = nnreg.build(spec, data=(x, y))
    return model.trainer(model.examples(x, y))


def trained(*arguments, **keywords):
    made = trainer(*arguments, **keywords)
    return made, list(made.epochs())


NORMALIZED = [CONVOLUTION[0], {"type": "batch_norm"}, *CONVOLUTION[1:]]
NESTED = [{"type": "residual", "layers": [CONVOLUTION[0] | {"filters": 2}, {"type": "batch_norm"}]}]
NETWORKS = {
    "independent": CONVOLUTION,
    "with random numbers": [*CONVOLUTION, {"type": "dropout", "rate": 0.5}],
    "with batch norm": NORMALIZED,
    "with batch norm in a nested list": [*NESTED, *NORMALIZED],
}


@pytest.mark.parametrize("name", ["independent", "with batch norm"])
def test_shards_compute_what_the_whole_batch_does(name):
    whole, records = trained(1, layers=NETWORKS[name])
    divided, divided_records = trained(3, layers=NETWORKS[name])
    assert (whole.shards, divided.shards, divided.threads) == (1, 3, 2)
    np.testing.assert_allclose(divided.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(divided.network.state_vector, whole.network.state_vector, rtol=1e-9)
    for record, other in zip(records, divided_records, strict=True):
        assert record == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "options",
    [{}, {"accumulate": 2, "batch_size": 80}, {"shards": 4, "batch_size": 4 * 29}],
    ids=["", "several", "four shards"],
)
def test_the_number_of_threads_changes_no_bit(name, options):
    found = set()
    for threads in (1, 2, 3, 4):
        made, records = trained(**{"threads": threads, "layers": NETWORKS[name], **options})
        assert (made.shards > 1, made.threads, made.reproducible) == (True, threads, True)
        vectors = made.network.vector.tobytes() + made.network.state_vector.tobytes()
        found.add((vectors, str(records)))
    assert len(found) == 1


def test_a_shard_has_the_same_result_whether_it_shares_its_arrays_or_not():
    made = trainer(1)
    network, examples = made.network, Batch(made.train.x, made.train.targets)
    own, shared = (
        Shard(network, made.evaluation, network.workspace(reuse=True), microbatch=None, shared=one)
        for one in (False, True)
    )
    for count in range(1, 40):  # a mean that is multiplied by 7 and divided again is not the same
        rows = np.arange(count)
        found, expected = (one.run(examples, rows, 1.0) for one in (shared, own))
        assert found.loss == expected.loss
        np.testing.assert_array_equal(found.scores, expected.scores)


def test_each_shard_has_its_own_random_generator():
    made = trainer(2, layers=NETWORKS["with random numbers"])
    next(made.epochs())
    first, second = (shard.rng.random(8) for shard in made._shards)
    assert not np.allclose(first, second)


def test_microbatches_give_the_same_gradient(monkeypatch):
    whole, records = trained(1)
    monkeypatch.setattr(
        "nnreg.training.gradient.CACHED_VALUES", 12 * whole.network.activations_per_example
    )
    monkeypatch.setattr(Kernels, "few_calls", True)
    for shards in (1, 3):
        split, split_records = trained(shards)
        assert microbatch_size(split.network, shards) == 12
        np.testing.assert_allclose(
            split.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12
        )
        for record, other in zip(records, split_records, strict=True):
            assert record == pytest.approx(other, rel=1e-9)


def test_microbatches_are_used_only_for_independent_examples_with_many_activations(monkeypatch):
    monkeypatch.setattr("nnreg.training.gradient.CACHED_VALUES", 1)
    assert microbatch_size(trainer().network) == MIN_SHARD_ROWS
    assert microbatch_size(trainer().network, 2) is None  # NumPy's calls would be too short
    assert microbatch_size(trainer(layers=NORMALIZED).network) is None
    rng = np.random.default_rng(0)
    small = rng.normal(size=(130, 8)), rng.integers(0, 3, 130)
    wide = [{"type": "dense", "units": 64}]
    assert microbatch_size(trainer(layers=wide, data=small).network) is None


class _Dependent(Layer):
    """A layer that does not declare examples independent."""


def test_a_layer_that_needs_the_whole_batch_makes_it_whole():
    made = trainer()
    plan = made.network.plan
    plan.children["layers/0"] = (_Dependent(), plan.children["layers/0"][1])
    assert shard_count(made.network, made.evaluation, made.settings, len(made.train)) == 1
    settings = replace(made.settings, shards=2)
    with pytest.raises(SpecError, match=r"\$.train.shards: .* _Dependent, computes"):
        shard_count(made.network, made.evaluation, settings, len(made.train))


def test_small_batches_and_recurrent_layers_are_not_divided_unless_the_spec_says_so():
    x, y = images(16)
    assert trainer(data=(x, y)).shards == 1
    assert trainer(4, data=(x, y)).shards == 4
    rng = np.random.default_rng(0)
    sequences = rng.normal(size=(130, 50, 8)), rng.integers(0, 3, 130)
    assert trainer(layers=[{"type": "lstm", "units": 64}], data=sequences).shards == 1


@pytest.mark.parametrize(("batch_size", "shards"), [(129, MAX_SHARDS), (40, 5), (20, 2)])
def test_the_number_of_shards_follows_from_the_batch(monkeypatch, batch_size, shards):
    monkeypatch.setattr("nnreg.training.parallelism.MIN_ACTIVATIONS_FOR_SHARDING", 0)
    assert {trainer(threads=n, batch_size=batch_size).shards for n in (1, 2, 16)} == {shards}


@pytest.mark.parametrize("name", ["independent", "with batch norm"])
def test_a_non_finite_loss_in_any_shard_is_reported(name):
    x, y = images()
    made = trainer(layers=NETWORKS[name], data=(x, y))
    made.settings = made.settings.__class__(**{**vars(made.settings), "shuffle": False})
    made.train.x[100] = np.nan
    before = made.network.vector.copy()
    with pytest.raises(DivergedError, match="epoch 1, batch 1: the loss is not finite"):
        next(made.epochs())
    np.testing.assert_array_equal(made.network.vector, before)
