"""Metrics that are NaN: never the best, in strict JSON, and not the same as not measured."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import Metric, hookimpl, resume, run
from nnreg.checkpoint.inspect import read_history
from nnreg.errors import NnregWarning
from nnreg.registry.registry import installed
from tests.helpers.specs import line, regressor
from tests.utils.test_json_text import strict

# Most tests are about what is written; a warning accompanies it.
pytestmark = pytest.mark.filterwarnings("ignore:(val_)?scripted is .*, undefined there")

VALUES = []


ROWS = 30


@dataclass(frozen=True)
class Scripted(Metric):
    """The next of VALUES at each call; the last one from then on."""

    higher_is_better = True

    def compute(self, predictions, targets):
        if len(predictions) < ROWS // 2:  # its fingerprint
            return 0.0
        return VALUES.pop(0) if len(VALUES) > 1 else VALUES[0]


class Plugin:
    @hookimpl
    def nnreg_metrics(self):
        return {"scripted": Scripted}


@pytest.fixture(autouse=True)
def plugin(tmp_path, monkeypatch):
    """Register the metric, for this process and for the commands."""
    monkeypatch.chdir(tmp_path)
    for command in ("inference", "evaluate", "train", "report"):
        monkeypatch.setattr(f"nnreg.cli.{command}.registry_with", lambda files: installed())
    # The checks before training would call the metric, and take values from the script.
    monkeypatch.setattr("nnreg.model.parts.check_components", lambda *parts: None)
    before = set(installed().plugins)
    nnreg.register(Plugin())
    yield
    for name in set(installed().plugins) - before:
        installed().remove(name)


def values(*floats):
    VALUES[:] = floats


def spec(**train):
    return regressor(metrics=["scripted"], train={"epochs": 5, **train})


def csv_spec(**train):
    """Return a spec with data in a file, so that its run can be resumed."""
    x, y = line(ROWS)
    rows = [f"{a!r},{b!r},{c!r}" for (a, b), c in zip(x.tolist(), y.tolist(), strict=True)]
    Path("data.csv").write_text("\n".join(["a,b,y", *rows]))
    return {**spec(**train), "data": {"source": "csv", "path": "data.csv", "target": "y"}}


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_a_metric_that_is_not_finite_is_never_the_best(first):
    data = line(ROWS)
    stopping = {"monitor": "scripted", "patience": 2}
    model = nnreg.build(spec(early_stopping=stopping), data=data)
    values(first, first, 0.1, math.nan, 0.2)
    with pytest.warns(NnregWarning, match="scripted is (nan|inf) in epoch 1, which") as caught:
        model.fit(*data)
    assert len(caught) == 1
    assert (len(model.history), model.training_state.best_epoch) == (5, 5)
    assert model.training_state.best_value == -0.2


@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
def test_patience_ends_if_a_metric_stays_nan():
    data = line(ROWS)
    stopping = {"monitor": "scripted", "patience": 2}
    model = nnreg.build(spec(early_stopping=stopping), data=data)
    values(math.nan)
    model.fit(*data)
    assert (len(model.history), model.training_state.best_epoch) == (3, 1)


@pytest.mark.filterwarnings("ignore::nnreg.errors.NnregWarning")
@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_history_with_nan_resumes_bit_identically(stop):
    every = (math.nan, math.nan, 0.3, math.inf, 0.1)
    stopping = {"monitor": "scripted", "patience": 3}
    file = csv_spec(early_stopping=stopping)
    final = [0.0, 0.0]  # the metrics of the summary: of the network, and of the baseline
    values(*every, *final)
    nnreg.run(file, out="whole")
    values(*every[:stop], *final)
    nnreg.run(file, out="parts", overrides=[f"train.epochs={stop}"])
    values(*every[stop:], *final)
    nnreg.resume("parts", overrides=["train.epochs=5"])
    for name in ("metrics.jsonl", "gradients.jsonl"):
        assert Path("parts", name).read_bytes() == Path("whole", name).read_bytes()
    whole, parts = (nnreg.read_arrays(f"{run}/checkpoints/last.h5") for run in ("whole", "parts"))
    assert {name: array.tobytes() for name, array in whole.items()} == {
        name: array.tobytes() for name, array in parts.items()
    }


def test_not_measured_and_measured_as_nan_differ_after_loading():
    x, y = line(ROWS)
    model = nnreg.build(spec(), data=(x, y))
    values(math.nan)
    model.fit(x, y, epochs=1)
    model.fit(x, y, epochs=1, validation=(x, y))
    nnreg.save(model, "model.h5")
    for history in (nnreg.load("model.h5").history, read_history("model.h5")):
        assert [list(record) for record in history] == [
            ["epoch", "loss", "scripted"],
            ["epoch", "loss", "scripted", "val_loss", "val_scripted"],
        ]
        assert np.isnan(history["scripted"]).all()
    assert nnreg.read_arrays("model.h5")["history_measured"].tolist() == [[1, 1, 1, 0, 0], [1] * 5]


def test_a_history_without_nan_is_stored_as_before():
    x, y = line(ROWS)
    model = nnreg.build(spec(), data=(x, y))
    values(0.5)
    model.fit(x, y, epochs=1)
    model.fit(x, y, epochs=1, validation=(x, y))
    nnreg.save(model, "model.h5")
    assert "history_measured" not in nnreg.read_arrays("model.h5")
    assert list(nnreg.load("model.h5").history[0]) == ["epoch", "loss", "scripted"]


@pytest.fixture
def not_finite_runs():
    values(math.nan, 0.5, math.inf)
    nnreg.run(csv_spec(), out="runs/a")
    values(0.5)
    nnreg.run(csv_spec(), out="runs/b")


COMMANDS = [
    ("runs", "--json"),
    ("compare", "runs/a", "runs/b", "--json"),
    ("inspect", "runs/a", "--json"),
    ("evaluate", "runs/a", "--json"),
]


@pytest.mark.usefixtures("not_finite_runs")
class TestFiles:
    @pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
    def test_every_output_is_strict_json(self, nnreg, command):
        values(math.inf)
        code, out, err = nnreg(*command)
        note = "note: the train split: scripted is inf; look for extreme values"
        assert code == 0
        assert err.startswith(note) if command[0] == "evaluate" else not err
        strict(out)
        assert '"Infinity"' in out

    def test_every_file_is_strict_json(self):
        for file in Path("runs/a").glob("*.json"):
            strict(file.read_text())
        lines = [strict(text) for text in Path("runs/a/metrics.jsonl").read_text().splitlines()]
        assert [record["scripted"] for record in lines] == ["NaN", 0.5, *["Infinity"] * 3]
        assert strict(Path("runs/a/summary.json").read_text())["train"]["scripted"] == "Infinity"

    def test_every_line_of_progress_is_strict_json(self, nnreg):
        values(math.nan)
        Path("spec.json").write_text(json.dumps(csv_spec()))
        code, out, _ = nnreg("run", "spec.json", "--json", "--no-report", "--set", "train.epochs=1")
        assert code == 0
        epoch, end = map(strict, out.splitlines())
        assert (epoch["scripted"], end["train"]["scripted"]) == ("NaN", "NaN")

    @pytest.mark.parametrize("bare", [True, False])
    def test_old_and_new_files_are_read(self, nnreg, bare):
        """Earlier versions wrote NaN and Infinity without quotation marks."""
        if bare:
            for name in ("metrics.jsonl", "summary.json"):
                text = Path("runs/a", name).read_text()
                text = text.replace('"Infinity"', "Infinity").replace('"NaN"', "NaN")
                Path("runs/a", name).write_text(text)
        found = read_history("runs/a")["scripted"]
        np.testing.assert_array_equal(found, [math.nan, 0.5, *[math.inf] * 3])
        assert "nan" not in nnreg("runs")[1]
        a, _ = strict(nnreg("runs", "--json", "--sort", "name")[1])
        assert (a["outcome"], a["training"]["scripted"]) == ("done", "Infinity")
        comparison = strict(nnreg("compare", "runs/a", "runs/b", "--json")[1])
        assert comparison["sides"][0]["metrics"]["train scripted"] == "Infinity"
        values(0.5)
        assert nnreg("report", "runs/a")[0] == 0
        assert "inf" in Path("runs/a/report.html").read_text()


def test_a_fold_that_is_nan_makes_mean_and_deviation_nan(nnreg):
    """The standard library's deviation fails on NaN."""
    values(math.nan)
    trained = run(csv_spec(epochs=1, folds=2), out="cv")
    mean, std = trained.summary["mean"]["scripted"], trained.summary["std"]["scripted"]
    assert math.isnan(mean)
    assert math.isnan(std)
    assert strict(Path("cv/summary.json").read_text())["std"]["scripted"] == "NaN"
    written = Path("cv/fold-1/metrics.jsonl").stat().st_mtime_ns
    values(0.0)
    resume("cv")  # both folds are done
    assert Path("cv/fold-1/metrics.jsonl").stat().st_mtime_ns == written
    assert nnreg("report", "cv")[0] == 0
