"""Which data stay in their file, and how they are prepared for training."""

import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg import DataError
from nnreg._utils.memory import memory_limit
from nnreg.builtin.sources.arrays import Hdf5
from nnreg.runs.prepare import prepare_from_spec
from nnreg.spec.document import read_spec
from nnreg.tables.lazy import LazyArray, materialize
from tests.data.lazy.stored import (
    LAYERS,
    ROWS,
    SPLIT,
    examples,
    prepared,
    readers,
    spec,
    write,
)
from tests.helpers.specs import classifier

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
    def test_the_network_gets_the_same_values_as_from_memory(self, directory, storage, dtype):
        write("d.h5", examples()[0].astype(dtype), **STORAGE[storage])
        stored, memory = prepared(True, split=SPLIT), prepared(False, split=SPLIT)
        found, expected = (run.model.preprocessing.inputs[0].encoder for run in (stored, memory))
        assert found.mean == pytest.approx(expected.mean, rel=1e-13)
        assert found.std == pytest.approx(expected.std, rel=1e-13)
        stored.model.preprocessing = memory.model.preprocessing
        for split in ("train", "validation", "test"):
            inputs = getattr(stored, split).x
            assert isinstance(inputs, LazyArray)
            assert inputs.dtype == np.float32
            np.testing.assert_array_equal(materialize(inputs), getattr(memory, split).x)
            np.testing.assert_array_equal(
                getattr(stored, split).targets, getattr(memory, split).targets
            )

    def test_mean_and_standard_deviation_are_exact_far_from_zero(self, directory):
        x = 1e8 + np.random.default_rng(0).normal(size=(ROWS, 8))
        write("d.h5", x)
        found = prepared().model.preprocessing.inputs[0].encoder
        assert found.mean == pytest.approx(x.mean(), rel=1e-15)
        assert found.std == pytest.approx(x.std(), rel=1e-9)

    def test_scaling_can_be_turned_off(self, directory):
        data = {**spec()["data"], "scaling": "none"}
        run = prepare_from_spec(read_spec(classifier(data=data, model={"layers": LAYERS})))
        np.testing.assert_array_equal(materialize(run.train.x), examples()[0].astype(np.float32))

    @pytest.mark.parametrize(
        ("value", "message"), [(np.nan, "the value is missing"), (np.inf, "an infinite value")]
    )
    @pytest.mark.parametrize("scaling", ["standard", "none"])
    @pytest.mark.parametrize("split_name", ["train", "validation", "test", "a file"])
    def test_a_bad_value_is_reported_with_its_row_before_anything_is_written(
        self, directory, value, message, scaling, split_name
    ):
        x, path, split = examples()[0], "d.h5", SPLIT
        row = 321
        if split_name == "a file":
            path, split = "held-out.h5", {"validation": "held-out.h5"}
        else:
            row = int(getattr(prepared(split=SPLIT), split_name).x.rows[-1])
        x[row, 1, 2] = value
        write(path, x, chunks=(64, 2, 4))
        bad = spec(split=split)
        bad["data"]["scaling"] = scaling
        with pytest.raises(DataError, match=rf"{path}, row {row}, column 'x': {message}"):
            nnreg.run(bad, out="out")
        assert not os.path.exists("out")
        assert not readers()

    def test_integers_are_checked_before_training(self, directory):
        x = np.random.default_rng(0).integers(0, 9, (ROWS, 5))
        x[400, 2] = 9
        write("d.h5", x)
        layers = [{"type": "embedding", "vocabulary": 9, "units": 3}, *LAYERS]
        with pytest.raises(DataError, match="integers from 0 to 8"):
            prepared(model={"layers": layers})
        write("d.h5", np.minimum(x, 8))
        run = prepared(model={"layers": layers})
        np.testing.assert_array_equal(materialize(run.train.x), np.minimum(x, 8))

    @pytest.mark.parametrize("scaling", ["robust", "quantile", "log", "min_max"])
    def test_a_scaling_that_needs_all_values_in_memory_is_refused(self, directory, scaling):
        write("d.h5", np.abs(examples()[0]))
        document = spec()
        document["data"]["scaling"] = scaling
        with pytest.raises(DataError, match="stays in its file, so that its scaling cannot be"):
            prepare_from_spec(read_spec(document))
        document["data"]["columns"] = {"x": {"type": "values", "scaling": "standard"}}
        assert isinstance(prepare_from_spec(read_spec(document)).train.x, LazyArray)

    def test_a_target_of_arrays_is_read_to_memory(self, directory):
        x, _ = examples()
        write("d.h5", x, x[:, 0])
        layers = [{"type": "flatten"}, {"type": "dense", "units": 4}]
        regression = {"loss": "mean_squared_error", "metrics": ["r2"]}
        run = prepared(model={"layers": layers}, **regression)
        np.testing.assert_array_equal(run.train.raw_targets, x[:, 0])
        assert isinstance(run.train.x, LazyArray)


class TestStreaming:
    @pytest.mark.parametrize(("limit", "stays"), [(ROWS * 8 * 8 * 5 - 1, True), (2**40, False)])
    def test_auto_streams_what_would_take_over_a_fifth_of_the_memory(
        self, directory, monkeypatch, limit, stays
    ):
        monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: limit)
        columns = Hdf5().read(directory / "d.h5").columns
        assert isinstance(columns["x"], LazyArray) == stays
        assert not isinstance(columns["y"], LazyArray)

    def test_files_are_read_to_memory_if_its_size_is_unknown(self, directory, monkeypatch):
        monkeypatch.setattr("nnreg._utils.memory.memory_limit", lambda: None)
        assert not isinstance(Hdf5().read(directory / "d.h5").columns["x"], LazyArray)

    @pytest.mark.skipif(sys.platform != "linux", reason="limits are set as on Linux")
    def test_the_limits_of_process_and_container_count(self, tmp_path, monkeypatch):
        machine = memory_limit()
        assert machine > 2**27
        program = (
            "import resource; resource.setrlimit(resource.RLIMIT_DATA, (2**27, 2**27));"
            "from nnreg._utils.memory import memory_limit; print(memory_limit())"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
        assert int(done.stdout) == 2**27
        for text, expected in (("max\n", machine), ("1000\n", 1000)):
            (tmp_path / "memory.max").write_text(text)
            monkeypatch.setattr(nnreg._utils.memory, "CONTAINER_LIMITS", (tmp_path / "memory.max",))
            assert memory_limit() == expected

    def test_categorical_columns_and_single_values_are_read_to_memory(self, directory):
        with h5py.File("categories.h5", "w") as file:
            file["categories"] = np.array([["a", "b"], ["c", "d"]], "S1")
            file["numbers"] = np.arange(2.0)
            file["empty"] = np.zeros((2, 0))
        columns = Hdf5(stream=True).read(directory / "categories.h5").columns
        assert not any(isinstance(column, LazyArray) for column in columns.values())
