"""Predictions and evaluations share work among threads, with the same bits on any number."""

import h5py
import numpy as np
import pytest

import nnreg
from nnreg._utils.threads import ThreadPool, available_threads, blas_threads
from nnreg.ranks.group import ALONE
from nnreg.runs.run import prepare_run
from nnreg.runs.summary import summarize
from nnreg.testing.threads import THREADS
from nnreg.training.epoch_metrics import validation_metrics

RNG = np.random.default_rng(0)
CLASSES = {"type": "dense", "units": "classes", "activation": "softmax"}


def dense(units):
    return {"type": "dense", "units": units, "activation": "tanh"}


def built(layers, x, **train):
    """Return a model with these layers and three classes."""
    spec = {
        "model": {"layers": [*layers, CLASSES]},
        "loss": "cross_entropy",
        "optimizer": "sgd",
        "metrics": ["accuracy"],
        "train": {"kernels": "numpy", "epochs": 1, "batch_size": 250, **train},
    }
    return nnreg.build(spec, data=(x, np.arange(len(x)) % 3))


@pytest.fixture
def shared(monkeypatch):
    """Return a list to which each division of work among threads adds its number of parts."""
    found, run = [], ThreadPool.run

    def counted(pool, jobs):
        if pool.is_open and len(jobs) > 1:
            found.append(len(jobs))
        return run(pool, jobs)

    monkeypatch.setattr(ThreadPool, "run", counted)
    return found


SEQUENCES = [RNG.normal(size=(1 + k % 20, 40)) for k in range(300)]
CASES = {
    "chunks": ([dense(700), dense(700)], RNG.normal(size=(1500, 60))),
    "blocks": ([dense(700), dense(700)], RNG.normal(size=(300, 60))),
    "chunks of sequences": (
        [{"type": "conv1d", "filters": 300, "padding": "causal"}, "global_average_pool"],
        SEQUENCES,
    ),
    "chunks of pictures": (
        [{"type": "conv2d", "filters": 24}, "flatten"], RNG.normal(size=(150, 16, 16, 2)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_threads_share_a_prediction_and_change_no_bit(shared, name):
    layers, x = CASES[name]
    y, found = np.arange(len(x)) % 3, set()
    for threads in THREADS:
        model = built(layers, x, reproducible=True, threads=threads)
        with blas_threads(5 - threads):
            found.add((model.predict(x).tobytes(), str(model.evaluate(x, y))))
        assert (max(shared, default=1) > 1) == (threads > 1)
        assert max(shared, default=1) <= threads
        shared.clear()
    assert len(found) == 1


def test_the_chunks_of_a_streamed_file_are_shared_too(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = RNG.normal(size=(1500, 60)).astype("f4")
    with h5py.File("data.h5", "w") as file:
        file["x"], file["label"] = x, np.arange(len(x)) % 3
    found = set()
    for threads in (1, 3):
        tree = built([dense(700), dense(700)], x, reproducible=True, threads=threads).document.tree
        data = {"source": {"type": "hdf5", "stream": True}, "path": "data.h5", "inputs": ["x"],
                "target": "label", "split": {"validation": 0.5}}  # fmt: skip
        model = nnreg.run({**tree, "data": data}, out=f"out-{threads}")
        found.add(str(list(model.history)))
    assert len(found) == 1
    assert shared


def test_small_networks_start_no_thread(shared):
    x = RNG.normal(size=(1500, 60))
    built([dense(16)], x, reproducible=True, threads=4).predict(x)
    assert shared == []


def test_chunks_are_shared_where_results_need_not_be_reproducible_and_blocks_are_not(shared):
    x = RNG.normal(size=(1500, 60))
    model = built([dense(700), dense(700)], x, reproducible=False, threads=2)
    model.predict(x[:300])
    assert shared == []
    model.predict(x)
    assert set(shared) == {2}


def test_a_network_that_trains_in_blocks_by_default_predicts_so(shared):
    x = RNG.normal(size=(1500, 60))
    model = built([dense(1000), dense(1000)], x, threads=2)
    model.predict(x)
    assert set(shared) == {2}


def test_validation_uses_the_threads_of_a_reproducible_training(shared):
    x = RNG.normal(size=(300, 16, 16, 2))
    model = built([{"type": "conv2d", "filters": 32}, "flatten"], x, batch_size=64, threads=2)
    assert not model.network.reproducible
    examples = model.examples(x, np.arange(len(x)) % 3)
    trainer = model.trainer(examples, examples)
    assert trainer.shards > 1
    with trainer.blas_threads():
        same = trainer.reproducible
        validation_metrics(
            model.network, trainer.evaluation, examples, 1, 1, reproducible=same, ranks=ALONE
        )
    assert set(shared) == {2}


def test_the_final_evaluation_of_a_run_uses_the_threads_of_its_training(shared, monkeypatch):
    """Those of a run that is divided into shards by default, whose validation uses them too."""
    x, found = RNG.normal(size=(300, 16, 16, 2)), set()
    y = np.arange(len(x)) % 3
    layers = [{"type": "conv2d", "filters": 32}, "flatten"]
    for threads in THREADS:
        tree = built(layers, x, batch_size=64, threads=threads).document.tree
        with blas_threads(5 - threads):
            run = prepare_run(tree, data=(x, y))
            assert not run.model.network.reproducible
            assert run._trainer.shards > 1
            run.train()
            shared.clear()
            with run._trainer.blas_threads():
                run.summary = summarize(
                    run.prepared, run._trainer, ALONE, stopped="epochs", reason=None, seconds=0.0
                )
        found.add(str(run.summary["train"]))
        assert (max(shared, default=1) > 1) == (threads > 1)
        assert max(shared, default=1) <= threads
    assert len(found) == 1


def test_limits_do_not_change_how_many_threads_there_are():
    before = available_threads()
    with blas_threads(1):
        assert available_threads() == before
        with blas_threads(2):
            assert available_threads() == before
    assert available_threads() == before
