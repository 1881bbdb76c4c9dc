"""Plugins stop a run, with a reason."""

import json

import pytest

import nnreg
from nnreg import hookimpl
from nnreg.cli.app import main
from nnreg.errors import NnregWarning
from tests.helpers.specs import regressor
from tests.plugins.listeners import Recorder, Stopping, files


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
