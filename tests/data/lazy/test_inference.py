"""`predict` and `evaluate` on data that stay in their file."""

import csv
import io
import json
import os
import sys
import tracemalloc

import h5py
import numpy as np
import pytest

import nnreg
import nnreg._utils.memory
import nnreg.tables.lazy
from nnreg.builtin.sources.arrays import Hdf5
from nnreg.cli.app import main
from nnreg.interfaces import Table
from tests.data.lazy.stored import ROWS, SPLIT, content, examples, readers, spec, write


class TestInference:
    @pytest.fixture
    def runs(self, directory):
        """Return two runs with the same weights; one streams the file, one reads it to memory."""
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

    def test_predict_ignores_other_datasets(self, runs, capfd):
        with h5py.File("d.h5", "a") as file:
            file["a name for each class"] = np.array(["ash", "birch", "cedar"], "S")
        assert self.output(capfd, "predict", "stored", "d.h5").count("\n") == ROWS + 1

    def test_predict_writes_json_in_chunks_too(self, runs, capfd):
        stored, memory = (
            json.loads(self.output(capfd, "predict", run, "d.h5", "--json")) for run in runs
        )
        assert [row["prediction"] for row in stored] == [row["prediction"] for row in memory]

    def test_predict_writes_its_output_atomically(self, runs, capfd):
        x, _ = examples()
        x[480, 0, 0] = np.nan
        write("bad.h5", x)
        with pytest.raises(SystemExit):
            main(["predict", "stored", "bad.h5", "--out", "predictions.csv"])
        out, err = capfd.readouterr()
        assert "bad.h5, row 480, column 'x': the value is missing" in err
        assert not out
        assert not os.path.exists("predictions.csv")
        assert not readers()

    def test_standard_input_is_kept_until_it_was_read(self, runs, capfd, monkeypatch):
        stdin = io.TextIOWrapper(io.BytesIO(content("d.h5")))
        monkeypatch.setattr(sys, "stdin", stdin)
        assert self.output(capfd, "predict", "stored", "-").count("\n") == ROWS + 1

    def test_evaluate_has_the_same_metrics_as_from_memory(self, runs, capfd):
        for data in ([], ["d.h5"]):
            stored, memory = (
                json.loads(self.output(capfd, "evaluate", run, *data, "--json")) for run in runs
            )
            for split, metrics in stored.items():
                assert metrics == pytest.approx(memory[split], rel=1e-6)

    def test_python_accepts_a_table_that_stays_in_its_file(self, runs, directory):
        table = Hdf5(stream=True).read(directory / "d.h5")
        model = nnreg.load("stored/checkpoints/best.h5")
        x, y = examples()
        np.testing.assert_allclose(model.predict(table), model.predict(x), rtol=1e-5)
        assert model.evaluate(table, table) == pytest.approx(model.evaluate(x, y), rel=1e-6)
        assert model.gradients(table, table)[0] == pytest.approx(model.gradients(x, y)[0])
        inputs = {"x": table.columns["x"]}
        model = nnreg.build(spec() | {"data": None}, data=(Table(inputs), y))
        assert len(model.fit(table, y, epochs=2)) == 2

    def test_predicting_keeps_little_of_the_file_in_memory(self, directory, monkeypatch, capfd):
        nnreg.run(spec(), out="out", overrides=["train.epochs=1"])
        x = np.tile(examples()[0], (20, 1, 1))
        write("large.h5", x)
        main_peak = []
        for path in ("d.h5", "large.h5"):
            tracemalloc.start()
            self.output(capfd, "predict", "out", path, "--out", "predictions.csv")
            main_peak.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        with open("predictions.csv") as file:
            assert len(file.readlines()) == len(x) + 1
        # except for row numbers and predictions that are not yet written
        output = os.path.getsize("predictions.csv")
        assert main_peak[1] - main_peak[0] < x.nbytes / 2 + 2 * output
