"""Time and memory measured in separate processes."""

import resource

import pytest

from benchmarks.harness import UnavailableError
from benchmarks.processes import (
    KILOBYTE,
    ROOT,
    Worker,
    Workers,
    compile_nnreg,
    limited,
    python,
    run,
)
from benchmarks.worker import seconds_per_call
from tests.benchmarks.rows import EFFORT, TINY
from tests.helpers.work import Clock


def test_the_seconds_per_call_are_the_mean_of_the_calls_that_fit(monkeypatch):
    clock, durations = Clock(), iter([3, 2, 2, 2, 1, 7])

    def job():
        clock.now += next(durations)

    monkeypatch.setattr("benchmarks.worker.time", clock)
    assert seconds_per_call(job, 10) == 2
    assert seconds_per_call(job, 0) == 7
    monkeypatch.setattr(clock, "process_time", lambda: clock.now / 2, raising=False)
    durations = iter([4])
    assert seconds_per_call(job, 0, processor=True) == 2


def test_a_worker_times_nnreg_and_reports_failures():
    worker = Worker("nnreg", threads=1)
    try:
        assert worker.ask("train", 0.01, workload=TINY.name) > 0
        with pytest.raises(UnavailableError, match="KeyError: 'no such network'"):
            worker.ask("train", 0.01, workload="no such network")
        assert worker.ask("predict", 0.01, workload=TINY.name, rows=1) > 0
    finally:
        peak = worker.close()
    # The system reports no smaller peak for a child than for its parent.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KILOBYTE
    assert 2e7 < peak < max(2e9, 1.01 * own)
    with pytest.raises(UnavailableError, match="the process died"):
        worker.ask("train", 0.01, workload=TINY.name)


def test_one_save_is_compared_with_h5py_on_the_same_arrays(tmp_path):
    with Workers(EFFORT) as workers:
        for name in ("nnreg", "plain h5py"):
            assert workers.ask(name, "save", 0.0, workload="64-40-10", directory=str(tmp_path)) > 0
    size = (tmp_path / "model.h5").stat().st_size
    assert 45e3 < size < 60e3
    assert 0.8 * size < (tmp_path / "plain.h5").stat().st_size < 1.2 * size


def test_a_measured_process_keeps_its_bytecode_as_an_installed_library_has_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    (tmp_path / "measured.py").touch()
    run(python("-c", "import measured"), limited(1, path=tmp_path))
    assert list((tmp_path / "__pycache__").glob("measured.*.pyc"))


def test_nnreg_has_its_bytecode_before_the_first_measurement(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path))
    compile_nnreg()
    sources = {path.stem for path in (ROOT / "nnreg").rglob("*.py")}
    assert sources <= {path.name.partition(".")[0] for path in tmp_path.rglob("*.pyc")}


def test_the_reason_of_a_failed_command_is_its_last_line():
    with pytest.raises(
        UnavailableError, match="ModuleNotFoundError: No module named 'nothing_here'"
    ):
        run(python("-c", "import nothing_here"), limited(1))
    finished = run(python("-c", "print('done')"), limited(1))
    assert finished.output == "done\n"
    assert finished.seconds > 0


def test_peak_memory_is_that_of_the_process_and_not_of_its_parent():
    code = """
import sys
from benchmarks import __main__
from benchmarks.processes import limited, python, run
assert "numpy" not in sys.modules
for size in (1, 100):
    print(run(python("-c", f"b = bytearray({size} * 10**6)"), limited(1)).peak / 1e6)
"""
    small, large = map(float, run(python("-c", code), limited(1)).output.split())
    assert 5 < small < 60
    assert large - small == pytest.approx(99, rel=0.2)
