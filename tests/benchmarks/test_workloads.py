"""The workloads are the same for every library."""

import numpy as np
import pytest

import nnreg
from benchmarks.peers import PEERS, peer
from benchmarks.peers.jax_layers import initial
from benchmarks.tables import predict, steps
from benchmarks.workloads import NAMED, WORKLOADS, ZIPF, dense
from nnreg.network.network import Network
from tests.benchmarks.rows import EFFORT, TINY


def test_the_products_alone_are_those_of_a_step_of_nnreg(monkeypatch):
    def products(name):
        """Return the sizes of the matrix products: the summed dimension, and the result's."""
        made = []

        def counted(real):
            def product(a, b, out=None):
                if a.ndim == b.ndim == 2:
                    made.append((a.shape[1], *sorted((a.shape[0], b.shape[1]))))
                return real(a, b, out=out)

            return product

        def workspace(network, *, reuse):
            found = make(network, reuse=reuse)
            found.dot = counted(found.dot)
            return found

        make = Network.workspace
        with monkeypatch.context() as patch:
            for function in ("matmul", "dot"):
                patch.setattr(np, function, counted(getattr(np, function)))
            patch.setattr(Network, "workspace", workspace)
            job = peer(name).train(TINY)
            job()
            made.clear()
            job()
        return sorted(made)

    alone = products("products")
    assert alone == products("nnreg")
    assert len(alone) == 8 * TINY.steps


def test_the_products_of_recurrent_and_attention_layers_are_counted():
    def operations(name):
        products = NAMED[name].products
        return products and sum(one.count * one.m * one.k * one.n for one in products)

    inner, rows = 128 * 512, 64 * 50
    assert operations("lstm 128 over 50x32") == rows * (2 * 32 * 512 + 3 * inner) + 3 * 64 * 1280
    weights = 2 * 12 * 256 * 256
    attention = 2 * 2 * 16 * 128 * 128 * 256
    rows = 16 * 128
    assert operations("transformer 256, two blocks") == (
        3 * (rows * weights + attention) + 3 * 16 * 2560
    )
    assert operations("cnn 28x28") is None
    assert operations("64-128-64-10, eight members") is None


def test_tokens_have_the_frequencies_of_words():
    x, _ = ZIPF.examples(4000)
    counts = np.bincount(x.ravel(), minlength=ZIPF.vocabulary)
    assert len(counts) == ZIPF.vocabulary
    assert counts[0] == pytest.approx(counts[3] * 4**1.5, rel=0.1)
    uniform, _ = NAMED["embedding 20,000x64"].examples(100)
    assert uniform.mean() == pytest.approx(10_000, rel=0.05)


def test_the_examples_of_a_workload_have_all_classes():
    for workload in WORKLOADS[:2]:
        x, y = workload.examples()
        assert len(x) == len(y) == workload.steps * workload.batch
        assert set(y.tolist()) == set(range(workload.classes))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_network_in_jax_has_as_many_parameters_as_in_nnreg(workload):
    layers = [*workload.layers, dense(workload.classes, "softmax")]
    x, y = workload.examples(workload.classes)
    spec = {"model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "sgd"}
    model = nnreg.build(spec, data=(x, y))

    def size(params):
        return sum(map(size, params)) if isinstance(params, tuple | list) else params.size

    params, shape = initial(layers, workload.shape, np.random.default_rng(0))
    assert size(params) == model.network.vector.size
    assert shape == (workload.classes,)


def test_the_time_of_a_step_is_that_of_a_pass_divided_by_its_steps():
    class Fake:
        def ask(self, peer, task, seconds, workload):
            return 512e-3

    assert TINY.steps == 512
    assert steps._step(Fake(), "nnreg", TINY, EFFORT) == 1e-3


def test_a_large_checkpoint_has_a_hundred_megabytes():
    weights = sum(a * b + b for a, b in NAMED["1024-2048-2048-10"].weights)
    assert 4 * 4 * weights == pytest.approx(100e6, rel=0.03)  # with the best and Adam's vectors


@pytest.mark.parametrize("workload", [NAMED["64-128-64-10"], NAMED["cnn 28x28"]])
def test_a_graph_of_onnx_predicts_probabilities(workload, monkeypatch):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is a group of the benchmarks")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = peer("ONNX Runtime").predict(workload, 300)()
    assert found.shape == (300, 10)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert found.std() > 0


def test_every_library_has_the_tasks_of_its_tables():
    for name in steps.COLUMNS:
        assert callable(peer(name).train)
    for name in predict.COLUMNS:
        assert callable(peer(name).predict)
    others = {*steps.PRODUCTS, "plain h5py"}
    assert set(PEERS) == {*steps.COLUMNS, *predict.COLUMNS, *others}
