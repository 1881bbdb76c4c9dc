"""Plugins receive the events of a run, and cannot affect it."""

import json

import pytest

import nnreg
from nnreg import DivergedError, hookimpl
from nnreg.cli.app import main
from nnreg.errors import NnregWarning
from tests.helpers.specs import regressor
from tests.plugins.listeners import Batches, Raising, Recorder, Stopping, files


def test_a_run_sends_its_start_each_epoch_and_its_end(listen, spec, tmp_path):
    recorder = Recorder()
    listen(recorder=recorder)
    model = nnreg.run(spec, out="out", overrides=["train.epochs=3"])
    started, *records, outcome = recorder.events
    assert (started, outcome) == ("started", "epochs")
    assert records == [dict(record) for record in model.history]
    assert list(records[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]


def test_a_resumed_run_sends_only_its_own_epochs(listen, spec):
    recorder = Recorder()
    nnreg.run(spec, out="out", overrides=["train.epochs=3"])
    listen(recorder=recorder)
    nnreg.resume("out", overrides=["train.epochs=5"])
    assert [record["epoch"] for record in recorder.events[1:-1]] == [4, 5]


def test_a_plugin_sees_name_directory_spec_model_and_finally_the_summary(listen, spec, tmp_path):
    class Inspecting:
        @hookimpl
        def nnreg_run_started(self, run):
            assert run.name == "penguins-001"
            assert (run.directory / "spec.json").exists()
            assert run.spec["train"] == {"epochs": 2}
            assert run.settings["train.epochs"] == 2
            assert run.settings["model.layers.0.type"] == "dense"
            assert run.settings["metrics.0"] == "accuracy"
            assert len(run.model.history) == 0
            assert run.summary == {}

        @hookimpl
        def nnreg_epoch_ended(self, run, record):
            assert dict(run.model.history[-1]) == record
            last = (run.directory / "metrics.jsonl").read_text().splitlines()[-1]
            assert json.loads(last) == record

        @hookimpl
        def nnreg_run_ended(self, run):
            assert run.summary == json.loads((run.directory / "summary.json").read_text())
            saved = nnreg.load(run.directory / "checkpoints" / "best.h5")
            assert saved.network.vector.tobytes() == run.model.network.vector.tobytes()

    listen(inspecting=Inspecting())
    nnreg.run(spec, out="runs/penguins-001", overrides=["train.epochs=2"])


def test_a_run_without_a_directory_sends_events_too(listen):
    recorder = Recorder()
    listen(recorder=recorder)
    nnreg.run(regressor(), data=([[0.0], [1.0]], [0.0, 1.0]))
    assert recorder.events[-1] == "epochs"
    assert (recorder.run.name, recorder.run.directory) == ("spec", None)


@pytest.mark.parametrize(
    ("error", "outcome"), [(KeyboardInterrupt, "interrupted"), (ValueError, "failed")]
)
def test_an_interrupted_or_failed_run_sends_its_outcome(listen, spec, error, outcome):
    def stop(record):
        raise error

    recorder = Recorder()
    listen(recorder=recorder)
    with pytest.raises(error):
        nnreg.run(spec, out="out", on_epoch=stop)
    assert recorder.events[-1] == recorder.run.summary["stopped"] == outcome


def test_a_run_that_stops_early_or_diverges_sends_its_outcome(listen, spec):
    recorder = Recorder()
    listen(recorder=recorder)
    nnreg.run(
        spec, overrides=['train.early_stopping={"patience":1}', "optimizer.learning_rate=1e-9"]
    )
    assert recorder.events[-1] == "early_stopping"
    rate = {"type": "sgd", "learning_rate": 1e30}
    diverging = regressor(optimizer=rate, train={"epochs": 50})
    with pytest.raises(DivergedError):
        nnreg.run(diverging, data=([[1.0], [2.0], [3.0]], [1.0, 2.0, 5.0]))
    assert recorder.events[-1] == "diverged"


EVENTS = (
    "nnreg_run_started",
    "nnreg_batch_ended",
    "nnreg_epoch_ended",
    "nnreg_stop_reason",
    "nnreg_run_ended",
)


@pytest.mark.parametrize("hook", EVENTS)
@pytest.mark.parametrize("error", [ValueError("the server is away"), SystemExit(3)])
def test_a_plugin_that_raises_is_reported_once_and_disabled(listen, spec, hook, error):
    raising, recorder = Raising(hook, error), Recorder()
    listen(raising=raising, recorder=recorder)
    with pytest.warns(NnregWarning) as warned:
        nnreg.run(spec, out="out")
    (warning,) = warned
    name = type(error).__name__
    assert str(warning.message) == (
        f"plugin raising (nnreg-raising 1.0): {hook} raised {name}: {error}; "
        "it is disabled for the rest of this run"
    )
    assert raising.calls == 1
    assert len(recorder.events) == 1 + 5 + 1


def test_a_run_is_bit_identical_whatever_plugins_do(listen, spec, tmp_path):
    class Modifying:
        @hookimpl
        def nnreg_run_started(self, run):
            run.spec.clear()

        @hookimpl
        def nnreg_epoch_ended(self, run, record):
            record.clear()
            run.model.predict([{"island": "north", "length": 1, "depth": 5}])

        @hookimpl
        def nnreg_batch_ended(self, run, record):
            record.clear()
            run.model.predict([{"island": "north", "length": 1, "depth": 5}])

    nnreg.run(spec, out="alone")
    raising = Raising("nnreg_epoch_ended", ValueError())
    recorder, batches, asked = Recorder(), Batches(), Stopping(99)
    listen(modifying=Modifying(), raising=raising, recorder=recorder, batches=batches, asked=asked)
    with pytest.warns(NnregWarning):
        nnreg.run(spec, out="watched")
    assert files(tmp_path / "alone") == files(tmp_path / "watched")
    assert recorder.events[1]["epoch"] == 1
    assert batches.records[0]["step"] == 1


def test_the_command_line_reports_a_failing_plugin_in_one_line(listen, spec, capsys):
    listen(away=Raising("nnreg_epoch_ended", OSError("no\nroute" + 300 * " x")))
    with pytest.raises(SystemExit) as done:
        main(["run", spec, "--quiet"])
    assert done.value.code == 0
    assert capsys.readouterr().err.splitlines() == [
        "note: plugin away (nnreg-away 1.0): nnreg_epoch_ended raised OSError: no route"
        f"{93 * ' x'} [...]; it is disabled for the rest of this run"
    ]
