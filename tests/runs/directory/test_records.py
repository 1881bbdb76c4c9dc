"""Records of epochs: few writes, and none is lost."""

import json
from pathlib import Path

import pytest

import nnreg
from nnreg.runs import writer
from nnreg.runs.run import prepare_run
from tests.helpers.work import Clock


def epochs():
    lines = Path("out/metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["epoch"] for line in lines]


@pytest.fixture
def appended(monkeypatch):
    """Stop the clock of the writer, and list what is appended to each file."""
    found, append = [], writer.append_text
    monkeypatch.setattr(
        writer, "append_text", lambda path, text, **o: (found.append(text), append(path, text, **o))
    )
    monkeypatch.setattr(writer, "time", Clock())
    return found


def test_records_of_short_epochs_are_written_together(spec, appended):
    seen = []
    nnreg.run(spec, out="out", on_epoch=lambda record: seen.append(epochs()))
    assert seen == [[1]] * 6
    assert [text.count("\n") for text in appended] == [1, 5]
    assert epochs() == [1, 2, 3, 4, 5, 6]


def test_a_record_is_written_when_the_last_write_was_a_while_ago(spec, appended):
    seen = []

    def later(record):
        seen.append(epochs())
        writer.time.now += 0.15

    nnreg.run(spec, out="out", on_epoch=later)
    assert seen == [[1], [1], [1, 2, 3], [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]]


@pytest.mark.usefixtures("appended")
def test_a_failure_within_a_step_loses_no_record(spec):
    run = prepare_run(spec, out="out")
    train_step = run._trainer._step

    def failing(*args):
        if run.model.training_state.step == 20:
            raise ZeroDivisionError
        train_step(*args)

    run._trainer._step = failing
    with pytest.raises(ZeroDivisionError):
        run.train()
    assert epochs() == [1, 2, 3]
