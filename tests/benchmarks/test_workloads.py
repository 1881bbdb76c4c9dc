"""The workloads are the same for every library."""

import numpy as np
import pytest

import nnreg
from benchmarks.peers import LIBRARIES, PEERS, peer
from benchmarks.peers.jax_layers import initial
from benchmarks.tables import steps
from benchmarks.workloads import NAMED, STEPS, WORKLOADS, dense
from nnreg.network.network import Network
from tests.benchmarks.rows import EFFORT, TINY


def test_the_limit_excludes_the_gradient_of_the_input():
    forward = 4 * 16 + 16 * 8 + 8 * 3
    assert TINY.flops == 2 * 150 * (3 * forward - 4 * 16)


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

    alone = products("own products")
    assert alone == products("nnreg")
    assert len(alone) == 8 * STEPS


def test_the_examples_of_a_workload_have_all_classes():
    for workload in WORKLOADS[:2]:
        x, y = workload.examples()
        assert len(x) == len(y) == STEPS * workload.batch
        assert set(y.tolist()) == set(range(workload.classes))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_network_in_jax_has_as_many_parameters_as_in_nnreg(workload):
    layers = [*workload.layers, dense(workload.classes, "softmax")]
    x, y = workload.examples()
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
            return 16e-3

    assert STEPS == 16
    assert steps._step(Fake(), "nnreg", TINY, EFFORT) == 1e-3


def test_a_large_checkpoint_has_a_hundred_megabytes():
    weights = sum(a * b + b for a, b in NAMED["1024-2048-2048-10"].weights)
    assert 4 * 4 * weights == pytest.approx(100e6, rel=0.03)  # with the best and Adam's vectors


def test_every_library_has_the_tasks_of_its_tables():
    for name in LIBRARIES:
        made = peer(name)
        assert callable(made.train)
        assert callable(made.predict)
    assert set(PEERS) - set(LIBRARIES) == {"own products", "large product", "plain h5py"}
