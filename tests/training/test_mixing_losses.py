"""Losses that compare the examples of a batch: a triplet loss of embeddings, as a plugin has it."""

from dataclasses import dataclass

import numpy as np
import pytest

import nnreg
from nnreg import Loss, hookimpl
from nnreg.cli.app import main
from nnreg.registry.registry import installed
from nnreg.testing import checks
from nnreg.training.parallelism import shard_count
from nnreg.training.trainer import Trainer

RNG = np.random.default_rng(6)


@dataclass(frozen=True)
class Triplet(Loss):
    """Mean of max(d(anchor, same) - d(anchor, other) + margin, 0), with squared distances d.

    Schroff et al. 2015, over all triplets of a batch.
    """

    margin: float = 1.0
    takes_labels = True
    classification = True
    independent = False
    predicts_target = False

    def fits(self, output, target, classes):
        return classes is not None and len(output) == 1 and target == ()

    def forward(self, y, t):
        difference = y[:, None] - y[None]
        distance = np.sum(difference * difference, axis=-1)
        same = (t[:, None] == t[None]) & ~np.eye(len(t), dtype=bool)
        valid = same[:, :, None] & (t[:, None] != t[None])[:, None, :]
        size = distance[:, :, None] - distance[:, None, :] + self.margin
        active = (valid & (size > 0)).astype(y.dtype)
        count = max(float(np.sum(valid)), 1.0)

        def backward():
            slope = np.sum(active, axis=2) - np.sum(active, axis=1)
            slope = slope + slope.T
            return 2 * np.sum(slope[:, :, None] * difference, axis=1) / count

        return float(np.sum(active * size)) / count, backward


@pytest.fixture(autouse=True)
def plugin():
    class Plugin:
        @hookimpl
        def nnreg_losses(self):
            return {"triplet": Triplet}

    before = set(installed().plugins)
    nnreg.register(Plugin())
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


X = RNG.normal(size=(60, 5))
Y = np.array(["a", "b", "c"])[RNG.integers(0, 3, 60)]
X[:, 0] += 2 * np.searchsorted(["a", "b", "c"], Y)


def spec(**train):
    layers = [{"type": "dense", "units": 4}]
    tree = {"model": {"layers": layers, "dtype": "float64"}, "loss": "triplet"}
    return {
        **tree,
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "train": {"epochs": 20, "batch_size": 20, **train},
    }


def test_it_passes_the_checks_of_a_plugin_except_those_of_independent_examples():
    found = {check.name: check.result() for check in checks(Triplet)}
    assert {name for name, one in found.items() if not one.passed} == set()
    assert not {"mean", "independent"} & found.keys()
    assert {"returns", "gradient", "shapes"} <= found.keys()


def test_a_network_of_embeddings_trains_on_whole_batches(tmp_path):
    model = nnreg.build(spec(), data=(X, Y))
    history = model.fit(X, Y, validation=(X, Y))
    assert history[-1]["loss"] < 0.7 * history[0]["loss"]
    assert model.predict(X).shape == (60, 4)
    nnreg.save(model, tmp_path / "m.h5")
    assert np.array_equal(nnreg.load(tmp_path / "m.h5").predict(X), model.predict(X))


def test_it_is_evaluated_on_batches_of_the_size_in_training():
    model = nnreg.build(spec(batch_size=25), data=(X, Y))
    model.fit(X, Y, epochs=1)
    z, t = model.predict(X), np.searchsorted(model.classes, Y)
    parts = [slice(0, 25), slice(25, 50), slice(50, 60)]
    expected = sum(Triplet().forward(z[p], t[p])[0] * len(z[p]) / 60 for p in parts)
    assert model.evaluate(X, Y)["loss"] == pytest.approx(expected, abs=1e-13)


def test_a_batch_is_neither_divided_among_threads_nor_into_microbatches(monkeypatch):
    monkeypatch.setattr("nnreg.training.parallelism.MIN_ACTIVATIONS_FOR_SHARDING", 0)
    monkeypatch.setattr("nnreg.training.gradient.CACHED_VALUES", 1)
    monkeypatch.setattr("nnreg.network.prediction.CACHED_VALUES", 1)
    model = nnreg.build(spec(threads=2, batch_size=60), data=(X, Y))
    trainer = model.trainer(model.examples(X, Y))
    assert isinstance(trainer, Trainer)
    assert trainer.shards == 1
    sizes = []
    forward = Triplet.forward
    monkeypatch.setattr(Triplet, "forward", lambda *a: sizes.append(len(a[1])) or forward(*a))
    list(trainer.epochs())
    assert set(sizes) == {60}
    independent = nnreg.build({**spec(threads=2, batch_size=60), "loss": "mean_squared_error"},
                              data=(X, X[:, :4]))  # fmt: skip
    settings = independent.spec.train
    assert shard_count(independent.network, independent.evaluation, settings, 60) == 7


def test_accumulated_batches_weights_metrics_and_classes_are_refused():
    with pytest.raises(nnreg.SpecError, match=r"train.accumulate: .*set \"batch_size\" to 80 inst"):
        nnreg.build(spec(accumulate=4), data=(X, Y))
    with pytest.raises(nnreg.SpecError, match=r"metrics\[0\]: accuracy compares predictions with"):
        nnreg.build({**spec(), "metrics": ["accuracy"]}, data=(X, Y))
    model = nnreg.build(spec(), data=(X, Y))
    with pytest.raises(nnreg.DataError, match="compares the examples of a batch, so that they"):
        model.fit(X, Y, weights=np.ones(60))
    for ask in (model.classify, model.probabilities):
        with pytest.raises(nnreg.DataError, match="do not predict the target; use predict"):
            ask(X)
    with pytest.raises(nnreg.SpecError, match="the loss does not take that for a target of shape"):
        nnreg.build(spec(), data=(X, X[:, 0].round(3)[:, None] + [[0, 1]]))


def test_a_run_has_a_report_without_predictions(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("inference", "report"):
        monkeypatch.setattr(f"nnreg.cli.{command}.registry_with", lambda files: installed())
    rows = "\n".join(f"{p},{q},{c}" for (p, q, *_), c in zip(X, Y, strict=True))
    (tmp_path / "d.csv").write_text(f"p,q,c\n{rows}\n")
    nnreg.run({**spec(), "data": {"source": "csv", "path": "d.csv", "target": "c"}}, out="run")
    with pytest.raises(SystemExit) as caught:
        main(["report", "run"])
    assert not caught.value.code
    with pytest.raises(SystemExit) as caught:
        main(["predict", "run", "d.csv"])
    assert not caught.value.code
