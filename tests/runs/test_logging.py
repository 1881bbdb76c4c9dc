"""As a library nnreg prints nothing; it logs the start and the end of a run, and each epoch."""

import logging

import pytest

import nnreg
from nnreg import DivergedError
from tests.helpers.specs import line, regressor, three_folds


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return {**three_folds(tmp_path), "train": {"epochs": 2}}


def test_no_call_of_the_library_prints(spec, capfd):
    model = nnreg.run(spec, out="run")
    nnreg.resume("run", overrides={"train.epochs": 3})
    nnreg.run(three_folds(model.run_directory.resolve().parent), out="cv")
    nnreg.save(model, "model.h5")
    loaded = nnreg.load("model.h5")
    rows = {name: [1.0, 2.0] for name in "abcd"}
    loaded.predict(rows)
    loaded.classify(rows)
    loaded.gradients({**rows, "species": ["ash", "birch"]}, activations=True)
    nnreg.compare("run", "cv")
    nnreg.report("run")
    nnreg.export(loaded, "model.safetensors")
    nnreg.propose("data.csv")
    nnreg.read_arrays("run")
    nnreg.read_history("run")
    assert capfd.readouterr() == ("", "")


def test_start_and_end_of_a_run_are_logged_and_epochs_for_debugging(spec, caplog):
    with caplog.at_level(logging.DEBUG, "nnreg"):
        nnreg.run(spec, out="run")
        nnreg.resume("run", overrides={"train.epochs": 3})
    records = [one for one in caplog.records if one.name == "nnreg"]
    infos = [one.getMessage() for one in records if one.levelno == logging.INFO]
    assert infos[0] == "run: training from epoch 1 to 2"
    assert infos[1].startswith("run: ended (epochs) after epoch 2; ")
    assert infos[1].endswith((": better", ": worse", ": no better"))
    assert infos[2] == "run: training from epoch 3 to 3"
    debugging = [one.getMessage() for one in records if one.levelno == logging.DEBUG]
    assert [text.split("  ")[0] for text in debugging] == [f"run: epoch {n}" for n in (1, 2, 3)]


def test_the_end_of_a_failed_run_is_logged(caplog):
    spec = regressor(optimizer={"type": "sgd", "learning_rate": 1e30})
    with caplog.at_level(logging.INFO, "nnreg"), pytest.raises(DivergedError):
        nnreg.run(spec, data=line())
    assert "ended (diverged) after epoch 3" in caplog.text
