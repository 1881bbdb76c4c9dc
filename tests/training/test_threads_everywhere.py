"""Whatever a spec has, and wherever its data are, threads change no bit of the results."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest

import nnreg
from nnreg import Activation
from nnreg._utils.threads import blas_threads
from nnreg.interfaces import traced
from nnreg.testing.threads import THREADS, digest
from tests.helpers.formulas import Mixing, Quartic
from tests.helpers.trainable import PRelu

pytestmark = pytest.mark.usefixtures("registering")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 6))
LABELS = RNG.integers(0, 3, 80)
SEQUENCES = [RNG.normal(size=(1 + k % 6, 3)) for k in range(80)]
DENSE = {"type": "dense", "units": 8, "activation": "tanh"}
DROPOUT = {"type": "dropout", "rate": 0.3}
CLASSES = {"type": "dense", "units": "classes", "activation": "softmax"}
NUMBER = {"type": "dense", "units": 1}
PER_STEP = {"type": "lstm", "units": 5, "sequences": True}
NORMALIZED = [DENSE, "batch_norm", DROPOUT, CLASSES]


@dataclass(frozen=True)
class Wavy(Activation):
    """An activation by its formula alone"""

    def formula(self, x):
        return x + 0.1 * np.sin(3 * x)


def spec(layers, loss="cross_entropy", *, optimizer="adam", metrics=("accuracy",), **train):
    return {
        "model": {"layers": layers},
        "loss": loss,
        "optimizer": optimizer,
        "metrics": list(metrics) if isinstance(metrics, tuple) else metrics,
        "train": {"epochs": 2, "batch_size": 29, "shards": 3, **train},
    }


SEVERAL = spec(
    [
        {**PER_STEP, "name": "words"},
        {**NUMBER, "name": "sum"},
        {"type": "lstm", "units": 4, "inputs": "words"},
        "batch_norm",
        {**NUMBER, "name": "mean"},
    ],
    {"sum": "mean_squared_error", "mean": "huber"},
    metrics={"sum": ["mean_absolute_error"]},
)
SHARED = [
    {**DENSE, "units": 6, "name": "tower"},
    {"type": "batch_norm", "name": "norm"},
    {"use": "tower", "name": "again"},
    {"use": "norm", "name": "last"},
    {"type": "concat", "inputs": ["again", "last"]},
    CLASSES,
]
SPECTRAL = [
    {"type": "spectral_norm", "layer": {**DENSE, "units": 6}, "name": "tower"},
    {"type": "group_norm", "groups": 2},
    {"type": "alpha_dropout", "rate": 0.2},
    {"type": "gaussian_noise", "std": 0.1},
    {"use": "tower"},
    CLASSES,
]
CASES = {
    "batch norm and repeated passes": (spec(NORMALIZED, optimizer="sam"), X, LABELS),
    "repeated passes in accumulated batches": (
        spec(NORMALIZED, optimizer="sam", accumulate=2), X, LABELS,
    ),
    "a batch smaller than the number of shards": (
        spec(NORMALIZED, batch_size=26, shards=5), X, LABELS,
    ),
    "frozen batch norm": (spec(NORMALIZED, freeze=["layers/1"]), X, LABELS),
    "shared layers": (spec(SHARED), X, LABELS),
    "shared spectral norm and noise": (spec(SPECTRAL, optimizer="sam"), X, LABELS),
    "trainable activations": (
        spec([{**DENSE, "activation": "prelu"}, CLASSES], learning_rates={"*": 0.5}), X, LABELS,
    ),
    "penalties, constraints and schedules": (
        spec(NORMALIZED, regularize={"*/weight": "orthogonal"}, constrain={"*/weight": "max_norm"},
             clip_value=0.01, weight_decay=0.01, ema=0.9), X, LABELS,
    ),
    "recurrent layers in both directions with masks": (
        spec([{"type": "bidirectional", "layer": {"type": "gru", "units": 4, "sequences": True}},
              {"type": "lstm", "units": 5, "projection": 3, "backwards": True}, CLASSES]),
        SEQUENCES, LABELS,
    ),
    "several outputs with masks": (
        SEVERAL, SEQUENCES,
        {"sum": [one.sum(axis=1) for one in SEQUENCES], "mean": [one.mean() for one in SEQUENCES]},
    ),
    "random samples": (
        spec([{"type": "dense", "units": 4}, {"type": "gaussian_sample", "name": "code"},
              {**CLASSES, "inputs": "code.z", "name": "label"}],
             {"label": "cross_entropy", "code.kl": {"type": "value", "weight": 0.1}}, metrics={}),
        X, LABELS,
    ),
    "embeddings": (
        spec([{"type": "embedding", "vocabulary": 5, "units": 3}, "flatten", CLASSES]),
        np.abs(X * 9).astype(int) % 5, LABELS,
    ),
    "formulas of layers and losses": (
        spec(["mixing", {**DENSE, "activation": "wavy"}, NUMBER], "quartic", metrics=()),
        X, X[:, :1] ** 2,
    ),
    "large products": (
        spec([{**DENSE, "units": 700}, {**DENSE, "units": 700}, CLASSES], shards=None,
             batch_size=300, reproducible=True),
        np.tile(X, (10, 20)), np.tile(LABELS, 10),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def components(registering):
    for cls in (Mixing, Quartic, Wavy, PRelu):
        nnreg.register(cls.__name__.lower(), cls)


def everything(case, threads):
    """Return what a training and the trained model give on a number of threads."""
    tree, x, y = case
    half = len(x) // 4
    with blas_threads(threads):
        model = nnreg.build({**tree, "train": {**tree["train"], "threads": threads}}, data=(x, y))

        def part(rows):
            return model.examples(x[rows], {n: v[rows] for n, v in y.items()}
                                  if isinstance(y, dict) else y[rows])  # fmt: skip

        weights = np.arange(len(x) - half) % 5 + 0.5
        train = model.with_sample_weights(part(slice(half, None)), x[half:], weights)
        trainer = model.trainer(train, part(slice(half)), check=False)
        assert trainer.reproducible
        list(trainer.epochs())
        found = [digest(trainer)]
        model.use_best()
        if tree["train"].get("reproducible"):
            loss, gradients = model.gradients(x, y)
            found += [model.evaluate(x, y), loss, model.predict(x).tobytes()]
            found += [one.tobytes() for one in gradients.values()]
        return found


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
def test_no_feature_depends_on_threads(name):
    if "formulas" in name and not traced.installed():
        pytest.skip("needs autograd")
    first, *others = (everything(CASES[name], threads) for threads in THREADS)
    for other in others:
        assert other == first


def run_directory(spec, threads):
    """Return the records of a run on a number of threads."""
    out = Path(f"out-{threads}")
    with blas_threads(threads):
        nnreg.run(spec, out=out, overrides=[f"train.threads={threads}"])
    found = {
        path.relative_to(out): path.read_text()
        for path in sorted(out.rglob("*.json*"))
        if path.name in ("metrics.jsonl", "gradients.jsonl", "summary.json")
    }
    for path, text in found.items():
        if path.name == "summary.json":
            one = json.loads(text)
            found[path] = {name: one[name] for name in one.keys() - {"seconds", "threads", "runs"}}
    weights = [nnreg.load(path).network.vector.tobytes() for path in sorted(out.rglob("last.h5"))]
    assert weights
    return found, weights


@pytest.mark.slow
@pytest.mark.parametrize("change", [{}, {"folds": 3}], ids=["", "folds"])
@pytest.mark.parametrize("source", [{}, {"stream": True}], ids=["", "stream"])
def test_no_record_of_a_run_depends_on_threads(tmp_path, monkeypatch, change, source):
    monkeypatch.chdir(tmp_path)
    with h5py.File("data.h5", "w") as file:
        file["x"], file["label"] = np.tile(X, (4, 30)), np.tile(LABELS, 4)
    tree = spec([{**DENSE, "units": 300}, "batch_norm", CLASSES], batch_size=77, **change)
    tree["model"]["dtype"] = "float64"  # whose long dot products OpenBLAS shares among its threads
    tree["data"] = {
        "source": {"type": "hdf5", **source}, "path": "data.h5", "inputs": ["x"],
        "target": "label", "class_weights": "balanced",
        "split": {"test": 0.2} if change else {"validation": 0.2, "test": 0.2},
    }  # fmt: skip
    first, *others = (run_directory(tree, threads) for threads in (1, 2, 4))
    for other in others:
        assert other == first
