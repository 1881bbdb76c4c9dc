"""Data that stay in their HDF5 file: the same numbers, a real shuffle, and a thread that ends."""

import csv
import gc
import io
import json
import os
import subprocess
import sys
import threading
import time
import tracemalloc

import h5py
import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg import DataError, DivergedError
from nnreg._utils.hdf5 import StoredDataset
from nnreg._utils.memory import memory_limit
from nnreg.builtin.sources.arrays import Hdf5
from nnreg.cli.app import main
from nnreg.errors import NnregWarning
from nnreg.interfaces import Table
from nnreg.runs.prepare import assemble
from nnreg.spec.document import read_spec
from nnreg.tables.lazy import Stored, Window, pieces, read_ahead, whole
from tests.helpers.specs import classifier

ROWS = 500
LAYERS = [
    {"type": "flatten"},
    {"type": "dense", "units": 8, "activation": "tanh"},
    {"type": "dropout", "rate": 0.1},
    {"type": "dense", "units": "classes", "activation": "softmax"},
]
SPLIT = {"validation": 0.2, "test": 0.1}


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    """Read 8 rows at once, and have some 64 in memory."""
    monkeypatch.setattr(nnreg.tables.lazy, "BLOCK", 64)
    monkeypatch.setattr(nnreg.tables.lazy, "WINDOW", 512)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("d.h5")
    return tmp_path


def examples(count=ROWS):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, count)
    return rng.normal(size=(count, 2, 4)) * 3 + 5 + 4 * y[:, None, None], y


def write(path, x=None, y=None, **storage):
    made, labels = examples()
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=made if x is None else x, **storage)
        file["y"] = labels if y is None else y


def spec(stream=True, path="d.h5", split=None, **changes):
    source = {"type": "hdf5", "stream": stream}
    data = {"source": source, "path": path, "target": "y", "split": split or {}}
    train = {"epochs": 3, "batch_size": 7}
    return classifier(data=data, **{"model": {"layers": LAYERS}, "train": train, **changes})


def assembled(*args, **kwargs):
    return assemble(read_spec(spec(*args, **kwargs)))


def readers():
    return [thread for thread in threading.enumerate() if "nnreg-reader" in thread.name]


def bits(path):
    with open(path, "rb") as file:
        return file.read()


STORAGE = {
    "contiguous": {},
    "chunks": {"chunks": (10, 2, 4)},
    "chunks across rows": {"chunks": (3, 1, 2)},
    "gzip": {"chunks": (16, 2, 4), "compression": "gzip", "shuffle": True},
    "lzf": {"chunks": (64, 2, 4), "compression": "lzf", "fletcher32": True},
}


class TestPreparing:
    @pytest.mark.parametrize("storage", STORAGE)
    @pytest.mark.parametrize("dtype", ["f8", ">f4", "u1"])
    def test_the_network_gets_the_numbers_it_gets_from_memory(self, folder, storage, dtype):
        write("d.h5", examples()[0].astype(dtype), **STORAGE[storage])
        stored, memory = assembled(True, split=SPLIT), assembled(False, split=SPLIT)
        found, expected = (parts.model.preprocessing.inputs[0] for parts in (stored, memory))
        assert found.mean == pytest.approx(expected.mean, rel=1e-13)
        assert found.std == pytest.approx(expected.std, rel=1e-13)
        stored.model.preprocessing = memory.model.preprocessing
        for part in ("train", "validation", "test"):
            inputs = getattr(stored, part).x
            assert isinstance(inputs, Stored)
            assert inputs.dtype == np.float32
            np.testing.assert_array_equal(whole(inputs), getattr(memory, part).x)
            np.testing.assert_array_equal(getattr(stored, part).t, getattr(memory, part).t)

    def test_mean_and_deviation_are_found_far_from_zero(self, folder):
        x = 1e8 + np.random.default_rng(0).normal(size=(ROWS, 8))
        write("d.h5", x)
        found = assembled().model.preprocessing.inputs[0]
        assert found.mean == pytest.approx(x.mean(), rel=1e-15)
        assert found.std == pytest.approx(x.std(), rel=1e-9)

    def test_scaling_can_be_turned_off(self, folder):
        data = {**spec()["data"], "scaling": "none"}
        parts = assemble(read_spec(classifier(data=data, model={"layers": LAYERS})))
        np.testing.assert_array_equal(whole(parts.train.x), examples()[0].astype(np.float32))

    @pytest.mark.parametrize(
        ("value", "message"), [(np.nan, "the value is missing"), (np.inf, "an infinite value")]
    )
    @pytest.mark.parametrize("scaling", ["standard", "none"])
    @pytest.mark.parametrize("part", ["train", "validation", "test", "a file"])
    def test_a_bad_value_is_told_with_its_row_before_anything_is_written(
        self, folder, value, message, scaling, part
    ):
        x, path, split = examples()[0], "d.h5", SPLIT
        row = 321
        if part == "a file":
            path, split = "held-out.h5", {"validation": "held-out.h5"}
        else:
            row = int(getattr(assembled(split=SPLIT), part).x.rows[-1])
        x[row, 1, 2] = value
        write(path, x, chunks=(64, 2, 4))
        bad = spec(split=split)
        bad["data"]["scaling"] = scaling
        with pytest.raises(DataError, match=rf"{path}, row {row}, column 'x': {message}"):
            nnreg.run(bad, out="out")
        assert not os.path.exists("out")
        assert not readers()

    def test_integers_are_checked_before_training(self, folder):
        x = np.random.default_rng(0).integers(0, 9, (ROWS, 5))
        x[400, 2] = 9
        write("d.h5", x)
        layers = [{"type": "embedding", "vocabulary": 9, "units": 3}, *LAYERS]
        with pytest.raises(DataError, match="integers from 0 to 8"):
            assembled(model={"layers": layers})
        write("d.h5", np.minimum(x, 8))
        parts = assembled(model={"layers": layers})
        np.testing.assert_array_equal(whole(parts.train.x), np.minimum(x, 8))

    def test_a_target_of_arrays_is_read_whole(self, folder):
        x, _ = examples()
        write("d.h5", x, x[:, 0])
        layers = [{"type": "flatten"}, {"type": "dense", "units": 4}]
        regression = {"loss": "mean_squared_error", "metrics": ["r2"]}
        parts = assembled(model={"layers": layers}, **regression)
        np.testing.assert_array_equal(parts.train.truth, x[:, 0])
        assert isinstance(parts.train.x, Stored)


class TestWhatStays:
    @pytest.mark.parametrize(("limit", "stays"), [(ROWS * 8 * 8 * 5 - 1, True), (2**40, False)])
    def test_auto_leaves_what_would_take_a_fifth_of_the_memory(
        self, folder, monkeypatch, limit, stays
    ):
        monkeypatch.setattr("nnreg.builtin.sources.arrays.memory_limit", lambda: limit)
        columns = Hdf5().read(folder / "d.h5").columns
        assert isinstance(columns["x"], Stored) == stays
        assert not isinstance(columns["y"], Stored)

    def test_where_the_memory_is_not_known_files_are_read_whole(self, folder, monkeypatch):
        monkeypatch.setattr("nnreg.builtin.sources.arrays.memory_limit", lambda: None)
        assert not isinstance(Hdf5().read(folder / "d.h5").columns["x"], Stored)

    @pytest.mark.skipif(sys.platform != "linux", reason="limits are told in Linux's ways")
    def test_the_limits_of_process_and_container_count(self, tmp_path, monkeypatch):
        machine = memory_limit()
        assert machine > 2**27
        tell = (
            "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2**27, 2**27));"
            "from nnreg._utils.memory import memory_limit; print(memory_limit())"
        )
        done = subprocess.run([sys.executable, "-c", tell], capture_output=True, check=True)
        assert int(done.stdout) == 2**27
        for text, expected in (("max\n", machine), ("1000\n", 1000)):
            (tmp_path / "memory.max").write_text(text)
            monkeypatch.setattr(nnreg._utils.memory, "CONTAINER_LIMITS", (tmp_path / "memory.max",))
            assert memory_limit() == expected

    def test_words_and_single_values_are_read_whole(self, folder):
        with h5py.File("words.h5", "w") as file:
            file["words"] = np.array([["a", "b"], ["c", "d"]], "S1")
            file["numbers"] = np.arange(2.0)
            file["nothing"] = np.zeros((2, 0))
        columns = Hdf5(stream=True).read(folder / "words.h5").columns
        assert not any(isinstance(column, Stored) for column in columns.values())


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
        read, calls = StoredDataset.read, []
        parts = assembled(split=split)

        def counted(self, stretches):
            calls.extend(stretches)
            return read(self, stretches)

        monkeypatch.setattr(StoredDataset, "read", counted)
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
        x, order = whole(parts.train.x), trainer._order(1)
        seen = 0
        for examples, rows in trainer._steps_of(order):
            now = order[seen : seen + 7]
            np.testing.assert_array_equal(examples.x[rows], x[now])
            np.testing.assert_array_equal(examples.t[rows], parts.train.t[now])
            assert len(examples.x) < 100 < ROWS
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
        read = StoredDataset.read

        def slow(self, stretches):
            time.sleep(0.002)
            return read(self, stretches)

        monkeypatch.setattr(StoredDataset, "read", slow)
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
        with pytest.warns(NnregWarning, match="bits may differ.* streamed is False, was True"):
            nnreg.resume("out", overrides=overrides)

    def test_an_epoch_that_goes_on_from_its_middle_has_the_same_bits(self, folder):
        expected = self.train()
        parts = assembled(split=SPLIT)
        model = parts.model
        made = model.trainer(parts.train, parts.validation).stretches(lambda: True)
        for _ in range(20):
            next(made)
        made.close()
        assert model.progress.partial.seen == 140
        assert not readers()
        list(model.trainer(parts.train, parts.validation).epochs())
        assert model.network.vector.tobytes() == expected.network.vector.tobytes()
        assert list(model.history) == list(expected.history)

    def test_no_window_is_left_in_memory_when_the_next_ones_are_read(self, folder, monkeypatch):
        gc.collect()  # what the tests before have left
        parts = assembled(split=SPLIT)
        measure = parts.model.evaluation.measure

        def look(*arguments):
            assert not any(isinstance(thing, Window) for thing in gc.get_objects())
            return measure(*arguments)

        monkeypatch.setattr(parts.model.evaluation, "measure", look)
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
            assert trainer.divided == (threads == 2)
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


class TestABrokenFile:
    def test_in_mid_epoch_it_is_told_with_its_rows_and_the_last_good_epoch_is_kept(self, folder):
        nnreg.run(spec(split=SPLIT), out="good", overrides=["train.epochs=2"])
        whole_file = bits("d.h5")

        def cut(record):
            if record["epoch"] == 2:
                os.truncate("d.h5", len(whole_file) // 2)

        with pytest.raises(DataError, match=r"d\.h5, rows \d+ to \d+ of '/x': .* has changed"):
            nnreg.run(spec(split=SPLIT), out="out", on_epoch=cut)
        assert not readers()
        summary = json.loads((folder / "out/summary.json").read_text())
        assert (summary["stopped"], summary["epochs"]) == ("failed", 2)
        last, good = (nnreg.load(f"{name}/checkpoints/last.h5") for name in ("out", "good"))
        assert last.network.vector.tobytes() == good.network.vector.tobytes()
        (folder / "d.h5").write_bytes(whole_file)
        nnreg.resume("out")
        nnreg.run(spec(split=SPLIT), out="once")
        assert bits("out/checkpoints/last.h5") == bits("once/checkpoints/last.h5")

    def test_the_weights_go_back_to_the_epoch_before(self, folder):
        parts = assembled()
        epochs = parts.model.trainer(parts.train).epochs()
        next(epochs)
        good = parts.model.network.vector.copy()
        read, calls = StoredDataset.read, []

        def failing(self, stretches):
            calls.append(stretches)
            if len(calls) == 5:
                raise DataError("the disk is broken")
            return read(self, stretches)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(StoredDataset, "read", failing)
            with pytest.raises(DataError, match="the disk is broken"):
                next(epochs)
        np.testing.assert_array_equal(parts.model.network.vector, good)
        assert parts.model.progress.epoch == 1

    def test_a_chunk_that_cannot_be_unpacked_names_its_rows(self, folder):
        write("d.h5", chunks=(8, 2, 4), compression="gzip", fletcher32=True)
        with h5py.File("d.h5") as file:
            chunk = file["x"].id.get_chunk_info(30)
        with open("d.h5", "r+b") as file:
            file.seek(chunk.byte_offset)
            file.write(b"broken")
        rows = f"rows {chunk.chunk_offset[0]} to {chunk.chunk_offset[0] + 7} of '/x'"
        with pytest.raises(DataError, match=f"{rows}: cannot read"):
            assembled()
        assert not readers()

    def test_what_is_missing_after_the_file_was_opened_is_not_taken_for_zeros(self, folder):
        dataset = Hdf5(stream=True).read(folder / "d.h5").columns["x"].dataset
        blocks = dataset.read([(0, 8), (490, 500)])
        next(blocks)
        os.truncate("d.h5", os.path.getsize("d.h5") // 2)
        with pytest.raises(DataError, match=r"rows 490 to 499 of '/x': cannot read"):
            list(blocks)

    def test_a_file_that_is_gone_is_told(self, folder):
        parts = assembled()
        os.remove("d.h5")
        with pytest.raises(DataError, match=r"d\.h5, rows .*: cannot read: .*No such file"):
            next(parts.model.trainer(parts.train).epochs())

    def test_a_link_to_another_file_is_not_followed(self, folder):
        with h5py.File("link.h5", "w") as file:
            file["x"] = h5py.ExternalLink("d.h5", "x")
        with pytest.raises(DataError, match="is a link to somewhere else"):
            assembled(path="link.h5")


class TestUsing:
    @pytest.fixture
    def runs(self, folder):
        """Return two runs with the same weights, whose specs read the file each in its way."""
        nnreg.run(spec(split=SPLIT), out="stored")
        model = nnreg.load("stored/checkpoints/best.h5", ["data.source.stream=false"])
        os.makedirs("memory/checkpoints")
        nnreg.save(model, "memory/checkpoints/best.h5")
        return "stored", "memory"

    def output(self, capfd, *args):
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capfd.readouterr()
        assert caught.value.code == 0, err
        return out

    def test_predict_prints_the_same_from_the_file_as_from_memory(self, runs, capfd):
        stored, memory = (
            list(csv.DictReader(io.StringIO(self.output(capfd, "predict", run, "d.h5"))))
            for run in runs
        )
        assert len(stored) == len(memory) == ROWS
        for row, expected in zip(stored, memory, strict=True):
            assert list(row) == list(expected)
            assert row["prediction"] == expected["prediction"]
            for name in list(row)[1:]:
                assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-5)

    def test_predict_leaves_other_datasets_alone(self, runs, capfd):
        with h5py.File("d.h5", "a") as file:
            file["a name for each class"] = np.array(["ash", "birch", "cedar"], "S")
        assert self.output(capfd, "predict", "stored", "d.h5").count("\n") == ROWS + 1

    def test_predict_writes_json_in_pieces_too(self, runs, capfd):
        stored, memory = (
            json.loads(self.output(capfd, "predict", run, "d.h5", "--json")) for run in runs
        )
        assert [row["prediction"] for row in stored] == [row["prediction"] for row in memory]

    def test_predict_writes_all_or_nothing(self, runs, capfd):
        x, _ = examples()
        x[480, 0, 0] = np.nan
        write("bad.h5", x)
        with pytest.raises(SystemExit):
            main(["predict", "stored", "bad.h5", "--out", "answers.csv"])
        out, err = capfd.readouterr()
        assert "bad.h5, row 480, column 'x': the value is missing" in err
        assert not out
        assert not os.path.exists("answers.csv")
        assert not readers()

    def test_standard_input_stays_until_it_was_read(self, runs, capfd, monkeypatch):
        stdin = io.TextIOWrapper(io.BytesIO(bits("d.h5")))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert self.output(capfd, "predict", "stored", "-").count("\n") == ROWS + 1

    def test_evaluate_finds_what_it_finds_from_memory(self, runs, capfd):
        for data in ([], ["d.h5"]):
            stored, memory = (
                json.loads(self.output(capfd, "evaluate", run, *data, "--json")) for run in runs
            )
            for part, figures in stored.items():
                assert figures == pytest.approx(memory[part], rel=1e-6)

    def test_python_takes_a_table_that_stays_in_its_file(self, runs, folder):
        table = Hdf5(stream=True).read(folder / "d.h5")
        model = nnreg.load("stored/checkpoints/best.h5")
        x, y = examples()
        np.testing.assert_allclose(model.predict(table), model.predict(x), rtol=1e-5)
        assert model.evaluate(table, table) == pytest.approx(model.evaluate(x, y), rel=1e-6)
        assert model.gradients(table, table)[0] == pytest.approx(model.gradients(x, y)[0])
        inputs = {"x": table.columns["x"]}
        model = nnreg.build(spec() | {"data": None}, data=(Table(inputs), y))
        assert len(model.fit(table, y, epochs=2)) == 2

    def test_predicting_holds_a_little_of_the_file_at_a_time(self, folder, monkeypatch, capfd):
        nnreg.run(spec(), out="out", overrides=["train.epochs=1"])
        x = np.tile(examples()[0], (20, 1, 1))
        write("large.h5", x)
        main_peak = []
        for path in ("d.h5", "large.h5"):
            tracemalloc.start()
            self.output(capfd, "predict", "out", path, "--out", "answers.csv")
            main_peak.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        with open("answers.csv") as file:
            assert len(file.readlines()) == len(x) + 1
        # but for the rows' numbers and the answers that wait to be written
        answers = os.path.getsize("answers.csv")
        assert main_peak[1] - main_peak[0] < x.nbytes / 2 + 2 * answers


class TestReadingAhead:
    def test_pieces_stay_what_they_were(self, folder):
        x = assembled().train.x
        found = list(pieces(x, 20))
        assert {len(piece) for piece in found[:-1]} == {20}
        np.testing.assert_array_equal(np.concatenate(found), whole(x))
        assert next(pieces(x.select(np.arange(0)), 20)).shape == (0, 2, 4)

    def test_one_item_is_read_while_the_one_before_is_in_use(self):
        done = []

        def read(item):
            done.append(item)
            return item

        items = read_ahead(read, range(5))
        assert next(items) == 0
        time.sleep(0.05)
        assert done == [0, 1]
        assert list(items) == [1, 2, 3, 4]
        assert not readers()

    def test_what_a_read_raises_is_raised_in_its_turn(self):
        items = read_ahead(lambda item: 1 // (2 - item), range(5))
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(ZeroDivisionError):
            next(items)
        assert not readers()


LIMIT, FILE = 192 * 2**20, 320 * 2**20
LIMITED = """
import resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
from nnreg.cli.app import main
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit leaves out large arrays")
class TestAFileLargerThanMemory:
    @pytest.fixture(autouse=True)
    def little_memory(self):
        """Leave blocks and windows as they are."""

    @pytest.fixture
    def large(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        self.make("large.h5", FILE // (784 * 4))
        layers = {"layers": LAYERS[1:]}
        train = {"epochs": 1, "batch_size": 256}
        made = spec("auto", "large.h5", SPLIT, model=layers, train=train)
        (tmp_path / "spec.json").write_text(json.dumps(made))
        yield tmp_path
        (tmp_path / "large.h5").unlink()

    def make(self, path, rows):
        """Write so many rows of 784 values, with three classes, a block at a time."""
        rng = np.random.default_rng(0)
        with h5py.File(path, "w") as file:
            x = file.create_dataset("x", (rows, 784), "f4")
            y = file.create_dataset("y", (rows,), "i8")
            for start in range(0, rows, 4096):
                stop = min(start + 4096, rows)
                y[start:stop] = labels = rng.integers(0, 3, stop - start)
                values = rng.standard_normal((stop - start, 784), np.float32)
                x[start:stop] = values + labels[:, None] / 4

    def limited(self, limit, *args):
        """Run a command in a process that may allocate so many bytes."""
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each has memory of its own
        command = [sys.executable, "-c", LIMITED, str(limit), *args]
        return subprocess.run(command, capture_output=True, text=True, env=environment)

    def test_it_trains_goes_on_and_predicts_in_less_memory_than_the_file_has(self, large):
        assert os.path.getsize("large.h5") > 1.5 * LIMIT
        for command in (
            ["run", "spec.json", "--out", "out"],
            ["resume", "out", "--set", "train.epochs=2"],
            ["evaluate", "out", "large.h5"],
            ["predict", "out", "large.h5", "--out", "answers.csv"],
        ):
            done = self.limited(LIMIT, *command)
            assert done.returncode == 0, (command, done.stderr)
        summary = json.loads((large / "out/summary.json").read_text())
        assert summary["streamed"] is True
        assert summary["epochs"] == 2
        assert summary["test"]["accuracy"] > 0.9
        with open("answers.csv") as file:
            assert sum(1 for _ in file) == FILE // (784 * 4) + 1

    def test_read_whole_it_would_not(self, large):
        done = self.limited(LIMIT, "run", "spec.json", "--set", "data.source.stream=false")
        assert done.returncode == 1
        assert "out of memory" in done.stderr

    @pytest.mark.parametrize(("more", "streamed"), [(0, False), (1, True)])
    def test_at_the_border_of_streaming_both_ways_fit(self, large, more, streamed):
        limit = 2**29
        self.make("large.h5", int(limit / 5) // (784 * 8) + more)
        done = self.limited(limit, "run", "spec.json", "--out", "out")
        assert done.returncode == 0, done.stderr
        assert json.loads((large / "out/summary.json").read_text())["streamed"] is streamed
