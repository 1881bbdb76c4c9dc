"""Files of every format that there has been: they load, answer as they did, and train on."""

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


@pytest.mark.parametrize("version", FORMATS)
def test_a_golden_file_loads_and_answers_as_it_did(version):
    known = json.loads((GOLDEN / f"format-{version}.json").read_text())
    model = nnreg.load(GOLDEN / f"format-{version}.h5")
    np.testing.assert_allclose(model.predict(known["rows"]), known["predictions"], rtol=1e-5)
    assert [dict(record) for record in model.history] == known["history"]
    assert nnreg.read_arrays(GOLDEN / f"format-{version}.h5").keys() >= {"history"}
    model.fit(known["rows"], known["species"], epochs=1)
    assert len(model.history) == len(known["history"]) + 1


def test_there_is_a_golden_file_and_a_step_for_every_format():
    assert {path.stem for path in GOLDEN.glob("*.h5")} == {f"format-{n}" for n in FORMATS}
    assert migrations.STEPS.keys() == set(FORMATS[:-1])


def test_a_file_of_format_1_loads_without_what_repeated_seed_and_epoch():
    data = (GOLDEN / "format-1.h5").read_bytes()
    assert b'"random"' in data
    assert "random" not in read_checkpoint(GOLDEN / "format-1.h5").document
    assert b'"random"' not in (GOLDEN / "format-2.h5").read_bytes()


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
