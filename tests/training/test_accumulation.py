"""Gradient accumulation: several batches per step equal one batch of their total size."""

import h5py
import numpy as np
import pytest

import nnreg
from tests.helpers.specs import blobs, classifier
from tests.training.test_gradient import images, trainer

LAYERS = [
    {"type": "dense", "units": 8, "activation": "tanh"},
    {"type": "layer_norm"},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]


def spec(batch_size, accumulate, **train):
    settings = {"epochs": 4, "batch_size": batch_size, "accumulate": accumulate, **train}
    model = {"layers": LAYERS, "dtype": "float64"}
    return classifier(model=model, schedule="cosine", train=settings)


def trained(batch_size, accumulate=1, **train):
    model = nnreg.build(spec(batch_size, accumulate, **train), data=blobs(52))
    model.fit(*blobs(52))
    return model


OPTIONS = {"l2": 0.01, "clip_norm": 0.3, "weight_decay": 0.1, "ema": 0.9}


@pytest.mark.parametrize("options", [{}, OPTIONS])
def test_accumulated_batches_equal_one_batch_of_their_total_size(options):
    """52 examples by 15: the last step has 5 and 2."""
    whole, accumulated = trained(15, **options), trained(5, 3, **options)
    assert accumulated.training_state.step == whole.training_state.step == 16
    np.testing.assert_allclose(
        accumulated.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12
    )
    for record, other in zip(accumulated.history, whole.history, strict=True):
        assert record == pytest.approx(other, rel=1e-9)


def test_streamed_data_give_the_same_result(tmp_path, monkeypatch):
    monkeypatch.setattr("nnreg.tables.lazy.BLOCK", 64)
    monkeypatch.setattr("nnreg.tables.lazy.WINDOW", 512)
    x, y = blobs(300)
    with h5py.File(tmp_path / "d.h5", "w") as file:
        file["x"], file["y"] = x, y == "ash"
    source = {"type": "hdf5", "stream": True}
    data = {"source": source, "path": str(tmp_path / "d.h5"), "target": "y"}
    whole, accumulated = (nnreg.run({**spec(*sizes), "data": data}) for sizes in ((15, 1), (5, 3)))
    np.testing.assert_allclose(
        accumulated.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12
    )


def test_the_network_gets_one_batch_at_a_time(monkeypatch):
    model = nnreg.build(classifier(train={"batch_size": 8, "accumulate": 4}), data=blobs())
    sizes, forward = set(), model.network.forward

    def counted(x, context):
        sizes.add(len(x))
        return forward(x, context)

    monkeypatch.setattr(model.network, "forward", counted)
    model.fit(*blobs(), epochs=1)
    assert sizes == {8, 4}


def test_several_shards_give_the_same_result():
    data, settings = images(300), {"epochs": 3, "kernels": "numpy"}
    whole = trainer(1, data=data, **settings, batch_size=180)
    accumulated = trainer(2, data=data, **settings, batch_size=90, accumulate=2)
    assert accumulated.shards == 2
    for record, other in zip(whole.epochs(), accumulated.epochs(), strict=True):
        assert record == pytest.approx(other, rel=1e-9)
    np.testing.assert_allclose(
        accumulated.network.vector, whole.network.vector, rtol=1e-9, atol=1e-12
    )


def test_an_accumulated_batch_with_a_non_finite_loss_is_named():
    train = {"batch_size": 8, "accumulate": 4, "shuffle": False}
    model = nnreg.build(classifier(train=train), data=blobs())
    examples = model.examples(*blobs())
    examples.x[17] = np.nan
    with pytest.raises(nnreg.DivergedError, match="epoch 1, batch 3: the loss is not finite"):
        next(model.trainer(examples).epochs())
