"""Training on data that stay in their file: shuffling, and the end of the reader thread."""

import gc
import hashlib
import json

import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg import DivergedError
from nnreg._utils.hdf5 import FileDataset
from nnreg.errors import NnregWarning
from nnreg.tables.lazy import Chunk, materialize
from nnreg.training.epoch import order_of, steps_of
from tests.data.lazy.stored import (
    LAYERS,
    ROWS,
    SPLIT,
    content,
    examples,
    prepared,
    readers,
    spec,
    write,
)


class TestOrder:
    def order(self, epoch, **kwargs):
        run = prepared(**kwargs)
        return order_of(run.train, run.model.spec.train, run.model.spec.seed, epoch)

    def test_every_row_occurs_once_in_a_different_order_per_epoch(self, directory):
        first, again, second = self.order(1), self.order(1), self.order(2)
        for order in (first, second):
            np.testing.assert_array_equal(np.sort(order), np.arange(ROWS))
        np.testing.assert_array_equal(first, again)
        assert np.mean(first == second) < 0.05
        assert np.mean(self.order(1, seed=1) == first) < 0.05

    def test_a_batch_has_rows_from_all_over_the_file(self, directory):
        order = self.order(1)
        assert np.mean([np.ptp(order[s : s + 7]) for s in range(0, ROWS, 7)]) > ROWS / 2
        assert np.mean(np.abs(np.diff(order)) == 1) < 0.1  # neighbours rarely stay together

    @pytest.mark.parametrize("split", [{}, SPLIT])
    def test_a_window_is_read_in_blocks_of_neighbours(self, directory, split, monkeypatch):
        read, calls = FileDataset.read, []
        run = prepared(split=split)

        def counted(self, segments):
            calls.extend(segments)
            return read(self, segments)

        monkeypatch.setattr(FileDataset, "read", counted)
        next(run.model.trainer(run.train).epochs())
        assert sum(stop - start for start, stop in calls) < 1.4 * ROWS
        assert len(calls) < 1.4 * ROWS / 8

    def test_without_shuffling_the_order_is_that_of_the_file(self, directory):
        train = {"shuffle": False, "batch_size": 7, "epochs": 2}
        vectors = []
        for stream in (True, False):
            run = prepared(stream, train=train)
            memory = prepared(False)
            run.model.preprocessing = memory.model.preprocessing
            list(run.model.trainer(run.train).epochs())
            vectors.append(run.model.network.vector)
        np.testing.assert_array_equal(*vectors)

    def test_the_examples_trained_on_are_those_of_the_order(self, directory):
        run = prepared()
        trainer = run.model.trainer(run.train)
        x, order = materialize(run.train.x), order_of(run.train, trainer.settings, trainer.seed, 1)
        seen = 0
        for window, rows in steps_of(run.train, order, trainer.settings.step_size):
            now = order[seen : seen + 7]
            np.testing.assert_array_equal(window.x[rows], x[now])
            np.testing.assert_array_equal(window.targets[rows], run.train.targets[now])
            assert len(window.x) < 100 < ROWS
            seen += len(rows)
        assert seen == ROWS


class TestTraining:
    def train(self, **kwargs):
        run = prepared(split=SPLIT, **kwargs)
        list(run.model.trainer(run.train, run.validation).epochs())
        assert not readers()
        return run.model

    def test_it_learns_bit_identically_with_fast_and_slow_reading(self, directory, monkeypatch):
        first = self.train()
        assert first.history[-1]["val_accuracy"] > 0.9
        read = FileDataset.read

        def slow(self, segments):
            hashlib.sha256(bytes(2**20))  # as a slow disk, it lets others compute meanwhile
            return read(self, segments)

        monkeypatch.setattr(FileDataset, "read", slow)
        second = self.train()
        assert first.network.vector.tobytes() == second.network.vector.tobytes()
        assert list(first.history) == list(second.history)

    def test_a_resumed_run_is_bit_identical_to_an_uninterrupted_one(self, directory):
        nnreg.run(spec(split=SPLIT), out="once", overrides=["train.epochs=5"])
        nnreg.run(spec(split=SPLIT), out="run", overrides=["train.epochs=2"])
        nnreg.resume("run", overrides=["train.epochs=5"])
        for file in ("metrics.jsonl", "checkpoints/last.h5"):
            assert content(directory / "once" / file) == content(directory / "run" / file)
        assert json.loads((directory / "once/summary.json").read_text())["streamed"] is True

    def test_resuming_without_streaming_is_reported(self, directory):
        nnreg.run(spec(), out="out")
        overrides = ["data.source.stream=false", "train.epochs=4"]
        with pytest.warns(NnregWarning, match="not be bit-identical.* streamed is False, was True"):
            nnreg.resume("out", overrides=overrides)

    def test_an_epoch_resumed_in_its_middle_is_bit_identical(self, directory):
        expected = self.train()
        run = prepared(split=SPLIT)
        model = run.model
        made = model.trainer(run.train, run.validation).iterate(lambda: True)
        for _ in range(20):
            next(made)
        made.close()
        assert model.training_state.epoch_state.seen == 140
        assert not readers()
        list(model.trainer(run.train, run.validation).epochs())
        assert model.network.vector.tobytes() == expected.network.vector.tobytes()
        assert list(model.history) == list(expected.history)

    def test_no_window_stays_in_memory_when_the_next_one_is_read(self, directory, monkeypatch):
        gc.collect()  # objects of earlier tests
        run = prepared(split=SPLIT)
        measure = run.model.evaluation.evaluate

        def look(*arguments, **options):
            assert not any(isinstance(thing, Chunk) for thing in gc.get_objects())
            return measure(*arguments, **options)

        monkeypatch.setattr(run.model.evaluation, "evaluate", look)
        assert len(list(run.model.trainer(run.train, run.validation).epochs())) == 3

    def test_threads_that_split_a_batch_read_from_the_same_window(self, directory):
        rng = np.random.default_rng(0)
        write("d.h5", rng.normal(size=(260, 12, 12, 2)), rng.integers(0, 3, 260))
        layers = [{"type": "conv2d", "filters": 16, "padding": "same"}, *LAYERS[:1], LAYERS[-1]]
        vectors = []
        for threads in (1, 2):
            train = {"threads": threads, "batch_size": 130, "epochs": 2, "kernels": "numpy"}
            network = {"layers": layers, "dtype": "float64"}
            run = prepared(model=network, train=train)
            trainer = run.model.trainer(run.train)
            assert trainer.shards == 8
            list(trainer.epochs())
            vectors.append(run.model.network.vector)
        assert vectors[0].tobytes() == vectors[1].tobytes()

    def test_divergence_is_explained_and_the_thread_ends(self, directory):
        diverging = spec(optimizer={"type": "sgd", "learning_rate": 1e38})
        with pytest.raises(DivergedError, match=r"epoch 1, batch \d+: the loss is not finite"):
            nnreg.run(diverging, out="out")
        assert not readers()

    def test_extreme_held_out_values_are_explained(self, directory):
        x, _ = examples()
        x[450] = 3e38
        write("held-out.h5", x)
        layers = [{"type": "flatten"}, {"type": "dense", "units": 3}, LAYERS[-1]]
        split = {"validation": "held-out.h5"}
        with pytest.raises(DivergedError, match=r"validation loss is not finite; .* the output of"):
            nnreg.run(spec(split=split, model={"layers": layers}))
        assert not readers()

    def test_an_interruption_ends_the_thread(self, directory, monkeypatch):
        run = prepared()
        trainer = run.model.trainer(run.train)
        step = trainer._step

        def interrupt(epoch, number):
            step(epoch, number)
            if number == 20:
                raise KeyboardInterrupt

        monkeypatch.setattr(trainer, "_step", interrupt)
        with pytest.raises(KeyboardInterrupt) as kept:  # which keeps the frames alive
            next(trainer.epochs())
        assert not readers(), kept
