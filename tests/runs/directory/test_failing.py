"""The files of a run that fails, diverges or cannot write."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nnreg
from nnreg import DivergedError, UnsavedError
from nnreg._utils import atomic_files, regular_files
from nnreg.errors import NnregWarning
from nnreg.runs.run import prepare_run
from tests.helpers.fault_injection import FAULTS, Faults
from tests.runs.directory.runs import same_files

SAVED_EACH_STEP = {"every_steps": 1}


class TestFailing:
    def test_a_crash_within_a_step_leaves_the_last_checkpoint(self, spec):
        run = prepare_run(spec | {"checkpoint": {"every_steps": 4}}, out="out")
        train_step = run._trainer._step

        def failing(*args):
            if run.model.training_state.step == 15:
                run.model.network.vector[...] = 0
                raise ZeroDivisionError
            train_step(*args)

        run._trainer._step = failing
        with pytest.raises(ZeroDivisionError):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").training_state.step == 12
        assert json.loads(Path("out/summary.json").read_text())["stopped"] == "failed"
        nnreg.resume("out")
        nnreg.run(spec | {"checkpoint": {"every_steps": 4}}, out="whole")
        same_files("whole", "out")

    def test_a_run_that_diverges_leaves_the_state_of_the_last_finite_epoch(self, spec):
        spec |= {"optimizer": {"type": "sgd", "learning_rate": 0.1}, "checkpoint": SAVED_EACH_STEP}
        run = prepare_run(spec, out="out")
        train_step = run._trainer._step

        def diverging(*args):
            train_step(*args)
            if run.model.training_state.step == 15:
                run.model.network.vector[...] = np.inf

        run._trainer._step = diverging
        with pytest.raises(DivergedError):
            run.train()
        last = nnreg.load("out/checkpoints/last.h5")
        assert last.training_state.step == 12
        assert np.isfinite(last.network.vector).all()
        nnreg.resume("out")
        nnreg.run(spec, out="whole")
        same_files("whole", "out")

    @pytest.mark.slow
    @pytest.mark.parametrize("fault", [*FAULTS, "removed"])
    @pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
    def test_a_failing_system_call_does_not_stop_the_training(
        self, spec, monkeypatch, fault, every, recwarn
    ):
        """Let system calls fail in turn, in a run that is saved after its epoch."""
        short = spec | {
            "model": {"layers": [{"type": "dense", "units": "classes", "activation": "softmax"}]},
            "optimizer": {"type": "sgd", "learning_rate": 0.1},
            "train": {"epochs": 1, "batch_size": 20},
            "checkpoint": {"every_epochs": 1},
        }
        nnreg.run(short, out="whole")
        outcomes = []
        first = 1 + [*FAULTS, "removed"].index(fault) % every  # other calls for each fault
        for at in range(first, 500, every):
            shutil.rmtree("out", ignore_errors=True)
            system = Faults(at, FAULTS.get(fault, self.removed))
            with monkeypatch.context() as patch:
                for module in (atomic_files, regular_files):
                    patch.setattr(module, "os", system)
                outcomes.append(self.outcome(short))
            if outcomes[-1] == "done" and Path("out").exists():  # maybe removed after the last save
                same_files("whole", "out")
            elif Path("out/checkpoints/last.h5").exists():
                assert nnreg.load("out/checkpoints/last.h5").training_state.step == 0
            assert len(recwarn) <= (2 if fault == "removed" else 1)
            recwarn.clear()
            if system.calls < at:
                break
        rejected = outcomes.count("rejected")
        # Removed between two saves, it is created again; a file to read may be missing.
        if fault not in ("removed", "vanished"):
            assert outcomes == ["rejected"] * rejected + ["done"] * (len(outcomes) - rejected)
        assert (rejected > 20 // every) == (fault != "half")
        assert len(outcomes) - rejected > 30 // every

    def removed(self, call, *args):
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
        assert re.search("cannot (read|write|save): ", text)
        assert epochs == []  # no training is lost
        return "rejected"

    def test_a_removed_directory_is_created_again(self, spec, monkeypatch):
        monkeypatch.setattr("nnreg.runs.writer.RECORD_SECONDS", 0.0)

        def remove(record):
            if record["epoch"] == 2:
                shutil.rmtree("out")

        with pytest.warns(NnregWarning, match=r"metrics\.jsonl: cannot write: No such file"):
            nnreg.run(spec | {"checkpoint": {"every_epochs": 4}}, out="out", on_epoch=remove)
        nnreg.run(spec | {"checkpoint": {"every_epochs": 4}}, out="whole")
        same_files("whole", "out")

    def test_a_problem_is_reported_once_and_in_the_final_error(self, spec, monkeypatch):
        def fail(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        def fill(record):
            if record["epoch"] == 2:
                monkeypatch.setattr(os, "fsync", fail)

        with (
            pytest.warns(NnregWarning, match="No space left on device; training continues") as seen,
            pytest.raises(UnsavedError) as caught,
        ):
            nnreg.run(spec | {"checkpoint": {"every_epochs": 1}}, out="out", on_epoch=fill)
        assert len(seen) == 1
        assert str(caught.value) == (
            "out/checkpoints/last.h5: cannot save: No space left on device. The run is after epoch "
            "6, but its last checkpoint is after epoch 2; free disk space, then: "
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
last = nnreg.load(disk / "run/checkpoints/last.h5")
print(last.training_state.epoch, sorted(file.name for file in (disk / "run/checkpoints").iterdir()))
(disk / "filler").unlink(missing_ok=True)
model = nnreg.resume(disk / "run")
print(model.training_state.epoch)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("freed", "expected"),
    [(4, "done\n6 ['best.h5', 'last.h5']\n6\n"), (9, "unsaved\n2 ['best.h5', 'last.h5']\n6\n")],
)
def test_nothing_is_lost_on_a_disk_that_is_full_for_some_time_or_to_the_end(spec, freed, expected):
    own_mounts = ["unshare", "--map-root-user", "--mount"]
    try:
        trial = ["sh", "-c", "mkdir trial && mount -t tmpfs tmpfs trial"]
        subprocess.run([*own_mounts, *trial], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this user may not mount a small file system to fill: {error}")
    spec |= {"checkpoint": {"every_epochs": 1}}
    Path("spec.json").write_text(json.dumps(spec))
    command = [*own_mounts, sys.executable, "-c", FULL_DISK, str(freed)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == expected
    assert done.stderr.count("No space left on device; training continues") >= 1
