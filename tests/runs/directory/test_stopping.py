"""The files of a run that is stopped, and that it resumes bit-identically."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import nnreg
import nnreg._utils.atomic_files
from nnreg.cli._progress import SIGNALS
from nnreg.runs.run import prepare_resume, prepare_run
from tests.helpers.work import wait_until
from tests.runs.directory.runs import same_files, stop_at

posix_only = pytest.mark.skipif(os.name != "posix", reason="Windows has no SIGHUP")

IN_ITS_TERMINAL = """
import os, sys
os.open(os.ttyname(0), os.O_RDWR)  # so that it is the terminal of this session
from nnreg.cli import main
main(sys.argv[1:])
"""


class TestStopping:
    @pytest.mark.parametrize("step", [1, 6, 7, 17])
    def test_ctrl_c_saves_after_the_step_and_the_finished_run_is_bit_identical(self, spec, step):
        nnreg.run(spec, out="whole")
        stopped = prepare_run(spec, out="resumed")
        stop_at(stopped, step)
        with pytest.raises(KeyboardInterrupt):
            stopped.train()
        assert nnreg.load("resumed/checkpoints/last.h5").training_state.step == step
        assert json.loads(Path("resumed/summary.json").read_text())["stopped"] == "interrupted"
        nnreg.resume("resumed")
        same_files("whole", "resumed")

    def test_a_run_stopped_after_every_step_is_bit_identical_to_one_that_was_not(self, spec):
        whole = nnreg.run(spec, out="whole")
        run = prepare_run(spec, out="resumed")
        for step in range(1, whole.training_state.step):
            stop_at(run, step)
            with pytest.raises(KeyboardInterrupt):
                run.train()
            run = prepare_resume("resumed")
        run.train()
        same_files("whole", "resumed")

    def test_a_signal_in_the_last_step_is_not_lost(self, spec):
        run = prepare_run(spec, out="out")
        stop_at(run, 36)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert json.loads(Path("out/summary.json").read_text())["stopped"] == "epochs"

    def test_a_second_ctrl_c_stops_immediately_and_leaves_the_last_checkpoint(self, spec):
        run = prepare_run(spec, out="out")
        train_step = run._trainer._step

        def interrupted(*args):
            train_step(*args)
            if run.model.training_state.step == 14:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

        run._trainer._step = interrupted
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").training_state.step in (0, 6, 12)
        nnreg.resume("out")
        nnreg.run(spec, out="whole")
        same_files("whole", "out")

    def test_a_second_ctrl_c_while_saving_leaves_no_incomplete_file(self, spec, monkeypatch):
        run = prepare_run(spec, out="out")
        stop_at(run, 8)
        replace = os.replace

        def interrupted(source, target):
            if run.model.training_state.step == 8 and target.name == "last.h5":
                os.kill(os.getpid(), signal.SIGINT)
            return replace(source, target)

        monkeypatch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        monkeypatch.setattr(os, "replace", replace)
        assert {file.name for file in Path("out/checkpoints").iterdir()} <= {"last.h5", "best.h5"}
        nnreg.resume("out")
        nnreg.run(spec, out="whole")
        same_files("whole", "out")

    def test_ctrl_c_also_stops_a_run_without_a_directory(self, spec):
        run = prepare_run(spec)
        stop_at(run, 8)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert run.model.training_state.step == 8

    def test_signal_handlers_of_the_program_are_not_replaced(self, spec):
        signals = []
        before = signal.signal(signal.SIGINT, lambda *_: signals.append(1))
        try:
            run = prepare_run(spec)
            stop_at(run, 8)
            run.train()
        finally:
            signal.signal(signal.SIGINT, before)
        assert signals == [1]
        assert len(run.model.history) == 6

    @posix_only
    @pytest.mark.parametrize("ci", ["", "true"])  # a live line, or one line per epoch
    @pytest.mark.parametrize("quiet", [["--quiet"], []])
    def test_closing_the_terminal_saves_and_stops(self, spec, monkeypatch, quiet, ci):
        monkeypatch.setenv("CI", ci)
        spec["train"] = {"epochs": 10**6}
        Path("spec.json").write_text(json.dumps(spec))
        args = ["run", "spec.json", "--out", "out", *quiet]
        terminal, own = pytest.importorskip("pty").openpty()
        command = [sys.executable, "-c", IN_ITS_TERMINAL, *args]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), own)
        with subprocess.Popen(command, start_new_session=True, **streams) as process:
            os.close(own)
            os.set_blocking(terminal, False)

            def saved():
                with suppress(BlockingIOError):
                    os.read(terminal, 10_000)
                return Path("out/checkpoints/best.h5").exists()

            wait_until(saved, process)
            os.close(terminal)
        assert process.returncode == 129
        assert json.loads(Path("out/summary.json").read_text())["stopped"] == "interrupted"
        assert not Path("out/lock").exists()
        assert nnreg.load("out/checkpoints/last.h5").training_state.epoch > 0

    @posix_only
    def test_a_program_that_ignores_the_signal_still_does(self, spec):
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
        try:
            run = prepare_run(spec)
            stop_at(run, 8, signal.SIGHUP)
            run.train(signals=SIGNALS)
        finally:
            signal.signal(signal.SIGHUP, before)
        assert len(run.model.history) == 6

    @pytest.mark.parametrize("number", SIGNALS)
    def test_the_command_line_saves_prints_how_to_resume_and_exits(self, spec, number):
        spec["train"] = {"epochs": 10**6}
        Path("spec.json").write_text(json.dumps(spec))
        command = [sys.executable, "-m", "nnreg", "run", "spec.json", "--out", "out", "--quiet"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            wait_until(Path("out/checkpoints/best.h5").exists, process)
            process.send_signal(number)
            _, err = process.communicate()
        assert process.returncode == 128 + number
        stopping, stopped, resume = err.splitlines()
        name = "Ctrl-C" if number == signal.SIGINT else number.name
        assert (
            stopping == f"{name}: stopping after this step and saving; {name} again stops at once"
        )
        done = nnreg.load("out/checkpoints/last.h5").training_state
        assert stopped.startswith("stopped; saved ")
        assert str(done.epoch if done.epoch_state is None else done.epoch + 1) in stopped
        assert resume == "resume: nnreg resume out"
        assert not Path("out/lock").exists()
