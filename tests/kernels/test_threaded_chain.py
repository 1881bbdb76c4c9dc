"""Steps of chains of wide layers, which threads share, see also test_chain."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import nnreg
from nnreg._utils.threads import ThreadPool, blas_threads
from nnreg.builtin.kernels import numba_threaded_chain
from nnreg.builtin.kernels.numba import NumbaKernels
from nnreg.builtin.kernels.numba_threaded_chain import ThreadedSteps, blocks_of
from nnreg.kernels import mkl
from nnreg.training.evaluation import Examples

pytest.importorskip("numba", reason="Numba comes with the extra 'fast'")

LAYERS = [
    {"type": "dense", "units": 300, "activation": "tanh"},
    {"type": "dropout", "rate": 0.3},
    {"type": "dense", "units": 200, "activation": "relu", "bias": False},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]


def trained(threads, layers=LAYERS, kernels="numba", rows=260, **train):
    """Return a model after training, and its trainer."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 150)).astype("f4"), np.arange(rows) % 7
    settings = {"batch_size": 100, "epochs": 3, "kernels": kernels, "threads": threads, **train}
    spec = {
        "model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "adam",
        "train": settings,
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, y))
    trainer = model.trainer(model.examples(x, y, training=True))
    list(trainer.epochs())
    return model, trainer


def test_threads_share_the_steps_of_wide_layers_only():
    _, wide = trained(2)
    narrow = [{**LAYERS[0], "units": 30}, LAYERS[-1]]
    _, small = trained(2, narrow)
    assert isinstance(wide._chain._steps, ThreadedSteps)
    assert not isinstance(small._chain._steps, ThreadedSteps)
    assert wide.division.chain
    assert wide.division.reproducible
    assert not small.division.chain


def test_a_limit_of_the_norm_is_kept_layer_by_layer():
    model, trainer = trained(2, clip_norm=0.1)
    assert trainer._chain is None
    assert sum(norm**2 for norm in trainer.gradient_norms().values()) ** 0.5 <= 0.1001
    assert np.isfinite(model.network.vector).all()


SETS = {"openblas": "numba", "mkl": ["mkl", "numba"]}


@pytest.fixture(params=SETS)
def kernels(request):
    """Return sets of kernels with the products of one library."""
    if request.param == "mkl" and mkl.find() is None:
        pytest.skip("oneMKL comes with the extra 'mkl'")
    return SETS[request.param]


@pytest.mark.parametrize("joined", [False, True], ids=["single blocks", "joined blocks"])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_the_same_bits_on_any_number_of_threads(threads, joined, kernels, monkeypatch):
    monkeypatch.setattr(numba_threaded_chain, "MIN_FLOPS_PER_THREAD", 1)
    one, _ = trained(1, kernels=kernels)
    monkeypatch.setattr(numba_threaded_chain, "USES_BEFORE_TRIAL", 0 if joined else 1000)
    several, trainer = trained(threads, kernels=kernels)
    assert trainer._pool.count == threads
    np.testing.assert_array_equal(several.network.vector, one.network.vector)
    assert list(several.history["loss"]) == list(one.history["loss"])


def test_steps_are_those_of_the_layers(kernels):
    layers = [one for one in LAYERS if one["type"] != "dropout"]
    plain, by_layer = trained(2, layers, kernels="numpy")
    found, _ = trained(2, layers, kernels)
    assert by_layer._chain is None
    scale = np.abs(plain.network.vector).max()
    np.testing.assert_allclose(found.network.vector, plain.network.vector, atol=1e-4 * scale)
    assert list(found.history["loss"]) == pytest.approx(plain.history["loss"], rel=1e-5)


def test_labels_of_any_integer_type_and_arrays_that_cannot_be_written():
    rng, layers = np.random.default_rng(0), [LAYERS[0], LAYERS[-1]]
    x, y = rng.normal(size=(200, 150)).astype("f4"), (np.arange(200) % 7).astype(np.uint8)
    x.flags.writeable = False
    spec = {
        "model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "sgd",
        "train": {"batch_size": 100, "kernels": "numba"},
    }  # fmt: skip
    model = nnreg.build(spec, data=(x, y))
    trainer = model.trainer(Examples(x, y, y))
    assert trainer.division.chain
    assert np.isfinite(next(trainer.epochs())["loss"])


class OwnProducts(NumbaKernels):
    """Kernels with another function for products."""

    def matmul(self, a, b, out):
        return np.matmul(a, b, out)


def test_products_that_are_no_functions_of_c_run_layer_by_layer(monkeypatch):
    assert NumbaKernels().cblas() is not None
    assert OwnProducts().cblas() is None
    monkeypatch.setattr(NumbaKernels, "matmul", OwnProducts.matmul)
    _, trainer = trained(2)
    assert trainer._chain is None


class InterruptedPool(ThreadPool):
    """Threads of which the caller's is interrupted before its job."""

    is_open = True

    def run(self, jobs):
        self.others = ThreadPoolExecutor(len(jobs) - 1)
        self.waiting = [self.others.submit(job) for job in jobs[1:]]
        raise KeyboardInterrupt


def test_an_interrupted_thread_ends_the_others():
    _, trainer = trained(2)
    steps, arrays = trainer._chain._steps, (np.zeros(100), np.zeros((0, 0)))
    steps._pool = pool = InterruptedPool(2)
    losses, scores = arrays
    with blas_threads(1), pytest.raises(KeyboardInterrupt):
        steps(np.arange(100), np.zeros(30_000, "f4"), np.ones(1), 1, losses[:1], scores)
    assert [one.result(60) for one in pool.waiting] == [-1]
    pool.others.shutdown()


def test_without_other_threads_the_caller_makes_the_steps():
    _, trainer = trained(2)
    before = threading.active_count()
    assert not trainer._pool.is_open
    losses = np.zeros(1)
    steps = trainer._chain._steps
    steps(np.arange(100), np.ones(30_000, "f4"), np.ones(1), 1, losses, np.zeros((0, 0)))
    assert np.isfinite(losses[0])
    assert threading.active_count() == before


@pytest.mark.parametrize("rows", [1, 31, 64, 127, 128, 300, 785, 2049, 100_000])
def test_blocks_cover_all_rows_once(rows):
    blocks = blocks_of(rows)
    assert [row for one in blocks for row in range(one.start, one.stop)] == list(range(rows))
    assert len(blocks) in (1, 2, 4, 8, 16)
