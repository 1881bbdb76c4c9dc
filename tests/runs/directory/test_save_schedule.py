"""The times at which a run is saved."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import nnreg
import nnreg._utils.atomic_files
from nnreg.checkpoint.save_load import to_file_content
from nnreg.runs import writer
from nnreg.runs.run import prepare_run
from nnreg.runs.save_schedule import SaveSchedule
from nnreg.runs.writer import RunWriter
from nnreg.spec.sections import Checkpoint
from nnreg.training.state import TrainingState
from tests.helpers.specs import regressor
from tests.helpers.work import CPU_SECONDS, Clock, calls, cpu_seconds
from tests.runs.directory.runs import same_files


class TestSaveSchedule:
    def test_automatic_saving_takes_a_fraction_of_the_time(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("nnreg.runs.save_schedule.time", clock)
        schedule = SaveSchedule(Checkpoint(), TrainingState())
        schedule.saved(0.03, 0.03)  # with the next save and the last one 0.09 s, 2.5 % of 3.6 s
        for moment, within, after in [
            (103.5, False, False), (103.7, False, True), (109.9, False, True), (110.1, True, True)
        ]:  # fmt: skip
            clock.now = moment
            assert (schedule.within_epoch(), schedule.after_epoch()) == (within, after)
        schedule.saved(0.6, 1.0)  # with two more 2.63 s, 2.5 % of 105.2 s
        for moment, due in [(205.1, False), (205.3, True)]:
            clock.now = moment
            assert (schedule.within_epoch(), schedule.after_epoch()) == (due, due)

    def test_short_saves_are_a_second_apart_and_ten_in_mid_epoch(self, monkeypatch):
        clock = Clock()
        monkeypatch.setattr("nnreg.runs.save_schedule.time", clock)
        schedule = SaveSchedule(Checkpoint(), TrainingState())
        clock.now += 1000
        schedule.saved(0.001, 0.001)
        for later, within, after in [
            (0.9, False, False), (1.1, False, True), (9.9, False, True), (10.1, True, True)
        ]:  # fmt: skip
            clock.now = 1100 + later
            assert (schedule.within_epoch(), schedule.after_epoch()) == (within, after)

    @pytest.mark.parametrize("epochs", [15, 40, 100])
    def test_a_run_of_any_length_spends_a_small_fraction_of_its_time_on_saving(
        self, spec, monkeypatch, epochs
    ):
        clock, saves = Clock(), []

        def slowly(write):
            def slow_write(*args, **options):
                saves.append(args)
                clock.now += 0.1
                write(*args, **options)

            return slow_write

        def slow_epoch(record):
            clock.now += 1.0

        monkeypatch.setattr("nnreg.runs.save_schedule.time", clock)
        monkeypatch.setattr("nnreg.runs.writer.time", clock)
        for name in ("write_checkpoint", "write_spec"):
            monkeypatch.setattr(writer, name, slowly(getattr(writer, name)))
        nnreg.run(spec | {"train": {"epochs": epochs}}, out="out", on_epoch=slow_epoch)
        share = 0.1 * len(saves) / (clock.now - 100)
        # A save without a new best epoch is shorter than the last; at the end, results are added.
        assert 0.018 < share < 0.027 + 0.1 / epochs

    def test_the_first_save_of_large_weights_waits_for_the_size_of_later_ones(
        self, tmp_path, monkeypatch
    ):
        costs, saved = [], SaveSchedule.saved
        monkeypatch.setattr(
            SaveSchedule, "saved", lambda own, *cost: (costs.append(cost), saved(own, *cost))
        )
        layers = [{"type": "dense", "units": 1200}, {"type": "dense", "units": 2000}]
        model = {"layers": [*layers, {"type": "dense", "units": 1}]}
        train = {"epochs": 1, "batch_size": 8}
        x = np.zeros((8, 2))
        large = regressor(model=model, optimizer="adam", train=train)
        nnreg.run(large, data=(x, x[:, 0]), out=tmp_path / "out")
        costs = [next_cost / cost for cost, next_cost in costs if cost]
        assert costs == [pytest.approx(5.0, rel=0.01)]  # two vectors of Adam, the best ones twice

    def test_the_time_of_a_save_is_linear_in_the_number_of_epochs(self, spec):
        model = nnreg.run(spec)
        model.training_state.history *= 100
        some = calls(to_file_content, model)
        model.training_state.history *= 10
        assert calls(to_file_content, model) < 11 * some
        assert cpu_seconds(to_file_content, model) < CPU_SECONDS

    @pytest.mark.parametrize(("brief", "steps"), [(0.0, [6, 12, 18, 24, 30, 36]), (1e9, [])])
    def test_a_short_run_is_saved_at_its_end_only(self, spec, brief, steps, monkeypatch):
        monkeypatch.setattr("nnreg.runs.save_schedule.MAX_TIME_FRACTION", 1e9)
        monkeypatch.setattr("nnreg.runs.save_schedule.SHORT_SAVE_SECONDS", brief)
        saves, save = [], RunWriter.save
        monkeypatch.setattr(
            RunWriter, "save", lambda own: (saves.append(own._model.training_state.step), save(own))
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
        saves, save = [], RunWriter.save
        monkeypatch.setattr(
            RunWriter, "save", lambda own: (saves.append(own._model.training_state.step), save(own))
        )
        nnreg.run(spec | {"checkpoint": settings}, out="out")
        assert saves == steps

    def test_the_spec_retains_earlier_checkpoints_and_each_resumes(self, spec):
        spec |= {"checkpoint": {"every_steps": 9, "keep": 2}}
        nnreg.run(spec, out="out")
        kept = ["epoch-0004-step-00000027.h5", "epoch-0006-step-00000036.h5"]
        names = sorted(file.name for file in Path("out/checkpoints").iterdir())
        assert names == ["best.h5", *kept, "last.h5"]
        shutil.copytree("out", "again")
        nnreg.resume(f"again/checkpoints/{kept[0]}")
        same_files("out", "again")
        assert sorted(file.name for file in Path("again/checkpoints").iterdir()) == names

    def test_a_run_is_saved_in_the_middle_of_a_long_epoch(self, spec, monkeypatch):
        monkeypatch.setattr("nnreg.runs.save_schedule.LONG_INTERVAL_SECONDS", 0.0)
        monkeypatch.setattr("nnreg.runs.save_schedule.MAX_TIME_FRACTION", 1e9)
        run = prepare_run(spec, out="out")
        train_step = run._trainer._step

        def failing(*args):
            if run.model.training_state.step == 15:
                raise ZeroDivisionError
            train_step(*args)

        run._trainer._step = failing
        with pytest.raises(ZeroDivisionError):
            run.train()
        assert nnreg.load("out/checkpoints/last.h5").training_state.step == 15
