"""When a run is saved."""

import shutil
import time
from pathlib import Path

import pytest

import nnreg
import nnreg._utils.atomic_files
from nnreg.checkpoint.save_load import to_file_content
from nnreg.runs.run import prepare_run
from nnreg.runs.save_schedule import SaveSchedule
from nnreg.spec.sections import Checkpoint
from nnreg.training.state import TrainingState
from tests.runs.directory.runs import same_files


class TestSaveTimes:
    def test_automatic_saving_takes_its_share_of_the_time(self, monkeypatch):
        now = [100.0]
        monkeypatch.setattr(time, "perf_counter", lambda: now[0])
        times = SaveSchedule(Checkpoint(), TrainingState())
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
        model.training_state.history *= 1000
        began = time.perf_counter()
        to_file_content(model)
        assert time.perf_counter() - began < 1  # 6,000 records: 5 ms, or 6 s by the square

    @pytest.mark.parametrize(("brief", "steps"), [(0.0, [6, 12, 18, 24, 30, 36]), (1e9, [])])
    def test_work_that_is_brief_is_saved_at_the_end_only(self, spec, brief, steps, monkeypatch):
        from nnreg.runs.directory import RunDirectory

        monkeypatch.setattr("nnreg.runs.save_schedule.MAX_TIME_FRACTION", 1e9)
        monkeypatch.setattr("nnreg.runs.save_schedule.SHORT_SAVE_SECONDS", brief)
        saves, save = [], RunDirectory.save
        monkeypatch.setattr(
            RunDirectory,
            "save",
            lambda directory: (saves.append(directory._model.training_state.step), save(directory)),
        )
        nnreg.run(spec, out="out")
        assert saves == steps
        assert nnreg.load("out/checkpoints/last.h5").training_state.step == 36

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
        save = nnreg.runs.directory.RunDirectory.save
        monkeypatch.setattr(
            nnreg.runs.directory.RunDirectory,
            "save",
            lambda directory: (saves.append(directory._model.training_state.step), save(directory)),
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
        monkeypatch.setattr("nnreg.runs.save_schedule.LONG_INTERVAL_SECONDS", 0.0)
        monkeypatch.setattr("nnreg.runs.save_schedule.MAX_TIME_FRACTION", 1e9)
        run = prepare_run(spec, out="out")
        go = run._trainer._step

        def kill(*args):
            if run.model.training_state.step == 15:
                raise ZeroDivisionError
            go(*args)

        run._trainer._step = kill
        with pytest.raises(ZeroDivisionError):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").training_state.step == 15
