"""Run directories are locked by one process, and runs resume in another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import nnreg
import nnreg._utils.atomic_files
from nnreg import UsageError
from nnreg._utils.threads import blas_libraries
from nnreg.checkpoint.file_format import read_checkpoint
from nnreg.errors import NnregWarning
from nnreg.runs import writer
from nnreg.runs.directory import next_directory
from nnreg.runs.run import prepare_resume, prepare_run
from tests.runs.directory.runs import same_files, stop_at


class TestOneProcess:
    def test_a_second_run_in_the_directory_is_rejected_and_the_first_continues(self, spec):
        errors = []

        def start_others(record):
            if record["epoch"] == 2:
                for start in (lambda: prepare_resume("out"), lambda: prepare_run(spec, out="out")):
                    with pytest.raises(UsageError) as caught:
                        start()
                    errors.append(str(caught.value))

        nnreg.run(spec, out="out", on_epoch=start_others)
        assert f"run directory is locked by process {os.getpid()}" in errors[0]
        assert "already has a run" in errors[1]

    def test_runs_that_start_at_the_same_time_do_not_share_a_directory(self, spec):
        first, second = prepare_run(spec, out="out"), prepare_run(spec, out="out")
        with pytest.raises(KeyboardInterrupt):
            first.train(lambda record: (_ for _ in ()).throw(KeyboardInterrupt))
        before = Path("out/checkpoints/last.h5").read_bytes()
        with pytest.raises(UsageError, match="another process has trained this run"):
            second.train()
        assert Path("out/checkpoints/last.h5").read_bytes() == before

    def test_temporary_files_of_killed_saves_are_removed(self, spec):
        nnreg.run(spec, out="out")
        stale = [Path("out/.spec.json.0123456789ab.tmp"),
                 Path("out/checkpoints/.last.h5.0123456789ab.tmp")]  # fmt: skip
        for file in stale:
            file.write_bytes(b"half")
        nnreg.resume("out")
        assert not any(file.exists() for file in stale)

    def test_directories_are_numbered(self, tmp_path):
        assert next_directory("a", tmp_path).name == "a-001"
        (tmp_path / "a-001").mkdir()
        assert next_directory("a", tmp_path).name == "a-002"


class TestResuming:
    def test_a_changed_environment_is_reported_in_one_line(self, spec, monkeypatch):
        monkeypatch.setattr("nnreg.training.parallelism.MIN_FLOPS_FOR_THREADS", 0)
        nnreg.run(spec, out="out", overrides=["train.threads=1"])
        monkeypatch.setattr("numpy.__version__", "1.2.3")
        with pytest.warns(NnregWarning) as caught:
            nnreg.resume("out", overrides=["train.epochs=7", "train.threads=2"])
        (text,) = (str(warning.message) for warning in caught)
        assert text.startswith("results may not be bit-identical to those of an un")
        assert "numpy is 1.2.3, was " in text
        assert text.endswith("threads is 2, was 1")

    def test_threads_are_no_change_of_a_reproducible_run(self, spec, monkeypatch):
        nnreg.run(spec, out="out")
        libraries = blas_libraries()
        more = [one | {"num_threads": one["num_threads"] + 1} for one in libraries]
        monkeypatch.setattr("nnreg.provenance.environment.blas_libraries", lambda: more)
        nnreg.resume("out", overrides=["train.epochs=7", "train.threads=2"])  # warnings are errors
        recorded = json.loads(Path("out/environment.json").read_text())
        assert (recorded["reproducible"], recorded["shards"], recorded["threads"]) == (True, 1, 1)

    def test_blocks_are_a_change_of_a_run_that_an_earlier_version_stopped_in_mid_epoch(
        self, spec, monkeypatch
    ):
        name = "nnreg.training.parallelism.MIN_FLOPS"
        for constant, value in ((f"{name}_FOR_THREADS", 0), (name, 1e9)):
            monkeypatch.setattr(constant, value)
        run = prepare_run(spec, out="out", overrides=["train.threads=1"])
        stop_at(run, 15)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        monkeypatch.setattr(name, 0)
        run = prepare_resume("out")
        assert run.model.environment["blocks"] is False
        run.model.environment = {"threads": 1, "divided": False, "reproducible": False}
        with pytest.warns(NnregWarning) as caught:
            assert run.train().training_state.epoch == 6
        (text,) = (str(warning.message) for warning in caught)
        assert "reproducible is True, was False; " in text  # as an earlier version recorded it
        assert text.endswith("blocks is True, was False")
        assert json.loads(Path("out/summary.json").read_text())["reproducible"] is True

    def test_a_changed_spec_applies_from_the_first_save(self, spec):
        nnreg.run(spec, out="out", overrides=["train.epochs=2"])
        run = prepare_resume("out", overrides=["train.epochs=5"])
        stop_at(run, 13)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        assert nnreg.resume("out").training_state.epoch == 5

    def test_extra_and_missing_records_are_corrected(self, spec):
        nnreg.run(spec, out="whole")
        for damage in (lambda text: text + '{"epoch": 99}\n{"ep', lambda text: text[:30]):
            shutil.rmtree("out", ignore_errors=True)
            run = prepare_run(spec, out="out")
            stop_at(run, 20)
            with pytest.raises(KeyboardInterrupt):
                run.train()
            records = Path("out/metrics.jsonl")
            records.write_text(damage(records.read_text()))
            nnreg.resume("out")
            same_files("whole", "out")

    @pytest.mark.parametrize("name", ["last.h5", "best.h5"])
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_kill_between_two_writes_loses_no_record(self, spec, monkeypatch, name, when):
        class Killed(BaseException):
            """Stands for a signal that ends the process."""

        write = writer.write_checkpoint

        def killed(path, checkpoint, *more, **options):
            reached = path.name == name and checkpoint.document["progress"]["epoch"] == 2
            if not reached or when == "after":
                write(path, checkpoint, *more, **options)
            if reached:
                raise Killed

        spec |= {"checkpoint": {"every_epochs": 1}}
        nnreg.run(spec, out="whole")
        with monkeypatch.context() as patch:
            patch.setattr(writer, "write_checkpoint", killed)
            patch.setattr(writer.RunWriter, "close", lambda self, needed, best: None)
            with pytest.raises(Killed):
                nnreg.run(spec, out="out")
        nnreg.resume("out")
        same_files("whole", "out")

    def test_a_run_killed_in_its_first_step_resumes(self, spec):
        nnreg.run(spec, out="whole")
        script = """
        import json, os, signal, sys, nnreg
        from nnreg.runs.run import prepare_run
        run = prepare_run(json.loads(sys.argv[1]), out="out")
        run._trainer._step = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        run.train()
        """
        command = [sys.executable, "-c", textwrap.dedent(script), json.dumps(spec)]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert nnreg.load("out/checkpoints/last.h5").training_state.step == 0
        nnreg.resume("out")
        same_files("whole", "out")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"seen": 0}, "0 of 36 examples are not an unfinished epoch"),
            ({"seen": 36}, "36 of 36 examples are not an unfinished epoch"),
            ({"seen": 5}, "'partial/outputs' is"),
            ({"count": None}, r"\$\.progress\.partial\.count: must be"),
            ({"loss": "x"}, r"\$\.progress\.partial\.loss: must be"),
            ({"streams": [{}]}, r"\$\.progress\.partial\.streams\[0\]\.state: required"),
            ({"streams": [{"state": str(2**128), "inc": "1", "has_uint32": 0, "uinteger": 0}]},
             r"must be a number below 2\*\*128"),
        ],
    )  # fmt: skip
    def test_an_invalid_unfinished_epoch_is_rejected(self, spec, change, message):
        from nnreg.checkpoint.file_format import Checkpoint as Content
        from nnreg.checkpoint.save_load import from_file_content

        run = prepare_run(spec, out="out")
        stop_at(run, 8)
        with pytest.raises(KeyboardInterrupt):
            run.train()
        content = read_checkpoint(Path("out/checkpoints/last.h5"))
        progress = content.document["progress"]
        progress = {**progress, "partial": {**progress["partial"], **change}}
        changed = Content({**content.document, "progress": progress}, dict(content.arrays))
        with pytest.raises(nnreg.CheckpointError, match=message):
            from_file_content(changed, "m.h5")
