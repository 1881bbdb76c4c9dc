"""A steady training step allocates nothing that grows with the batch."""

import tracemalloc

import numpy as np
import pytest

import nnreg

OUTPUT = {"type": "dense", "units": "classes", "activation": "softmax"}
NETWORKS = {
    "dense": ((16,), [{"type": "dense", "units": 64, "activation": "relu"}]),
    "bounded": ((16,), [{"type": "dense", "units": 64, "activation": "sigmoid"},
                        {"type": "dense", "units": 64, "activation": "tanh"}]),
    "convolution": ((10, 10, 2), [
        {"type": "conv2d", "filters": 16, "padding": "same", "activation": "relu"},
        {"type": "max_pool2d"}, {"type": "flatten"}]),
    "more convolutions": ((10, 10, 2), [
        {"type": "conv2d", "filters": 8, "groups": 2, "dilation": 2, "padding": "same"},
        {"type": "depthwise_conv2d", "padding": 1, "padding_mode": "reflect"},
        {"type": "average_pool2d", "padding": "same"},
        {"type": "conv2d_transpose", "filters": 4, "stride": 2},
        {"type": "permute", "axes": [2, 1, 3]}, {"type": "zero_padding2d"}, {"type": "flatten"}]),
    "sequences": ((12, 2), [
        {"type": "conv1d", "filters": 8, "padding": "causal"}, {"type": "max_pool1d"},
        {"type": "up_sampling1d"}, {"type": "cropping1d"}, {"type": "flatten"}]),
    "batch norm": ((10, 10, 2), [
        {"type": "conv2d", "filters": 16, "padding": "same"}, {"type": "batch_norm"},
        {"type": "flatten"}]),
    "activations": ((16,), [
        {"type": "activation", "activation": one} for one in ("relu", "sigmoid", "tanh")
    ] + [{"type": "dense", "units": 32}, "glu"]),
    "lstm": ((6, 4), [{"type": "lstm", "units": 64}]),
    "transformer": ((6, 64), [
        {"type": "residual", "layers": [
            {"type": "layer_norm"}, {"type": "multi_head_attention", "heads": 2}]},
        {"type": "flatten"}]),
}  # fmt: skip


def peak(shape, layers, batch, threads):
    """Return the peak of the bytes allocated in a steady epoch of four batches."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * batch, *shape)).astype(np.float32)
    y = rng.integers(0, 3, 4 * batch)
    spec = {
        "model": {"layers": [*layers, OUTPUT]},
        "loss": "cross_entropy",
        "optimizer": "adam",
        "train": {
            "epochs": 9,
            "batch_size": batch,
            "shuffle": False,
            "kernels": "numpy",
            "threads": threads,
        },
    }
    model = nnreg.build(spec, data=(x, y))
    epochs = model.trainer(model.examples(x, y)).epochs()
    for _ in range(2):
        next(epochs)
    tracemalloc.start()
    next(epochs)
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    next(epochs)
    after = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return after - before


@pytest.mark.parametrize(
    ("name", "threads"), [*((name, 1) for name in NETWORKS), ("convolution", 2)]
)
def test_a_steady_step_allocates_nothing_that_grows_with_the_batch(name, threads):
    shape, layers = NETWORKS[name]
    few, many = (64, 512) if threads == 1 else (256, 1024)
    small, large = (peak(shape, layers, batch, threads) for batch in (few, many))
    per_example = (large - small) / (many - few)
    # the order of the examples and the indices of their labels: less than any row
    assert per_example < 16 * 8
