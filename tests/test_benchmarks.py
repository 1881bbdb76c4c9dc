"""The benchmarks: what they compute from times, and that a library left out is named."""

import json
import sys

import numpy as np
import pytest

import nnreg
from benchmarks import __main__ as bench
from benchmarks.jax_layers import initial
from benchmarks.peers import PEERS
from benchmarks.workloads import STEPS, WORKLOADS, dense

TINY = WORKLOADS[0]


def test_a_ratio_is_the_best_peers_time_over_ours():
    medians = {"nnreg": 2.0, "nnreg+numba": 1.0, "PyTorch": 8.0, "JAX jit": 3.0}
    assert bench.ratio(medians, "nnreg") == 1.5
    assert bench.ratio(medians, "nnreg+numba") == 3.0
    assert bench.ratio({"nnreg": 2.0}, "nnreg") is None


def test_the_share_of_the_limit_counts_no_gradient_of_the_input():
    forward = 4 * 16 + 16 * 8 + 8 * 3
    assert TINY.dense_flops == 2 * 150 * (3 * forward - 4 * 16)
    line = bench.row(TINY, {"nnreg": 1.0}, TINY.dense_flops / 0.5, ["nnreg", "JAX jit"])
    assert line.split()[-1] == "50%"


def test_every_workload_has_all_its_classes():
    for workload in WORKLOADS[:2]:
        x, y = workload.examples()
        assert len(x) == len(y) == STEPS * workload.batch
        assert set(y.tolist()) == set(range(workload.classes))


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_the_network_in_jax_has_as_many_parameters_as_nnregs(workload):
    layers = [*workload.layers, dense(workload.classes, "softmax")]
    x, y = workload.examples()
    spec = {"model": {"layers": layers}, "loss": "cross_entropy", "optimizer": "sgd"}
    model = nnreg.build(spec, data=(x, y))

    def size(params):
        return sum(map(size, params)) if isinstance(params, tuple | list) else params.size

    params, shape = initial(layers, workload.shape, np.random.default_rng(0))
    assert size(params) == model.network.vector.size
    assert shape == (workload.classes,)


def test_a_worker_times_nnreg_and_says_why_it_cannot():
    worker = bench.Worker("nnreg", threads=1)
    try:
        assert 0 < worker.ask(TINY.name, 0.01)["seconds"] < 1
        assert worker.ask("no such network", 0.01) == {"error": "KeyError: 'no such network'"}
        assert "seconds" in worker.ask(TINY.name, 0.01)
    finally:
        worker.close()
    assert "error" in worker.ask(TINY.name, 0.01)


def test_a_peer_that_fails_is_left_out_and_named_and_the_others_go_on():
    class Fake:
        def __init__(self, *replies):
            self.replies = list(replies)

        def ask(self, workload, seconds):
            return self.replies.pop(0)

    workers = {
        "nnreg": Fake({"seconds": 3.0}, {"seconds": 1.0}, {"seconds": 2.0}),
        "PyTorch": Fake({"error": "ModuleNotFoundError: No module named 'torch'"}),
    }
    medians, errors = bench.measure(TINY, workers, rounds=3, seconds=0.0)
    assert medians == {"nnreg": 2.0}
    assert errors == {"PyTorch": "ModuleNotFoundError: No module named 'torch'"}


def test_the_command_prints_a_table_and_writes_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "PEERS", {"nnreg": PEERS["nnreg"]})
    monkeypatch.setattr(bench, "product_rate", lambda: 1e11)
    arguments = ["benchmarks", "--quick", "--only", TINY.name, "--out", str(tmp_path / "b")]
    monkeypatch.setattr(sys, "argv", arguments)
    bench.main()
    assert TINY.name in capsys.readouterr().out
    (result,) = json.loads((tmp_path / "b" / "steps.json").read_text())
    assert result["seconds"]["nnreg"] == pytest.approx(1e-4, abs=1e-2)
