"""The oldest checkpoint, and the steps from each format to the next.

`test_golden_runs.py` tests files of every format.
"""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import CheckpointError
from nnreg.checkpoint import file_format as checkpoint
from nnreg.checkpoint import migrations
from nnreg.checkpoint.file_format import read_checkpoint

GOLDEN = Path(__file__).parent / "golden"
FORMATS = range(1, migrations.FORMAT + 1)


def test_the_oldest_checkpoint_loads_predicts_as_it_did_and_trains_further():
    known = json.loads((GOLDEN / "format-1.json").read_text())
    model = nnreg.load(GOLDEN / "format-1.h5")
    np.testing.assert_allclose(model.predict(known["rows"]), known["predictions"], rtol=1e-5)
    assert [dict(record) for record in model.history] == known["history"]
    assert nnreg.read_arrays(GOLDEN / "format-1.h5").keys() >= {"history"}
    model.fit(known["rows"], known["species"], epochs=1)
    assert len(model.history) == len(known["history"]) + 1


def test_every_format_has_a_golden_directory_and_a_step():
    assert {path.name for path in GOLDEN.glob("format-*/")} == {f"format-{n}" for n in FORMATS}
    assert migrations.STEPS.keys() == set(FORMATS[:-1])


def test_a_file_of_format_1_is_read_as_one_of_format_2():
    old = (GOLDEN / "format-1.h5").read_bytes()
    new = (GOLDEN / "format-2" / "words" / "checkpoints" / "best.h5").read_bytes()
    for name in (b'"random"', b'"folder"', b'"words"'):
        assert name in old
        assert name not in new
    document = read_checkpoint(GOLDEN / "format-1" / "line.h5").document
    assert document.keys() == read_checkpoint(GOLDEN / "format-2" / "line.h5").document.keys()


def test_the_old_column_type_is_renamed_in_spec_and_preprocessing():
    document = read_checkpoint(GOLDEN / "format-1" / "words" / "checkpoints" / "best.h5").document
    types = {"code": "category", "length": "number", "species": "category"}
    assert document["spec"]["data"]["columns"] == types
    inputs = {column["name"]: column["type"] for column in document["preprocessing"]["inputs"]}
    assert inputs["code"] == inputs["island"] == "category"
    assert inputs["length"] == "number"


def continued(form, name):
    """Return the document of a golden checkpoint in mid-training, and its optimizer's state."""
    found = read_checkpoint(GOLDEN / f"format-{form}" / "optimizers" / f"{name}.h5")
    arrays = found.arrays.items()
    return found.document, {key: array for key, array in arrays if key.startswith("optimizer/")}


@pytest.mark.parametrize(
    "name", ["sgd", "adam", "adam-options", "adam-overridden", "adamw", "rmsprop"]
)
def test_the_state_of_every_optimizer_in_format_2_is_read_as_that_of_format_3(name):
    (_, found), (_, expected) = continued(2, name), continued(3, name)
    assert found.keys() == expected.keys()
    for key, array in expected.items():
        assert found[key].dtype == array.dtype
        np.testing.assert_allclose(found[key], array, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "change",
    [
        {"spec": None},
        {"spec": {"optimizer": ["adam"]}},
        {"spec": {"optimizer": {"type": ["adam"]}}},
        {"spec": {"optimizer": {"type": "adam", "beta1": True, "beta2": "0.9"}}},
        {"spec": {"optimizer": {"type": "adam", "beta1": 1, "beta2": -1}}},
        {"components": None},
        {"components": [1, {}, {"kind": "optimizer"}]},
        {"components": [{"kind": "optimizer", "name": "adam", "distribution": "nnreg-own"}]},
    ],
)
def test_the_state_of_another_optimizer_is_read_as_it_is(change):
    document, _ = continued(2, "adam")
    arrays = {"optimizer/m": np.ones(3), "optimizer/v": np.ones(3)}
    migrations.migrate(2, {**document, **change}, arrays)
    assert all((array == 1).all() for array in arrays.values())


def test_an_optimizer_state_that_is_missing_or_of_another_type_is_left_to_the_later_checks():
    document, _ = continued(2, "adam")
    arrays = {"optimizer/m": np.ones(3, np.int64)}
    migrations.migrate(2, document, arrays)
    assert arrays["optimizer/m"].dtype == np.int64


@pytest.mark.parametrize(
    "section",
    [
        None,
        [],
        {},
        {"data": 1, "inputs": 1},
        {"data": {"columns": []}, "inputs": [1, {}]},
        {"data": {"columns": {"a": ["words"]}}, "inputs": [{"type": ["words"]}]},
    ],
)
def test_migrating_accepts_any_content(section):
    document = {"random": 0, "folder": "/tmp", "spec": section, "preprocessing": section}
    migrations.migrate(1, document, {})
    assert document == {"directory": "/tmp", "spec": section, "preprocessing": section}


@pytest.fixture
def next_format(monkeypatch):
    """Add a format, which names what the last one calls `origin` the `source`."""

    def migrate(document, arrays):
        document["source"] = document.pop("origin")
        arrays["seen"] = arrays.pop("history")

    last = migrations.FORMAT
    monkeypatch.setattr(migrations, "FORMAT", last + 1)
    monkeypatch.setattr(checkpoint, "FORMAT", last + 1)
    monkeypatch.setattr(migrations, "STEPS", {**migrations.STEPS, last: migrate})


@pytest.mark.usefixtures("next_format")
def test_an_older_file_goes_through_the_steps_and_a_newer_one_does_not(tmp_path):
    found = read_checkpoint(GOLDEN / "format-1.h5")
    assert found.document["source"] == "spec"
    assert "origin" not in found.document
    assert "seen" in found.arrays
    checkpoint.write_checkpoint(tmp_path / "new.h5", found)
    assert read_checkpoint(tmp_path / "new.h5").document == found.document


@pytest.mark.usefixtures("next_format")
def test_a_file_that_a_step_cannot_take_is_refused(tmp_path):
    content = dataclasses.replace(read_checkpoint(GOLDEN / "format-1.h5"), document={})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 1)
        checkpoint.write_checkpoint(tmp_path / "old.h5", content)
    with pytest.raises(CheckpointError, match="its document lacks 'random', which version 1 has"):
        read_checkpoint(tmp_path / "old.h5")
