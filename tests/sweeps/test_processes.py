"""Processes of this machine: each may be killed without an effect on the runs of the others."""

import json
import os
import signal
import subprocess
import sys

import pytest

import nnreg
from nnreg._utils.threads import available_cores
from nnreg.builtin.executors.processes import THREAD_VARIABLES, Processes, thread_variables
from nnreg.registry.registry import installed
from nnreg.sweeps.api import execute
from nnreg.sweeps.plan import plan_sweep
from tests.conformance.broken.trainable_activations import Gain
from tests.helpers.sweeps import UNITS, hashes, train, write_spec, write_sweep
from tests.helpers.work import wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals of POSIX")

SLOW = {"train.epochs": 100_000, "checkpoint.every_epochs": 50}


def kill_self(text):
    """Kill the process of this job."""
    os.kill(os.getpid(), signal.SIGKILL)


def environment(text):
    return json.dumps({"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")})


def print_noise(text):
    print("noise on standard output")
    os.write(1, b"more noise\n")
    return text


def fail(text):
    raise ValueError(text)


@pytest.fixture
def pool(tmp_path):
    with Processes().open(2, tmp_path) as (pool, _):
        yield pool


@pytest.mark.slow
def test_a_killed_process_fails_its_job_alone(pool):
    killed = pool.submit(kill_self, "")
    others = [pool.submit(environment, "") for _ in range(3)]
    assert "its process was killed by SIGKILL" in str(killed.exception())
    assert all(one.result() for one in others)


@pytest.mark.slow
def test_an_error_and_what_a_job_prints_reach_no_other_job(pool):
    assert "ValueError: no" in str(pool.submit(fail, "no").exception())
    assert pool.submit(print_noise, "one\ntwo ü").result() == "one\ntwo ü"


def test_the_cores_are_divided_among_the_processes(monkeypatch, tmp_path):
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with Processes().open(available_cores(), tmp_path) as (pool, count):
        assert count == available_cores()
        assert json.loads(pool.submit(environment, "").result())["threads"] == "1"
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_variables(1) == {}


def test_the_runs_are_those_of_one_process(tmp_path):
    write_spec(tmp_path)
    sweep = write_sweep(tmp_path, seeds=2, grid={UNITS: [4, 6]})
    train(sweep, tmp_path / "threads")
    found = train(sweep, tmp_path / "processes", jobs=2, executor=Processes())
    assert [run.outcome for run in found.runs] == ["done"] * 4
    assert hashes(tmp_path / "processes") == hashes(tmp_path / "threads")


def test_without_a_directory_only_the_results_remain(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = json.loads(write_spec(tmp_path).read_text())
    found = nnreg.sweep(spec, grid={UNITS: [4, 6]}, seeds=[1], jobs=1)
    assert [run.directory for run in found.runs] == [None, None]
    assert found.best.mean == min(run.value for run in found.runs)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv", "spec.json"]


def start(*args, cwd):
    command = [sys.executable, "-m", "nnreg", *map(str, args)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=cwd, stdout=pipe, stderr=pipe, text=True)


def begun(directory, count=1):
    return lambda: len(list(directory.glob("*/checkpoints/last.h5"))) >= count


@pytest.fixture
def endless(tmp_path):
    """Return the command of a sweep that is still running when it is stopped."""
    write_spec(tmp_path)
    write_sweep(tmp_path, grid={UNITS: [4, 6]}, overrides=SLOW)
    process = start("sweep", "sweep.json", "--out", "out", "--jobs", "2", cwd=tmp_path)
    wait_until(begun(tmp_path / "out", 2), process)
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_runs_ends_their_processes_and_says_how_to_continue(
    endless, tmp_path, number
):
    endless.send_signal(number)
    _, errors = endless.communicate()
    assert endless.returncode == 128 + number
    command = json.loads((tmp_path / "out/001-seed-0/environment.json").read_text())["command"]
    assert command[1:] == ["sweep", "sweep.json", "--out", "out", "--jobs", "2"]
    assert "stopped; 0 of 2 runs ended" in errors
    assert "resume: nnreg sweep out" in errors
    for run in (tmp_path / "out").glob("*-seed-0"):
        assert json.loads((run / "summary.json").read_text())["stopped"] == "interrupted"
        assert not (run / "lock").exists()


@pytest.mark.slow
def test_the_processes_of_a_killed_sweep_save_and_end_too(endless, tmp_path):
    endless.kill()
    endless.wait()
    runs = list((tmp_path / "out").glob("*-seed-0"))
    wait_until(lambda: all((run / "summary.json").exists() for run in runs))
    wait_until(lambda: not any((run / "lock").exists() for run in runs))
    assert {json.loads((run / "summary.json").read_text())["stopped"] for run in runs} == {
        "interrupted"
    }


@pytest.mark.slow
def test_two_processes_share_a_sweep_and_train_no_run_twice(tmp_path):
    write_spec(tmp_path)
    write_sweep(tmp_path, seeds=4, grid={UNITS: [4, 6]}, overrides={"train.epochs": 200})
    both = [start("sweep", "sweep.json", "--out", "out", "--jobs", "1", cwd=tmp_path)
            for _ in range(2)]  # fmt: skip
    ended = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    trained = [line.split()[1] for _, errors in ended for line in errors.splitlines()
               if "-seed-" in line]  # fmt: skip
    assert sorted(trained) == sorted(set(trained))
    assert len(trained) == 8
    results = [output.split("saved in")[0] for output, _ in ended]
    assert results[0] == results[1]
    for run in (tmp_path / "out").glob("*-seed-*"):
        assert "earlier" not in json.loads((run / "environment.json").read_text())


def test_a_component_that_only_this_program_has_is_refused_with_the_fix(tmp_path, request):
    write_spec(tmp_path)
    nnreg.register("own_gain", Gain)
    request.addfinalizer(lambda: installed().remove("nnreg.register own_gain"))
    sweep = write_sweep(tmp_path, grid={"model.layers.0.activation": ["own_gain", "relu"]},
                        overrides={"model.layers.0.activation": "own_gain"})  # fmt: skip
    with pytest.raises(nnreg.UsageError, match=r"call nnreg\.register\('FILE\.py'\)"):
        execute(plan_sweep(sweep), tmp_path / "out", Processes(), 1)
    assert not (tmp_path / "out").exists()
