"""Training on data that stay in their file: a real shuffle, and a thread that ends."""

import gc
import json
import time

import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg import DivergedError
from nnreg._utils.hdf5 import FileDataset
from nnreg.errors import NnregWarning
from nnreg.tables.lazy import Chunk, materialize
from tests.data.lazy.stored import (
    LAYERS,
    ROWS,
    SPLIT,
    assembled,
    bits,
    examples,
    readers,
    spec,
    write,
)


class TestOrder:
    def order(self, epoch, **kwargs):
        parts = assembled(**kwargs)
        return parts.model.trainer(parts.train)._order(epoch)

    def test_every_row_is_there_once_in_an_order_of_its_own_each_epoch(self, folder):
        first, again, second = self.order(1), self.order(1), self.order(2)
        for order in (first, second):
            np.testing.assert_array_equal(np.sort(order), np.arange(ROWS))
        np.testing.assert_array_equal(first, again)
        assert np.mean(first == second) < 0.05
        assert np.mean(self.order(1, seed=1) == first) < 0.05

    def test_a_batch_has_rows_from_all_over_the_file(self, folder):
        order = self.order(1)
        assert np.mean([np.ptp(order[s : s + 7]) for s in range(0, ROWS, 7)]) > ROWS / 2
        assert np.mean(np.abs(np.diff(order)) == 1) < 0.1  # neighbours hardly ever stay together

    @pytest.mark.parametrize("split", [{}, SPLIT])
    def test_a_window_is_read_in_blocks_of_neighbours(self, folder, split, monkeypatch):
        read, calls = FileDataset.read, []
        parts = assembled(split=split)

        def counted(self, segments):
            calls.extend(segments)
            return read(self, segments)

        monkeypatch.setattr(FileDataset, "read", counted)
        next(parts.model.trainer(parts.train).epochs())
        assert sum(stop - start for start, stop in calls) < 1.4 * ROWS
        assert len(calls) < 1.4 * ROWS / 8

    def test_without_shuffling_the_order_is_the_files(self, folder):
        train = {"shuffle": False, "batch_size": 7, "epochs": 2}
        vectors = []
        for stream in (True, False):
            parts = assembled(stream, train=train)
            memory = assembled(False)
            parts.model.preprocessing = memory.model.preprocessing
            list(parts.model.trainer(parts.train).epochs())
            vectors.append(parts.model.network.vector)
        np.testing.assert_array_equal(*vectors)  # and so are all bits

    def test_the_examples_trained_on_are_those_of_the_order(self, folder):
        parts = assembled()
        trainer = parts.model.trainer(parts.train)
        x, order = materialize(parts.train.x), trainer._order(1)
        seen = 0
        for window, rows in trainer._steps_of(order):
            now = order[seen : seen + 7]
            np.testing.assert_array_equal(window.x[rows], x[now])
            np.testing.assert_array_equal(window.targets[rows], parts.train.targets[now])
            assert len(window.x) < 100 < ROWS
            seen += len(rows)
        assert seen == ROWS


class TestTraining:
    def train(self, **kwargs):
        parts = assembled(split=SPLIT, **kwargs)
        list(parts.model.trainer(parts.train, parts.validation).epochs())
        assert not readers()
        return parts.model

    def test_it_learns_and_fast_or_slow_reading_gives_the_same_bits(self, folder, monkeypatch):
        first = self.train()
        assert first.history[-1]["val_accuracy"] > 0.9
        read = FileDataset.read

        def slow(self, segments):
            time.sleep(0.002)
            return read(self, segments)

        monkeypatch.setattr(FileDataset, "read", slow)
        second = self.train()
        assert first.network.vector.tobytes() == second.network.vector.tobytes()
        assert list(first.history) == list(second.history)

    def test_a_run_that_goes_on_has_the_bits_of_one_that_was_never_stopped(self, folder):
        nnreg.run(spec(split=SPLIT), out="once", overrides=["train.epochs=5"])
        nnreg.run(spec(split=SPLIT), out="parts", overrides=["train.epochs=2"])
        nnreg.resume("parts", overrides=["train.epochs=5"])
        for file in ("metrics.jsonl", "checkpoints/last.h5"):
            assert bits(folder / "once" / file) == bits(folder / "parts" / file)
        assert json.loads((folder / "once/summary.json").read_text())["streamed"] is True

    def test_a_run_that_goes_on_another_way_says_so(self, folder):
        nnreg.run(spec(), out="out")
        overrides = ["data.source.stream=false", "train.epochs=4"]
        with pytest.warns(NnregWarning, match="not be bit-identical.* streamed is False, was True"):
            nnreg.resume("out", overrides=overrides)

    def test_an_epoch_that_goes_on_from_its_middle_has_the_same_bits(self, folder):
        expected = self.train()
        parts = assembled(split=SPLIT)
        model = parts.model
        made = model.trainer(parts.train, parts.validation).iterate(lambda: True)
        for _ in range(20):
            next(made)
        made.close()
        assert model.training_state.epoch_state.seen == 140
        assert not readers()
        list(model.trainer(parts.train, parts.validation).epochs())
        assert model.network.vector.tobytes() == expected.network.vector.tobytes()
        assert list(model.history) == list(expected.history)

    def test_no_window_is_left_in_memory_when_the_next_ones_are_read(self, folder, monkeypatch):
        gc.collect()  # what the tests before have left
        parts = assembled(split=SPLIT)
        measure = parts.model.evaluation.evaluate

        def look(*arguments):
            assert not any(isinstance(thing, Chunk) for thing in gc.get_objects())
            return measure(*arguments)

        monkeypatch.setattr(parts.model.evaluation, "evaluate", look)
        assert len(list(parts.model.trainer(parts.train, parts.validation).epochs())) == 3

    def test_threads_that_divide_a_batch_take_from_the_same_window(self, folder):
        rng = np.random.default_rng(0)
        write("d.h5", rng.normal(size=(260, 12, 12, 2)), rng.integers(0, 3, 260))
        layers = [{"type": "conv2d", "filters": 16, "padding": "same"}, *LAYERS[:1], LAYERS[-1]]
        vectors = []
        for threads in (1, 2):
            train = {"threads": threads, "batch_size": 130, "epochs": 2, "kernels": "numpy"}
            network = {"layers": layers, "dtype": "float64"}
            parts = assembled(model=network, train=train)
            trainer = parts.model.trainer(parts.train)
            assert trainer.data_parallel == (threads == 2)
            list(trainer.epochs())
            vectors.append(parts.model.network.vector)
        np.testing.assert_allclose(*vectors, rtol=1e-9, atol=1e-12)

    def test_what_diverges_is_explained_and_the_thread_ends(self, folder):
        diverging = spec(optimizer={"type": "sgd", "learning_rate": 1e38})
        with pytest.raises(DivergedError, match=r"epoch 1, batch \d+: the loss is not finite"):
            nnreg.run(diverging, out="out")
        assert not readers()

    def test_extreme_values_held_out_are_explained(self, folder):
        x, _ = examples()
        x[450] = 3e38
        write("held-out.h5", x)
        layers = [{"type": "flatten"}, {"type": "dense", "units": 3}, LAYERS[-1]]
        split = {"validation": "held-out.h5"}
        with pytest.raises(DivergedError, match=r"validation loss is not finite; .* the output of"):
            nnreg.run(spec(split=split, model={"layers": layers}))
        assert not readers()

    def test_an_interruption_ends_the_thread(self, folder, monkeypatch):
        parts = assembled()
        trainer = parts.model.trainer(parts.train)
        step = trainer._step

        def interrupt(epoch, number):
            step(epoch, number)
            if number == 20:
                raise KeyboardInterrupt

        monkeypatch.setattr(trainer, "_step", interrupt)
        with pytest.raises(KeyboardInterrupt) as kept:  # and with it all that it came through
            next(trainer.epochs())
        assert not readers(), kept
