"""Trainings on processes that mpiexec starts; those of the acceptance have their table in docs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nnreg
from nnreg.ranks.group import ALONE
from tests.helpers.work import HANG_SECONDS, wait_until
from tests.ranks import trainings

pytestmark = [pytest.mark.verify, pytest.mark.slow]

ROOT = Path(nnreg.__file__).parents[1]


@pytest.fixture
def mpiexec(peer):
    """Start a job of several processes; return a function that waits for its end."""
    peer("mpi4py", imported=False)
    beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    program, jobs = beside or shutil.which("mpiexec"), []

    def start(ranks, *arguments, directory=ROOT, **environment):
        command = [program, "-n", str(ranks), sys.executable, *map(str, arguments)]
        variables = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        jobs.append(
            subprocess.Popen(
                command,
                cwd=directory,
                env=variables | environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return jobs[-1]

    yield start
    for job in jobs:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def result(job):
    """Return the exit code, standard output and standard error of a job at its end."""
    out, err = job.communicate(timeout=HANG_SECONDS)
    return job.returncode, out, err


def found_by(job):
    code, out, err = result(job)
    assert code == 0, err
    return json.loads(out)


TRAIN = ("-m", "tests.ranks.trainings")


@pytest.fixture(scope="module")
def expected():
    return trainings.digests(1, ALONE)


def test_weights_have_the_same_sha_256_on_threads_and_ranks(mpiexec, expected):
    for threads in (2, 3, 4):
        assert trainings.digests(threads, ALONE) == expected
    for ranks in (2, 3, 4):
        assert found_by(mpiexec(ranks, *TRAIN, "digests", 1)) == expected
    assert found_by(mpiexec(2, *TRAIN, "digests", 2)) == expected


def test_they_have_it_after_a_kill_too_and_on_another_number(mpiexec, expected, tmp_path):
    ways = {4: tmp_path / "four", 2: tmp_path / "two"}
    for ranks, directory in ways.items():
        directory.mkdir()
        code, _, _ = result(mpiexec(ranks, *TRAIN, "begin", directory))
        assert code == signal.SIGKILL
        files = trainings.saved(directory)
        assert {file.stem for file in files} == set(trainings.ACCEPTED)
        assert all(nnreg.load(file).training_state.step > 1 for file in files)
    accepted = {name: expected[name] for name in trainings.ACCEPTED}
    assert found_by(mpiexec(2, *TRAIN, "finish", ways[4])) == accepted
    assert found_by(mpiexec(4, *TRAIN, "finish", ways[2])) == accepted
    assert trainings.finish(ways[4], ALONE) == accepted


@pytest.fixture
def penguins(tmp_path):
    """Return a directory with an example."""
    for name in ("penguins.json", "penguins.csv"):
        shutil.copy(ROOT / "models" / name, tmp_path)
    return tmp_path


def options(epochs, *others, out="run"):
    changes = [f"train.epochs={epochs}", "train.shards=4", "train.early_stopping=null", *others]
    return ["--out", out, "--no-report", *(part for one in changes for part in ("--set", one))]


RUN = ("-m", "nnreg", "run", "penguins.json")
ENDLESS = options(100_000)


def weights(directory):
    """Return the weights of the last checkpoint of a run, its history and its results."""
    model = nnreg.load(directory / "checkpoints" / "last.h5")
    summary = json.loads((directory / "summary.json").read_text())
    return model.network.vector.tobytes(), list(model.history), summary["test"]


def test_a_run_prints_and_saves_once_what_one_process_does(mpiexec, penguins):
    code, out, err = result(mpiexec(3, *RUN, *options(3, out="three"), directory=penguins))
    assert code == 0, err
    assert out.count("Results: penguins") == err.count("epoch 3/3") == 1
    nnreg.run(penguins / "penguins.json", out=penguins / "one", overrides=options(3)[4::2])
    assert weights(penguins / "three") == weights(penguins / "one")
    assert {one.name for one in penguins.iterdir()} == {
        "penguins.json", "penguins.csv", "three", "one",
    }  # fmt: skip


def begun(job, directory):
    """Wait until a run has saved two epochs; return its ranks' processes."""
    records = directory / "run" / "metrics.jsonl"
    wait_until(lambda: records.exists() and len(records.read_text().splitlines()) > 1, job)
    return [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdecimal() and _is_rank_of(one, directory)
    ]


def _is_rank_of(process, directory):
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
        return command[1:3] == [b"-m", b"nnreg"] and (process / "cwd").resolve() == directory
    except OSError:  # it has ended
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_rank_stops_all_and_saves(mpiexec, penguins, number):
    job = mpiexec(2, *RUN, *ENDLESS, directory=penguins)
    processes = begun(job, penguins)
    assert len(processes) == 2
    os.kill(processes[-1], number)
    code, _, err = result(job)
    assert code == 128 + number
    assert err.count("stopped; saved within epoch") + err.count("stopped; saved after epoch") == 1
    model = nnreg.load(penguins / "run" / "checkpoints" / "last.h5")
    assert json.loads((penguins / "run" / "summary.json").read_text())["stopped"] == "interrupted"
    assert f"step {model.training_state.step}" in err or model.training_state.epoch_state is None


# This process may have loaded the BLAS of other libraries too, which resuming reports.
@pytest.mark.filterwarnings("ignore:results may not be bit-identical:nnreg.NnregWarning")
def test_a_run_of_which_a_rank_was_killed_resumes_on_one_process(mpiexec, penguins):
    setting = ("checkpoint.every_steps=1",)
    job = mpiexec(2, *RUN, *options(100_000, *setting), directory=penguins)
    os.kill(begun(job, penguins)[-1], signal.SIGKILL)
    code, _, _ = result(job)
    assert code == signal.SIGKILL
    done = nnreg.load(penguins / "run" / "checkpoints" / "last.h5").training_state.epoch
    epochs = {"train.epochs": done + 2}
    nnreg.resume(penguins / "run", overrides={**epochs, "train.threads": 3})
    changes = {**epochs, "train.shards": 4, "train.early_stopping": None}
    nnreg.run(penguins / "penguins.json", out=penguins / "one", overrides=changes)
    assert weights(penguins / "run") == weights(penguins / "one")


BROKEN = """
import os
from dataclasses import dataclass
from nnreg import Activation, hookimpl

calls = []

@dataclass(frozen=True)
class Broken(Activation):
    '''y = x, on one rank for some steps only'''

    def forward(self, x):
        calls.append(1)
        if os.environ["PMI_RANK"] == "1" and len(calls) > 20:
            raise RuntimeError("seven")
        return x * 1, lambda dy: dy * 1

@hookimpl
def nnreg_activations():
    return {"broken": Broken}
"""


def test_an_error_of_one_rank_ends_all_with_one_message(mpiexec, penguins):
    (penguins / "broken.py").write_text(BROKEN)
    layer = "model.layers.0.activation=broken"
    plugin = ("--plugin", "broken.py", "--no-check")
    job = mpiexec(2, *RUN, *options(30, layer), *plugin, directory=penguins)
    code, _, err = result(job)
    assert code == 1
    assert err.count("RuntimeError: seven") == err.count("error:") == 1


def test_a_divergence_is_reported_once_and_saves_finite_weights(mpiexec, penguins):
    changes = ("optimizer.type=sgd", "optimizer.learning_rate=1e35")
    code, _, err = result(mpiexec(2, *RUN, *options(3, *changes), directory=penguins))
    assert code == 3
    assert err.count("is not finite") == err.count("resume: ") == 1
    nnreg.load(penguins / "run" / "checkpoints" / "last.h5")


OTHER_DATA = """
import os
import nnreg
if os.environ["PMI_RANK"] == "1":
    os.chdir("other")
nnreg.run("penguins.json", out="run", overrides={"train.shards": 2, "train.epochs": 2})
"""


def test_ranks_that_differ_are_refused_with_what_differs_where(mpiexec, penguins):
    other = penguins / "other"
    other.mkdir()
    shutil.copy(penguins / "penguins.json", other)
    rows = (penguins / "penguins.csv").read_text().splitlines()
    (other / "penguins.csv").write_text("\n".join(rows[:-1]))
    (penguins / "script.py").write_text(OTHER_DATA)
    code, _, err = result(mpiexec(2, "script.py", directory=penguins))
    assert code == 1
    assert "data: {'penguins.csv'" in err
    assert "on rank 1 (" in err
    assert not (penguins / "run").exists()
    assert not (other / "run").exists()


def test_a_file_that_one_rank_cannot_read_ends_all(mpiexec, penguins):
    (penguins / "other").mkdir()
    shutil.copy(penguins / "penguins.json", penguins / "other")
    (penguins / "script.py").write_text(OTHER_DATA)
    code, _, err = result(mpiexec(2, "script.py", directory=penguins))
    assert code == 1
    assert "rank 1 on " in err
    assert "cannot read the data" in err


OTHER_PLUGIN = """
import os
from nnreg.cli import main
if os.environ["PMI_RANK"] == "1":
    os.chdir("other")
main(["run", "penguins.json", "--plugin", "plugin.py", "--set", "train.shards=2"])
"""


def test_a_plugin_file_that_one_rank_does_not_have_ends_all_with_one_message(mpiexec, penguins):
    (penguins / "other").mkdir()
    (penguins / "plugin.py").write_text("")
    (penguins / "script.py").write_text(OTHER_PLUGIN)
    code, out, err = result(mpiexec(2, "script.py", directory=penguins))
    assert code == 2
    assert (out, err.count("error:")) == ("", 1)
    assert re.search(r"error: rank 1 on \S+: --plugin plugin\.py: the file does not exist", err)


def test_a_sweep_is_refused_by_all_with_one_message(mpiexec, penguins):
    code, _, err = result(mpiexec(2, *RUN, "--seeds", 2, directory=penguins))
    assert code == 2
    assert err.count("error:") == err.count("a sweep starts its own") == 1


def test_more_ranks_than_shards_are_refused(mpiexec, penguins):
    code, _, err = result(mpiexec(2, *RUN, directory=penguins))
    assert code == 2
    assert err.count("$.train.shards") == 1
    assert "set it to 2" in err
    assert not (penguins / "runs").exists()
