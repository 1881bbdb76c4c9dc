"""Plugins receive the events of a run, and cannot affect it."""

import json

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, builtin, hookimpl
from nnreg.cli.app import main
from nnreg.errors import NnregWarning
from nnreg.registry.registry import Registry
from tests.helpers.specs import CSV, classifier, csv_data, regressor
from tests.helpers.work import calls


class Recorder:
    """Records every event."""

    def __init__(self):
        self.events = []

    @hookimpl
    def nnreg_run_started(self, run):
        self.run = run
        self.events.append("started")

    @hookimpl
    def nnreg_epoch_ended(self, run, record):
        assert run is self.run
        self.events.append(record)

    @hookimpl
    def nnreg_run_ended(self, run, outcome):
        assert run is self.run
        self.events.append(outcome)


class Batches:
    """Records every batch."""

    def __init__(self):
        self.records, self.weights = [], []

    @hookimpl
    def nnreg_batch_ended(self, run, record):
        self.records.append(record)
        self.weights.append(run.model.network.vector.copy())


class Stopping:
    """Stops each run after some epoch."""

    def __init__(self, epoch, reason="hopeless"):
        self.epoch, self.reason, self.asked = epoch, reason, []

    @hookimpl
    def nnreg_stop_reason(self, run, record):
        self.asked.append(record["epoch"])
        return self.reason if record["epoch"] >= self.epoch else None


class Raising:
    """Raises in one event hook."""

    def __init__(self, hook, error):
        self.calls = 0

        def event():
            self.calls += 1
            raise error

        setattr(self, hook, hookimpl(event))


@pytest.fixture
def listen(monkeypatch):
    """Return a function that makes runs use a registry of the built-ins and some plugins."""

    def use(**plugins):
        registry = Registry()
        registry.add_plugin("nnreg", builtin, "nnreg", "0.1.0")
        for name, plugin in plugins.items():
            registry.add_plugin(name, plugin, f"nnreg-{name}", "1.0")
        monkeypatch.setattr("nnreg.spec.document.installed", lambda: registry)
        monkeypatch.setattr("nnreg.checkpoint.save_load.installed", lambda: registry)
        monkeypatch.setattr("nnreg.registry.registry.discover", lambda selection: registry)

    return use


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text(CSV)
    spec = classifier(data=csv_data(split={"validation": 0.25}, unseen="ignore"))
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return "spec.json"


def files(directory):
    """Return the bytes of a run's files, except those with times and versions of plugins."""
    found = {
        file.relative_to(directory): file.read_bytes()
        for file in directory.rglob("*")
        if file.is_file()
    }
    return {
        name: data
        for name, data in found.items()
        if name.name not in ("summary.json", "environment.json")
    }


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


DATA = ([[float(x)] for x in range(8)], [float(2 * x) for x in range(8)])


def test_a_batch_sends_its_epoch_step_and_loss_after_the_weights_changed(listen):
    batches = Batches()
    listen(batches=batches)
    spec = regressor(train={"epochs": 2, "batch_size": 3, "shuffle": False})
    model = nnreg.run(spec, data=DATA)
    assert [(one["epoch"], one["step"]) for one in batches.records] == [
        (1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (2, 6),
    ]  # fmt: skip
    for epoch, record in enumerate(model.history):
        losses = [one["loss"] for one in batches.records[3 * epoch : 3 * epoch + 3]]
        assert np.average(losses, weights=[3, 3, 2]) == pytest.approx(record["loss"], rel=1e-6)
    assert batches.weights[-1].tobytes() == model.network.vector.tobytes()
    assert len({weights.tobytes() for weights in batches.weights}) == 6


def test_accumulated_batches_are_one_with_their_mean_loss(listen):
    batches = Batches()
    listen(batches=batches)
    accumulated = {"epochs": 1, "batch_size": 2, "accumulate": 3, "shuffle": False}
    nnreg.run(regressor(train=accumulated), data=DATA)
    two, one = batches.records[:], Batches()
    listen(batches=one)
    nnreg.run(regressor(train={"epochs": 1, "batch_size": 6, "shuffle": False}), data=DATA)
    assert [record["step"] for record in two] == [1, 2]
    for ours, theirs in zip(two, one.records, strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-6)


def test_a_batch_has_the_learning_rate_of_a_schedule(listen):
    batches = Batches()
    listen(batches=batches)
    schedule = {"type": "cosine"}
    model = nnreg.run(regressor(schedule=schedule, train={"epochs": 3, "batch_size": 4}), data=DATA)
    rates = [record["learning_rate"] for record in batches.records]
    assert sorted(rates, reverse=True) == rates
    assert rates[1::2] == [record["learning_rate"] for record in model.history]


def test_the_steps_of_a_resumed_run_continue(listen, spec):
    batches = Batches()
    nnreg.run(spec, out="out", overrides=["train.epochs=2", "train.batch_size=4"])
    listen(batches=batches)
    model = nnreg.resume("out", overrides=["train.epochs=3"])
    steps = [record["step"] for record in batches.records]
    assert steps == list(range(2 * len(steps) + 1, model.training_state.step + 1))


def test_a_run_whose_plugins_ignore_batches_makes_no_more_calls_per_batch(listen):
    def counted(batch_size):
        spec = regressor(train={"epochs": 2, "batch_size": batch_size})
        nnreg.run(spec, data=DATA, check=False)  # what the first run alone does
        counts = [calls(lambda: nnreg.run(spec, data=DATA, check=False)) for _ in range(3)]
        return min(counts)  # the garbage collector may call finalizers in one of them

    listen()
    alone = [counted(size) for size in (1, 8)]
    listen(recorder=Recorder(), asked=Stopping(99))
    watched = [counted(size) for size in (1, 8)]
    assert alone[0] - alone[1] == watched[0] - watched[1] > 0
    listen(batches=Batches())
    assert counted(1) - counted(8) > alone[0] - alone[1]


def test_a_plugin_stops_a_run_with_a_reason_that_the_summary_has(listen, spec, tmp_path):
    recorder, stopping = Recorder(), Stopping(2, "worse than\nthe median.")
    listen(recorder=recorder, stopping=stopping)
    model = nnreg.run(spec, out="out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert recorder.events[-1] == summary["stopped"] == "by_plugin"
    assert summary["stopped_by"] == "stopping"
    assert summary["reason"] == "worse than the median"
    assert (summary["epochs"], len(model.history)) == (2, 2)
    assert summary["train"].keys() == {"loss", "accuracy"}
    best = nnreg.load(tmp_path / "out" / "checkpoints" / "best.h5")
    assert best.network.vector.tobytes() == model.network.vector.tobytes()


def test_a_stopped_run_resumes_as_if_it_had_never_stopped(listen, spec, tmp_path):
    listen()
    nnreg.run(spec, out="whole")
    listen(stopping=Stopping(2))
    nnreg.run(spec, out="stopped")
    listen()
    nnreg.resume("stopped")
    assert files(tmp_path / "stopped") == files(tmp_path / "whole")
    summary = json.loads((tmp_path / "stopped" / "summary.json").read_text())
    assert summary["stopped"] == "epochs"
    assert "reason" not in summary


def test_no_plugin_is_asked_after_the_last_epoch_or_after_a_reason(listen, spec):
    first, second = Stopping(2), Stopping(99)
    listen(first=first, second=second)
    nnreg.run(spec, overrides=["train.epochs=4"])
    assert (first.asked, second.asked) == ([1, 2], [1])
    asked = Stopping(3)
    listen(asked=asked)
    nnreg.run(spec, overrides=["train.epochs=3"])
    assert asked.asked == [1, 2]


@pytest.mark.parametrize("value", ["", " ", None])
def test_an_empty_reason_stops_nothing(listen, spec, value):
    listen(stopping=Stopping(1, value))
    assert len(nnreg.run(spec, overrides=["train.epochs=3"]).history) == 3


def test_a_reason_that_is_no_text_disables_the_plugin(listen, spec):
    stopping = Stopping(1, True)
    listen(stopping=stopping)
    with pytest.warns(NnregWarning, match="TypeError: returned bool; expected a text or None"):
        model = nnreg.run(spec, overrides=["train.epochs=3"])
    assert (len(model.history), stopping.asked) == (3, [1])


def test_a_stop_ends_one_fold_of_a_cross_validation(listen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folds = []

    class SecondFold:
        @hookimpl
        def nnreg_stop_reason(self, run, record):
            folds.append(run.spec["train"]["fold"])
            return "enough" if run.spec["train"]["fold"] == 2 else None

    listen(stopping=SecondFold())
    lines = [f"{x},{2 * x}" for x in range(9)]
    (tmp_path / "numbers.csv").write_text("\n".join(["x,y", *lines]))
    data = {"source": "csv", "path": "numbers.csv", "target": "y"}
    spec = regressor(data=data, train={"folds": 3, "epochs": 4})
    found = nnreg.run(spec, out="out")
    assert [one["epochs"] for one in found.summary["runs"]] == [4, 1, 4]
    assert found.summary["done"] == 3
    folds.clear()
    nnreg.resume("out")  # the stopped fold is done, as one that stopped early is
    assert folds == []


def test_the_command_line_and_the_report_say_why_a_run_was_stopped(listen, spec, tmp_path, capsys):
    listen(stopping=Stopping(2, "worse than the median <b>"))
    with pytest.raises(SystemExit) as done:
        main(["run", spec, "--quiet", "--out", "out"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "stopped by plugin stopping: worse than the median <b>\n" in out
    assert "resume: nnreg resume out\n" in out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "by the plugin stopping: worse than the median &lt;b&gt;." in page
    with pytest.raises(SystemExit):
        main(["runs", "."])
    assert "by plugin" in capsys.readouterr().out
