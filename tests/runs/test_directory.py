"""A run's folder: when it is saved, and what is left of a run that is stopped or cannot write."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import nnreg
import nnreg._utils.atomic_files
from nnreg import DivergedError, UnsavedError, UsageError
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.checkpoint.save_load import to_checkpoint
from nnreg.errors import NnregWarning
from nnreg.runs.directory import next_folder
from nnreg.runs.run import restart, start
from nnreg.runs.save_schedule import SaveTimes
from nnreg.spec.sections import Checkpoint
from nnreg.training.state import Progress
from tests.helpers.fault_injection import FAULTS, Faults
from tests.helpers.specs import blobs, classifier

FILES = ("spec.json", "resolved.json", "metrics.jsonl", "gradients.jsonl", "checkpoints/best.h5",
         "checkpoints/last.h5")  # fmt: skip
SAVED_EACH_STEP = {"every_steps": 1}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    """Return a spec with everything that has a state, of six epochs of six steps."""
    monkeypatch.chdir(tmp_path)
    x, y = blobs(48)
    rows = [f"{label},{','.join(map(str, row))}" for row, label in zip(x, y, strict=True)]
    (tmp_path / "data.csv").write_text("\n".join(["label,a,b,c,d", *rows, ""]))
    split = {"validation": 0.25}
    return classifier(
        data={"source": "csv", "path": "data.csv", "target": "label", "split": split},
        model={"layers": [{"type": "batch_norm"}, *classifier()["model"]["layers"]]},
        train={"epochs": 6, "batch_size": 6, "early_stopping": {"patience": 3}},
    )


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard():
    """Undo that a shell starts what it runs in the background deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def same_files(first, second):
    for name in FILES:
        assert Path(first, name).read_bytes() == Path(second, name).read_bytes(), name


def stop_at(run, step, number=signal.SIGINT):
    """Let a signal come within a step of a run."""
    go = run._trainer._step

    def signalled(*args):
        go(*args)
        if run.model.progress.step == step:
            os.kill(os.getpid(), number)

    run._trainer._step = signalled


class TestStopping:
    @pytest.mark.parametrize("step", [1, 6, 7, 17])
    def test_ctrl_c_saves_after_the_step_and_the_finished_run_has_the_same_bits(self, spec, step):
        nnreg.run(spec, out="whole")
        stopped = start(spec, out="parts")
        stop_at(stopped, step)
        with pytest.raises(KeyboardInterrupt):
            stopped.train()
        assert nnreg.load("parts/checkpoints/last.h5").progress.step == step
        assert json.loads(Path("parts/summary.json").read_text())["stopped"] == "interrupted"
        nnreg.resume("parts")
        same_files("whole", "parts")

    def test_a_run_stopped_after_every_step_has_the_bits_of_one_that_was_not(self, spec):
        whole = nnreg.run(spec, out="whole")
        run = start(spec, out="parts")
        for step in range(1, whole.progress.step):
            stop_at(run, step)
            with pytest.raises(KeyboardInterrupt):
                run.train()
            run = restart("parts")
        run.train()
        same_files("whole", "parts")

    def test_a_signal_that_comes_last_is_not_lost(self, spec):
        run = start(spec, out="out")
        stop_at(run, 36)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert json.loads(Path("out/summary.json").read_text())["stopped"] == "epochs"

    def test_a_second_ctrl_c_stops_at_once_and_leaves_the_last_checkpoint(self, spec):
        run = start(spec, out="out")
        go = run._trainer._step

        def torn(*args):
            go(*args)
            if run.model.progress.step == 14:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

        run._trainer._step = torn
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").progress.step in (0, 6, 12)
        nnreg.resume("out")
        nnreg.run(spec, out="whole")
        same_files("whole", "out")

    def test_a_second_ctrl_c_while_saving_leaves_no_half_file(self, spec, monkeypatch):
        run = start(spec, out="out")
        stop_at(run, 8)
        replace = os.replace

        def interrupted(source, target):
            if run.model.progress.step == 8 and target.name == "last.h5":
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

    def test_without_a_folder_ctrl_c_stops_too(self, spec):
        run = start(spec)
        stop_at(run, 8)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert run.model.progress.step == 8

    def test_handlers_of_the_program_are_left_alone(self, spec):
        heard = []
        before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
        try:
            run = start(spec)
            stop_at(run, 8)
            run.train()
        finally:
            signal.signal(signal.SIGINT, before)
        assert heard == [1]
        assert len(run.model.history) == 6

    @pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_the_command_line_saves_says_how_to_go_on_and_exits(self, spec, number, code):
        spec["train"] = {"epochs": 10**6}
        Path("spec.json").write_text(json.dumps(spec))
        command = [sys.executable, "-m", "nnreg", "run", "spec.json", "--out", "out", "--quiet"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while not Path("out/checkpoints/best.h5").exists():
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(number)
            _, err = process.communicate()
        assert process.returncode == code
        heard, said, how = err.splitlines()
        name = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}[number]
        assert heard == f"{name}: stopping after this step and saving; once more stops at once"
        done = nnreg.load("out/checkpoints/last.h5").progress
        assert said.startswith("stopped; saved ")
        assert str(done.epoch if done.partial is None else done.epoch + 1) in said
        assert how == "go on: nnreg resume out"
        assert not Path("out/lock").exists()


class TestFailing:
    def test_a_crash_within_a_step_leaves_the_last_checkpoint(self, spec):
        run = start(spec | {"checkpoint": {"every_steps": 4}}, out="out")
        go = run._trainer._step

        def broken(*args):
            if run.model.progress.step == 15:
                run.model.network.vector[...] = 0
                raise ZeroDivisionError
            go(*args)

        run._trainer._step = broken
        with pytest.raises(ZeroDivisionError):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").progress.step == 12
        assert json.loads(Path("out/summary.json").read_text())["stopped"] == "failed"
        nnreg.resume("out")
        nnreg.run(spec | {"checkpoint": {"every_steps": 4}}, out="whole")
        same_files("whole", "out")

    def test_a_run_that_diverges_leaves_the_state_of_the_last_good_epoch(self, spec):
        spec |= {"optimizer": {"type": "sgd", "learning_rate": 0.1}, "checkpoint": SAVED_EACH_STEP}
        run = start(spec, out="out")
        go = run._trainer._step

        def spoiled(*args):
            go(*args)
            if run.model.progress.step == 15:
                run.model.network.vector[...] = np.inf

        run._trainer._step = spoiled
        with pytest.raises(DivergedError):
            run.train()
        good = nnreg.load("out/checkpoints/last.h5")
        assert good.progress.step == 12
        assert np.isfinite(good.network.vector).all()
        nnreg.resume("out")
        nnreg.run(spec, out="whole")
        same_files("whole", "out")

    @pytest.mark.parametrize("fault", [*FAULTS, "gone"])
    def test_a_failure_at_any_call_of_the_system_stops_no_training(
        self, spec, monkeypatch, fault, recwarn
    ):
        """Let one call after another fail, in a run that is saved after its epoch."""
        short = spec | {
            "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {"epochs": 1, "batch_size": 20},
            "checkpoint": {"every_epochs": 1},
        }
        nnreg.run(short, out="whole")
        outcomes = []
        for at in range(1, 500):
            shutil.rmtree("out", ignore_errors=True)
            system = Faults(at, FAULTS.get(fault, self.gone))
            with monkeypatch.context() as patch:
                patch.setattr(nnreg._utils.atomic_files, "os", system)
                outcomes.append(self.outcome(short))
            if outcomes[-1] == "done" and Path("out").exists():  # it may go after the last save
                same_files("whole", "out")
            elif Path("out/checkpoints/last.h5").exists():
                assert nnreg.load("out/checkpoints/last.h5").progress.step == 0
            assert len(recwarn) <= (2 if fault == "gone" else 1)
            recwarn.clear()
            if system.calls < at:
                break
        refused = outcomes.count("refused")
        if fault != "gone":  # gone between two saves, it is made again
            assert outcomes == ["refused"] * refused + ["done"] * (at - refused)
        assert (refused > 20) == (fault != "half")
        assert at - refused > 40

    def gone(self, call, *args):
        shutil.rmtree("out", ignore_errors=True)
        return call(*args)

    def outcome(self, spec):
        epochs = []
        try:
            nnreg.run(spec, out="out", on_epoch=epochs.append)
        except nnreg.NnregError as error:
            text = str(error)
        else:
            return "done"
        assert "cannot write" in text or "cannot save" in text
        assert epochs == []  # nothing was trained that could be lost
        return "refused"

    def test_a_folder_that_vanishes_is_made_again(self, spec):
        def vanish(record):
            if record["epoch"] == 2:
                shutil.rmtree("out")

        with pytest.warns(NnregWarning, match=r"metrics\.jsonl: cannot write: No such file"):
            nnreg.run(spec | {"checkpoint": {"every_epochs": 4}}, out="out", on_epoch=vanish)
        nnreg.run(spec | {"checkpoint": {"every_epochs": 4}}, out="whole")
        same_files("whole", "out")

    def test_the_same_trouble_is_told_once_and_the_end_says_what_is_saved(self, spec, monkeypatch):
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        def fill(record):
            if record["epoch"] == 2:
                monkeypatch.setattr(os, "fsync", fail)

        with (
            pytest.warns(NnregWarning, match="No space left on device; training goes on") as told,
            pytest.raises(UnsavedError) as caught,
        ):
            nnreg.run(spec | {"checkpoint": {"every_epochs": 1}}, out="out", on_epoch=fill)
        assert len(told) == 1
        assert str(caught.value) == (
            "out/checkpoints/last.h5: cannot save: No space left on device. The run is after epoch "
            "6, but what is saved is after epoch 2; make room or fix the disk, then: "
            "nnreg resume out"
        )
        monkeypatch.undo()


FULL_DISK = """
import subprocess, sys, warnings
from pathlib import Path
import nnreg
disk, spec = Path("disk"), Path("spec.json")
disk.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
def fill(record):
    if record["epoch"] == 2:
        with open(disk / "filler", "wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass
    if record["epoch"] == int(sys.argv[1]):
        (disk / "filler").unlink()
warnings.simplefilter("always")
try:
    nnreg.run(spec, out=disk / "run", on_epoch=fill)
    print("done")
except nnreg.UnsavedError as error:
    print("unsaved")
held = nnreg.load(disk / "run/checkpoints/last.h5")
print(held.progress.epoch, sorted(file.name for file in (disk / "run/checkpoints").iterdir()))
(disk / "filler").unlink(missing_ok=True)
model = nnreg.resume(disk / "run")
print(model.progress.epoch)
"""


@pytest.mark.parametrize(
    ("freed", "expected"),
    [(4, "done\n6 ['best.h5', 'last.h5']\n6\n"), (9, "unsaved\n2 ['best.h5', 'last.h5']\n6\n")],
)
def test_a_disk_that_is_full_for_a_while_or_to_the_end_loses_nothing(spec, freed, expected):
    own_mounts = ["unshare", "--map-root-user", "--mount"]
    try:
        probe = ["sh", "-c", "mkdir probe && mount -t tmpfs tmpfs probe"]
        subprocess.run([*own_mounts, *probe], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this user may not mount a small file system to fill: {error}")
    spec |= {"checkpoint": {"every_epochs": 1}}
    Path("spec.json").write_text(json.dumps(spec))
    command = [*own_mounts, sys.executable, "-c", FULL_DISK, str(freed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == expected
    assert done.stderr.count("No space left on device; training goes on") >= 1


class TestSaveTimes:
    def test_automatic_saving_takes_its_share_of_the_time(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        times = SaveTimes(Checkpoint(), Progress())
        times.saved(0.03)
        for moment, within, after in [
            (100.9, False, False), (101.1, False, True), (109.9, False, True), (110.1, True, True)
        ]:  # fmt: skip
            now[0] = moment
            assert (times.within_epoch(), times.after_epoch()) == (within, after)
        times.saved(1.0)
        now[0] += 30
        assert not times.within_epoch()
        now[0] += 4
        assert times.within_epoch()

    def test_a_run_spends_a_small_share_of_its_time_on_saving(self, spec, monkeypatch):
        import nnreg.runs.directory

        saves = []
        write = nnreg.runs.directory.write_checkpoint
        monkeypatch.setattr(
            nnreg.runs.directory, "write_checkpoint", lambda *args: (saves.append(1), write(*args))
        )
        nnreg.run(spec | {"train": {"epochs": 200}}, out="out")
        assert 3 <= len(saves) < 50

    def test_a_save_takes_longer_by_the_number_of_epochs_not_by_its_square(self, spec):
        model = nnreg.run(spec)
        model.progress.history *= 1000
        began = time.perf_counter()
        to_checkpoint(model)
        assert time.perf_counter() - began < 1  # 6,000 records: 5 ms, or 6 s by the square

    @pytest.mark.parametrize(("brief", "steps"), [(0.0, [6, 12, 18, 24, 30, 36]), (1e9, [])])
    def test_work_that_is_brief_is_saved_at_the_end_only(self, spec, brief, steps, monkeypatch):
        from nnreg.runs.directory import Folder

        monkeypatch.setattr("nnreg.runs.save_schedule.SHARE", 1e9)
        monkeypatch.setattr("nnreg.runs.save_schedule.BRIEF", brief)
        saves, save = [], Folder.save
        monkeypatch.setattr(
            Folder, "save", lambda folder: (saves.append(folder._model.progress.step), save(folder))
        )
        nnreg.run(spec, out="out")
        assert saves == steps
        assert nnreg.load("out/checkpoints/last.h5").progress.step == 36

    @pytest.mark.parametrize(
        ("settings", "steps"),
        [
            ({"every_epochs": 2}, [12, 24, 36]),
            ({"every_steps": 10}, [10, 20, 30]),
            ({"every_epochs": 3, "every_steps": 16}, [16, 18, 32, 36]),
            ({"every_seconds": 1e-9}, list(range(1, 37))),
            ({"every_seconds": 1e9}, []),
        ],
    )
    def test_a_run_is_saved_when_the_spec_says(self, spec, settings, steps, monkeypatch):
        import nnreg.runs.directory

        saves = []
        save = nnreg.runs.directory.Folder.save
        monkeypatch.setattr(
            nnreg.runs.directory.Folder,
            "save",
            lambda folder: (saves.append(folder._model.progress.step), save(folder)),
        )
        nnreg.run(spec | {"checkpoint": settings}, out="out")
        assert saves == steps

    def test_the_last_few_checkpoints_are_kept_and_each_resumes(self, spec):
        spec |= {"checkpoint": {"every_steps": 9, "keep": 2}}
        nnreg.run(spec, out="out")
        kept = ["epoch-0004-step-00000027.h5", "epoch-0006-step-00000036.h5"]
        names = sorted(file.name for file in Path("out/checkpoints").iterdir())
        assert names == ["best.h5", *kept, "last.h5"]
        shutil.copytree("out", "again")
        nnreg.resume(f"again/checkpoints/{kept[0]}")
        same_files("out", "again")
        assert sorted(file.name for file in Path("again/checkpoints").iterdir()) == names

    def test_long_epochs_are_saved_within(self, spec, monkeypatch):
        monkeypatch.setattr("nnreg.runs.save_schedule.LONG", 0.0)
        monkeypatch.setattr("nnreg.runs.save_schedule.SHARE", 1e9)
        run = start(spec, out="out")
        go = run._trainer._step

        def kill(*args):
            if run.model.progress.step == 15:
                raise ZeroDivisionError
            go(*args)

        run._trainer._step = kill
        with pytest.raises(ZeroDivisionError):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").progress.step == 15


class TestOneProcess:
    def test_a_second_run_in_the_folder_is_refused_and_the_first_goes_on(self, spec):
        refused = []

        def intrude(record):
            if record["epoch"] == 2:
                for enter in (lambda: restart("out"), lambda: start(spec, out="out")):
                    with pytest.raises(UsageError) as caught:
                        enter()
                    refused.append(str(caught.value))

        nnreg.run(spec, out="out", on_epoch=intrude)
        assert f"process {os.getpid()} is at work in this folder" in refused[0]
        assert "there is a run already" in refused[1]

    def test_runs_that_begin_at_the_same_time_do_not_share_a_folder(self, spec):
        first, second = start(spec, out="out"), start(spec, out="out")
        with pytest.raises(KeyboardInterrupt):
            first.train(lambda record: (_ for _ in ()).throw(KeyboardInterrupt))
        before = Path("out/checkpoints/last.h5").read_bytes()
        with pytest.raises(UsageError, match="another process has trained here since"):
            second.train()
        assert Path("out/checkpoints/last.h5").read_bytes() == before

    def test_what_killed_saves_left_is_swept(self, spec):
        nnreg.run(spec, out="out")
        stale = [Path("out/.spec.json.0123456789ab.tmp"),
                 Path("out/checkpoints/.last.h5.0123456789ab.tmp")]  # fmt: skip
        for file in stale:
            file.write_bytes(b"half")
        nnreg.resume("out")
        assert not any(file.exists() for file in stale)

    def test_folders_are_numbered(self, tmp_path):
        assert next_folder("a", tmp_path).name == "a-001"
        (tmp_path / "a-001").mkdir()
        assert next_folder("a", tmp_path).name == "a-002"


class TestResuming:
    def test_another_environment_is_told_in_one_line_and_training_goes_on(self, spec, monkeypatch):
        nnreg.run(spec, out="out")
        monkeypatch.setattr("numpy.__version__", "1.2.3")
        with pytest.warns(NnregWarning) as told:
            nnreg.resume("out", overrides=["train.epochs=7", "train.threads=2"])
        (text,) = (str(warning.message) for warning in told)
        assert text.startswith("the bits may differ from those of a run that never stopped: numpy ")
        assert "numpy is 1.2.3, was " in text
        assert text.endswith("threads is 2, was 1")

    def test_a_change_of_the_spec_holds_from_the_start(self, spec):
        nnreg.run(spec, out="out", overrides=["train.epochs=2"])
        run = restart("out", overrides=["train.epochs=5"])
        stop_at(run, 13)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert nnreg.resume("out").progress.epoch == 5

    def test_records_beyond_and_behind_the_checkpoint_are_put_right(self, spec):
        nnreg.run(spec, out="whole")
        for damage in (lambda text: text + '{"epoch": 99}\n{"ep', lambda text: text[:30]):
            shutil.rmtree("out", ignore_errors=True)
            run = start(spec, out="out")
            stop_at(run, 20)
            with pytest.raises(KeyboardInterrupt):
                run.train()
            records = Path("out/metrics.jsonl")
            records.write_text(damage(records.read_text()))
            nnreg.resume("out")
            same_files("whole", "out")

    def test_a_run_killed_before_its_first_epoch_begins_again(self, spec):
        nnreg.run(spec, out="whole")
        script = """
        import json, os, signal, sys, nnreg
        from nnreg.runs.run import start
        run = start(json.loads(sys.argv[1]), out="out")
        run._trainer._step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        run.train()
        """
        command = [sys.executable, "-c", textwrap.dedent(script), json.dumps(spec)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert nnreg.load("out/checkpoints/last.h5").progress.step == 0
        nnreg.resume("out")
        same_files("whole", "out")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"seen": 0}, "0 of 36 examples are no epoch under way"),
            ({"seen": 36}, "36 of 36 examples are no epoch under way"),
            ({"seen": 5}, "'partial/outputs' is"),
            ({"count": None}, r"\$\.progress\.partial\.count: must be"),
            ({"loss": "x"}, r"\$\.progress\.partial\.loss: must be"),
            ({"streams": [{}]}, r"\$\.progress\.partial\.streams\[0\]\.state: required"),
            ({"streams": [{"state": str(2**128), "inc": "1", "has_uint32": 0, "uinteger": 0}]},
             r"must be a number below 2\*\*128"),
        ],
    )  # fmt: skip
    def test_an_epoch_under_way_that_is_not_one_is_refused(self, spec, change, message):
        from nnreg.checkpoint.file_format import Checkpoint as Content
        from nnreg.checkpoint.save_load import from_checkpoint

        run = start(spec, out="out")
        stop_at(run, 8)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        content = read_checkpoint(Path("out/checkpoints/last.h5"))
        progress = content.document["progress"]
        progress = {**progress, "partial": {**progress["partial"], **change}}
        changed = Content({**content.document, "progress": progress}, dict(content.arrays))
        with pytest.raises(nnreg.CheckpointError, match=message):
            from_checkpoint(changed, "m.h5")
