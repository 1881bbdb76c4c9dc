"""A signal that one rank receives stops all of them after the same step.

The ranks are threads here, which receive no signals: the test gives one to the rank itself.
`test_mpi` has a real one.
"""

import itertools
import json
import signal
import threading
from contextlib import contextmanager

import numpy as np
import pytest

import nnreg
from nnreg._utils.signals import Stop
from nnreg.ranks.group import ALONE
from nnreg.runs import run as runs
from nnreg.runs.agreement import agree_to_stop
from nnreg.runs.run import prepare_run
from nnreg.spec.document import read_spec
from tests.helpers.specs import classifier
from tests.ranks.threads import on_ranks

STEPS_PER_EPOCH = 4


def write_spec(directory):
    """Write a spec and its data; return the path of the spec."""
    rng = np.random.default_rng(0)
    np.savez(directory / "d.npz", x=rng.normal(size=(40, 3)), y=rng.integers(0, 3, 40))
    data = {"source": "npz", "path": "d.npz", "target": "y"}
    train = {"epochs": 3, "batch_size": 40 // STEPS_PER_EPOCH, "shards": 4}
    path = directory / "spec.json"
    path.write_text(json.dumps(classifier(data=data, train=train)))
    return path


@pytest.fixture
def here(monkeypatch):
    """Let a run take its ranks, and whether it is to stop, from the thread that it is in."""
    here = threading.local()

    @contextmanager
    def deferred_signals(signals, on_signal=None):
        yield here.stop
        if here.stop.requested:
            raise KeyboardInterrupt(here.stop.signal)

    monkeypatch.setattr(runs, "launched_ranks", lambda: here.ranks)
    monkeypatch.setattr(runs, "deferred_signals", deferred_signals)
    return here


@pytest.mark.parametrize(
    "signals", list(itertools.product([0, signal.SIGINT, signal.SIGTERM], repeat=2))
)
def test_all_ranks_have_the_signal_of_any(signals):
    def agreed(ranks):
        stop = Stop()
        if signals[ranks.rank]:
            stop.on_first_signal(signals[ranks.rank], None)
        agree_to_stop(ranks, stop)
        return stop.requested, stop.signal

    assert on_ranks(2, agreed) == [(any(signals), max(signals))] * 2


@pytest.mark.parametrize(
    ("exchange", "step"),
    [(2, 3), (STEPS_PER_EPOCH - 1, STEPS_PER_EPOCH), (STEPS_PER_EPOCH + 1, STEPS_PER_EPOCH + 3)],
    ids=["in the first epoch", "at its end", "in the second epoch"],
)
@pytest.mark.parametrize("signalled", [0, 1])
def test_a_signal_to_one_rank_stops_all_after_the_next_step_and_saves(
    here, tmp_path, signalled, exchange, step
):
    document = read_spec(write_spec(tmp_path))

    def train(ranks):
        here.ranks, here.stop, exchanges = ranks, Stop(), itertools.count(1)
        any_of_all = ranks.any

        def any_after_signal(wishes):
            """Receive the signal when others already know what this rank wishes."""
            if ranks.rank == signalled and next(exchanges) == exchange:
                here.stop.on_first_signal(signal.SIGTERM, None)
            return any_of_all(wishes)

        ranks.any = any_after_signal
        run = prepare_run(document, out=tmp_path / "run")
        with pytest.raises(KeyboardInterrupt, match=str(int(signal.SIGTERM))):
            run.train()
        return run.model.training_state.step, run.model.network.vector.tobytes()

    first, second = on_ranks(2, train)
    assert first == second
    assert first[0] == step
    saved = nnreg.load(tmp_path / "run/checkpoints/last.h5")
    assert (saved.training_state.step, saved.network.vector.tobytes()) == first
    assert json.loads((tmp_path / "run/summary.json").read_text())["stopped"] == "interrupted"


def test_what_was_stopped_resumes_to_the_weights_of_a_run_that_was_not(here, tmp_path):
    document = read_spec(write_spec(tmp_path))

    def train(ranks):
        here.ranks, here.stop = ranks, Stop()
        run = prepare_run(document, out=tmp_path / "run")
        if ranks.rank == 1:
            here.stop.on_first_signal(signal.SIGINT, None)
        with pytest.raises(KeyboardInterrupt):
            run.train()

    on_ranks(2, train)
    here.ranks, here.stop = ALONE, Stop()
    resumed = nnreg.resume(tmp_path / "run")
    expected = nnreg.run(tmp_path / "spec.json")
    assert resumed.training_state.step == 3 * STEPS_PER_EPOCH
    assert resumed.network.vector.tobytes() == expected.network.vector.tobytes()
