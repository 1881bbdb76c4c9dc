"""An update shared among threads has the bits of one that is not."""

import numpy as np
import pytest

import nnreg
from nnreg import update
from nnreg.builtin.optimizers import Adam
from nnreg.interfaces import Optimizer
from nnreg.threads import Crew, pieces


class _Whole(Optimizer):
    """An optimizer that does not say that it is elementwise."""


def trained(monkeypatch, threads, chunk):
    monkeypatch.setattr(update, "CHUNK", chunk)
    monkeypatch.setattr(update, "SHARE", 4 * chunk)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 9)), rng.normal(size=64)
    layers = [{"type": "dense", "units": 30}, {"type": "dense", "units": 1}]
    spec = {
        "model": {"layers": layers},
        "loss": "mean_squared_error",
        "optimizer": "adam",
        "train": {"epochs": 3, "threads": threads, "l2": 0.1, "clip_norm": 1.0},
    }
    model = nnreg.build(spec, data=(x, y))
    trainer = model.trainer(model.examples(x, y))
    list(trainer.epochs())
    return trainer, model.network.vector


def test_pieces_and_threads_do_not_change_a_bit(monkeypatch):
    _, expected = trained(monkeypatch, 1, 10**6)
    for threads, chunk in ((1, 7), (2, 7), (3, 20)):
        trainer, found = trained(monkeypatch, threads, chunk)
        assert len(trainer._update._shares) == threads
        assert found.tobytes() == expected.tobytes()


def test_only_large_vectors_of_elementwise_optimizers_are_shared():
    assert update.divisions(Adam(), 3 * update.SHARE, 2) == 2
    assert update.divisions(Adam(), 3 * update.SHARE, 8) == 3
    assert update.divisions(Adam(), update.SHARE - 1, 8) == 1
    assert update.divisions(_Whole(), 3 * update.SHARE, 2) == 1


@pytest.mark.parametrize(("size", "count"), [(0, 3), (2, 3), (10, 3), (7, 1)])
def test_pieces_cover_everything_once(size, count):
    values = np.arange(size)
    parts = [values[piece] for piece in pieces(size, count)]
    assert len(parts) == count
    np.testing.assert_array_equal(np.concatenate(parts), values)
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_crew_gives_results_in_order_open_or_closed():
    crew = Crew(3)
    jobs = [lambda k=k: k for k in range(3)]
    assert crew.run(jobs) == [0, 1, 2]
    with crew.open():
        assert crew.run(jobs) == [0, 1, 2]
        with pytest.raises(ZeroDivisionError):
            crew.run([lambda: 0, lambda: 1 / 0])
    assert crew.run(jobs) == [0, 1, 2]
